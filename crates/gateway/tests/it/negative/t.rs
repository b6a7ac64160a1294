//! T: the HTTP face before any message is read.

use std::time::Duration;

use super::*;
use crate::doors::{NOT_YOURS, PING, post, said, send, statuses, told};
use provost_testkit::http;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A setup whose log is read.
fn logged() -> Setup {
    log::start();
    Setup::from(allow_all())
}

/// A ping with these headers is a stranger's, and refused so.
async fn turned_away(scene: &Scene, headers: &[(&str, &str)], status: u16, reason: &str) {
    let watch = Watch::on(scene, format!("{headers:?}"));
    let reply = post(scene, "/mcp/fixture", headers).await;
    assert_eq!(
        (reply.status, said(&reply)),
        (status, told(reason)),
        "{headers:?}"
    );
    watch.stranger(reason).await;
}

async fn t01_a_foreign_host_is_forbidden(scene: Scene) {
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
    ] {
        turned_away(&scene, &[("host", host)], 403, "host").await;
    }
}
over_http!(t01_a_foreign_host_is_forbidden, logged());

async fn t02_a_foreign_origin_is_forbidden(scene: Scene) {
    turned_away(&scene, &[("origin", "http://evil.example")], 403, "origin").await;
}
over_http!(t02_a_foreign_origin_is_forbidden, logged());

async fn t03_the_null_origin_is_forbidden(scene: Scene) {
    turned_away(&scene, &[("origin", "null")], 403, "origin").await;
}
over_http!(t03_the_null_origin_is_forbidden, logged());

async fn t04_origins_that_only_begin_like_ours_are_forbidden(scene: Scene) {
    for origin in [
        "http://localhost.evil.example",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1:1",
        "https://console.example.evil.example",
        "https://console.example/",
        "",
    ] {
        turned_away(&scene, &[("origin", origin)], 403, "origin").await;
    }
}
over_http!(
    t04_origins_that_only_begin_like_ours_are_forbidden,
    logged()
);

async fn t05_hosts_are_compared_as_a_whole(scene: Scene) {
    for host in [
        "user@127.0.0.1",
        "localhost.",
        "127.1",
        "[::ffff:127.0.0.1]",
        "127.0.0.1:x",
        "127.0.0.1:99999",
    ] {
        turned_away(&scene, &[("host", host)], 403, "host").await;
    }
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
            200,
            "{origin}"
        );
    }
}
over_http!(t05_hosts_are_compared_as_a_whole, logged());

/// A request that no HTTP library would send; `head` begins with the target.
fn raw_request(scene: &Scene, head: &str) -> String {
    let token = &scene.pass.token;
    let session = scene.agent.as_http().session().unwrap();
    format!(
        "POST {head}authorization: Bearer {token}\r\nmcp-session-id: {session}\r\ncontent-type: application/json\r\nconnection: close\r\n"
    )
}

async fn t06_contradicting_hosts_are_no_request(scene: Scene) {
    let (address, length) = (scene.gate.address, PING.len());
    for head in [
        format!("/mcp/fixture HTTP/1.1\r\nhost: {address}\r\nhost: {address}\r\n"),
        format!("/mcp/fixture HTTP/1.1\r\nhost: {address}\r\nhost: evil.example\r\n"),
        format!("http://evil.example/mcp/fixture HTTP/1.1\r\nhost: {address}\r\n"),
        "/mcp/fixture HTTP/1.1\r\n".to_owned(),
    ] {
        let watch = Watch::on(&scene, head.clone());
        let request =
            raw_request(&scene, &head) + &format!("content-length: {length}\r\n\r\n{PING}");
        assert_eq!(statuses(&scene, request.as_bytes()).await, [400], "{head}");
        watch.stranger("host").await;
    }
}
over_http!(t06_contradicting_hosts_are_no_request, logged());

async fn t07_only_json_is_read(scene: Scene) {
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "",
    ] {
        let watch = Watch::on(&scene, kind);
        let reply = send(&scene, "POST", &[("content-type", kind)], PING).await;
        assert_eq!(reply.status, 415, "{kind}");
        watch.refused(ENVELOPE, "(POST)").await;
    }
    let kind = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(send(&scene, "POST", &kind, PING).await.status, 200);
}
over_http!(t07_only_json_is_read, allow_all());

/// Served, as a documented choice: what is sent back is what the message asks for.
async fn t08_an_agent_that_does_not_say_what_it_accepts_is_served(scene: Scene) {
    let kind = ("content-type", "application/json");
    for accept in [
        None,
        Some("application/json"),
        Some("text/event-stream"),
        Some("*/*"),
        Some("text/html;q=x,,"),
    ] {
        let headers: Vec<_> = [kind]
            .into_iter()
            .chain(accept.map(|value| ("accept", value)))
            .collect();
        let reply = send(&scene, "POST", &headers, PING).await;
        assert_eq!(
            (reply.status, &reply.message()["result"]),
            (200, &json!({})),
            "{accept:?}"
        );
    }
    scene.honest_call_works().await;
}
over_http!(
    t08_an_agent_that_does_not_say_what_it_accepts_is_served,
    allow_all()
);

async fn t09_other_http_methods_are_not_allowed(scene: Scene) {
    for method in ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"] {
        let watch = Watch::on(&scene, method);
        let reply = send(&scene, method, &[], "").await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (405, Some("GET, POST, DELETE")),
            "{method}"
        );
        watch.refused(ENVELOPE, &format!("({method})")).await;
    }
}
over_http!(t09_other_http_methods_are_not_allowed, allow_all());

async fn t10_no_page_may_read_answers(scene: Scene) {
    let silent = |reply: &http::Reply| {
        let mut names = reply.headers.keys();
        !names.any(|name| name.as_str().starts_with("access-control"))
    };
    let asks = [
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization"),
    ];
    let url = scene.gate.url("fixture");
    for (origin, status, reason) in [
        ("http://evil.example", 403, "origin"),
        ("https://console.example", 401, "grant"),
    ] {
        let watch = Watch::on(&scene, origin);
        let headers = [&asks[..], &[("origin", origin)]].concat();
        let reply = http::send("OPTIONS", &url, &headers, "").await.unwrap();
        assert_eq!(reply.status, status, "{origin}");
        assert!(silent(&reply), "{:?}", reply.headers);
        watch.stranger(reason).await;
    }
    let watch = Watch::on(&scene, "a pre-flight with a token");
    let reply = send(&scene, "OPTIONS", &asks, "").await;
    assert!(reply.status == 405 && silent(&reply));
    watch.refused(ENVELOPE, "(OPTIONS)").await;
    let reply = post(
        &scene,
        "/mcp/fixture",
        &[("origin", "https://console.example")],
    )
    .await;
    assert!(reply.status == 200 && silent(&reply));
}
over_http!(t10_no_page_may_read_answers, logged());

const SMALL: usize = 64 * 1024;

async fn t11_a_body_that_is_too_large_is_not_read(scene: Scene) {
    let large = call(1, "echo", &format!(r#"{{"text":"{}"}}"#, "x".repeat(SMALL)));
    let watch = Watch::on(&scene, "a large body");
    let reply = scene.agent.as_http().post_raw(large.clone()).await.unwrap();
    assert_eq!(reply.status, 413);
    watch.refused(ENVELOPE, "(POST)").await;
    let host = format!("/mcp/fixture HTTP/1.1\r\nhost: {}\r\n", scene.gate.address);
    let chunk = format!("{:x}\r\n{large}\r\n", large.len());
    for rest in [
        format!("transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n"),
        "content-length: 107374182400\r\n\r\n{".to_owned(),
    ] {
        let watch = Watch::on(&scene, rest.clone());
        let request = raw_request(&scene, &host) + &rest;
        assert_eq!(statuses(&scene, request.as_bytes()).await, [413]);
        watch.refused(ENVELOPE, "(POST)").await;
    }
    // Without an end: it is read up to the limit and given up, so nothing piles up.
    let watch = Watch::on(&scene, "a body without end");
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    let head = raw_request(&scene, &host) + "transfer-encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut sent = 0;
    while socket.write_all(chunk.as_bytes()).await.is_ok() {
        sent += chunk.len();
        assert!(sent < 64 << 20, "{sent} bytes were taken");
    }
    watch.refused(ENVELOPE, "(POST)").await;
}
over_http!(
    t11_a_body_that_is_too_large_is_not_read,
    Setup::from(allow_all()).settings(|settings| settings.body_limit = SMALL)
);

/// What follows a line that is too long cannot be told from its rest, so the
/// connection ends, and nothing of it is taken for a message.
async fn t11_a_line_that_is_too_long_is_not_read(scene: Scene) {
    let hidden = call(9, "echo", "{}");
    let large = call(1, "echo", &format!(r#"{{"text":"{}"}}"#, "x".repeat(SMALL)));
    let watch = Watch::on(&scene, "a long line");
    let link = scene.agent.as_stdio();
    link.write(format!("{large}\n{hidden}")).unwrap();
    wait_until("the connection ends", || link.ended()).await;
    let told: Vec<_> = link
        .strays()
        .iter()
        .map(|answer| answer["error"]["code"].clone())
        .collect();
    assert_eq!(told, [json!(-32600)]);
    watch.recorded(ENVELOPE, UNREADABLE, None).await;
    assert!(scene.upstream.calls().is_empty());
    let agent = scene.another_agent(&scene.pass).await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "honest"})).await),
        "honest"
    );
}

mod t11_a_line_that_is_too_long_is_not_read {
    use super::*;

    fn setup() -> Setup {
        Setup::from(allow_all()).settings(|settings| settings.body_limit = SMALL)
    }

    #[tokio::test]
    async fn stdio_to_http() {
        super::t11_a_line_that_is_too_long_is_not_read(
            Scene::new(Face::Stdio, Kind::Http, setup()).await,
        )
        .await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        super::t11_a_line_that_is_too_long_is_not_read(
            Scene::new(Face::Stdio, Kind::Stdio, setup()).await,
        )
        .await;
    }
}

/// The body is as long as `Transfer-Encoding` says, and the connection ends with
/// the answer: whatever a proxy took for the next request is nobody's.
async fn t12_two_lengths_end_the_connection(scene: Scene) {
    let host = format!("/mcp/fixture HTTP/1.1\r\nhost: {}\r\n", scene.gate.address);
    let length = PING.len();
    let chunked = format!("{length:x}\r\n{PING}\r\n0\r\n\r\n");
    let next = call(9, "echo", r#"{"text":"hidden"}"#);
    for rest in [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"),
        format!("Transfer-Encoding: chunked\r\nx: y\r\nContent-Length: {length}\r\n\r\n{chunked}"),
        format!("content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n{chunked}"),
    ] {
        let request = raw_request(&scene, &host) + &rest;
        let next = format!(
            "{}content-length: {}\r\n\r\n{next}",
            raw_request(&scene, &host),
            next.len()
        );
        let all = request + &next;
        assert_eq!(statuses(&scene, all.as_bytes()).await.len(), 1, "{rest}");
        assert!(!scene.upstream.saw("hidden"), "{rest}");
        scene.honest_call_works().await;
    }
    // The HTTP library turns these away by itself, before there is a request.
    for rest in [
        format!("content-length: {length}\r\ncontent-length: 3\r\n\r\n{PING}"),
        format!("content-length: 3, {length}\r\n\r\n{PING}"),
        format!("transfer-encoding: chunked, gzip\r\n\r\n{chunked}"),
    ] {
        let watch = Watch::on(&scene, rest.clone());
        let request = raw_request(&scene, &host) + &rest;
        assert_eq!(statuses(&scene, request.as_bytes()).await, [400], "{rest}");
        watch.untouched();
        watch.honest().await;
    }
}
over_http!(t12_two_lengths_end_the_connection, allow_all());

async fn t13_a_compressed_body_is_not_read(scene: Scene) {
    for coding in ["gzip", "deflate", "br", "identity, gzip"] {
        let watch = Watch::on(&scene, coding);
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", coding),
        ];
        assert_eq!(
            send(&scene, "POST", &headers, PING).await.status,
            415,
            "{coding}"
        );
        watch.refused(ENVELOPE, "(POST)").await;
    }
}
over_http!(t13_a_compressed_body_is_not_read, allow_all());

async fn t14_a_body_that_drips_is_given_up(scene: Scene) {
    let host = format!("/mcp/fixture HTTP/1.1\r\nhost: {}\r\n", scene.gate.address);
    let head = raw_request(&scene, &host) + "content-length: 100000\r\n\r\n";
    let watch = Watch::on(&scene, "a byte now and then");
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut read, mut write) = socket.split();
    let drips = async {
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            if write.write_all(b" ").await.is_err() {
                return std::future::pending::<()>().await;
            }
        }
    };
    let mut answer = Vec::new();
    tokio::select! {
        () = drips => {}
        read = provost_testkit::wait::within("the end of the connection", read.read_to_end(&mut answer)) => drop(read),
    }
    assert_eq!(provost_testkit::tcp::statuses(&answer), [408]);
    watch.refused(ENVELOPE, "(POST)").await;
}
over_http!(
    t14_a_body_that_drips_is_given_up,
    Setup::from(allow_all())
        .settings(|settings| settings.request_timeout = Duration::from_millis(300))
);

/// In this era a lost connection cancels nothing: the call goes on, is recorded,
/// and can still be cancelled.
async fn t15_an_agent_that_goes_away_leaves_its_call_to_its_end(scene: Scene) {
    let scratch = tempfile::tempdir().unwrap();
    let until = scratch.path().join("until");
    let params = json!({"name": "slow", "arguments": {"ms": 60_000, "until": until}});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let link = scene.agent.as_http().clone();
    let asked = tokio::spawn(async move { link.post_raw(message.to_string()).await });
    scene.upstream.wait_for_calls(1).await;
    asked.abort();
    drop(asked.await);
    scene.honest_call_works().await;
    assert!(scene.upstream.events_of("cancelled").is_empty());
    std::fs::write(until, "").unwrap();
    scene
        .records_become(&["tools/call slow: allow, ok", "tools/call echo: allow, ok"])
        .await;
}

from_http!(
    t15_an_agent_that_goes_away_leaves_its_call_to_its_end,
    allow_all()
);

async fn t16_variants_of_the_path_lead_nowhere(scene: Scene) {
    for path in [
        "/mcp",
        "/mcp/",
        "//mcp/fixture",
        "/mcp//fixture",
        "/MCP/fixture",
        "/mcp/fixture/",
        "/mcp%2ffixture",
        "/mcp/fixture/x",
        "/./mcp/fixture",
        "/x/../mcp/fixture",
        "/mcp;/fixture",
        "/%6dcp/fixture",
    ] {
        let watch = Watch::on(&scene, path);
        let reply = post(&scene, path, &[]).await;
        assert_eq!((reply.status, said(&reply)), (404, told("path")), "{path}");
        watch.stranger("path").await;
    }
    // One segment is the name of a server, and only the exact one is this grant's.
    for path in [
        "/mcp/Fixture",
        "/mcp/fixture%20",
        "/mcp/..%2ffixture",
        "/mcp/%66ixture",
        "/mcp/fixture;x",
    ] {
        let watch = Watch::on(&scene, path);
        let reply = post(&scene, path, &[]).await;
        assert_eq!((reply.status, said(&reply)), (403, NOT_YOURS), "{path}");
        watch.refused(ENVELOPE, "(POST)").await;
        let watch = Watch::on(&scene, path);
        let reply = post(&scene, path, &[("authorization", "")]).await;
        assert_eq!(reply.status, 401, "{path}");
        watch.stranger("grant").await;
    }
}
over_http!(t16_variants_of_the_path_lead_nowhere, logged());

/// What a gateway might serve, here or in another program.
const ROUTES: [&str; 23] = [
    "/",
    "/mcp",
    "/sse",
    "/messages",
    "/message",
    "/healthz",
    "/health",
    "/readyz",
    "/ready",
    "/metrics",
    "/admin",
    "/api",
    "/api/evaluate",
    "/v1",
    "/status",
    "/debug",
    "/servers",
    "/grants",
    "/policies",
    "/audit",
    "/.well-known/oauth-protected-resource",
    "/.well-known/oauth-authorization-server",
    "/favicon.ico",
];

/// The one route there is needs a grant, whatever the method; all others are none.
async fn t17_every_route_needs_a_grant(scene: Scene) {
    let token = format!("Bearer {}", scene.pass.token);
    for method in [
        "GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS", "TRACE",
    ] {
        for server in ["fixture", scene.pass.server.as_str(), "nowhere"] {
            let watch = Watch::on(&scene, format!("{method} {server}"));
            let reply = http::send(method, &scene.gate.url(server), &[], PING)
                .await
                .unwrap();
            assert_eq!(
                (reply.status, reply.header("www-authenticate")),
                (401, Some("Bearer")),
                "{method} {server}"
            );
            watch.stranger("grant").await;
        }
    }
    for route in ROUTES {
        for headers in [&[][..], &[("authorization", token.as_str())]] {
            let watch = Watch::on(&scene, route);
            let url = format!("http://{}{route}", scene.gate.address);
            for method in ["GET", "POST"] {
                let reply = http::send(method, &url, headers, PING).await.unwrap();
                assert_eq!(
                    (reply.status, said(&reply)),
                    (404, told("path")),
                    "{method} {route}"
                );
            }
            watch.untouched();
            watch.honest().await;
        }
    }
}
over_http!(t17_every_route_needs_a_grant, logged());

async fn t18_headers_of_the_agent_end_here(scene: Scene) {
    let own = [
        ("cookie", "canary=1"),
        ("x-forwarded-for", "canary"),
        ("x-forwarded-host", "canary"),
        ("forwarded", "for=canary"),
        ("x-real-ip", "canary"),
        ("x-mcp-user", "canary"),
        ("x-mcp-servername", "canary"),
        ("mcp-init-host", "canary"),
        ("x-provost-grant", "canary"),
        ("mcp-name", "canary"),
        ("mcp-param-x", "canary"),
        ("user-agent", "canary"),
        ("proxy-authorization", "canary"),
    ];
    assert_eq!(post(&scene, "/mcp/fixture", &own).await.status, 200);
    scene.honest_call_works().await;
    assert!(!scene.upstream.saw("canary") && !scene.upstream.saw(&scene.pass.token));
    assert_eq!(scene.gate.history(), ["tools/call echo: allow, ok"]);
}
over_http!(t18_headers_of_the_agent_end_here, allow_all());
