//! Many at once, and some who do not listen: bounded, and nobody else waits.

use std::time::Duration;

use crate::harness::*;
use crate::questions::inquisitor;
use provost_testkit::process::Start;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::task::JoinHandle;

fn errors(scene: &Scene) -> Vec<Value> {
    let strays = scene.agent.as_stdio().strays();
    strays
        .into_iter()
        .filter(|answer| answer.get("error").is_some())
        .collect()
}

#[tokio::test]
async fn a_stdio_agent_with_too_many_requests_is_told_and_can_still_cancel() {
    let scene = Scene::new(Face::Stdio, Kind::Stdio, allow_all()).await;
    let link = scene.agent.as_stdio();
    for id in 10_000..11_030 {
        link.write(call(id, "slow", r#"{"ms":60000}"#)).unwrap();
    }
    wait_until("what is too much is refused", || errors(&scene).len() == 6).await;
    assert_eq!(errors(&scene)[0]["error"]["code"], 1429);
    scene.upstream.wait_for_calls(1024).await;
    for id in 10_000..11_030 {
        scene.agent.cancel(id).await;
    }
    wait_until("all are cancelled", || {
        scene.upstream.events_of("cancelled").len() == 1024
    })
    .await;
    scene.honest_call_works().await;
}

/// An agent that reads the answer to `initialize` and nothing after it: its
/// input, what it never reads, and the end of its service.
async fn deaf(
    scene: &Scene,
) -> (
    impl AsyncWriteExt + Unpin + Send + 'static,
    impl Send,
    JoinHandle<()>,
) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let gateway = scene.gate.gateway.clone();
    let agent = provost_gateway::StdioAgent {
        grant: scene.pass.grant.clone(),
        server: scene.pass.server.clone(),
        child: None,
    };
    let served = tokio::spawn(async move { gateway.serve_stdio(theirs, agent).await });
    let (output, mut input) = tokio::io::split(ours);
    let mut output = BufReader::new(output);
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"roots":{}},"clientInfo":{"name":"deaf","version":"1"}}}"#;
    input
        .write_all(format!("{initialize}\n").as_bytes())
        .await
        .unwrap();
    output.read_line(&mut String::new()).await.unwrap();
    (input, output, served)
}

/// A call that tells more than anybody reads.
fn talkative() -> String {
    let params = r#"{"name":"slow","arguments":{"ms":1,"steps":3000},"_meta":{"progressToken":1}}"#;
    format!("{{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/call\",\"params\":{params}}}\n")
}

#[tokio::test]
async fn a_call_that_nobody_reads_ends() {
    let setup = Setup::from(allow_all()).settings(|s| s.call_timeout = Duration::from_secs(1));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let (mut input, _never_read, served) = deaf(&scene).await;
    input.write_all(talkative().as_bytes()).await.unwrap();
    scene
        .records_become(&["tools/call slow: allow, cancelled"])
        .await;
    served.abort();
}

/// A question that could not be handed over is over with its call, and its server
/// does not wait for an answer.
#[tokio::test]
async fn a_question_that_nobody_reads_ends_with_its_call() {
    let setup = Setup::from(allow_all()).settings(|s| s.call_timeout = Duration::from_secs(1));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let (mut input, _never_read, served) = deaf(&scene).await;
    let ask = |id| format!(r#"{{"jsonrpc":"2.0","id":"q{id}","method":"roots/list"}}"#);
    let questions: Vec<String> = (0..400).map(ask).collect();
    let scripted = inquisitor(&questions.iter().map(String::as_str).collect::<Vec<_>>());
    scene.gate.move_server("fixture", &scripted.url());
    let line = call(2, "echo", "{}") + "\n";
    input.write_all(line.as_bytes()).await.unwrap();
    let of = |line: &str| {
        let history = scene.gate.history();
        history.iter().filter(|entry| *entry == line).count()
    };
    wait_until("its call is over", || {
        of("tools/call echo: allow, cancelled") == 1
    })
    .await;
    wait_until("the one on its way is over, too", || {
        of("roots/list: allow, not_sent") == 1
    })
    .await;
    let told = || String::from_utf8_lossy(&scripted.received()).into_owned();
    wait_until("the server is told", || told().contains(r#""error":"#)).await;
    served.abort();
}

#[tokio::test]
async fn an_agent_that_does_not_read_can_be_revoked() {
    let setup = Setup::from(allow_all()).settings(|s| s.stop_deadline = Duration::from_millis(500));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let (mut input, _never_read, served) = deaf(&scene).await;
    input.write_all(talkative().as_bytes()).await.unwrap();
    scene.upstream.wait_for_calls(1).await;
    scene.gate.revoke(&scene.pass);
    within("the end of the agent", served).await.unwrap();
    let last = scene.gate.history();
    assert_eq!(last, ["tools/call slow: allow, grant_ended"]);
}

#[tokio::test]
async fn an_agent_that_does_not_read_keeps_nobody_waiting() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let (mut input, _never_read, served) = deaf(&scene).await;
    let deaf = tokio::spawn(async move {
        for id in 2..2000 {
            let line = call(id, "big", r#"{"bytes":20000}"#) + "\n";
            if input.write_all(line.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    wait_until("the upstream is busy for it", || {
        scene.upstream.calls().len() > 100
    })
    .await;
    let other = scene.gate.stdio_agent(&scene.another_pass("other"));
    let story = async {
        other.connect().await;
        for _ in 0..20 {
            assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
            scene.honest_call_works().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), story)
        .await
        .expect("nobody waits");
    deaf.abort();
    served.abort();
}

#[tokio::test]
async fn an_agent_that_does_not_read_its_stream_keeps_nobody_waiting() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let _never_read = scene.agent.as_http().get(None).await.unwrap();
    let other = scene.another_agent(&scene.another_pass("other")).await;
    other.listen().await;
    let data = json!({"level": "info", "data": "x".repeat(50_000)});
    for _ in 0..400 {
        scene
            .upstream
            .fixture()
            .notify("notifications/message", data.clone());
    }
    wait_until("the other hears it all", || {
        other.received("notifications/message").len() == 400
    })
    .await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_process_that_does_not_read_is_slow_or_down() {
    let opened = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    let script = format!("read a; echo '{opened}'; exec sleep 600");
    let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
    let setup = Setup::from(allow_all()).settings(|s| s.call_timeout = Duration::from_secs(1));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    scene.gate.stdio_server("stuck", &start, Processes::Session);
    scene.gate.put_policy("stuck", "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on("stuck", "open"));
    agent.connect().await;
    let text = "x".repeat(100_000);
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (agent, text) = (agent.clone(), text.clone());
            tokio::spawn(async move { agent.call("echo", json!({"text": text})).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap()["error"]["code"], -32603);
    }
    scene.honest_call_works().await;
}
