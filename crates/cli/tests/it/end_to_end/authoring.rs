//! Policies that are written by commands: from what real servers list, and from what an agent did.

use provost_testkit::real;
use serde_json::{Value, json};

use super::ways::ALLOW_ALL;
use super::world::World;

/// Runs `policy init` with a file to write, and returns the policy.
fn init(world: &World, how: &[&str]) -> String {
    let file = world.path().join("init.json");
    let arguments = ["policy", "init", "--force", "-o", file.to_str().unwrap()];
    let output = world.run(&[&arguments, how].concat());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{how:?}: {told}");
    std::fs::read_to_string(file).unwrap()
}

/// What an agent reads when it is refused; empty when it is not.
fn refusal(answer: &Value) -> String {
    let decision = &answer["result"]["_meta"]["dev.provost/decision"]["decision"];
    match decision == "deny" {
        true => answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned(),
        false => String::new(),
    }
}

#[tokio::test]
async fn d53_a_policy_to_begin_with_fits_its_server() {
    for name in [
        "filesystem",
        "git",
        "sqlite",
        "memory",
        "everything",
        "time",
    ] {
        let world = World::new();
        let server = real::server(name);
        world.add_program("asked", &server.start);
        let policy = init(&world, &["--server", "asked", "--root", "/srv/work"]);
        let file = world.write("checked.json", &policy);
        let file = file.to_str().unwrap();
        let output = world.run(&["policy", "check", "--strict", "--server", "asked", file]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{name}: {said}\n{policy}");
        assert!(!said.contains("warning"), "{name}: {said}");
    }
}

#[tokio::test]
async fn d53_calls_under_a_policy_to_begin_with() {
    for (name, passes, refused) in [
        ("filesystem", "list_directory", "write_file"),
        ("git", "git_status", "git_reset"),
    ] {
        let mut world = World::new();
        let server = real::server(name);
        let (_, folder) = server.names().swap_remove(0);
        world.add_program("real", &server.start);
        let policy = init(&world, &["--server", "real", "--root", &folder]);
        world.up();
        let token = world.grant("real", &policy);
        let agent = world.client("real", &token);
        agent.connect().await;
        let place = |folder: &str| json!({ "path": folder, "repo_path": folder });
        let answer = agent.call(passes, place(&folder)).await;
        assert_eq!(refusal(&answer), "", "{name}");
        assert_ne!(answer["result"]["isError"], true, "{answer}");
        let outside = refusal(&agent.call(passes, place("/etc")).await);
        assert!(outside.contains("has to be inside of"), "{outside}");
        let destroys = refusal(&agent.call(refused, place(&folder)).await);
        assert!(destroys.contains("has to look at it first"), "{destroys}");
    }
}

#[tokio::test]
async fn d53_a_command_is_asked_and_leaves_nothing_behind() {
    let world = World::new();
    let temporary = world.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let server = real::server("time");
    let command = server.start.command_line();
    let mut init = world.command();
    init.args(["policy", "init", "--json", "--"]).args(&command);
    let output = init.env("TMPDIR", &temporary).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["policy"]["default"], "deny");
    assert_eq!(
        answer["allowed"],
        json!(["get_current_time", "convert_time"])
    );
    let left = std::fs::read_dir(&temporary).unwrap().count();
    assert_eq!(left, 0);
    assert!(!world.path().join("data").exists());
}

#[test]
fn d53_what_cannot_be_asked_or_written_is_named() {
    let world = World::new();
    let told = |arguments: &[&str]| {
        let output = world.run(arguments);
        let told = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), told)
    };
    let (code, said) = told(&["policy", "init", "--", "no-such-program"]);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("there is no program `no-such-program`"),
        "{said}"
    );
    let (code, said) = told(&["policy", "init", "--", "true"]);
    assert_eq!(code, 5, "{said}");
    assert!(
        said.contains("`true` cannot be asked for its tools"),
        "{said}"
    );
    let (code, said) = told(&["policy", "init", "--root", "~/work", "--", "true"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`~` is not expanded"), "{said}");
    let file = world.write("there.json", "{}");
    let there = file.to_str().unwrap();
    let (code, said) = told(&["policy", "init", "-o", there, "--", "true"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("--force"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
    let (code, said) = told(&["policy", "learn", "--grant", "nobody"]);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("no grant `nobody` and no record of one"),
        "{said}"
    );
}

#[tokio::test]
async fn d53_what_an_observed_agent_did_is_what_it_may_do() {
    let mut world = World::new();
    let server = real::server("git");
    let (_, folder) = server.names().swap_remove(0);
    world.add_program("real", &server.start);
    let file = world.write("draft.json", r#"{"version":"1","default":"deny"}"#);
    world.json(&["policy", "put", "real", "draft", file.to_str().unwrap()]);
    let mint = ["grant", "mint", "real", "--label", "watched"];
    let minted = world.json(&[&mint[..], &["--policy", "draft", "--observe"]].concat());
    world.up();
    let watched = world.client("real", minted["token"].as_str().unwrap());
    watched.connect().await;
    let calls = [
        ("git_status", json!({ "repo_path": folder })),
        ("git_status", json!({ "repo_path": folder })),
        ("git_log", json!({ "repo_path": folder, "max_count": 1 })),
        ("git_log", json!({ "repo_path": folder })),
    ];
    for (tool, arguments) in &calls {
        let answer = watched.call(tool, arguments.clone()).await;
        assert_ne!(answer["result"]["isError"], true, "{answer}");
    }
    // The server refuses what it does not know; that teaches nothing.
    watched.call("git_statsu", json!({})).await;
    let learnt = world.path().join("learnt.json");
    let learn = ["policy", "learn", "--grant", "watched", "-o"];
    let output = world.run(&[&learn[..], &[learnt.to_str().unwrap()]].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("2 tools learnt"), "{told}");
    assert!(
        told.contains("`git_statsu`, 1 call: every call of it failed"),
        "{told}"
    );
    let policy = std::fs::read_to_string(&learnt).unwrap();
    let read: Value = serde_json::from_str(&policy).unwrap();
    let required =
        json!([{ "conditions": [{ "path": "args.repo_path", "op": "exists", "value": true }] }]);
    assert_eq!(read["tools"]["git_log"]["require"], required, "{policy}");
    let said = read["tools"]["git_status"]["description"].as_str().unwrap();
    assert!(said.starts_with("Called 2 times, last on 2"), "{said}");
    let check = ["policy", "check", "--strict", "--server", "real"];
    let output = world.run(&[&check[..], &[learnt.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{policy}");

    let token = world.grant("real", &policy);
    let agent = world.client("real", &token);
    agent.connect().await;
    for (tool, arguments) in calls {
        let answer = agent.call(tool, arguments).await;
        assert_eq!(refusal(&answer), "", "{tool}");
    }
    let another = agent
        .call("git_diff_staged", json!({ "repo_path": folder }))
        .await;
    assert!(
        refusal(&another).contains("does not allow the tool"),
        "{another}"
    );
    let bare = agent.call("git_status", json!({})).await;
    assert!(
        refusal(&bare).contains("`args.repo_path` must be given"),
        "{bare}"
    );
}

/// Several servers may have a grant of the same label; then the server has to be named.
#[tokio::test]
async fn d53_grants_of_one_label_are_not_mixed() {
    let mut world = World::new();
    let server = real::server("time");
    for name in ["one", "two"] {
        world.add_program(name, &server.start);
    }
    world.up();
    for name in ["one", "two"] {
        let token = world.grant(name, ALLOW_ALL);
        let agent = world.client(name, &token);
        agent.connect().await;
        agent
            .call("get_current_time", json!({ "timezone": "Etc/UTC" }))
            .await;
    }
    let output = world.run(&["policy", "learn", "--grant", "agent"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("--server two"), "{told}");
    let learnt = world.json(&["policy", "learn", "--grant", "agent", "--server", "two"]);
    assert_eq!(learnt["tools"], json!(["get_current_time"]));
    assert!(
        learnt["policy"]["description"]
            .as_str()
            .unwrap()
            .contains("on `two`")
    );
}
