//! Real agents at the gateway, with the configurations that the product and its pages print, on a model that is a script.

use std::path::Path;

use provost_testkit::agent::{Agent, Desk};
use provost_testkit::model::Model;
use provost_testkit::process::root;
use provost_testkit::real::{self, RealServer};
use provost_testkit::wait_until;
use serde_json::{Value, json};

use super::ways::ALLOW_ALL;
use super::world::World;

const SERVER: &str = "everything";

/// A daemon in front of a real server, one grant, and what was printed when it was minted.
struct Scene {
    world: World,
    model: Model,
    printed: String,
    token: String,
    _server: RealServer,
}

/// How an agent is connected.
#[derive(Debug, Clone, Copy)]
enum By {
    Http,
    Connect,
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
        Scene {
            world,
            model: Model::start(),
            printed,
            token,
            _server: server,
        }
    }

    /// A desk whose agent is connected as we say it should be.
    async fn desk(&self, agent: Agent, by: By) -> Desk {
        let program = Path::new(env!("CARGO_BIN_EXE_provost"));
        let place = |name: &str| self.world.path().join(name).display().to_string();
        let desk = Desk::new(agent, &self.model)
            .with_programs(program.parent().unwrap())
            .with_variable("PROVOST_GRANT", &self.token)
            .with_variable("PROVOST_DATA", &place("data"))
            .with_variable("PROVOST_CONFIG", &place("config"));
        let file = place("grant");
        let connect = format!("provost connect {SERVER} --grant-file {file}");
        match (agent, by) {
            (Agent::Claude, By::Connect) => {
                let line = format!(
                    "claude mcp add {}",
                    after(&self.printed, "  claude mcp add ")
                );
                desk.shell(&line.replace("FILE", &file)).await;
            }
            (_, By::Http) => {
                desk.shell(&self.line_of_the_readme(agent)).await;
            }
            (Agent::Codex, By::Connect) => {
                // It hands its variables to nobody.
                let envs = format!(
                    "--env PROVOST_DATA={} --env PROVOST_CONFIG={}",
                    place("data"),
                    place("config")
                );
                desk.shell(&format!("codex mcp add {SERVER} {envs} -- {connect}"))
                    .await;
            }
            (Agent::Gemini, By::Connect) => {
                let args: Vec<&str> = connect.split(' ').skip(1).collect();
                let settings =
                    json!({"mcpServers": {SERVER: {"command": "provost", "args": args}}});
                std::fs::create_dir(desk.project().join(".gemini")).unwrap();
                let file = desk.project().join(".gemini/settings.json");
                std::fs::write(file, settings.to_string()).unwrap();
            }
        }
        desk
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

/// The rest of the first line that begins like this.
fn after<'a>(text: &'a str, start: &str) -> &'a str {
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(start)).unwrap()
}

/// All three have called once before any of them calls again, and each of them says what came back.
async fn at_once(ways: [By; 3]) {
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
    at_once([By::Connect, By::Http, By::Http]).await;
}

#[tokio::test]
async fn d41_one_grant_serves_claude_codex_and_gemini_at_once_the_other_way_round() {
    at_once([By::Http, By::Connect, By::Connect]).await;
}

/// A person's way: the agent stays, and is asked again.
async fn in_a_terminal(agent: Agent, by: By) {
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
}

#[tokio::test]
async fn claude_in_a_terminal_calls_a_tool_in_two_turns() {
    in_a_terminal(Agent::Claude, By::Connect).await;
}

#[tokio::test]
async fn codex_in_a_terminal_calls_a_tool_in_two_turns() {
    in_a_terminal(Agent::Codex, By::Http).await;
}

#[tokio::test]
async fn gemini_in_a_terminal_calls_a_tool_in_two_turns() {
    in_a_terminal(Agent::Gemini, By::Connect).await;
}
