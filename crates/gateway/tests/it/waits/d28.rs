//! In the legacy era a lost connection is no cancellation: the call goes on to
//! an end that is recorded, and holds what it holds no longer than that.

use std::time::Duration;

use super::*;
use provost_testkit::fixture::Replies;

fn one_at_a_time() -> Value {
    json!({"version": "1", "default": "allow", "all_tools": {"limits": [{"counter": "one", "concurrent": 1}]}})
}

/// Sends a call and hangs up once it has reached the server.
async fn hang_up(scene: &Scene, arguments: Value) {
    let params = json!({"name": "slow", "arguments": arguments});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let link = scene.agent.as_http().clone();
    let asked = tokio::spawn(async move { link.post_raw(message.to_string()).await });
    scene.upstream.wait_for_calls(1).await;
    asked.abort();
    drop(asked.await);
}

async fn d28_a_lost_connection_cancels_nothing(scene: Scene) {
    let dam = Dam::new();
    hang_up(&scene, dam.until()).await;
    // It still holds its place.
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/all_tools/limits/one");
    dam.open();
    let lines = [
        "tools/call slow: allow, ok",
        "tools/call echo: deny by /all_tools/limits/one",
    ];
    scene.records_become(&lines).await;
    assert!(scene.upstream.events_of("cancelled").is_empty());
    scene.honest_call_works().await;
}
from_http!(d28_a_lost_connection_cancels_nothing, one_at_a_time());

async fn d28_what_an_agent_wants_cancelled_it_can_still_cancel(scene: Scene) {
    hang_up(&scene, json!({"ms": 60_000})).await;
    scene.agent.cancel(50).await;
    scene.upstream.wait_for("cancelled").await;
    scene
        .records_become(&["tools/call slow: allow, cancelled"])
        .await;
    scene.honest_call_works().await;
}
from_http!(
    d28_what_an_agent_wants_cancelled_it_can_still_cancel,
    one_at_a_time()
);

async fn d28_a_call_without_its_agent_ends_in_bounded_time(scene: Scene) {
    // It tells its progress for longer than anybody waits.
    let params = json!({"name": "slow", "arguments": {"ms": 60_000, "steps": 600}, "_meta": {"progressToken": 1}});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let mut stream = scene.agent.as_http().post_stream(&message).await.unwrap();
    drop(provost_testkit::wait::within("progress", stream.next()).await);
    drop(stream);
    scene.upstream.wait_for("cancelled").await;
    // Where the agent could have come back, it is the agent that did not.
    let line = match scene.kind {
        Kind::Http => "tools/call slow: allow, cancelled",
        Kind::Stdio => "tools/call slow: allow, timeout",
    };
    scene.records_become(&[line]).await;
    scene.honest_call_works().await;
}
from_http!(
    d28_a_call_without_its_agent_ends_in_bounded_time,
    Setup::from(one_at_a_time())
        .settings(|settings| settings.call_timeout = Duration::from_secs(2))
);

/// The stream of a server that gives event ids is taken up again, even when its
/// answer came, and was settled, before anybody noticed that the agent was gone.
#[tokio::test]
async fn d28_the_answer_of_a_lost_connection_can_be_resumed_over_http() {
    let options = Options {
        replies: Replies::Sse,
        ..Options::default()
    };
    let setup = Setup::from(allow_all()).options(options);
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let dam = Dam::new();
    let params = json!({"name": "slow", "arguments": dam.until()});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let link = scene.agent.as_http();
    let mut stream = link.post_stream(&message).await.unwrap();
    let first = provost_testkit::wait::within("the priming event", stream.next()).await;
    let id = first.unwrap().id.expect("an event id");
    drop(stream);
    dam.open();
    let mut again = link.get(Some(&id)).await.unwrap();
    let answer = provost_testkit::wait::within("the answer", again.message()).await;
    assert_eq!(text(&answer.unwrap()), "slept");
    scene.records_become(&["tools/call slow: allow, ok"]).await;
}
