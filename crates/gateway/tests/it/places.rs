//! Places among what is on its way: whoever holds something at a server has one,
//! for as long as it holds it.

use crate::harness::*;
use provost_testkit::fixture::{Options, Replies};
use provost_testkit::http::Stream;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::{Value, json};

async fn over_http(options: Options, places: usize) -> Scene {
    let setup = Setup::from(allow_all())
        .options(options)
        .settings(|settings| settings.max_calls_per_grant = places);
    Scene::new(Face::Http, Kind::Http, setup).await
}

fn in_flight(scene: &Scene) -> u64 {
    gauge(scene, "provost_calls_in_flight ")
}

fn busy(scene: &Scene, method: &str) -> usize {
    let line = format!("{method}: deny by (busy)");
    let history = scene.gate.history();
    history.iter().filter(|known| **known == line).count()
}

/// The answer with this id, on a stream.
async fn answer_on(stream: &mut Stream, id: u64) -> Value {
    loop {
        let message = stream.message().await.expect("the answer comes");
        if message["id"] == id {
            return message;
        }
    }
}

/// A call whose agent may fetch its answer later keeps its place until then.
#[tokio::test]
async fn d89_calls_that_are_left_to_be_resumed_keep_their_places() {
    let options = Options {
        replies: Replies::Sse,
        ..Options::default()
    };
    let scene = over_http(options, 2).await;
    let go = scene.gate.data().join("go");
    let link = scene.agent.as_http();
    let mut lost = Vec::new();
    for id in [71_u64, 72] {
        let params = json!({"name": "slow", "arguments": {"until": go}});
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let mut stream = link.post_stream(&message).await.unwrap();
        let first = within("the priming event", stream.next()).await.unwrap();
        lost.push((id, first.id.unwrap()));
    }
    wait_until("both have hung up", || open_connections(&scene) == 0).await;
    let refused = scene.raw(call(73, "echo", r#"{"text":"canary"}"#)).await;
    assert_eq!(
        refused.message["error"]["code"], 1429,
        "{:?}",
        refused.message
    );
    assert!(!scene.upstream.saw("canary"));
    assert_eq!(in_flight(&scene), 2);
    std::fs::write(&go, "").unwrap();
    for (id, event) in lost {
        let mut resumed = link.get(Some(&event)).await.unwrap();
        assert_eq!(text(&answer_on(&mut resumed, id).await), "slept");
    }
    scene.honest_call_works().await;
    wait_until("all places are free", || in_flight(&scene) == 0).await;
    assert_eq!(busy(&scene, "tools/call"), 1);
}

/// The same for one that is cancelled instead.
#[tokio::test]
async fn d89_a_call_that_is_left_and_cancelled_gives_its_place_back() {
    let options = Options {
        replies: Replies::Sse,
        ..Options::default()
    };
    let scene = over_http(options, 1).await;
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let message = json!({"jsonrpc": "2.0", "id": 71, "method": "tools/call", "params": params});
    let mut stream = scene.agent.as_http().post_stream(&message).await.unwrap();
    within("the priming event", stream.next()).await.unwrap();
    drop(stream);
    wait_until("it has hung up", || open_connections(&scene) == 0).await;
    assert_eq!(in_flight(&scene), 1);
    scene.agent.cancel(71).await;
    scene.upstream.wait_for("cancelled").await;
    wait_until("its place is free", || in_flight(&scene) == 0).await;
    scene.honest_call_works().await;
}
