//! HTTP/1.1 as nobody should speak it: pipelines, odd targets, odd framing,
//! floods of headers, a byte at a time.

use crate::harness::*;
use provost_testkit::tcp;
use provost_testkit::wait::within;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Sends the pieces one by one and reads to the end.
pub(crate) async fn talk(scene: &Scene, pieces: &[&[u8]]) -> String {
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket.set_nodelay(true).unwrap();
    for piece in pieces {
        // Who is refused early may find nobody to listen to the rest.
        if socket.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut answer = Vec::new();
    drop(within("the end of the answer", socket.read_to_end(&mut answer)).await);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The head of a request up to what says how long its body is.
pub(crate) fn head(scene: &Scene, target: &str, host: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\nmcp-session-id: {}\r\ncontent-type: application/json\r\n",
        scene.pass.token,
        scene.agent.as_http().session().unwrap()
    )
}

/// An honest head.
pub(crate) fn own(scene: &Scene) -> String {
    head(scene, "/mcp/fixture", &scene.gate.address.to_string())
}

fn plain(scene: &Scene, body: &str) -> String {
    format!("{}content-length: {}\r\n\r\n{body}", own(scene), body.len())
}

const CLOSE: &str = "connection: close\r\n";

async fn scene() -> Scene {
    let policy = tools(json!({"add": {"action": "deny"}}));
    Scene::new(Face::Http, Kind::Http, policy).await
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_and_each_is_judged() {
    let scene = scene().await;
    let bodies = [
        call(101, "slow", r#"{"ms":200}"#),
        call(102, "add", r#"{"a":1,"b":2}"#),
        call(103, "echo", r#"{"text":"x"}"#),
        "{".to_owned(),
        call(105, "echo", r#"{"text":"y"}"#),
    ];
    let mut all: String = bodies.iter().map(|body| plain(&scene, body)).collect();
    let last = all.rfind("content-length").unwrap();
    all.insert_str(last, CLOSE);
    let answer = talk(&scene, &[all.as_bytes()]).await;
    assert_eq!(tcp::statuses(answer.as_bytes()), [200, 200, 200, 400, 200]);
    let places: Vec<usize> = [101, 102, 103, 105]
        .iter()
        .map(|id| answer.find(&format!("\"id\":{id}")).unwrap())
        .collect();
    assert!(places.is_sorted(), "{answer}");
    assert_eq!(scene.upstream.calls(), ["slow", "echo", "echo"]);
    let history = [
        "tools/call slow: allow, ok",
        "tools/call add: deny by /tools/add/action",
        "tools/call echo: allow, ok",
        "(unreadable): deny by (envelope)",
        "tools/call echo: allow, ok",
    ];
    scene.records_become(&history).await;
}

#[tokio::test]
async fn a_target_with_a_host_must_name_this_one() {
    let scene = scene().await;
    let address = scene.gate.address.to_string();
    let port = scene.gate.address.port();
    let cases = [
        (
            format!("http://{address}/mcp/fixture"),
            address.clone(),
            200,
        ),
        (
            format!("http://localhost:{port}/mcp/fixture"),
            format!("localhost:{port}"),
            200,
        ),
        (
            format!("http://localhost:{port}/mcp/fixture"),
            address.clone(),
            400,
        ),
        (
            "http://evil.example/mcp/fixture".to_owned(),
            address.clone(),
            400,
        ),
        (
            "http://evil.example/mcp/fixture".to_owned(),
            "evil.example".to_owned(),
            403,
        ),
        (
            format!("http://x@{address}/mcp/fixture"),
            format!("x@{address}"),
            403,
        ),
        ("*".to_owned(), address.clone(), 404),
        (format!("//{address}/mcp/fixture"), address.clone(), 404),
    ];
    let before = scene.upstream.bytes().len();
    let mut served = 0;
    for (target, host, status) in cases {
        let head = head(&scene, &target, &host);
        let request = format!("{head}{CLOSE}content-length: {}\r\n\r\n{PING}", PING.len());
        let answer = talk(&scene, &[request.as_bytes()]).await;
        assert_eq!(
            tcp::statuses(answer.as_bytes()),
            [status],
            "{target} at {host}"
        );
        served += usize::from(status == 200);
        let pings = scene.upstream.requests("ping").len();
        assert_eq!(pings, served, "{target} at {host}");
    }
    assert!(scene.upstream.bytes().len() > before);
}

#[tokio::test]
async fn chunks_are_read_as_they_say_and_lies_are_refused() {
    let scene = scene().await;
    let (length, upper) = (format!("{:x}", PING.len()), format!("{:X}", PING.len()));
    let (long, many) = ("x".repeat(100_000), "a: b\r\n".repeat(2_000));
    let good = [
        format!("{length}\r\n{PING}\r\n0\r\n\r\n"),
        format!("{upper};name=value;other=\"quoted\"\r\n{PING}\r\n0\r\n\r\n"),
        format!("00000{length}\r\n{PING}\r\n000\r\n\r\n"),
        format!("{length}\r\n{PING}\r\n0\r\nauthorization: Bearer x\r\nmcp-session-id: y\r\n\r\n"),
    ];
    let bad = [
        format!("-1\r\n{PING}\r\n0\r\n\r\n"),
        format!("0x{length}\r\n{PING}\r\n0\r\n\r\n"),
        format!("g\r\n{PING}\r\n0\r\n\r\n"),
        format!("ffffffffffffffff1\r\n{PING}\r\n0\r\n\r\n"),
        format!("{length};{long}\r\n{PING}\r\n0\r\n\r\n"),
        format!("{length}\r\n{PING}x\r\n0\r\n\r\n"),
        format!("\r\n{PING}\r\n0\r\n\r\n"),
        format!("{length}\r\n{PING}\r\n0\r\n{many}\r\n"),
        format!("{length}\r\n{PING}\r\n0\r\nx: {long}\r\n\r\n"),
        "0\r\n\r\n".to_owned(),
    ];
    let head = format!("{}{CLOSE}transfer-encoding: chunked\r\n\r\n", own(&scene));
    for body in &good {
        let answer = talk(&scene, &[head.as_bytes(), body.as_bytes()]).await;
        assert_eq!(tcp::statuses(answer.as_bytes()), [200], "{body:.60}");
    }
    assert_eq!(scene.upstream.requests("ping").len(), good.len());
    for body in &bad {
        let answer = talk(&scene, &[head.as_bytes(), body.as_bytes()]).await;
        assert_eq!(tcp::statuses(answer.as_bytes()), [400], "{body:.60}");
    }
    assert_eq!(scene.upstream.requests("ping").len(), good.len());
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_second_request_cannot_hide_behind_a_contradicting_length() {
    let scene = scene().await;
    let hidden = plain(&scene, &call(666, "echo", r#"{"text":"hidden"}"#));
    let body = format!("0\r\n\r\n{hidden}");
    let length = format!("content-length: {}\r\n", body.len());
    let framings = [
        format!("{length}transfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\n{length}"),
        format!("{length}transfer-encoding: gzip, chunked\r\n"),
        format!("{length}transfer-encoding: chunked, identity\r\n"),
        format!("{length}transfer-encoding : chunked\r\n"),
        format!("{length}transfer-encoding:\x0bchunked\r\n"),
        format!("{length}Transfer-Encoding\r\n : chunked\r\n"),
        format!("content-length: 5\r\n{length}"),
        format!("content-length: +{}\r\n", body.len()),
        format!("content-length: {}, {}\r\n", body.len(), 5),
    ];
    for framing in framings {
        let request = format!("{}{framing}\r\n{body}", own(&scene));
        let answer = talk(&scene, &[request.as_bytes()]).await;
        let statuses = tcp::statuses(answer.as_bytes());
        assert_eq!(statuses, [400], "{framing:?}");
        assert!(!scene.upstream.saw("hidden"), "{framing:?}");
    }
    scene.honest_call_works().await;
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let scene = scene().await;
    let before = scene.upstream.bytes().len();
    let end = format!("{CLOSE}content-length: {}\r\n\r\n{PING}", PING.len());
    let many: String = (0..200).map(|n| format!("x-{n}: {n}\r\n")).collect();
    let long = format!("x-long: {}\r\n", "a".repeat(200_000));
    let endless = format!("x-long: {}", "a".repeat(10_000_000));
    for flood in [many, long, endless] {
        let request = format!("{}{flood}{end}", own(&scene));
        let answer = talk(&scene, &[request.as_bytes()]).await;
        let statuses = tcp::statuses(answer.as_bytes());
        // Who goes on sending may miss the answer: the connection is reset.
        assert!(statuses == [431] || statuses.is_empty(), "{statuses:?}");
    }
    let target = format!("/mcp/fixture?{}", "a".repeat(200_000));
    let request = head(&scene, &target, "localhost") + &end;
    let statuses = tcp::statuses(talk(&scene, &[request.as_bytes()]).await.as_bytes());
    assert!(
        statuses.is_empty() || [[414], [431]].contains(&[statuses[0]]),
        "{statuses:?}"
    );
    assert_eq!(scene.upstream.bytes().len(), before);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_byte_at_a_time_is_slow_and_fine() {
    let scene = scene().await;
    let body = call(7, "echo", r#"{"text":"slow"}"#);
    let whole =
        plain(&scene, &body).replacen("content-length", "connection: close\r\ncontent-length", 1);
    let chunks: String = body.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    let chunked = format!(
        "{}{CLOSE}transfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n",
        own(&scene)
    );
    for request in [whole, chunked] {
        let bytes: Vec<&[u8]> = request.as_bytes().chunks(1).collect();
        let answer = talk(&scene, &bytes).await;
        assert_eq!(tcp::statuses(answer.as_bytes()), [200], "{answer}");
        assert!(answer.contains("\"text\":\"slow\""), "{answer}");
    }
    assert_eq!(scene.upstream.calls(), ["echo", "echo"]);
}

#[tokio::test]
async fn an_event_id_that_nobody_handed_out_is_refused() {
    let scene = scene().await;
    let host = scene.gate.address.to_string();
    let before = scene.upstream.events_of("http").len();
    let ids = [
        "x".repeat(1_025),
        "caf\u{e9}".to_owned(),
        "a\tb".to_owned(),
        "1\r\nlast-event-id: 2".to_owned(),
    ];
    for id in ids {
        let head = head(&scene, "/mcp/fixture", &host).replacen("POST", "GET", 1);
        let request = format!("{head}{CLOSE}last-event-id: {id}\r\n\r\n");
        let answer = talk(&scene, &[request.as_bytes()]).await;
        assert_eq!(tcp::statuses(answer.as_bytes()), [400], "{id:.20}");
    }
    assert_eq!(scene.upstream.events_of("http").len(), before);
    scene.honest_call_works().await;
}
