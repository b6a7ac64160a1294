//! What is held, and what is on its way, for one grant or one server is bounded;
//! nobody else notices.

use crate::harness::*;
use crate::wire::{PING, own};
use provost_testkit::client::Client;
use provost_testkit::wait::{wait_for, within};
use provost_testkit::{tcp, wait_until};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// An eighth of it is a mebibyte.
const MEMORY: usize = 8 << 20;
const BUSY: &str = "(busy)";

async fn scene_on(
    face: Face,
    kind: Kind,
    set: impl FnOnce(&mut provost_gateway::Settings),
) -> Scene {
    Scene::new(face, kind, Setup::from(allow_all()).settings(set)).await
}

async fn small(kind: Kind) -> Scene {
    scene_on(Face::Http, kind, |settings| settings.memory_limit = MEMORY).await
}

fn held(scene: &Scene) -> u64 {
    gauge(scene, "provost_memory_held_bytes ")
}

fn padded(id: usize, method: &str, length: usize) -> Value {
    let pad = "x".repeat(length);
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "level": "info",
        "uri": format!("fixture://{id}"), "clientInfo": {"name": "n", "version": pad}}})
}

fn is_busy(answer: &Answer) -> bool {
    let error = &answer.message["error"];
    let decision = &error["data"]["dev.provost/decision"];
    error["code"] == 1429 && decision["rule"] == BUSY && decision["retryAfterMs"] == 1000
}

/// Records of this grant that say that there was no room.
fn busy_records(scene: &Scene, pass: &Pass) -> usize {
    let records = scene.gate.records();
    let busy = records.iter().filter(|record| {
        record.rule.as_deref() == Some(BUSY) && record.grant == pass.grant.to_string()
    });
    busy.count()
}

/// A request of another grant whose body never comes to its end.
async fn unfinished(scene: &Scene, pass: &Pass, length: usize) -> TcpStream {
    let head = own(scene).replace(&scene.pass.token, &pass.token);
    let head: String = head
        .split_inclusive("\r\n")
        .filter(|line| !line.starts_with("mcp-session-id"))
        .collect();
    let request = format!("{head}content-length: {}\r\n\r\n", length + 1);
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    // Whoever is refused early is not read to the end.
    let _cut = socket.write_all(request.as_bytes()).await;
    let _cut = socket.write_all(&vec![b' '; length]).await;
    socket
}

#[tokio::test]
async fn d83_bodies_that_nobody_ends_are_bounded_for_each_grant() {
    let scene = small(Kind::Http).await;
    let flood = scene.another_pass("flood");
    let mut sockets = Vec::new();
    for _ in 0..30 {
        sockets.push(unfinished(&scene, &flood, 200_000).await);
    }
    wait_until("some are refused", || busy_records(&scene, &flood) >= 20).await;
    assert!(
        held(&scene) <= MEMORY as u64 / 8 + 64 * 1024,
        "{}",
        held(&scene)
    );
    assert_eq!(busy_records(&scene, &scene.pass), 0);
    scene.honest_call_works().await;
    // Which of them were refused is theirs to find out.
    let mut ends = JoinSet::new();
    for mut socket in sockets {
        ends.spawn(async move {
            let mut answer = Vec::new();
            drop(socket.read_to_end(&mut answer).await);
            answer
        });
    }
    let answer = within("a refusal", ends.join_next())
        .await
        .unwrap()
        .unwrap();
    if !answer.is_empty() {
        assert_eq!(tcp::statuses(&answer), [429]);
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(text.contains("retry-after: 1\r\n"), "{text}");
    }
    drop(ends);
    wait_until("all of it comes back", || held(&scene) < 100_000).await;
    let agent = scene.another_agent(&flood).await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "again"})).await),
        "again"
    );
}

async fn d83_what_is_kept_for_a_session_is_bounded(scene: Scene, method: &str) {
    let flood = scene.another_pass("flood");
    let agent = scene.another_agent(&flood).await;
    let mut taken = 0;
    let refused = loop {
        let message = padded(1000 + taken, method, 100_000);
        let answer = match method {
            "initialize" => {
                raw(
                    scene.face,
                    &scene.silent_agent(&flood),
                    message.to_string().into(),
                )
                .await
            }
            _ => raw(scene.face, &agent, message.to_string().into()).await,
        };
        if answer.message.get("error").is_some() {
            break answer;
        }
        taken += 1;
        assert!(taken < 20, "{method} is kept without end");
    };
    assert!(is_busy(&refused), "{refused:?}");
    assert_eq!(refused.status, Some(429));
    assert!(taken >= 5, "{taken}");
    wait_until("it is recorded", || busy_records(&scene, &flood) == 1).await;
    scene.honest_call_works().await;
    scene.gate.revoke(&flood);
    wait_until("all of it comes back", || held(&scene) < 100_000).await;
}

#[tokio::test]
async fn d83_kept_openings_are_bounded() {
    d83_what_is_kept_for_a_session_is_bounded(small(Kind::Http).await, "initialize").await;
}

#[tokio::test]
async fn d20_kept_subscriptions_are_bounded() {
    d83_what_is_kept_for_a_session_is_bounded(small(Kind::Http).await, "resources/subscribe").await;
}

/// Only the last one is kept.
#[tokio::test]
async fn d83_a_level_replaces_the_one_before() {
    let scene = small(Kind::Http).await;
    for id in 0..30 {
        let answer = scene
            .raw(padded(id, "logging/setLevel", 400_000).to_string())
            .await;
        assert!(
            answer.message.get("result").is_some(),
            "{:?}",
            answer.status
        );
    }
    scene.honest_call_works().await;
    assert!(held(&scene) < 600_000, "{}", held(&scene));
}

#[tokio::test]
async fn d83_sessions_cost_what_they_cost() {
    let scene = small(Kind::Http).await;
    let flood = scene.another_pass("flood");
    let mut opened = Vec::new();
    let refused = loop {
        let agent = scene.silent_agent(&flood);
        let answer = raw(
            scene.face,
            &agent,
            padded(1, "initialize", 0).to_string().into(),
        )
        .await;
        if answer.status != Some(200) {
            break answer;
        }
        opened.push(agent);
        assert!(opened.len() < 200, "{} bytes", held(&scene));
    };
    assert!(is_busy(&refused), "{refused:?}");
    assert!(opened.len() > 80, "{}", opened.len());
    scene.honest_call_works().await;
}

async fn deaf_stream(scene: &Scene, agent: &Client, token: &str) -> TcpStream {
    let session = agent.as_http().session().unwrap();
    let own_session = scene.agent.as_http().session().unwrap();
    let head = own(scene)
        .replacen("POST", "GET", 1)
        .replace(&scene.pass.token, token)
        .replace(&own_session, &session);
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    let request = format!("{head}accept: text/event-stream\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    within("the stream", socket.read_exact(&mut first))
        .await
        .unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    socket
}

/// What a server says to an agent that does not read is bounded; the server is
/// not read from any more, and others go on.
#[tokio::test]
async fn d83_events_for_an_agent_that_does_not_read_are_bounded() {
    let scene = small(Kind::Http).await;
    let flood = scene.another_pass("deaf");
    let agent = scene.another_agent(&flood).await;
    let deaf = deaf_stream(&scene, &agent, &flood.token).await;
    let data = "x".repeat(100_000);
    let mut most = 0;
    for n in 0..300 {
        let params = json!({"level": "info", "data": data});
        scene
            .upstream
            .fixture()
            .notify("notifications/message", params);
        most = most.max(held(&scene));
        if n % 50 == 0 {
            scene.honest_call_works().await;
        }
    }
    scene.honest_call_works().await;
    most = most.max(held(&scene));
    assert!(most <= MEMORY as u64 / 8 + 300_000, "{most}");
    drop((deaf, agent));
    scene.gate.revoke(&flood);
    wait_until("all of it comes back", || held(&scene) < 100_000).await;
}

/// Results of which several are on their way do not add up without end.
#[tokio::test]
async fn d83_results_are_bounded() {
    for kind in Kind::ALL {
        let scene = small(kind).await;
        let flood = scene.another_pass("flood");
        let agent = scene.another_agent(&flood).await;
        let mut calls = Vec::new();
        for _ in 0..8 {
            let agent = agent.clone();
            calls.push(tokio::spawn(async move {
                agent.call("big", json!({"bytes": 150_000})).await
            }));
        }
        scene.honest_call_works().await;
        let mut served = 0;
        for call in calls {
            let answer = within("an answer", call).await.unwrap();
            served += usize::from(answer.get("result").is_some());
        }
        assert!(served > 0, "some are served");
        scene.honest_call_works().await;
        wait_until("all of it comes back", || held(&scene) < 200_000).await;
    }
}

async fn d89_calls_of_a_grant_are_bounded(scene: Scene) {
    let flood = scene.another_pass("flood");
    let agent = scene.another_agent(&flood).await;
    let mut away = Vec::new();
    for id in [71, 72] {
        let slow = call(id, "slow", r#"{"ms":60000}"#);
        if scene.face == Face::Stdio {
            agent.as_stdio().write(slow).unwrap();
            continue;
        }
        let agent = agent.clone();
        away.push(tokio::spawn(async move {
            drop(agent.as_http().post_raw(slow.into_bytes()).await);
        }));
    }
    scene.upstream.wait_for_calls(2).await;
    let refused = raw(
        scene.face,
        &agent,
        call(73, "echo", r#"{"text":"x"}"#).into(),
    )
    .await;
    assert!(is_busy(&refused), "{refused:?}");
    let words = refused.message["error"]["message"].as_str().unwrap();
    assert!(
        words.contains("this grant has too many calls in flight"),
        "{words}"
    );
    wait_until("it is recorded", || busy_records(&scene, &flood) == 1).await;
    // Others go on, and what ends calls gets through.
    scene.honest_call_works().await;
    agent.cancel(71).await;
    wait_until("one is cancelled", || {
        !scene.upstream.events_of("cancelled").is_empty()
    })
    .await;
    let room = async {
        loop {
            let answer = raw(
                scene.face,
                &agent,
                call(74, "echo", r#"{"text":"y"}"#).into(),
            )
            .await;
            if !is_busy(&answer) {
                return answer;
            }
            tokio::task::yield_now().await;
        }
    };
    let answer = within("room for a call", room).await;
    assert_eq!(text(&answer.message), "y", "{answer:?}");
    agent.cancel(72).await;
    for call in away {
        call.abort();
    }
}

#[tokio::test]
async fn d89_calls_of_a_grant_are_bounded_over_http() {
    let scene = scene_on(Face::Http, Kind::Http, |settings| {
        settings.max_calls_per_grant = 2
    })
    .await;
    d89_calls_of_a_grant_are_bounded(scene).await;
}

#[tokio::test]
async fn d89_calls_of_a_grant_are_bounded_over_stdio() {
    let scene = scene_on(Face::Stdio, Kind::Http, |settings| {
        settings.max_calls_per_grant = 2
    })
    .await;
    d89_calls_of_a_grant_are_bounded(scene).await;
}

#[tokio::test]
async fn d89_calls_to_a_server_are_bounded_and_told_apart() {
    let scene = scene_on(Face::Http, Kind::Http, |settings| {
        settings.max_calls_per_server = 2
    })
    .await;
    let mut away = Vec::new();
    for id in [71, 72] {
        let agent = scene.agent.clone();
        away.push(tokio::spawn(async move {
            let slow = call(id, "slow", r#"{"ms":60000}"#);
            drop(agent.as_http().post_raw(slow.into_bytes()).await);
        }));
    }
    scene.upstream.wait_for_calls(2).await;
    let refused = scene.raw(call(73, "echo", r#"{"text":"x"}"#)).await;
    assert!(is_busy(&refused), "{refused:?}");
    assert_eq!(refused.status, Some(429));
    let words = refused.message["error"]["message"].as_str().unwrap();
    assert!(words.contains("to server `fixture`"), "{words}");
    wait_until("it is recorded", || busy_records(&scene, &scene.pass) == 1).await;
    for id in [71, 72] {
        scene.agent.cancel(id).await;
    }
    for call in away {
        drop(within("the end of a call", call).await);
    }
    // Their places are free once the server has been told of both cancellations.
    wait_for("a place at the server", || async {
        let call = call(74, "echo", r#"{"text":"x"}"#);
        let answer = scene.raw(call).await;
        (!is_busy(&answer)).then_some(())
    })
    .await;
    scene.honest_call_works().await;
}

/// A request whose length is said in two ways ends its connection: what follows
/// it is nobody's request. Nothing stays for the connections of others.
#[tokio::test]
async fn d22_two_lengths_end_the_connection_and_nothing_else_does() {
    let scene = small(Kind::Http).await;
    let chunked = format!("{:x}\r\n{PING}\r\n0\r\n\r\n", PING.len());
    let hidden = format!(
        "{}content-length: {}\r\n\r\n{}",
        own(&scene),
        call(666, "echo", r#"{"text":"hidden"}"#).len(),
        call(666, "echo", r#"{"text":"hidden"}"#)
    );
    let length = PING.len();
    for both in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        "content-length: 0\r\ntransfer-encoding: chunked\r\n".to_owned(),
    ] {
        let request = format!("{}{both}\r\n{chunked}{hidden}", own(&scene));
        let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        drop(within("the end", socket.read_to_end(&mut answer)).await);
        assert_eq!(tcp::statuses(&answer).len(), 1, "{both}");
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        assert!(text.contains("connection: close\r\n"), "{text}");
        assert!(!scene.upstream.saw("hidden"), "{both}");
        scene.honest_call_works().await;
    }
    // Text of a body that reads like two lengths means nothing.
    let body = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\n\"method\":\"ping\"\n}}\ncontent-length: 5\ntransfer-encoding: chunked\n{}",
        ""
    );
    let bad = format!(
        "{}content-length: {}\r\n\r\n{body}",
        own(&scene),
        body.len()
    );
    let good = format!(
        "{}connection: close\r\ncontent-length: {length}\r\n\r\n{PING}",
        own(&scene)
    );
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket
        .write_all(format!("{bad}{good}").as_bytes())
        .await
        .unwrap();
    let mut answer = Vec::new();
    drop(within("the end", socket.read_to_end(&mut answer)).await);
    assert_eq!(tcp::statuses(&answer), [400, 200]);
}
