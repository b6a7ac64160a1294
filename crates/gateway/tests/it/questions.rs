//! Questions of the upstream: put to the agent that may be asked, judged,
//! recorded once, and answered once.

use crate::harness::*;
use provost_testkit::client::polite;
use provost_testkit::process::Start;
use provost_testkit::tcp::{Scripted, Then};
use provost_testkit::wait_until;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const ALL: [(&str, &str); 3] = [
    ("sample", "sampling/createMessage"),
    ("elicit", "elicitation/create"),
    ("roots", "roots/list"),
];

async fn questions_reach_the_agent_and_answers_come_back(scene: Scene) {
    for (tool, method) in ALL {
        let answer = scene.agent.call(tool, json!({"message": "hm?"})).await;
        let expected = polite(method, &json!({"messages": [{"content": {"text": "hm?"}}]}));
        let told: Value = serde_json::from_str(text(&answer)).unwrap();
        assert_eq!(told, expected["result"], "{method}");
        assert_eq!(scene.agent.received(method).len(), 1);
    }
    let lines = ALL.map(|(tool, method)| {
        [
            format!("tools/call {tool}: allow, ok"),
            format!("{method}: allow, ok"),
        ]
    });
    let lines = lines.concat();
    scene
        .records_become(&lines.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
}
everywhere!(questions_reach_the_agent_and_answers_come_back, allow_all());

async fn questions_come_on_the_general_stream_too(scene: Scene) {
    scene.agent.listen().await;
    for (tool, method) in ALL {
        let answer = scene.agent.call(tool, json!({"via": "general"})).await;
        assert!(answer.get("result").is_some(), "{answer}");
        assert_eq!(scene.agent.received(method).len(), 1);
    }
    assert_eq!(scene.gate.records().len(), 6);
}
everywhere!(questions_come_on_the_general_stream_too, allow_all());

async fn a_refused_answer_comes_back_as_an_error(scene: Scene) {
    scene
        .agent
        .on_request(|_, _| json!({"error": {"code": -1, "message": "the user said no"}}));
    let answer = scene.agent.call("sample", json!({})).await;
    assert!(text(&answer).contains("the user said no"), "{answer}");
    scene
        .records_become(&[
            "tools/call sample: allow, ok",
            "sampling/createMessage: allow, rpc_error",
        ])
        .await;
}
everywhere!(a_refused_answer_comes_back_as_an_error, allow_all());

async fn a_question_is_answered_once(scene: Scene) {
    scene
        .agent
        .on_request(|_, _| json!({"result": {"roots": []}}));
    scene.agent.call("roots", json!({})).await;
    let asked = scene.agent.inbox();
    let question = asked.iter().find(|m| m["method"] == "roots/list").unwrap();
    let again =
        json!({"jsonrpc": "2.0", "id": question["id"], "result": {"roots": [{"uri": "file:///"}]}});
    let before = scene.upstream.bytes().len();
    match scene.face {
        Face::Http => {
            let answer = scene.raw(again.to_string()).await;
            assert_eq!(answer.message["error"]["code"], -32600);
        }
        // Over stdio an answer is never answered.
        Face::Stdio => scene.agent.as_stdio().write(again.to_string()).unwrap(),
    }
    let refused = "(answer): deny by (envelope)".to_owned();
    wait_until("it is refused", || scene.gate.history().contains(&refused)).await;
    assert_eq!(scene.upstream.bytes().len(), before);
    assert!(scene.upstream.events_of("stray response").is_empty());
    scene.honest_call_works().await;
}
everywhere!(a_question_is_answered_once, allow_all());

async fn a_question_outside_of_any_call_is_put_to_the_agent(scene: Scene) {
    scene.agent.listen().await;
    let answer = scene.upstream.fixture().ask("roots/list", json!({})).await;
    assert_eq!(answer["result"]["roots"][0]["name"], "project");
    let answer = scene.upstream.fixture().ask("ping", json!({})).await;
    assert_eq!(answer["result"], json!({}));
    scene.records_become(&["roots/list: allow, ok"]).await;
}

#[tokio::test]
async fn a_question_outside_of_any_call_is_put_to_an_agent_over_http() {
    a_question_outside_of_any_call_is_put_to_the_agent(
        Scene::new(Face::Http, Kind::Http, allow_all()).await,
    )
    .await;
}

async fn methods_that_no_upstream_may_send_are_refused(scene: Scene) {
    scene.agent.listen().await;
    for method in ["tools/call", "vendor/ask", "initialize", "Roots/list"] {
        let answer = scene.upstream.fixture().ask(method, json!({})).await;
        assert_eq!(answer["error"]["code"], 1403, "{method}: {answer}");
        assert!(scene.agent.received(method).is_empty());
    }
}

#[tokio::test]
async fn methods_that_no_upstream_may_send_do_not_reach_an_agent() {
    methods_that_no_upstream_may_send_are_refused(
        Scene::new(Face::Http, Kind::Http, allow_all()).await,
    )
    .await;
}

async fn unknown_notifications_of_the_upstream_are_dropped(scene: Scene) {
    scene.agent.listen().await;
    scene
        .upstream
        .fixture()
        .notify("notifications/vendor", json!({}));
    scene
        .upstream
        .fixture()
        .notify("notifications/initialized", json!({}));
    scene
        .upstream
        .fixture()
        .notify("notifications/prompts/list_changed", json!({"x": 1}));
    scene
        .agent
        .wait_for("notifications/prompts/list_changed")
        .await;
    assert_eq!(scene.agent.inbox().len(), 1);
}

#[tokio::test]
async fn unknown_notifications_do_not_reach_an_agent() {
    unknown_notifications_of_the_upstream_are_dropped(
        Scene::new(Face::Http, Kind::Http, allow_all()).await,
    )
    .await;
}

async fn the_agents_own_notifications_pass(scene: Scene) {
    scene
        .agent
        .notify("notifications/roots/list_changed", json!({"kept": 1e2}))
        .await;
    let arrived = || scene.upstream.events_of("notification");
    wait_until("it arrives", || {
        arrived()
            .iter()
            .any(|n| n["method"] == "notifications/roots/list_changed")
    })
    .await;
    assert!(scene.upstream.saw(r#""params":{"kept":100.0}"#));
}
everywhere!(the_agents_own_notifications_pass, allow_all());

/// A server that asks `questions` on the stream of a call, whatever is called.
pub(crate) fn inquisitor(questions: &[&str]) -> Scripted {
    let events: String = questions.iter().map(|q| format!("data: {q}\n\n")).collect();
    let body =
        format!("{events}data: {{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{{\"content\":[]}}}}\n\n");
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    Scripted::start(
        vec![answer.into_bytes(), accepted.as_bytes().to_vec()],
        Then::Close,
    )
}

#[tokio::test]
async fn an_id_that_is_used_twice_is_judged_twice() {
    let no_roots = json!({"version": "1", "default": "allow", "methods": {"deny": ["roots/list"]}});
    let scene = Scene::new(Face::Http, Kind::Http, no_roots).await;
    let scripted = inquisitor(&[
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"sampling/createMessage","params":{}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"elicitation/create","params":{}}"#,
    ]);
    scene.gate.move_server("fixture", &scripted.url());
    let reply = scene
        .agent
        .as_http()
        .post_raw(call(7, "echo", "{}"))
        .await
        .unwrap();
    let methods: Vec<_> = reply
        .messages()
        .iter()
        .map(|m| m["method"].clone())
        .collect();
    let expected = json!(["ping", "sampling/createMessage", "elicitation/create", null]);
    assert_eq!(json!(methods), expected);
    scene
        .records_become(&[
            "tools/call echo: allow, ok",
            "roots/list: deny by (method)",
            "sampling/createMessage: allow, cancelled",
            "elicitation/create: allow, unknown",
        ])
        .await;
}

#[tokio::test]
async fn a_question_that_its_server_cancels_is_over() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let scripted = inquisitor(&[
        r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":5}}"#,
    ]);
    scene.gate.move_server("fixture", &scripted.url());
    let reply = scene
        .agent
        .as_http()
        .post_raw(call(7, "echo", "{}"))
        .await
        .unwrap();
    assert_eq!(
        reply.messages().len(),
        3,
        "a cancellation of nothing is dropped"
    );
    scene
        .records_become(&["tools/call echo: allow, ok", "roots/list: allow, cancelled"])
        .await;
    let late = scene
        .raw(r#"{"jsonrpc":"2.0","id":1,"result":{"roots":[]}}"#)
        .await;
    assert_eq!(late.message["error"]["code"], -32600);
}

#[tokio::test]
async fn a_question_that_can_reach_nobody_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let heard = place.path().join("heard");
    let opened = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    let question = r#"{"jsonrpc":"2.0","id":"q","method":"roots/list"}"#;
    let script = format!(
        "read a; echo '{opened}'; read b; echo '{question}'; read c; echo \"$c\" > {}; cat",
        heard.display()
    );
    let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.gate.stdio_server("asks", &start, Processes::Session);
    scene.gate.put_policy("asks", "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on("asks", "open"));
    agent.connect().await;
    let answer = || std::fs::read_to_string(&heard).unwrap_or_default();
    wait_until("the server is answered", || answer().ends_with('\n')).await;
    let answer: Value = serde_json::from_str(&answer()).unwrap();
    assert_eq!(
        (&answer["id"], &answer["error"]["code"]),
        (&json!("q"), &json!(-32603))
    );
    scene.records_become(&["roots/list: allow, not_sent"]).await;
}

/// Each question costs a record, and a server may ask without end.
#[tokio::test]
async fn a_server_that_asks_without_end_fills_no_journal() {
    let policy = json!({"version": "1", "default": "allow", "methods": {"deny": ["sampling/createMessage"]}});
    let scene = Scene::new(Face::Stdio, Kind::Stdio, policy).await;
    let calls = (0..700).map(|_| {
        let agent = scene.agent.clone();
        async move { agent.call("sample", json!({})).await }
    });
    let answers = calls.collect::<JoinSet<_>>().join_all().await;
    let refused = |words: &str| {
        let told = answers.iter().filter(|answer| text(answer).contains(words));
        told.count()
    };
    assert_eq!(refused("asks the agent too often"), 100);
    assert_eq!(refused("POLICY DENIED"), 600);
    let asked = scene.gate.history();
    let asked = asked
        .iter()
        .filter(|line| line.starts_with("sampling/createMessage: deny"));
    assert_eq!(asked.count(), 600);
    scene.honest_call_works().await;
}
