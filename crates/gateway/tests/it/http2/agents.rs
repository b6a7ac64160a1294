//! Agents over HTTP/2: served, refused and cancelled as over HTTP/1.1.

use std::sync::Arc;
use std::time::Duration;

use crate::harness::*;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use provost_gateway::{Builtins, Gateway, Listen};
use provost_store::{Locations, NewGrant, Store};
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

type Body = Full<Bytes>;

/// A connection of an agent.
#[derive(Clone)]
struct Two(http2::SendRequest<Body>);

impl Two {
    async fn connect(scene: &Scene) -> Two {
        let socket = TcpStream::connect(scene.gate.address).await.unwrap();
        let builder = http2::Builder::new(TokioExecutor::new());
        let (sender, connection) = builder.handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        Two(sender)
    }

    async fn open(&self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.0.clone();
        sender.ready().await?;
        within("the head of an answer", sender.send_request(request)).await
    }

    async fn send(&self, request: Request<Body>) -> (u16, Bytes) {
        whole(self.open(request).await.unwrap()).await
    }
}

async fn whole(response: Response<Incoming>) -> (u16, Bytes) {
    let status = response.status().as_u16();
    let body = within("the end of the answer", response.into_body().collect()).await;
    (status, body.unwrap().to_bytes())
}

/// A request as both protocols can carry it.
#[derive(Clone)]
struct Ask {
    method: &'static str,
    host: String,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Ask {
    /// An honest ping.
    fn ping(scene: &Scene) -> Ask {
        let session = scene.agent.as_http().session().unwrap();
        Ask {
            method: "POST",
            host: scene.gate.address.to_string(),
            path: "/mcp/fixture",
            headers: vec![
                ("authorization", format!("Bearer {}", scene.pass.token)),
                ("content-type", "application/json".to_owned()),
                ("mcp-session-id", session),
            ],
            body: br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec(),
        }
    }

    fn with(mut self, name: &'static str, value: &str) -> Ask {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.to_owned()));
        self
    }

    fn without(mut self, name: &str) -> Ask {
        self.headers.retain(|(other, _)| *other != name);
        self
    }

    fn request(&self, target: &str) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(target);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(self.body.clone().into())).unwrap()
    }

    fn over_two(&self) -> Request<Body> {
        self.request(&format!("http://{}{}", self.host, self.path))
    }

    /// The status over HTTP/1.1, on a connection of its own.
    async fn one(&self, scene: &Scene) -> u16 {
        let socket = TcpStream::connect(scene.gate.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        let mut request = self.request(self.path);
        let names_host = request.headers().contains_key("host");
        if names_host {
            // Two ways of naming the host: the target names the other.
            *request.uri_mut() = format!("http://{}{}", self.host, self.path)
                .parse()
                .unwrap();
        } else {
            request
                .headers_mut()
                .insert("host", self.host.parse().unwrap());
        }
        whole(sender.send_request(request).await.unwrap()).await.0
    }
}

#[tokio::test]
async fn an_agent_has_a_whole_session_on_one_connection() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let two = Two::connect(&scene).await;
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "two", "version": "1"}});
    let mut ask = Ask::ping(&scene).without("mcp-session-id");
    ask.body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        .to_string()
        .into();
    let opened = two.open(ask.over_two()).await.unwrap();
    let session = opened.headers()["mcp-session-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(whole(opened).await.0, 200);
    let mut ask = ask.with("mcp-session-id", &session);
    ask.body = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_vec();
    assert_eq!(two.send(ask.over_two()).await.0, 202);
    let mut listen = ask.clone();
    (listen.method, listen.body) = ("GET", Vec::new());
    let stream = two.open(listen.over_two()).await.unwrap();
    assert_eq!(stream.status(), 200);
    // A hundred calls beside the open stream, all at once.
    let calls: Vec<_> = (0..100)
        .map(|id| {
            let mut ask = ask.clone();
            ask.body = call(id, "echo", &format!(r#"{{"text":"{id}"}}"#)).into();
            let two = two.clone();
            tokio::spawn(async move { two.send(ask.over_two()).await })
        })
        .collect();
    for (id, call) in calls.into_iter().enumerate() {
        let (status, body) = call.await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, text(&answer)), (200, id.to_string().as_str()));
    }
    scene
        .upstream
        .fixture()
        .notify("notifications/tools/list_changed", json!({}));
    let mut stream = stream.into_body();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("list_changed") {
        let frame = within("the notification", stream.frame())
            .await
            .unwrap()
            .unwrap();
        heard.extend_from_slice(frame.data_ref().unwrap());
    }
    ask.method = "DELETE";
    ask.body.clear();
    assert_eq!(two.send(ask.over_two()).await.0, 200);
    let ended = within("the end of the stream", async {
        while stream.frame().await.is_some() {}
    });
    ended.await;
}

/// What both protocols refuse alike.
fn refusals(scene: &Scene) -> Vec<(&'static str, u16, Ask)> {
    let ping = || Ask::ping(scene);
    let other = scene.gate.mint(NewGrant {
        server: "other".into(),
        label: "other".into(),
        ..NewGrant::default()
    });
    let at = |path: &'static str| Ask { path, ..ping() };
    let by = |method: &'static str| Ask { method, ..ping() };
    let to = |host: &str| Ask {
        host: host.to_owned(),
        ..ping()
    };
    let saying = |body: &[u8]| Ask {
        body: body.to_vec(),
        ..ping()
    };
    vec![
        ("no token", 401, ping().without("authorization")),
        (
            "an unknown token",
            401,
            ping().with("authorization", "Bearer pv_nobody"),
        ),
        (
            "a token for another server",
            403,
            ping().with("authorization", &format!("Bearer {}", other.token)),
        ),
        ("another server", 403, at("/mcp/other")),
        ("no such path", 404, at("/other")),
        ("a strange host", 403, to("evil.example")),
        ("a user before the host", 403, to("x@localhost")),
        ("two hosts", 400, ping().with("host", "localhost")),
        (
            "a strange origin",
            403,
            ping().with("origin", "http://evil.example"),
        ),
        ("a strange method", 405, by("PUT")),
        (
            "not JSON by its type",
            415,
            ping().with("content-type", "text/plain"),
        ),
        ("coded", 415, ping().with("content-encoding", "gzip")),
        ("too large", 413, saying(&[b' '; 70_000])),
        ("not JSON", 400, saying(b"{")),
        ("a batch", 400, saying(b"[]")),
        (
            "an unknown session",
            404,
            ping().with("mcp-session-id", "0123"),
        ),
        (
            "an unknown revision",
            400,
            ping().with("mcp-protocol-version", "1900-01-01"),
        ),
        (
            "too long a header",
            431,
            ping().with("x-long", &"a".repeat(100_000)),
        ),
    ]
}

#[tokio::test]
async fn both_protocols_refuse_alike() {
    let setup = Setup::from(allow_all()).settings(|settings| settings.body_limit = 64 * 1024);
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    scene
        .gate
        .http_server("other", &scene.upstream.fixture().url());
    let before = scene.upstream.bytes().len();
    for (what, status, ask) in refusals(&scene) {
        assert_eq!(ask.one(&scene).await, status, "{what}, HTTP/1.1");
        let two = Two::connect(&scene).await;
        assert_eq!(two.send(ask.over_two()).await.0, status, "{what}, HTTP/2");
    }
    assert_eq!(scene.upstream.bytes().len(), before);
    let two = Two::connect(&scene).await;
    assert_eq!(two.send(Ask::ping(&scene).over_two()).await.0, 200);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_reset_stream_leaves_its_call_to_its_end() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let two = Two::connect(&scene).await;
    let mut slow = Ask::ping(&scene);
    let scratch = tempfile::tempdir().unwrap();
    let until = scratch.path().join("until");
    let arguments = json!({"ms": 60_000, "until": until}).to_string();
    slow.body = call(7, "slow", &arguments).into();
    let (agent, request) = (two.clone(), slow.over_two());
    let reset = tokio::spawn(async move { agent.send(request).await });
    scene.upstream.wait_for_calls(1).await;
    slow.body = call(8, "slow", r#"{"ms":1500}"#).into();
    let (agent, request) = (two.clone(), slow.over_two());
    let stays = tokio::spawn(async move { agent.send(request).await });
    scene.upstream.wait_for_calls(2).await;
    reset.abort();
    drop(reset.await);
    assert_eq!(stays.await.unwrap().0, 200);
    std::fs::write(until, "").unwrap();
    scene
        .records_become(&["tools/call slow: allow, ok"; 2])
        .await;
    assert!(scene.upstream.events_of("cancelled").is_empty());
}

#[tokio::test]
async fn a_gateway_that_stops_finishes_what_is_open() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let two = Two::connect(&scene).await;
    let until = scene.gate.data().join("go");
    let mut slow = Ask::ping(&scene);
    let arguments = json!({"until": until}).to_string();
    slow.body = call(7, "slow", &arguments).into();
    let (agent, request) = (two.clone(), slow.over_two());
    let answer = tokio::spawn(async move { agent.send(request).await });
    scene.upstream.wait_for_calls(1).await;
    let gateway = scene.gate.gateway.clone();
    let stopped = tokio::spawn(async move { gateway.stop().await });
    wait_until("nothing new is taken", || {
        scene.gate.gateway.ready().is_err()
    })
    .await;
    std::fs::write(&until, "").unwrap();
    assert_eq!(answer.await.unwrap().0, 200);
    within("the end", stopped).await.unwrap();
}

#[tokio::test]
async fn tls_offers_both() {
    let place = tempfile::tempdir().unwrap();
    let (own, files) = crate::tls::certificate(place.path());
    let locations = Locations {
        data: place.path().join("data"),
        config: place.path().join("config"),
    };
    let gateway = Gateway::start(
        Store::open(&locations).unwrap(),
        gate::settings(),
        Builtins::new(),
    )
    .unwrap();
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: Some(files),
        behind_proxy: false,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
    };
    let address = gateway.listen(&listen).unwrap();
    for (offered, chosen) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = offered.iter().map(|p| p.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, socket)
            .await
            .unwrap();
        let alpn = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(alpn, chosen.map(|chosen| chosen.as_bytes().to_vec()));
        let target = format!("https://localhost:{}/mcp/x", address.port());
        let request = Request::post(target).header("host", format!("localhost:{}", address.port()));
        let request = request.body(Body::default()).unwrap();
        let io = TokioIo::new(stream);
        let response = if chosen == Some("h2") {
            let (mut sender, connection) =
                http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            within("an answer", sender.send_request(request)).await
        } else {
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            within("an answer", sender.send_request(request)).await
        };
        assert_eq!(response.unwrap().status(), 401, "{offered:?}");
    }
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_and_one_with_a_stream_is_not() {
    let setup = Setup::from(allow_all())
        .settings(|settings| settings.idle_connection = Duration::from_millis(300));
    let setup = setup.settings(|settings| settings.request_timeout = Duration::from_millis(300));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let (idle, busy) = (Two::connect(&scene).await, Two::connect(&scene).await);
    let ping = Ask::ping(&scene);
    assert_eq!(idle.send(ping.over_two()).await.0, 200);
    let mut listen = ping.clone();
    (listen.method, listen.body) = ("GET", Vec::new());
    let mut stream = busy.open(listen.over_two()).await.unwrap().into_body();
    wait_until("the idle one is closed", || idle.0.is_closed()).await;
    assert!(!busy.0.is_closed());
    scene
        .upstream
        .fixture()
        .notify("notifications/tools/list_changed", json!({}));
    let heard = within("the notification", stream.frame()).await;
    assert!(heard.unwrap().is_ok());
}
