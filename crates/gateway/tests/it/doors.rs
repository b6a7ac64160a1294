//! The HTTP face before any message is read: who is there, where they want to
//! go, and in what form. Nothing of what is turned away reaches an upstream.

use crate::harness::*;
use provost_store::NewGrant;
use provost_testkit::http::{self, Reply};
use provost_testkit::{tcp, wait_until};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

async fn scene() -> Scene {
    Scene::new(Face::Http, Kind::Http, allow_all()).await
}

/// Posts a ping with the scene's token, path and further headers.
async fn post(scene: &Scene, path: &str, headers: &[(&str, &str)]) -> Reply {
    let own = scene.agent.as_http().headers();
    let mut all: Vec<(&str, &str)> = own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    all.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
    all.extend_from_slice(headers);
    let url = format!("http://{}{path}", scene.gate.address);
    http::post(&url, &all, PING).await.unwrap()
}

async fn send(scene: &Scene, method: &str, headers: &[(&str, &str)], body: &'static str) -> Reply {
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
async fn without_a_live_token_the_door_stays_shut() {
    unheard(async |scene| {
        let token = scene.pass.token.as_str();
        let wrong = [
            String::new(),
            "Bearer".to_owned(),
            "Bearer ".to_owned(),
            format!("Basic {token}"),
            format!("Bearer {}x", token),
            format!("Bearer {}", &token[1..]),
            token.to_owned(),
        ];
        for header in &wrong {
            let reply = post(scene, "/mcp/fixture", &[("authorization", header.as_str())]).await;
            assert_eq!(
                (reply.status, reply.header("www-authenticate")),
                (401, Some("Bearer")),
                "{header}"
            );
            assert!(reply.body.is_empty());
        }
        let url = format!(
            "{}?token={token}&access_token={token}",
            scene.gate.url("fixture")
        );
        assert_eq!(http::post(&url, &[], PING).await.unwrap().status, 401);
        for method in ["GET", "DELETE", "PUT", "OPTIONS"] {
            let reply = http::send(method, &scene.gate.url("fixture"), &[], "")
                .await
                .unwrap();
            assert_eq!(reply.status, 401, "{method}");
        }
    })
    .await;
}

#[tokio::test]
async fn two_tokens_are_no_token() {
    unheard(async |scene| {
        let header = format!("authorization: Bearer {}\r\n", scene.pass.token);
        let request = format!(
            "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{header}{header}content-length: {}\r\nconnection: close\r\n\r\n{PING}",
            scene.gate.address,
            PING.len()
        );
        assert_eq!(statuses(scene, request.as_bytes()).await, [401]);
    })
    .await;
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
async fn variants_of_the_path_are_not_found() {
    unheard(async |scene| {
        let paths = [
            "/",
            "/mcp",
            "/mcp/",
            "//mcp/fixture",
            "/mcp//fixture",
            "/MCP/fixture",
            "/mcp/fixture/",
        ];
        for path in
            paths
                .into_iter()
                .chain(["/mcp%2ffixture", "/mcp/fixture/x", "/metrics", "/healthz"])
        {
            assert_eq!(post(scene, path, &[]).await.status, 404, "{path}");
        }
        for path in ["/mcp/Fixture", "/mcp/fixture%20", "/mcp/..%2ffixture"] {
            assert_eq!(post(scene, path, &[]).await.status, 403, "{path}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_session_is_not_found() {
    unheard(async |scene| {
        for method in ["POST", "GET", "DELETE"] {
            let headers = [
                ("mcp-session-id", "0123"),
                ("content-type", "application/json"),
            ];
            let own = format!("Bearer {}", scene.pass.token);
            let all = [&headers[..], &[("authorization", own.as_str())]].concat();
            let reply = http::send(method, &scene.gate.url("fixture"), &all, PING)
                .await
                .unwrap();
            assert_eq!(reply.status, 404, "{method}");
            assert_eq!(reply.message()["error"]["code"], -32600);
        }
    })
    .await;
}

#[tokio::test]
async fn the_upstreams_session_id_is_no_key_and_is_never_shown() {
    unheard(async |scene| {
        let upstream = scene.upstream.fixture().sessions().remove(0);
        assert_ne!(
            scene.agent.as_http().session().as_deref(),
            Some(upstream.as_str())
        );
        assert_eq!(
            post(scene, "/mcp/fixture", &[("mcp-session-id", &upstream)])
                .await
                .status,
            404
        );
    })
    .await;
}

#[tokio::test]
async fn get_and_delete_need_a_session() {
    unheard(async |scene| {
        let token = format!("Bearer {}", scene.pass.token);
        for method in ["GET", "DELETE"] {
            let headers = [("authorization", token.as_str())];
            let reply = http::send(method, &scene.gate.url("fixture"), &headers, "")
                .await
                .unwrap();
            assert_eq!(reply.status, 400, "{method}");
        }
    })
    .await;
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    unheard(async |scene| {
        for method in ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"] {
            let reply = send(scene, method, &[], "").await;
            assert_eq!(
                (reply.status, reply.header("allow")),
                (405, Some("GET, POST, DELETE")),
                "{method}"
            );
            assert!(
                !reply
                    .headers
                    .keys()
                    .any(|name| name.as_str().starts_with("access-control"))
            );
        }
    })
    .await;
}

#[tokio::test]
async fn only_plain_json_is_read() {
    unheard(async |scene| {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonx",
            "",
        ] {
            let reply = send(scene, "POST", &[("content-type", kind)], PING).await;
            assert_eq!(reply.status, 415, "{kind}");
        }
        let coded = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        assert_eq!(send(scene, "POST", &coded, PING).await.status, 415);
        let kind = [("content-type", "Application/JSON; charset=utf-8")];
        assert_eq!(
            send(scene, "POST", &[kind[0]], "[]").await.status,
            400,
            "read, and refused"
        );
    })
    .await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let setup = Setup::from(allow_all()).settings(|settings| settings.body_limit = 64 * 1024);
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let before = scene.upstream.bytes().len();
    let large = call(
        1,
        "echo",
        &format!(r#"{{"text":"{}"}}"#, "x".repeat(70_000)),
    );
    let reply = scene.agent.as_http().post_raw(large.clone()).await.unwrap();
    assert_eq!(reply.status, 413);
    let head = format!(
        "POST /mcp/fixture HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
        scene.gate.address,
        scene.pass.token,
        large.len()
    );
    assert_eq!(statuses(&scene, head.as_bytes()).await, [413]);
    assert_eq!(scene.upstream.bytes().len(), before);
    scene.honest_call_works().await;
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
async fn statuses(scene: &Scene, bytes: &[u8]) -> Vec<u16> {
    let (address, bytes) = (scene.gate.address, bytes.to_vec());
    let answer = tokio::task::spawn_blocking(move || {
        tcp::exchange(address, &bytes, Duration::from_secs(2)).unwrap()
    });
    tcp::statuses(&answer.await.unwrap())
}

#[tokio::test]
async fn a_strange_host_is_refused() {
    unheard(async |scene| {
        let bad = [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "user@127.0.0.1",
        ];
        for host in
            bad.into_iter()
                .chain(["127.0.0.1:x", "localhost.", "127.1", "[::ffff:127.0.0.1]"])
        {
            assert_eq!(
                post(scene, "/mcp/fixture", &[("host", host)]).await.status,
                403,
                "{host}"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_strange_origin_is_refused() {
    unheard(async |scene| {
        let bad = [
            "http://evil.example",
            "null",
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
        ];
        for origin in bad.into_iter().chain([
            "http://127.0.0.1:1",
            "https://console.example.evil.example",
            "",
        ]) {
            let reply = post(scene, "/mcp/fixture", &[("origin", origin)]).await;
            assert_eq!(reply.status, 403, "{origin}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_listeners_own_hosts_and_origins_are_let_in() {
    let scene = scene().await;
    let port = scene.gate.address.port();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("LocalHost:{port}"),
        "localhost".to_owned(),
    ] {
        assert_eq!(
            post(&scene, "/mcp/fixture", &[("host", &host)])
                .await
                .status,
            200,
            "{host}"
        );
    }
    let own = format!("http://{}", scene.gate.address);
    for origin in ["https://console.example", own.as_str()] {
        assert_eq!(
            post(&scene, "/mcp/fixture", &[("origin", origin)])
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn contradicting_hosts_and_lengths_are_refused() {
    unheard(async |scene| {
        let (address, token) = (scene.gate.address, &scene.pass.token);
        let rest = format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        let length = PING.len();
        let two_hosts = format!("POST /mcp/fixture HTTP/1.1\r\nhost: {address}\r\nhost: {address}\r\n{rest}content-length: {length}\r\nconnection: close\r\n\r\n{PING}");
        let absolute = format!("POST http://evil.example/mcp/fixture HTTP/1.1\r\nhost: {address}\r\n{rest}content-length: {length}\r\nconnection: close\r\n\r\n{PING}");
        let lengths = format!("POST /mcp/fixture HTTP/1.1\r\nhost: {address}\r\n{rest}content-length: {length}\r\ncontent-length: 3\r\nconnection: close\r\n\r\n{PING}");
        for request in [two_hosts, absolute, lengths] {
            let statuses = statuses(scene, request.as_bytes()).await;
            assert!(statuses == [400] || statuses == [403], "{statuses:?}: {request}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_revision_of_the_protocol_is_refused() {
    unheard(async |scene| {
        let reply = post(
            scene,
            "/mcp/fixture",
            &[("mcp-protocol-version", "1900-01-01")],
        )
        .await;
        assert_eq!(
            (reply.status, &reply.message()["error"]["code"]),
            (400, &(-32022).into())
        );
        let supported = reply.message()["error"]["data"]["supported"].clone();
        assert_eq!(
            supported,
            serde_json::json!([
                "2026-07-28",
                "2025-11-25",
                "2025-06-18",
                "2025-03-26",
                "2024-11-05"
            ])
        );
    })
    .await;
}

#[tokio::test]
async fn nothing_of_the_agents_own_headers_goes_upstream() {
    let scene = scene().await;
    let own = [
        ("cookie", "canary=1"),
        ("x-forwarded-for", "canary"),
        ("x-mcp-user", "canary"),
        ("mcp-name", "canary"),
        ("user-agent", "canary"),
    ];
    assert_eq!(post(&scene, "/mcp/fixture", &own).await.status, 200);
    scene.honest_call_works().await;
    assert!(!scene.upstream.saw("canary") && !scene.upstream.saw(&scene.pass.token));
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

#[tokio::test]
async fn a_caller_without_a_token_is_counted_and_leaves_no_record() {
    let scene = scene().await;
    assert_eq!(
        post(&scene, "/mcp/fixture", &[("authorization", "Bearer no")])
            .await
            .status,
        401
    );
    scene.records_become(&[]).await;
    wait_until("it is counted", || {
        scene
            .gate
            .gateway
            .metrics()
            .contains("provost_unauthenticated_total 1")
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_does_not_say_what_it_accepts_is_served() {
    let scene = scene().await;
    let json = ("content-type", "application/json");
    for headers in [
        vec![json],
        vec![json, ("accept", "application/json")],
        vec![json, ("accept", "*/*")],
    ] {
        let reply = send(&scene, "POST", &headers, PING).await;
        assert_eq!(
            (reply.status, &reply.message()["result"]),
            (200, &serde_json::json!({}))
        );
    }
}
