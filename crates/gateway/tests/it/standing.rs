//! What an agent arranged for its session is asked for again where the server
//! forgot it: what had a good answer, and nothing else.

use crate::harness::*;
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// The server forgets the session, or its process ends.
async fn forget(scene: &Scene) {
    match scene.kind {
        Kind::Http => scene.upstream.fixture().expire_sessions(),
        Kind::Stdio => scene.kill_process().await,
    }
}

/// The parameters of all requests of a method that arrive because the server
/// forgot everything.
async fn asked_again(scene: &Scene, method: &str) -> Vec<Value> {
    let before = scene.upstream.requests(method).len();
    forget(scene).await;
    scene.honest_call_works().await;
    scene.upstream.requests(method).split_off(before)
}

fn subscribe(id: &str, uri: &str) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": "resources/subscribe", "params": {"uri": uri}})
        .to_string()
}

async fn only_what_had_a_good_answer_is_asked_for_again(scene: Scene) {
    let ask = async |method: &str, params: Value| scene.agent.request(method, params).await;
    for uri in ["fixture://note", "fixture://text", "fixture://gone"] {
        let answer = ask("resources/subscribe", json!({ "uri": uri })).await;
        assert_eq!(answer["result"], json!({}));
    }
    // One that stands, and is refused when it is asked for once more.
    let refuses = json!({"on": "resources/subscribe", "error": {"code": -32002, "message": "no"}});
    ask("logging/setLevel", json!({"level": "error"})).await;
    ask("resources/unsubscribe", json!({"uri": "fixture://gone"})).await;
    scene.agent.call("say", refuses).await;
    for uri in ["fixture://note", "fixture://new"] {
        let answer = ask("resources/subscribe", json!({ "uri": uri })).await;
        assert_eq!(answer["error"]["code"], -32002, "{answer}");
    }
    let answer = ask("logging/setLevel", json!({"level": "louder"})).await;
    assert!(answer.get("error").is_some(), "{answer}");
    let mut again = asked_again(&scene, "resources/subscribe").await;
    again.sort_by_key(|params| params["uri"].to_string());
    assert_eq!(
        again,
        [
            json!({"uri": "fixture://note"}),
            json!({"uri": "fixture://text"})
        ]
    );
    let again = asked_again(&scene, "logging/setLevel").await;
    assert_eq!(again, [json!({"level": "error"})]);
}
everywhere!(only_what_had_a_good_answer_is_asked_for_again, allow_all());

async fn what_is_refused_for_its_id_is_not_asked_for_again(scene: Scene) {
    let open = scene.gate.data().with_file_name("open");
    let slow = call("\"same\"", "slow", &json!({ "until": open }).to_string());
    match scene.face {
        Face::Http => {
            let link = scene.agent.as_http().clone();
            tokio::spawn(async move { link.post_raw(slow).await });
        }
        Face::Stdio => scene.agent.as_stdio().write(slow).unwrap(),
    }
    scene.upstream.wait_for_calls(1).await;
    let answer = scene.raw(subscribe("same", "fixture://note")).await;
    assert_eq!(answer.message["error"]["code"], -32600, "{answer:?}");
    std::fs::write(&open, "").unwrap();
    let done = "tools/call slow: allow, ok".to_owned();
    wait_until("the call is done", || scene.gate.history().contains(&done)).await;
    let records = scene.gate.records().len();
    let again = asked_again(&scene, "resources/subscribe").await;
    assert_eq!(again, [Value::Null; 0]);
    assert_eq!(scene.gate.records().len(), records + 1, "the honest call");
}
everywhere!(
    what_is_refused_for_its_id_is_not_asked_for_again,
    allow_all()
);

async fn what_was_called_off_is_not_asked_for_again(scene: Scene) {
    let cancel = json!({"requestId": "off"});
    scene.agent.notify("notifications/cancelled", cancel).await;
    let message = subscribe("off", "fixture://note");
    scene.agent.as_http().post_raw(message).await.unwrap();
    scene
        .records_become(&["resources/subscribe: allow, not_sent"])
        .await;
    let again = asked_again(&scene, "resources/subscribe").await;
    assert_eq!(again, [Value::Null; 0]);
}
from_http!(what_was_called_off_is_not_asked_for_again, allow_all());
