//! The HTTP face before any message is read: who is there, where they want to
//! go, and in what form. Nothing of what is turned away reaches an upstream.

use crate::harness::*;
use provost_store::NewGrant;
use provost_testkit::http::{self, Reply};
use provost_testkit::tcp;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

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
            assert_eq!((reply.status, reply.body.len()), (403, 0), "{name}");
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
