//! What may be said before a session is open: D29, D31; and what is asked for
//! again when it was lost: D92.

use super::*;
use provost_testkit::fixture::Eras;
use provost_testkit::process::Start;
use provost_testkit::tcp::{Scripted, Then};

const PING: &str = r#"{"jsonrpc":"2.0","id":"alive?","method":"ping"}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
const OPENED: &str =
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}"#;

/// The protocol lets a client ask whether anybody is there before anything else.
async fn d31_a_ping_before_the_session_is_answered(scene: Scene) {
    for _ in 0..2 {
        let answer = scene.raw(PING).await;
        assert_eq!(answer.message["result"], json!({}), "{answer:?}");
        assert_eq!(answer.message["id"], "alive?");
    }
    assert!(scene.upstream.bytes().is_empty() && scene.gate.children() == 0);
    assert!(scene.gate.records().is_empty());
    scene.agent.connect().await;
    scene.honest_call_works().await;
}
everywhere_before_initialize!(d31_a_ping_before_the_session_is_answered, allow_all());

/// Also while a server takes its time over `initialize`.
#[tokio::test]
async fn d31_a_ping_during_initialize_is_answered() {
    let place = tempfile::tempdir().unwrap();
    let go = place.path().join("go");
    let script = format!(
        "read a; while [ ! -e {} ]; do sleep 0.05; done; echo '{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{OPENED}}}'; cat > /dev/null",
        go.display()
    );
    let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.gate.stdio_server("slow", &start, Processes::Session);
    scene.gate.put_policy("slow", "open", &allow_all());
    let agent = scene.gate.stdio_agent(&scene.gate.mint_on("slow", "open"));
    let link = agent.as_stdio();
    link.write(INITIALIZE).unwrap();
    link.write(PING).unwrap();
    wait_until("the ping is answered", || !link.strays().is_empty()).await;
    assert_eq!(link.strays()[0]["id"], "alive?", "{:?}", link.strays());
    std::fs::write(&go, "").unwrap();
    wait_until("the session is open", || link.strays().len() == 2).await;
    assert_eq!(link.strays()[1]["result"]["protocolVersion"], "2025-11-25");
}

/// A server that wants to know whether its client lives before it answers.
#[tokio::test]
async fn d31_a_ping_of_a_server_during_initialize_is_answered() {
    let place = tempfile::tempdir().unwrap();
    let heard = place.path().join("heard");
    let script = format!(
        "read a; echo '{PING}'; read b; echo \"$b\" > {}; echo '{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{OPENED}}}'; cat > /dev/null",
        heard.display()
    );
    for face in [Face::Http, Face::Stdio] {
        let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
        let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
        scene.gate.stdio_server("asks", &start, Processes::Session);
        scene.gate.put_policy("asks", "open", &allow_all());
        let pass = scene.gate.mint_on("asks", "open");
        let agent = scene::agent(&scene.gate, face, Era::Legacy, &pass);
        agent.connect().await;
        let answer: Value =
            serde_json::from_str(&std::fs::read_to_string(&heard).unwrap()).unwrap();
        assert_eq!(
            (&answer["id"], &answer["result"]),
            (&json!("alive?"), &json!({}))
        );
        std::fs::remove_file(&heard).unwrap();
    }
}

/// The same over HTTP, on the stream that ends with the answer.
#[tokio::test]
async fn d31_a_ping_of_a_server_on_the_stream_of_initialize_is_answered() {
    let body = format!(
        "data: {PING}\n\ndata: {{\"jsonrpc\":\"2.0\",\"id\":\"i\",\"result\":{OPENED}}}\n\n"
    );
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let not_found = "HTTP/1.1 405 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let scripted = Scripted::start(
        vec![
            answer.into_bytes(),
            accepted.into(),
            accepted.into(),
            not_found.into(),
        ],
        Then::Close,
    );
    let scene = Scene::before_initialize(Face::Http, Kind::Http, allow_all());
    scene.gate.move_server("fixture", &scripted.url());
    let opened = scene.raw(INITIALIZE).await;
    assert_eq!(
        opened.message["result"]["protocolVersion"], "2025-11-25",
        "{opened:?}"
    );
    let pong = r#"{"jsonrpc":"2.0","id":"alive?","result":{}}"#;
    let heard = || String::from_utf8_lossy(&scripted.received()).contains(pong);
    wait_until("the server is answered", heard).await;
}

/// An agent of the modern era is told which era its server speaks, and can go on
/// in that one.
#[tokio::test]
async fn d29_a_modern_agent_before_a_legacy_server_may_open_a_session() {
    for kind in Kind::ALL {
        for method in ["tools/list", "tools/call", "subscriptions/listen"] {
            let setup = Setup::from(allow_all())
                .eras(Eras::Legacy)
                .agent(Era::Modern);
            let scene = Scene::before_initialize(Face::Stdio, kind, setup);
            let params = match method {
                "tools/call" => json!({"name": "echo", "arguments": {}}),
                "subscriptions/listen" => json!({"notifications": {"toolsListChanged": true}}),
                _ => json!({}),
            };
            let message = scene.agent.wrapped("m", method, params);
            for _ in 0..2 {
                let told = scene.raw(message.to_string()).await.message;
                assert_eq!(told["error"]["code"], -32022, "{method}: {told}");
                let words = told["error"]["message"].as_str().unwrap();
                assert!(
                    words.contains("no protocol newer than 2025-11-25"),
                    "{words}"
                );
                assert!(words.contains("`initialize`"), "{words}");
            }
            let opened = scene.raw(INITIALIZE).await.message;
            assert_eq!(
                opened["result"]["protocolVersion"], "2025-11-25",
                "{opened}"
            );
            let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            scene.agent.send(&ready).await;
            let call = call(3, "echo", r#"{"text":"after all"}"#);
            assert_eq!(text(&scene.raw(call).await.message), "after all");
            let told = scene.raw(message.to_string()).await.message;
            assert_eq!(told["error"]["code"], -32600, "{told}");
        }
    }
}

/// A subscription that is asked for again leaves a record like the first one, and
/// is judged by what holds then.
#[tokio::test]
async fn d92_subscriptions_that_are_repeated_are_recorded() {
    for face in [Face::Http, Face::Stdio] {
        for kind in Kind::ALL {
            let scene = Scene::new(face, kind, allow_all()).await;
            for uri in ["fixture://note", "fixture://text"] {
                scene
                    .agent
                    .request("resources/subscribe", json!({ "uri": uri }))
                    .await;
            }
            assert_eq!(scene.recorded("resources/subscribe: allow, ok"), 2);
            let lose = async || match kind {
                Kind::Http => scene.upstream.fixture().expire_sessions(),
                Kind::Stdio => scene.kill_process().await,
            };
            lose().await;
            scene.honest_call_works().await;
            assert_eq!(scene.upstream.requests("resources/subscribe").len(), 4);
            assert_eq!(scene.recorded("resources/subscribe: allow, ok"), 4);
            let denied = json!({"version": "1", "default": "allow", "methods": {"deny": ["resources/subscribe"]}});
            scene.policy(denied);
            lose().await;
            scene.honest_call_works().await;
            assert_eq!(scene.upstream.requests("resources/subscribe").len(), 4);
            assert_eq!(scene.recorded("resources/subscribe: deny by (method)"), 1);
        }
    }
}
