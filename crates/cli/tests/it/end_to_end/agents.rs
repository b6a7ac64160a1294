//! Real agents at the gateway, with the configurations that the product and its pages print, on a model that is a script.

use std::path::{Path, PathBuf};

use provost_testkit::agent::{Agent, Desk};
use provost_testkit::model::Model;
use provost_testkit::process::root;
use provost_testkit::real::{self, RealServer, table};
use provost_testkit::wait::wait_until_blocking;
use provost_testkit::wait_until;
use serde_json::{Value, json};

use super::ways::{ALLOW_ALL, Way};
use super::world::World;

const SERVER: &str = "everything";
const TWICE: &str = "listed; 2 calls, 2 answers";
const MISHAPS: &str = "kill -9, upgrade, restore of the daemon";

/// A daemon in front of a real server, one grant, and what was printed when it was minted.
struct Scene {
    world: World,
    model: Model,
    printed: String,
    token: String,
    server: RealServer,
    /// Where the agents find `provost`; a test may exchange it.
    program: PathBuf,
}

impl Scene {
    fn new() -> Scene {
        let server = real::server(SERVER);
        let mut world = World::new();
        world.up();
        world.add_program(SERVER, &server.start);
        let policy = world.write("policy.json", ALLOW_ALL);
        let policy = policy.to_str().unwrap();
        world.json(&["policy", "put", SERVER, "rules", policy]);
        let mint = [
            "grant", "mint", SERVER, "--label", "agent", "--policy", "rules",
        ];
        let printed = String::from_utf8(world.run(&mint).stdout).unwrap();
        let token = after(&printed, "token    ").to_owned();
        world.write("grant", &token);
        let program = world.path().join("bin/provost");
        std::fs::create_dir(world.path().join("bin")).unwrap();
        install(&program);
        Scene {
            program,
            world,
            model: Model::start(),
            printed,
            token,
            server,
        }
    }

    /// A desk whose agent is connected as we say it should be.
    async fn desk(&self, agent: Agent, by: Way) -> Desk {
        let place = |name: &str| self.world.path().join(name).display().to_string();
        let desk = Desk::new(agent, &self.model)
            .with_programs(self.program.parent().unwrap())
            .with_variable("PROVOST_GRANT", &self.token)
            .with_variable("PROVOST_DATA", &place("data"))
            .with_variable("PROVOST_CONFIG", &place("config"));
        let grant = place("grant");
        let command = match by {
            Way::Http => {
                desk.shell(&self.line_of_the_readme(agent)).await;
                if agent == Agent::Claude {
                    assert_eq!(read(&desk.project().join(".mcp.json")), self.entry());
                }
                return desk;
            }
            Way::Connect => format!("provost connect {SERVER} --grant-file {grant}"),
            Way::Run => {
                let server = self.server.start.command_line().join(" ");
                format!("provost run --policy {} -- {server}", place("policy.json"))
            }
        };
        match agent {
            Agent::Claude => {
                let line = format!("claude mcp add {SERVER} -- {command}");
                let printed = self.printed.replace("FILE", &grant);
                assert!(by == Way::Run || printed.contains(&line), "{printed}");
                desk.shell(&line).await;
            }
            Agent::Codex => {
                // It hands few of its variables to anybody.
                let (data, config) = (place("data"), place("config"));
                let line = format!(
                    "codex mcp add {SERVER} --env PROVOST_DATA={data} --env PROVOST_CONFIG={config} -- {command}"
                );
                desk.shell(&line).await;
            }
            Agent::Gemini => {
                let words: Vec<&str> = command.split(' ').collect();
                let entry = json!({"command": words[0], "args": words[1..]});
                let settings = json!({"mcpServers": {SERVER: entry}});
                std::fs::create_dir(desk.project().join(".gemini")).unwrap();
                let file = desk.project().join(".gemini/settings.json");
                std::fs::write(file, settings.to_string()).unwrap();
            }
        }
        desk
    }

    /// What was printed for `.mcp.json`.
    fn entry(&self) -> Value {
        let start = self.printed.find('{').unwrap();
        let values = serde_json::Deserializer::from_str(&self.printed[start..]);
        values.into_iter().next().unwrap().unwrap()
    }

    /// `… mcp add …`, with this server in the place of the one that is shown.
    fn line_of_the_readme(&self, agent: Agent) -> String {
        let page = std::fs::read_to_string(root().join("README.md")).unwrap();
        let start = format!("{} mcp add ", agent.name());
        let line = format!("{start}{}", after(&page, &start));
        line.replace("http://127.0.0.1:7300/mcp/files", &self.world.url(SERVER))
            .replace(" files ", &format!(" {SERVER} "))
    }
}

/// Puts the program there as installers do: a new file in the place of what there is.
fn install(program: &Path) {
    let fresh = program.with_extension("new");
    std::fs::copy(env!("CARGO_BIN_EXE_provost"), &fresh).unwrap();
    std::fs::rename(&fresh, program).unwrap();
}

fn read(file: &Path) -> Value {
    let text = std::fs::read_to_string(file).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The rest of the first line that begins like this.
fn after<'a>(text: &'a str, start: &str) -> &'a str {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(start)).unwrap()
}

fn confirm(agent: Agent, by: Way, how: &str, result: &str) {
    let title = agent.title();
    let cells = [&title, by.title(), SERVER, how, result];
    table::confirm("Agents", &cells, 4);
}

/// All three have called once before any of them calls again, and each of them says what came back.
async fn at_once(ways: [Way; 3]) {
    let scene = Scene::new();
    let go = scene.world.path().join("go");
    let agents = Agent::ALL.iter().zip(ways);
    let work = agents.map(|(agent, by)| {
        let (scene, go, name) = (&scene, go.display(), agent.name());
        let prompt = format!(
            "call {SERVER} echo {{\"message\": \"{name} once\"}}\nwait {go}\n\
             call {SERVER} echo {{\"message\": \"{name} twice\"}}\nsay {{{{1}}}} and {{{{2}}}}"
        );
        async move {
            let desk = scene.desk(*agent, by).await;
            let said = desk.ask(&prompt).await;
            for word in ["once", "twice"] {
                let echo = format!("Echo: {name} {word}");
                assert!(said.contains(&echo), "{name}, {by:?}: {said}");
            }
            assert!(scene.model.offered(&prompt, SERVER, "get-sum"), "{name}");
            confirm(*agent, by, "three at once, with one grant", TWICE);
        }
    });
    let [claude, codex, gemini] = <[_; 3]>::try_from(work.collect::<Vec<_>>()).ok().unwrap();
    let all_wait = async {
        wait_until("all three have called once", || {
            let log = scene.model.log();
            let held = log.iter().filter(|exchange| exchange.answer.is_none());
            held.filter(|exchange| exchange.results.len() == 1).count() == 3
        })
        .await;
        std::fs::write(&go, "").unwrap();
    };
    tokio::join!(claude, codex, gemini, all_wait);
    let output = scene.world.run(&["--json", "log", "--tool", "echo"]);
    let rows = String::from_utf8(output.stdout).unwrap();
    let rows = rows.lines().map(|row| serde_json::from_str(row).unwrap());
    let rows: Vec<Value> = rows.collect();
    assert_eq!(rows.len(), 6, "{rows:#?}");
    for row in &rows {
        let told = ["grant", "decision", "status"].map(|key| &row[key]);
        let expected = [&rows[0]["grant"], &json!("allow"), &json!("ok")];
        assert_eq!(told, expected, "{row:#}");
    }
}

#[tokio::test]
async fn d41_one_grant_serves_claude_codex_and_gemini_at_once() {
    at_once([Way::Connect, Way::Http, Way::Http]).await;
}

#[tokio::test]
async fn d41_one_grant_serves_claude_codex_and_gemini_at_once_the_other_way_round() {
    at_once([Way::Http, Way::Connect, Way::Connect]).await;
}

/// A person's way: the agent stays, and is asked again.
async fn in_a_terminal(agent: Agent, by: Way) {
    let scene = Scene::new();
    let desk = scene.desk(agent, by).await;
    let terminal = desk.sit().await;
    terminal.offers(&scene.model, SERVER, "echo").await;
    for turn in ["first", "second"] {
        let prompt = format!(
            "call {SERVER} echo {{\"message\": \"the {turn}\"}}\nsay {{{{1}}}} was the {turn}"
        );
        let said = terminal.ask(&scene.model, &prompt).await;
        assert!(said.contains(&format!("Echo: the {turn}")), "{said}");
        terminal.shows(&format!(" was the {turn}")).await;
    }
    confirm(agent, by, "in a terminal, in two turns", TWICE);
}

#[tokio::test]
async fn claude_in_a_terminal_calls_a_tool_in_two_turns() {
    in_a_terminal(Agent::Claude, Way::Connect).await;
}

#[tokio::test]
async fn codex_in_a_terminal_calls_a_tool_in_two_turns() {
    in_a_terminal(Agent::Codex, Way::Http).await;
}

#[tokio::test]
async fn gemini_in_a_terminal_calls_a_tool_in_two_turns() {
    in_a_terminal(Agent::Gemini, Way::Run).await;
}

/// What happens to the daemon while the agent sits there.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Killed,
    Upgraded,
    Restored,
}

impl Mishap {
    fn happens(self, scene: &Scene) {
        let pid = || scene.world.json(&["status"])["pid"].as_u64().unwrap();
        let before = u32::try_from(pid()).unwrap();
        match self {
            Mishap::Killed => {
                crate::place::send(before, rustix::process::Signal::KILL);
                wait_until_blocking("the daemon is dead", || !crate::place::lives(before));
            }
            Mishap::Upgraded => {
                install(&scene.program);
                scene.world.json(&["stop"]);
            }
            Mishap::Restored => {
                let archive = scene.world.path().join("all.backup");
                drop(std::fs::remove_file(&archive));
                let archive = archive.to_str().unwrap();
                scene.world.json(&["backup", archive]);
                scene.world.json(&["restore", archive, "--replace"]);
            }
        }
    }
}

/// Nobody touches the agent: whatever happens to the daemon, its next call works, and the one after that.
async fn keeps_its_tools(by: Way) {
    let scene = Scene::new();
    let desk = scene.desk(Agent::Claude, by).await;
    let terminal = desk.sit().await;
    terminal.offers(&scene.model, SERVER, "echo").await;
    for mishap in [
        Mishap::Killed,
        Mishap::Upgraded,
        Mishap::Restored,
        Mishap::Killed,
    ] {
        mishap.happens(&scene);
        for turn in ["first", "second"] {
            let number = scene.model.log().len();
            let prompt = format!(
                "call {SERVER} echo {{\"message\": \"{mishap:?} {turn} {number}\"}}\nsay {{{{1}}}}"
            );
            let said = terminal.ask(&scene.model, &prompt).await;
            let echo = format!("Echo: {mishap:?} {turn} {number}");
            assert!(
                said.contains(&echo),
                "{by:?}: {said}\n{}",
                terminal.screen()
            );
        }
    }
    confirm(Agent::Claude, by, MISHAPS, "listed; 8 calls, 8 answers");
}

#[tokio::test]
async fn d40_claude_behind_connect_keeps_its_tools_over_kill_9_upgrade_and_restore() {
    keeps_its_tools(Way::Connect).await;
}

#[tokio::test]
async fn d40_claude_behind_run_keeps_its_tools_over_kill_9_upgrade_and_restore() {
    keeps_its_tools(Way::Run).await;
}
