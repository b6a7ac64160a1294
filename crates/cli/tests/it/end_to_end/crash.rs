//! `kill -9` under load: no count is lost, and every call the upstream saw is
//! in the record.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use provost_testkit::fixture::{Fixture, Options};
use provost_testkit::wait_until;
use serde_json::{Value, json};

use super::world::World;

const KILLS: usize = 20;

const COUNTED: &str = r#"{
  "version": "1", "default": "deny",
  "tools": { "echo": { "limits": [
    { "counter": "echoes", "window": "day", "max": 1000000, "scope": "grant" } ] } }
}"#;

/// Calls as fast as it can until the daemon is gone.
async fn hammer(url: String, token: String, stop: Arc<AtomicBool>) {
    let auth = format!("Bearer {token}");
    let headers = [("authorization", auth.as_str())];
    let opening = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "load", "version": "1"}}});
    let Ok(opened) = provost_testkit::http::post(&url, &headers, opening.to_string()).await else {
        return;
    };
    let Some(session) = opened.header("mcp-session-id").map(str::to_owned) else {
        return;
    };
    let headers = [headers.as_slice(), &[("mcp-session-id", session.as_str())]].concat();
    for id in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "echo", "arguments": {"text": "x"}}});
        if provost_testkit::http::post(&url, &headers, call.to_string())
            .await
            .is_err()
        {
            return;
        }
    }
}

#[tokio::test]
async fn twenty_kills_under_load_lose_nothing() {
    let upstream = Fixture::start(Options::default());
    let mut world = World::new();
    world.up();
    world.add_url("counted", &upstream.url());
    let token = world.grant("counted", COUNTED);
    for kill in 1..=KILLS {
        let before = upstream.recorder.calls().len();
        let stop = Arc::new(AtomicBool::new(false));
        let hands: Vec<_> = (0..4)
            .map(|_| {
                tokio::spawn(hammer(
                    world.url("counted"),
                    token.clone(),
                    Arc::clone(&stop),
                ))
            })
            .collect();
        // Another moment each time, always in the midst of calls.
        let target = before + 20 + kill * 3;
        wait_until("the upstream is busy", || {
            upstream.recorder.calls().len() >= target
        })
        .await;
        world.kill();
        stop.store(true, Ordering::Relaxed);
        for hand in hands {
            hand.await.unwrap();
        }
        world.up();
        let seen = upstream.recorder.calls().len();
        check(&world, &token, kill, seen).await;
    }
}

/// After the restart: chain intact, every call recorded, no counter too low.
async fn check(world: &World, token: &str, kill: usize, seen: usize) {
    let verified = world.json(&["audit", "verify"]);
    assert_eq!(
        verified["intact"],
        Value::Bool(true),
        "kill {kill}: {verified}"
    );
    let recorded = allowed(world);
    assert!(
        recorded >= seen,
        "kill {kill}: {recorded} records of {seen} calls"
    );
    // A limit of what the upstream saw must be used up: the count kept its history.
    limit(world, seen);
    let agent = world.client("counted", token);
    agent.connect().await;
    let refused = agent.call("echo", json!({"text": "one more"})).await;
    let rule = &refused["result"]["_meta"]["dev.provost/decision"]["rule"];
    assert_eq!(
        *rule,
        json!("/tools/echo/limits/echoes"),
        "kill {kill}: {refused}"
    );
    limit(world, 1_000_000);
}

fn limit(world: &World, max: usize) {
    let policy = COUNTED.replace("1000000", &max.to_string());
    let file = world.write("policy.json", &policy);
    world.json(&["policy", "put", "counted", "rules", file.to_str().unwrap()]);
}

fn allowed(world: &World) -> usize {
    let output = world.run(&[
        "--json",
        "log",
        "--tool",
        "echo",
        "--decision",
        "allow",
        "--limit",
        "1000000",
    ]);
    String::from_utf8(output.stdout).unwrap().lines().count()
}
