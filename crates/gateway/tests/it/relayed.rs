//! What is relayed is counted from the first byte to the last copy, whichever way
//! it comes and whoever does not read it.

use crate::harness::scripted::{Said, ScriptedServer, endless_line, honest};
use crate::harness::*;
use provost_testkit::wait_until;
use serde_json::json;

/// An eighth of it is a mebibyte.
const MEMORY: usize = 8 << 20;
const SHARE: u64 = 1 << 20;

async fn small() -> Scene {
    let setup = Setup::from(allow_all()).settings(|settings| settings.memory_limit = MEMORY);
    Scene::new(Face::Http, Kind::Http, setup).await
}

fn held(scene: &Scene) -> u64 {
    gauge(scene, "provost_memory_held_bytes ")
}

/// Answers that come as streams are asked for room like others: what does not fit
/// is not read, and refused when it waits too long.
#[tokio::test]
async fn d83_streamed_answers_are_bounded() {
    let scene = small().await;
    let half = ScriptedServer::start(|message| match message["method"].as_str() {
        Some("tools/call") => Said::Now(endless_line(300_000)),
        _ => Said::Now(honest(message)),
    })
    .await;
    scene.gate.http_server("half", &half.url);
    scene.gate.put_policy("half", "open", &allow_all());
    let flood = scene.gate.mint_on("half", "open");
    let agent = scene.gate.http_agent(&flood);
    agent.connect().await;
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.call("fetch", json!({})).await })
        })
        .collect();
    let mut most = 0;
    wait_until("some wait for room in vain", || {
        most = most.max(held(&scene));
        calls.iter().any(tokio::task::JoinHandle::is_finished)
    })
    .await;
    assert!(most > 600_000, "{most}");
    assert!(most <= SHARE + 100_000, "{most}");
    scene.honest_call_works().await;
    for call in calls {
        if call.is_finished() {
            assert_eq!(call.await.unwrap()["error"]["code"], 1429);
        } else {
            call.abort();
        }
    }
    scene.gate.revoke(&flood);
    wait_until("all of it comes back", || held(&scene) < 100_000).await;
}
