//! Upstreams that negotiate HTTP/2, or do not.

use std::time::Duration;

use super::front::Front;
use crate::harness::*;
use hyper::Version;
use provost_testkit::wait_until;
use serde_json::json;
use tempfile::TempDir;

/// A scene whose server is reached through a front that speaks `protocols`.
async fn behind(protocols: &[&str], streams: u32) -> (Scene, Front, TempDir) {
    let place = tempfile::tempdir().unwrap();
    let ca = place.path().join("cert.pem");
    let setup = Setup::from(allow_all()).settings(|settings| settings.upstream_ca = Some(ca));
    let scene = Scene::before_initialize(Face::Http, Kind::Http, setup);
    let url = scene.upstream.fixture().url();
    let front = Front::start(place.path(), &url, protocols, streams).await;
    assert_eq!(front.ca, place.path().join("cert.pem"));
    scene.gate.move_server("fixture", &front.url());
    scene.agent.connect().await;
    scene.honest_call_works().await;
    (scene, front, place)
}

/// Many calls at once, each answered rightly.
async fn crowd(scene: &Scene, calls: usize) {
    let calls: Vec<_> = (0..calls)
        .map(|number| {
            let agent = scene.agent.clone();
            tokio::spawn(async move {
                let said = json!({"text": format!("call {number}")});
                assert_eq!(
                    text(&agent.call("echo", said).await),
                    format!("call {number}")
                );
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn calls_share_a_connection_for_each_worker() {
    let (scene, front, _place) = behind(&["h2", "http/1.1"], 200).await;
    crowd(&scene, 100).await;
    assert!(
        front.connections() <= 3,
        "{} connections",
        front.connections()
    );
    let versions = front.versions();
    assert!(versions.len() > 100);
    assert!(versions.iter().all(|version| *version == Version::HTTP_2));
    // Streams of both kinds flow on it, too.
    scene.agent.listen().await;
    scene
        .upstream
        .fixture()
        .notify("notifications/tools/list_changed", json!({}));
    scene
        .agent
        .wait_for("notifications/tools/list_changed")
        .await;
    let answer = scene
        .agent
        .call("slow", json!({"ms": 20, "steps": 3}))
        .await;
    assert!(answer.get("result").is_some(), "{answer}");
}

#[tokio::test]
async fn an_upstream_without_http2_is_spoken_to_as_ever() {
    for protocols in [&["http/1.1"][..], &[]] {
        let (scene, front, _place) = behind(protocols, 200).await;
        crowd(&scene, 30).await;
        let versions = front.versions();
        assert!(
            versions.iter().all(|version| *version == Version::HTTP_11),
            "{versions:?}"
        );
    }
}

#[tokio::test]
async fn more_calls_than_a_connection_takes_get_another_one() {
    let (scene, front, place) = behind(&["h2"], 4).await;
    let until = place.path().join("go");
    let slow: Vec<_> = (0..12)
        .map(|_| {
            let (agent, until) = (scene.agent.clone(), until.clone());
            tokio::spawn(async move { agent.call("slow", json!({"until": until})).await })
        })
        .collect();
    scene.upstream.wait_for_calls(1 + 12).await;
    scene.honest_call_works().await;
    assert!(
        front.connections() >= 3,
        "{} connections",
        front.connections()
    );
    std::fs::write(&until, "").unwrap();
    for call in slow {
        assert!(call.await.unwrap().get("result").is_some());
    }
    // The crowd is gone, and so is what it needed: few are used again and again.
    let before = front.connections();
    for _ in 0..10 {
        scene.honest_call_works().await;
    }
    assert!(front.connections() <= before + 2);
}

#[tokio::test]
async fn a_cancelled_call_gives_its_stream_back() {
    let (scene, front, _place) = behind(&["h2"], 200).await;
    let agent = scene.agent.clone();
    let call = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(2).await;
    assert!(front.open() >= 1);
    call.abort();
    wait_until("the upstream's stream is reset", || front.open() == 0).await;
    scene.upstream.wait_for("cancelled").await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_connection_that_is_closed_is_replaced() {
    let (scene, front, _place) = behind(&["h2"], 200).await;
    for _ in 0..3 {
        let before = front.connections();
        front.hang_up();
        // Whoever asks before the end is noticed may hear of it; nobody hangs.
        let answer = scene.agent.call("echo", json!({"text": "x"})).await;
        assert!(answer.get("result").is_some() || answer["error"]["code"] == -32603);
        wait_until("a new connection", || front.connections() > before).await;
        scene.honest_call_works().await;
    }
}

#[tokio::test]
async fn a_slow_reader_does_not_stop_the_others_on_the_same_connection() {
    let (scene, _front, _place) = behind(&["h2"], 200).await;
    let mut never_read = Vec::new();
    for number in 0..2 {
        let pass = scene.another_pass(&format!("deaf {number}"));
        let agent = scene.another_agent(&pass).await;
        never_read.push(agent.as_http().get(None).await.unwrap());
    }
    let other = scene.another_agent(&scene.another_pass("other")).await;
    other.listen().await;
    let data = json!({"level": "info", "data": "x".repeat(40_000)});
    for _ in 0..350 {
        scene
            .upstream
            .fixture()
            .notify("notifications/message", data.clone());
    }
    let heard = || other.received("notifications/message").len() == 350;
    wait_until("the other hears it all", heard).await;
    tokio::time::timeout(Duration::from_secs(10), scene.honest_call_works())
        .await
        .expect("nobody waits");
}
