//! A process that died under its sessions: the one after it is opened as it was,
//! and whoever comes meanwhile changes nothing of that.

use crate::harness::scene::kill_last;
use crate::harness::*;
use provost_testkit::client::Client;
use provost_testkit::fixture::{Options, Stdio};
use provost_testkit::process::Start;
use provost_testkit::{wait_for, wait_until};
use serde_json::{Value, json};

/// The fixture behind a script, which starts it with `"$@"`.
struct Behind {
    scene: Scene,
    fixture: Stdio,
    pass: Pass,
}

impl Behind {
    async fn script(script: &str, processes: Processes) -> Behind {
        let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
        let fixture = Stdio::new(&Options::default());
        let mut words = vec!["-c".to_owned(), script.to_owned(), "sh".to_owned()];
        words.extend(fixture.start.command_line());
        let start = Start::program("/bin/sh").args(words);
        scene.gate.stdio_server("behind", &start, processes);
        scene.gate.put_policy("behind", "open", &allow_all());
        let pass = scene.gate.mint_on("behind", "open");
        Behind {
            scene,
            fixture,
            pass,
        }
    }

    fn agent(&self) -> Client {
        self.scene.gate.http_agent(&self.pass)
    }

    async fn kill(&self) {
        kill_last(&self.fixture.events_of("started"));
        wait_until("the gateway knows", || self.scene.gate.children() == 0).await;
    }
}

/// Opens a session with these capabilities.
async fn opened(agent: &Client, capabilities: Value) -> Value {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": capabilities,
        "clientInfo": {"name": "client", "version": "1"},
    });
    let answer = agent.request("initialize", params).await;
    if answer.get("result").is_some() {
        agent.notify("notifications/initialized", json!({})).await;
    }
    answer
}

async fn works(agent: &Client, said: &str) {
    let answer = agent.call("echo", json!({"text": said})).await;
    assert_eq!(text(&answer), said);
}

#[tokio::test]
async fn a_process_that_refuses_to_be_opened_again_takes_no_calls() {
    let place = tempfile::tempdir().unwrap();
    let (starts, heard) = (place.path().join("starts"), place.path().join("heard"));
    // The second process refuses, and keeps what it is sent after that.
    let refuses =
        r#"{\"jsonrpc\":\"2.0\",\"id\":$id,\"error\":{\"code\":-32000,\"message\":\"not now\"}}"#;
    let script = format!(
        r#"echo x >> {0}; if [ $(wc -l < {0}) != 2 ]; then exec "$@"; fi
        read -r a; id=$(printf '%s' "$a" | sed 's/.*"id":\([0-9]*\).*/\1/'); echo "{refuses}"; cat > {1}"#,
        starts.display(),
        heard.display()
    );
    let behind = Behind::script(&script, Processes::Grant).await;
    let (first, second) = (behind.agent(), behind.agent());
    for agent in [&first, &second] {
        assert!(opened(agent, json!({})).await.get("result").is_some());
    }
    behind.kill().await;
    let refused = first.call("echo", json!({"text": "lost"})).await;
    assert_eq!(refused["error"]["code"], -32603, "{refused}");
    let history = behind.scene.gate.history();
    assert_eq!(history, ["tools/call echo: allow, not_sent"]);
    // Whoever comes next gets an answer of a server that is open.
    let late = wait_for("the pause to end", || async {
        let late = behind.agent();
        let answer = opened(&late, json!({})).await;
        let waits = answer["error"]["code"] == -32603;
        assert!(waits || answer.get("result").is_some(), "{answer}");
        (!waits).then_some(late)
    })
    .await;
    for agent in [&first, &second, &late] {
        works(agent, "open").await;
    }
    assert_eq!(std::fs::read_to_string(&heard).unwrap_or_default(), "");
}

#[tokio::test]
async fn a_process_that_died_in_use_is_not_opened_as_somebody_else_asks() {
    for processes in [Processes::Grant, Processes::Shared] {
        let behind = Behind::script(r#"exec "$@""#, processes).await;
        let (first, other) = (behind.agent(), behind.agent());
        let roots = json!({"roots": {}});
        assert!(opened(&first, roots.clone()).await.get("result").is_some());
        behind.kill().await;
        let refused = opened(&other, json!({"sampling": {}})).await;
        assert_eq!(refused["error"]["code"], -32603, "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains("another protocol version or other capabilities"));
        works(&first, "undisturbed").await;
        let asked: Vec<Value> = behind
            .fixture
            .events_of("request")
            .iter()
            .filter(|request| request["method"] == "initialize")
            .map(|request| request["params"]["capabilities"].clone())
            .collect();
        assert_eq!(asked, [roots.clone(), roots]);
    }
}

/// One who comes first after its end finds it as the others left it.
#[tokio::test]
async fn a_process_that_died_in_use_is_opened_for_all_of_its_users() {
    let behind = Behind::script(r#"exec "$@""#, Processes::Grant).await;
    let (first, second) = (behind.agent(), behind.agent());
    opened(&first, json!({})).await;
    let level = json!({"level": "error"});
    first.request("logging/setLevel", level.clone()).await;
    behind.kill().await;
    let answer = opened(&second, json!({})).await;
    assert!(answer.get("result").is_some(), "{answer}");
    for agent in [&second, &first] {
        works(agent, "together").await;
    }
    let requests = behind.fixture.events_of("request");
    let levels = requests
        .iter()
        .filter(|request| request["method"] == "logging/setLevel");
    let levels: Vec<_> = levels.map(|request| request["params"].clone()).collect();
    assert_eq!(levels, [level.clone(), level]);
    assert_eq!(behind.fixture.events_of("started").len(), 2);
}

#[tokio::test]
async fn what_comes_before_the_answer_to_a_repeated_subscription_is_not_its_answer() {
    let log = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"psst"}}"#;
    let script = format!(
        r#""$@" | while IFS= read -r line; do
            case "$line" in *'"result":{{}}}}') echo '{log}';; esac; printf '%s\n' "$line"; done"#
    );
    let behind = Behind::script(&script, Processes::Session).await;
    let agent = behind.agent();
    opened(&agent, json!({})).await;
    let note = json!({"uri": "fixture://note"});
    let answer = agent.request("resources/subscribe", note).await;
    assert_eq!(answer["result"], json!({}));
    behind.kill().await;
    works(&agent, "again").await;
    behind
        .scene
        .records_become(&[
            "resources/subscribe: allow, ok",
            "tools/call echo: allow, ok",
            "resources/subscribe: allow, ok",
        ])
        .await;
}
