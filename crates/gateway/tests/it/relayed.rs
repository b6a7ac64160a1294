//! What is relayed is counted from the first byte to the last copy, whichever way
//! it comes and whoever does not read it.

use crate::harness::scripted::{Said, ScriptedServer, endless_line, honest};
use crate::harness::*;
use provost_testkit::process::Start;
use provost_testkit::wait_until;
use serde_json::{Value, json};

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

/// A process that tells of progress for ever, in lines of this length.
fn talks_for_ever(length: usize) -> Start {
    let opened = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    let script = format!(
        r#"read a; echo '{opened}'; read b; read c
        n=$(echo "$c" | sed 's/.*"progressToken":\([0-9]*\).*/\1/')
        pad=$(head -c {length} /dev/zero | tr '\0' x)
        while echo '{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":'$n',"progress":1,"message":"'$pad'"}}}}'; do :; done"#
    );
    Start::program("/bin/sh").args(["-c", script.as_str()])
}

/// What a process says of a call is counted as long as it waits for an agent that
/// does not read.
#[tokio::test]
async fn d83_progress_for_an_agent_that_does_not_read_is_bounded() {
    let scene = small().await;
    let start = talks_for_ever(50_000);
    scene.gate.stdio_server("talks", &start, Processes::Session);
    scene.gate.put_policy("talks", "open", &allow_all());
    let deaf = scene.gate.mint_on("talks", "open");
    let agent = scene.gate.http_agent(&deaf);
    agent.connect().await;
    let params = json!({"name": "talk", "arguments": {}, "_meta": {"progressToken": "p"}});
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params});
    let never_read = agent.as_http().post_stream(&message).await.unwrap();
    assert_eq!(never_read.status, 200);
    let mut most = 0;
    wait_until("what waits for it is as much as one may have", || {
        most = most.max(held(&scene));
        most > SHARE - 200_000
    })
    .await;
    for _ in 0..20 {
        scene.honest_call_works().await;
        most = most.max(held(&scene));
    }
    assert!(most <= SHARE + 300_000, "{most}");
    drop(never_read);
    scene.gate.revoke(&deaf);
    wait_until("all of it comes back", || held(&scene) < 100_000).await;
    scene.honest_call_works().await;
}

fn with_token(id: usize, token: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"canary{id}"}},"_meta":{{"progressToken":{token}}}}}}}"#
    )
}

/// What stands in every notification of a call is short, and of the form that
/// the protocol has.
async fn d83_progress_tokens_are_short(scene: Scene) {
    let long = format!("\"{}\"", "t".repeat(255));
    let bad = [
        long.as_str(),
        "123456789012345678901",
        "1.5",
        "1e3",
        "null",
        "true",
        "[1]",
        "{}",
    ];
    for (id, token) in bad.into_iter().enumerate() {
        let answer = scene.raw(with_token(id + 100, token)).await;
        let error = &answer.message["error"];
        assert_eq!(error["code"], -32602, "{token}: {answer:?}");
        let said = error["message"].as_str().unwrap();
        assert!(said.contains("`params._meta.progressToken`"), "{said}");
        assert_eq!(answer.message["id"], id + 100);
    }
    assert!(!scene.upstream.saw("canary"));
    scene
        .records_become(&["tools/call: deny by (envelope)"; 8])
        .await;
    let longest = format!("\"{}\"", "t".repeat(254));
    for (id, token) in [longest.as_str(), "-5", "\"\"", "12345678901234567890"]
        .into_iter()
        .enumerate()
    {
        let answer = scene.raw(with_token(id + 200, token)).await;
        assert_eq!(text(&answer.message), format!("canary{}", id + 200));
    }
    scene.honest_call_works().await;
}
everywhere!(d83_progress_tokens_are_short, allow_all());

#[tokio::test]
async fn d83_progress_tokens_are_short_in_the_modern_era() {
    let scene = Scene::new(Face::Http, Kind::Http, Setup::modern(allow_all())).await;
    let call = |token: Value| {
        let params = json!({"name": "echo", "arguments": {"text": "canary"}, "_meta": {"progressToken": token}});
        scene.agent.request("tools/call", params)
    };
    let answer = call(json!("t".repeat(255))).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(!scene.upstream.saw("canary"));
    scene
        .records_become(&["tools/call: deny by (envelope)"])
        .await;
    assert_eq!(text(&call(json!("t")).await), "canary");
}
