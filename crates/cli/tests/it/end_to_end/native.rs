//! The real Claude Code, whose own tools ask before they run: with the settings and the policy that the guide shows.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use provost_testkit::agent::{Agent, Desk};
use provost_testkit::model::Model;
use serde_json::{Value, json};

use super::world::World;

/// `$1` is a directory.
const POLICY: &str = r#"{
    "version": "1", "default": "deny", "tools": {
        "shell": {"require": [{"conditions": [{"path": "args.command", "op": "argv_in", "value": [["touch", "allowed"], ["pwd"]]}],
            "on_deny": "only touch allowed, and pwd"}]},
        "write_file": {"require": [{"conditions": [{"path": "args.path", "op": "under", "value": ["$1"]}],
            "on_deny": "only in the project"}]},
        "read_file": {}
    }
}"#;

struct Scene {
    world: World,
    model: Model,
    desk: Desk,
    grant: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let (mut world, model) = (World::new(), Model::start());
        world.up();
        let place = |name: &str| world.path().join(name).display().to_string();
        let desk = Desk::new(Agent::Claude, &model)
            .with_programs(&bin())
            .with_variable("PROVOST_DATA", &place("data"))
            .with_variable("PROVOST_CONFIG", &place("config"));
        let project = desk.project().display().to_string();
        let policy = world.write("policy.json", &POLICY.replace("$1", &project));
        world.json(&["policy", "put", "native", "rules", policy.to_str().unwrap()]);
        let mint = [
            "grant", "mint", "native", "--label", "claude", "--policy", "rules",
        ];
        let minted = world.json(&mint);
        let grant = world.write("grant", minted["token"].as_str().unwrap());
        Scene {
            world,
            model,
            desk,
            grant,
        }
    }

    /// Puts the hook into the project's settings.
    fn hook(&self, program: &str) {
        let command = format!(
            "{program} hook claude --grant-file {} || exit 2",
            self.grant.display()
        );
        let settings = json!({"hooks": {"PreToolUse": [{
            "matcher": "^(?!mcp__).*",
            "hooks": [{"type": "command", "timeout": 60, "command": command}],
        }]}});
        let folder = self.desk.project().join(".claude");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("settings.json"), settings.to_string()).unwrap();
    }

    fn made(&self, name: &str) -> bool {
        self.desk.project().join(name).exists()
    }

    fn log(&self) -> Vec<String> {
        let output = self.world.run(&["--json", "log"]);
        let rows = String::from_utf8(output.stdout).unwrap();
        let row = |row: &str| serde_json::from_str::<Value>(row).unwrap();
        let told = |row: Value| format!("{} {} {}", row["tool"], row["decision"], row["rule"]);
        rows.lines()
            .map(|line| told(row(line)).replace('"', ""))
            .collect()
    }
}

fn bin() -> PathBuf {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_provost"));
    program.parent().unwrap().to_owned()
}

#[tokio::test]
async fn claude_may_do_what_the_policy_of_native_allows_and_nothing_else() {
    let scene = Scene::new();
    scene.hook("provost");
    let project = scene.desk.project();
    let (inside, outside) = (project.join("inside"), scene.world.path().join("outside"));
    let prompt = format!(
        "shell touch allowed\nshell touch denied\n\
         use Write {{\"file_path\": \"{}\", \"content\": \"x\"}}\n\
         use Write {{\"file_path\": \"{}\", \"content\": \"x\"}}\n\
         shell provost stop\nsay {{{{2}}}} / {{{{4}}}} / {{{{5}}}}",
        inside.display(),
        outside.display(),
    );
    let said = scene.desk.ask(&prompt).await;
    for why in [
        "only touch allowed, and pwd",
        "only in the project",
        "may not start `provost`",
    ] {
        assert!(said.contains(why), "{said}");
    }
    assert!(scene.made("allowed") && scene.made("inside"));
    assert!(!scene.made("denied") && !outside.exists());
    let log = scene.log();
    assert_eq!(
        log,
        [
            "shell allow null",
            "shell deny /tools/shell/require/args.command-argv_in",
            "write_file allow null",
            "write_file deny /tools/write_file/require/args.path-under",
            "shell deny (built-in)",
        ]
    );
}

/// `|| exit 2` is what denies: without it a hook that does not start lets everything through.
#[tokio::test]
async fn claude_may_do_nothing_when_the_program_is_gone_or_the_grant_is_revoked() {
    let scene = Scene::new();
    scene.hook("provost-that-is-gone");
    scene.desk.ask("shell touch allowed\nsay {{1}}").await;
    assert!(!scene.made("allowed"));
    scene.hook("provost");
    scene.world.run(&["grant", "revoke", "claude"]);
    let said = scene.desk.ask("shell touch allowed\nsay {{1}}").await;
    assert!(
        said.contains("Provost cannot decide, so it is denied"),
        "{said}"
    );
    assert!(!scene.made("allowed"));
    assert!(scene.model.log().len() > 2);
}

fn hook(world: &World, args: &[&str], input: &str) -> Output {
    let mut command = world.command();
    command.args(["hook"]).args(args).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn whatever_goes_wrong_with_a_hook_is_a_no() {
    let world = World::new();
    let reason = |output: &Output| {
        assert!(output.status.success(), "{output:?}");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let told = &answer["hookSpecificOutput"];
        assert_eq!(told["permissionDecision"], "deny", "{told}");
        told["permissionDecisionReason"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let no = "Provost cannot decide, so it is denied: ";
    let output = hook(&world, &["claude"], "{}");
    assert_eq!(reason(&output), format!("{no}no token was given"));
    let missing = world.path().join("no-such-file").display().to_string();
    let told = reason(&hook(&world, &["claude", "--grant-file", &missing], "{}"));
    assert!(told.starts_with(no) && told.contains(&missing), "{told}");
    let stranger = world.write("grant", "pv_nobody").display().to_string();
    let told = reason(&hook(&world, &["claude", "--grant-file", &stranger], "{}"));
    assert!(
        told.starts_with(&format!("{no}the grant does not open server `native`")),
        "{told}"
    );
    assert_eq!(hook(&world, &["nobody"], "{}").status.code(), Some(2));
}
