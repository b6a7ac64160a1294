//! Places among what is on its way: whoever holds something at a server has one,
//! for as long as it holds it.

use crate::harness::scripted::{Said, ScriptedServer, honest};
use crate::harness::*;
use provost_testkit::fixture::{Options, Replies};
use provost_testkit::http::Stream;
use provost_testkit::wait::within;
use provost_testkit::{wait_for, wait_until};
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

/// Streams of a grant are as many as its calls may be.
#[tokio::test]
async fn d89_streams_of_a_grant_are_bounded() {
    let scene = over_http(Options::default(), 2).await;
    let crowd = scene.another_pass("crowd");
    let mut open = Vec::new();
    for _ in 0..2 {
        let agent = scene.another_agent(&crowd).await;
        let stream = agent.as_http().get(None).await.unwrap();
        assert_eq!(stream.status, 200);
        open.push(stream);
    }
    assert_eq!(in_flight(&scene), 2);
    let third = scene.another_agent(&crowd).await;
    let refused = third.as_http().get(None).await.unwrap();
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "1");
    wait_until("it is recorded", || busy(&scene, "(GET)") == 1).await;
    // Other grants have streams of their own, and calls are not in their way.
    assert_eq!(scene.agent.as_http().get(None).await.unwrap().status, 200);
    assert_eq!(text(&third.call("echo", json!({"text": "x"})).await), "x");
    drop(open.pop());
    wait_for("a place for a stream", async || {
        let stream = third.as_http().get(None).await.unwrap();
        (stream.status == 200).then_some(())
    })
    .await;
    scene.honest_call_works().await;
    drop(open);
    wait_until("all places are free", || in_flight(&scene) == 0).await;
}

/// A server that does not take notifications holds a few connections at a time,
/// and every notification gets there once it does.
#[tokio::test]
async fn d89_notifications_to_a_server_that_takes_none_wait_their_turn() {
    let slow = ScriptedServer::start(|message| match message["method"].as_str() {
        Some("notifications/roots/list_changed") => Said::Later(honest(message)),
        _ => Said::Now(honest(message)),
    })
    .await;
    let scene = over_http(Options::default(), 1024).await;
    scene.gate.http_server("slow", &slow.url);
    scene.gate.put_policy("slow", "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on("slow", "open"));
    agent.connect().await;
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    let notified: Vec<_> = (0..60)
        .map(|_| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.as_http().post_raw(notification).await.unwrap() })
        })
        .collect();
    wait_until("all of them are here", || {
        gauge(&scene, "provost_memory_held_bytes ") >= 60 * 16 * 1024
    })
    .await;
    wait_until("some are at the server", || slow.held_back() >= 16).await;
    for _ in 0..5 {
        assert_eq!(text(&agent.call("echo", json!({})).await), "honest");
    }
    assert_eq!(slow.most_waiting(), 16);
    slow.let_go();
    for notified in notified {
        let taken = within("the end of a notification", notified).await.unwrap();
        assert_eq!(taken.status, 202);
    }
    assert_eq!(slow.held_back(), 60);
    scene.honest_call_works().await;
}
