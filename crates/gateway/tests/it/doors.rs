//! The HTTP face before any message is read: who is there, where they want to
//! go, and in what form. Nothing of what is turned away reaches an upstream.

use crate::harness::*;
use provost_store::NewGrant;
use provost_testkit::http::{self, Reply};
use provost_testkit::tcp;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// The body of an answer.
pub(crate) fn said(reply: &Reply) -> &str {
    std::str::from_utf8(&reply.body).unwrap()
}

/// What a stranger is told, by the reason that is counted.
pub(crate) fn told(reason: &str) -> &'static str {
    match reason {
        "host" => "the `Host` of this request is not served here\n",
        "origin" => "the `Origin` of this request is not allowed\n",
        "path" => "nothing is served here; agents call /mcp/<server>\n",
        "grant" => "a valid token is needed: `Authorization: Bearer <token>`\n",
        other => panic!("no reason: {other}"),
    }
}

/// What is told to a grant about a server that is not its own, whether it exists or not.
pub(crate) const NOT_YOURS: &str = "this token is for another server\n";

async fn scene() -> Scene {
    Scene::new(Face::Http, Kind::Http, allow_all()).await
}

/// Posts a ping with the scene's token, path and further headers.
pub(crate) async fn post(scene: &Scene, path: &str, headers: &[(&str, &str)]) -> Reply {
    let own = scene.agent.as_http().headers();
    let mut all: Vec<(&str, &str)> = own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
    all.extend_from_slice(headers);
    let url = format!("http://{}{path}", scene.gate.address);
    http::post(&url, &all, PING).await.unwrap()
}

pub(crate) async fn send(
    scene: &Scene,
    method: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Reply {
    let token = format!("Bearer {}", scene.pass.token);
    let session = scene.agent.as_http().session().unwrap();
    let mut all = vec![
        ("authorization", token.as_str()),
        ("mcp-session-id", session.as_str()),
    ];
    all.extend_from_slice(headers);
    http::send(method, &scene.gate.url("fixture"), &all, body)
        .await
        .unwrap()
}

/// Runs the story, and then sees to it that nothing of it reached the upstream.
async fn unheard(story: impl AsyncFn(&Scene)) {
    let scene = scene().await;
    let before = scene.upstream.bytes().len();
    story(&scene).await;
    assert_eq!(scene.upstream.bytes().len(), before);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_server_of_others_looks_like_one_that_does_not_exist() {
    unheard(async |scene| {
        scene
            .gate
            .http_server("other", &scene.upstream.fixture().url());
        let grant = NewGrant {
            server: "other".into(),
            label: "b".into(),
            ..NewGrant::default()
        };
        let other = scene.gate.mint(grant);
        for name in ["other", "nowhere", other.server.as_str()] {
            let reply = post(scene, &format!("/mcp/{name}"), &[]).await;
            assert_eq!((reply.status, said(&reply)), (403, NOT_YOURS), "{name}");
            let words =
                format!("its token is for server `fixture`, and the request is for server `{name}` (HTTP 403)");
            assert_eq!(last_words(scene), words);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_is_reached_by_name_and_by_id() {
    let scene = scene().await;
    for name in ["fixture", scene.pass.server.as_str()] {
        assert_eq!(post(&scene, &format!("/mcp/{name}"), &[]).await.status, 200);
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_given_up() {
    let setup =
        Setup::from(allow_all()).settings(|s| s.request_timeout = Duration::from_millis(300));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let head = format!(
        "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{",
        scene.gate.address, scene.pass.token
    );
    assert_eq!(statuses(&scene, head.as_bytes()).await, [408]);
    scene.honest_call_works().await;
}

/// The gateway asks for the body, so it knows who is there; then that changes.
#[tokio::test]
async fn what_is_revoked_while_a_body_comes_is_refused() {
    let scene = Scene::new(Face::Http, Kind::Http, Setup::from(allow_all())).await;
    let body = call(1, "echo", "{}");
    let head = format!(
        "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\nmcp-session-id: {}\r\ncontent-type: application/json\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        scene.gate.address,
        scene.pass.token,
        scene.agent.as_http().session().unwrap(),
        body.len()
    );
    let mut socket = tokio::net::TcpStream::connect(scene.gate.address)
        .await
        .unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    socket.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    scene.gate.revoke(&scene.pass);
    socket.write_all(body.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert_eq!(tcp::statuses(&answer), [401]);
    assert!(scene.upstream.calls().is_empty());
}

/// The statuses of all answers to raw bytes.
pub(crate) async fn statuses(scene: &Scene, bytes: &[u8]) -> Vec<u16> {
    let (address, bytes) = (scene.gate.address, bytes.to_vec());
    let answer = tokio::task::spawn_blocking(move || {
        tcp::exchange(address, &bytes, Duration::from_secs(2)).unwrap()
    });
    tcp::statuses(&answer.await.unwrap())
}

#[tokio::test]
async fn nothing_of_the_upstreams_own_headers_reaches_the_agent() {
    let options = upstream::hostile(provost_testkit::fixture::Hostility::BadHeaders);
    let scene = Scene::new(
        Face::Http,
        Kind::Http,
        Setup::from(allow_all()).options(options),
    )
    .await;
    let reply = scene
        .agent
        .as_http()
        .post_raw(call(1, "echo", "{}"))
        .await
        .unwrap();
    let names: Vec<&str> = reply.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(reply.status, 200);
    assert!(
        names
            .iter()
            .all(|name| ["content-type", "content-length", "date"].contains(name)),
        "{names:?}"
    );
}

/// What the newest record says.
fn last_words(scene: &Scene) -> String {
    let records = scene.gate.records();
    records
        .last()
        .and_then(|record| record.message.clone())
        .unwrap()
}

#[tokio::test]
async fn d46_the_record_says_in_words_what_was_refused_and_why() {
    unheard(async |scene| {
        for (method, headers, status, words) in [
            ("POST", &[("mcp-session-id", "of-before")][..], 404,
             "its session has ended, or is from before a restart; the agent has to send `initialize` again (HTTP 404)"),
            ("GET", &[("mcp-session-id", "of-before")], 404,
             "its session has ended, or is from before a restart; the agent has to send `initialize` again (HTTP 404)"),
            ("PUT", &[], 405, "its HTTP method is not one of: GET, POST, DELETE (HTTP 405)"),
            ("POST", &[("content-type", "text/plain")], 415,
             "the body must be `application/json`, and not compressed (HTTP 415)"),
            ("GET", &[("mcp-protocol-version", "1999-01-01")], 400,
             "header `MCP-Protocol-Version` names `1999-01-01`, which is not supported (HTTP 400)"),
            ("DELETE", &[("mcp-protocol-version", "2026-07-28")], 405,
             "its HTTP method is not one of: POST (HTTP 405)"),
        ] {
            let token = format!("Bearer {}", scene.pass.token);
            let own = [("authorization", token.as_str()), ("content-type", "application/json")];
            let mut all: Vec<_> = own.into_iter().filter(|(name, _)| headers.iter().all(|(other, _)| other != name)).collect();
            all.extend_from_slice(headers);
            let url = scene.gate.url("fixture");
            let reply = http::send(method, &url, &all, PING).await.unwrap();
            assert_eq!(reply.status, status, "{method}: {words}");
            assert_eq!(last_words(scene), words);
        }
    })
    .await;
}

#[tokio::test]
async fn d46_strangers_are_told_what_is_missing_and_nothing_else() {
    unheard(async |scene| {
        for (path, header, status, reason) in [
            ("/mcp/fixture", ("host", "evil.example"), 403, "host"),
            (
                "/mcp/fixture",
                ("origin", "http://evil.example"),
                403,
                "origin",
            ),
            ("/elsewhere", ("accept", "*/*"), 404, "path"),
            (
                "/mcp/fixture",
                ("authorization", "Bearer pv_nobody"),
                401,
                "grant",
            ),
            (
                "/mcp/nowhere",
                ("authorization", "Bearer pv_nobody"),
                401,
                "grant",
            ),
        ] {
            let reply = post(scene, path, &[header]).await;
            assert_eq!((reply.status, said(&reply)), (status, told(reason)));
        }
        scene.records_become(&[]).await;
    })
    .await;
}
