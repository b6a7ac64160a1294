//! The seal of a continued call is used up last, and outlives a restart with what
//! is known of its use.

use super::*;

/// Params that continue a call of `elicit`, once it was asked back.
async fn begun(scene: &Scene) -> Value {
    let arguments = json!({"state": true});
    let first = scene.agent.call("elicit", arguments.clone()).await;
    let state = first["result"]["requestState"].as_str().expect("a seal");
    json!({
        "name": "elicit", "arguments": arguments, "requestState": state,
        "inputResponses": {"person": {"action": "accept", "content": {"answer": "fine"}}},
    })
}

async fn goes_on(scene: &Scene, params: &Value) {
    let done = scene.agent.request("tools/call", params.clone()).await;
    assert!(text(&done).contains("fine"), "{done}");
}

async fn is_used(scene: &Scene, params: &Value) {
    let calls = scene.upstream.calls().len();
    let twice = scene.agent.request("tools/call", params.clone()).await;
    assert_eq!(twice["error"]["code"], -32602, "{twice}");
    assert_eq!(scene.upstream.calls().len(), calls);
}

async fn d14_a_full_limit_does_not_use_a_seal_up(scene: Scene) {
    let params = begun(&scene).await;
    let dam = Dam::new();
    let slow = {
        let (agent, arguments) = (scene.agent.clone(), dam.until());
        tokio::spawn(async move { agent.call("slow", arguments).await })
    };
    scene.upstream.wait_for_calls(2).await;
    let full = scene.agent.request("tools/call", params.clone()).await;
    assert_eq!(rule(&full), "/all_tools/limits/one");
    dam.open();
    slow.await.unwrap();
    goes_on(&scene, &params).await;
    is_used(&scene, &params).await;
}
everywhere!(
    d14_a_full_limit_does_not_use_a_seal_up,
    Setup::modern(json!({"version": "1", "default": "allow",
        "all_tools": {"limits": [{"counter": "one", "concurrent": 1}]}}))
);

#[tokio::test]
async fn d14_a_server_that_cannot_be_reached_does_not_use_a_seal_up_over_http() {
    let mut scene = Scene::new(Face::Http, Kind::Http, Setup::modern(allow_all())).await;
    let params = begun(&scene).await;
    let port = scene.upstream.fixture().address().port();
    scene.stop_upstream();
    let down = scene.agent.request("tools/call", params.clone()).await;
    assert_eq!(down["error"]["code"], -32603, "{down}");
    let options = Options {
        port: Some(port),
        ..Options::modern()
    };
    scene.upstream = TestUpstream::start(Kind::Http, options);
    // Another process of the server knows no state of the one before, and says so.
    let answer = scene.agent.request("tools/call", params.clone()).await;
    assert_eq!(scene.upstream.calls(), ["elicit"], "{answer}");
    is_used(&scene, &params).await;
}

async fn restarted(mut scene: Scene) -> Scene {
    scene.gate = scene.gate.restart(gate::settings()).await;
    scene.agent = scene.silent_agent(&scene.pass);
    scene
}

#[tokio::test]
async fn d14_a_call_is_continued_across_a_restart_and_once_over_http() {
    let scene = Scene::new(Face::Http, Kind::Http, Setup::modern(allow_all())).await;
    let unused = begun(&scene).await;
    let used = begun(&scene).await;
    goes_on(&scene, &used).await;
    let scene = restarted(scene).await;
    is_used(&scene, &used).await;
    goes_on(&scene, &unused).await;
    is_used(&scene, &unused).await;
    let scene = restarted(scene).await;
    is_used(&scene, &used).await;
    is_used(&scene, &unused).await;
    scene.honest_call_works().await;
}
