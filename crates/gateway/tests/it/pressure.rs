//! What is scarce: connections, sessions, streams, and the patience with peers
//! that are silent, deaf or gone.

use std::time::Duration;

use crate::harness::*;
use crate::wire::{PING, own};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use provost_gateway::{Builtins, Gateway, Listen};
use provost_store::{Locations, Store};
use provost_testkit::http::Stream;
use provost_testkit::wait::within;
use provost_testkit::{tcp, wait_until};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn over_http(set: impl FnOnce(&mut provost_gateway::Settings)) -> Scene {
    let setup = Setup::from(allow_all()).settings(set);
    Scene::new(Face::Http, Kind::Http, setup).await
}

/// What comes until the other side closes.
async fn rest(mut socket: TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    drop(within("the end of the connection", socket.read_to_end(&mut rest)).await);
    rest
}

async fn saying(scene: &Scene, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(scene.gate.address).await.unwrap();
    socket.write_all(bytes).await.unwrap();
    socket
}

#[tokio::test]
async fn a_connection_that_brings_no_request_is_closed() {
    let scene = over_http(|settings| settings.request_timeout = Duration::from_millis(300)).await;
    let beginnings: [&[u8]; 8] = [
        b"",
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"POST /mcp/fix",
        b"POST /mcp/fixture HTTP/1.1\r\nhost: localhost\r\n",
        b"\x16\x03\x01\x02",
    ];
    for beginning in beginnings {
        rest(saying(&scene, beginning).await).await;
    }
    // And after a request that was served.
    let ping = format!(
        "{}content-length: {}\r\n\r\n{PING}",
        own(&scene),
        PING.len()
    );
    let said = rest(saying(&scene, ping.as_bytes()).await).await;
    assert_eq!(tcp::statuses(&said), [200]);
    wait_until("all are gone", || open_connections(&scene) == 0).await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_tls_handshake_that_never_begins_is_given_up() {
    let place = tempfile::tempdir().unwrap();
    let (_, files) = crate::tls::certificate(place.path());
    let locations = Locations {
        data: place.path().join("data"),
        config: place.path().join("config"),
    };
    let mut settings = gate::settings();
    settings.request_timeout = Duration::from_millis(300);
    let gateway =
        Gateway::start(Store::open(&locations).unwrap(), settings, Builtins::new()).unwrap();
    let listen = Listen {
        address: ([127, 0, 0, 1], 0).into(),
        tls: Some(files),
        behind_proxy: false,
        allowed_hosts: Vec::new(),
        allowed_origins: Vec::new(),
    };
    let address = gateway.listen(&listen).unwrap();
    assert!(
        rest(TcpStream::connect(address).await.unwrap())
            .await
            .is_empty()
    );
}

/// A connection over which a ping was answered, and which stays open.
async fn known(scene: &Scene) -> TcpStream {
    let ping = format!("{}content-length: {}\r\n\r\n{PING}", own(scene), PING.len());
    let mut socket = saying(scene, ping.as_bytes()).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let more = within("the answer", socket.read_buf(&mut answer))
            .await
            .unwrap();
        assert!(more > 0, "closed after {answer:?}");
    }
    assert_eq!(tcp::statuses(&answer), [200]);
    socket
}

#[tokio::test]
async fn strangers_make_room_for_others() {
    let scene = over_http(|settings| settings.max_connections = 4).await;
    wait_until("nobody is there", || open_connections(&scene) == 0).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        for _ in 0..4 {
            crowd.push(TcpStream::connect(scene.gate.address).await.unwrap());
        }
        scene.honest_call_works().await;
    }
    assert!(gauge(&scene, "provost_connections_turned_away_total ") >= 20);
    let first = crowd.remove(0);
    assert!(rest(first).await.is_empty(), "the oldest is closed");
}

#[tokio::test]
async fn too_many_connections_in_use_leave_no_room() {
    let scene = over_http(|settings| settings.max_connections = 4).await;
    wait_until("nobody is there", || open_connections(&scene) == 0).await;
    let idle = known(&scene).await;
    let mut in_use = Vec::new();
    for id in 71..75 {
        // For the last of them the idle one makes room.
        let mut socket = known(&scene).await;
        let slow = call(id, "slow", r#"{"ms":60000}"#);
        let request = format!(
            "{}content-length: {}\r\n\r\n{slow}",
            own(&scene),
            slow.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        in_use.push(socket);
    }
    scene.upstream.wait_for_calls(4).await;
    assert!(rest(idle).await.is_empty(), "the idle one is closed");
    wait_until("four are there", || open_connections(&scene) == 4).await;
    // Those with an open answer do not.
    assert!(
        rest(TcpStream::connect(scene.gate.address).await.unwrap())
            .await
            .is_empty()
    );
    assert_eq!(gauge(&scene, "provost_connections_turned_away_total "), 2);
    drop(in_use.pop());
    wait_until("one has left", || open_connections(&scene) == 3).await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn an_agent_that_never_reads_its_answer_is_let_go() {
    let scene = over_http(|settings| settings.dead_peer = Duration::from_secs(2)).await;
    wait_until("nobody is there", || open_connections(&scene) == 0).await;
    let body = call(7, "big", r#"{"bytes":16000000}"#);
    let request = format!(
        "{}content-length: {}\r\n\r\n{body}",
        own(&scene),
        body.len()
    );
    let _never_read = saying(&scene, request.as_bytes()).await;
    scene.upstream.wait_for_calls(1).await;
    wait_until("the connection is gone", || open_connections(&scene) == 0).await;
    scene.records_become(&["tools/call big: allow, ok"]).await;
    scene.honest_call_works().await;
}

/// How many connections there are between such ports whose state and timer are
/// like these.
fn connections(between: impl Fn(u16, u16) -> bool, like: impl Fn(&str, &str) -> bool) -> usize {
    let port = |address: &str| {
        let digits = address.split(':').next_back().unwrap();
        u16::from_str_radix(digits, 16).unwrap()
    };
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let found = table.lines().skip(1).filter(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        like(columns[3], columns[5]) && between(port(columns[1]), port(columns[2]))
    });
    found.count()
}

/// Whether the system watches a connection between such ports: a timer runs
/// though nothing is on its way.
fn is_watched(between: impl Fn(u16, u16) -> bool) -> bool {
    connections(between, |_, timer| timer.starts_with("02:")) > 0
}

/// The port of the server in the scene.
fn port_of_fixture(scene: &Scene) -> u16 {
    scene.upstream.fixture().address().port()
}

/// A connection to a server that nobody uses is closed after a while.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn idle_connections_to_servers_are_closed() {
    let scene = over_http(|settings| settings.idle_connection = Duration::from_secs(1)).await;
    let fixture = port_of_fixture(&scene);
    let established = || connections(|_, remote| remote == fixture, |state, _| state == "01");
    for _ in 0..2 {
        scene.honest_call_works().await;
        assert!(established() > 0, "it is kept for the next call");
        wait_until("it is closed", || established() == 0).await;
    }
    scene.honest_call_works().await;
}

/// On a machine in between, a peer can vanish without a word. Nothing but the
/// system's own probes tells that.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn the_system_watches_agents_and_upstreams() {
    let scene = over_http(|_| {}).await;
    let agent = known(&scene).await;
    let (own, gate) = (
        agent.local_addr().unwrap().port(),
        scene.gate.address.port(),
    );
    let to_agent = |local, remote| (local, remote) == (gate, own);
    wait_until("the agent's connection is watched", || is_watched(to_agent)).await;
    let fixture = port_of_fixture(&scene);
    let to_fixture = |_, remote| remote == fixture;
    wait_until("the upstream's connection is watched", || {
        is_watched(to_fixture)
    })
    .await;
}

/// A connection of an agent that is used again and again.
struct Kept(http1::SendRequest<Full<Bytes>>);

impl Kept {
    async fn connect(scene: &Scene) -> Kept {
        let socket = TcpStream::connect(scene.gate.address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(socket)).await.unwrap();
        tokio::spawn(connection);
        Kept(sender)
    }

    /// Posts a message: the status, and the session that was opened.
    async fn post(
        &mut self,
        scene: &Scene,
        pass: &Pass,
        session: &str,
        body: String,
    ) -> (u16, String) {
        let mut request = Request::post("/mcp/fixture")
            .header("host", scene.gate.address.to_string())
            .header("authorization", format!("Bearer {}", pass.token))
            .header("content-type", "application/json");
        if !session.is_empty() {
            request = request.header("mcp-session-id", session);
        }
        self.0.ready().await.unwrap();
        let request = request.body(Full::new(body.into())).unwrap();
        let response = within("an answer", self.0.send_request(request))
            .await
            .unwrap();
        let session = response.headers().get("mcp-session-id").cloned();
        let status = response.status().as_u16();
        drop(response.into_body().collect().await.unwrap());
        (
            status,
            session.map_or_else(String::new, |id| id.to_str().unwrap().to_owned()),
        )
    }

    async fn open(&mut self, scene: &Scene, pass: &Pass) -> String {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "n", "version": "1"}});
        let initialize =
            json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
        let (status, session) = self.post(scene, pass, "", initialize.to_string()).await;
        assert_eq!(status, 200);
        session
    }
}

fn sessions(scene: &Scene) -> u64 {
    gauge(scene, "provost_sessions ")
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_sessions_are_served_and_end() {
    let scene = over_http(|_| {}).await;
    let passes: Vec<Pass> = (0..10)
        .map(|n| scene.another_pass(&format!("crowd {n}")))
        .collect();
    let before = resident_kib();
    let open_thousand = async |pass: &Pass| {
        let mut kept = Kept::connect(&scene).await;
        let mut last = String::new();
        for _ in 0..1_000 {
            last = kept.open(&scene, pass).await;
        }
        last
    };
    let mut last = Vec::new();
    for two in passes.chunks(2) {
        let (one, other) = tokio::join!(open_thousand(&two[0]), open_thousand(&two[1]));
        last.extend([one, other]);
        scene.upstream.fixture().recorder.clear();
    }
    let mut kept = Kept::connect(&scene).await;
    assert_eq!(sessions(&scene), 10_001);
    // The fixture's own sessions are in it, too.
    let each = (resident_kib().saturating_sub(before)) * 1024 / 10_000;
    assert!(each < 32 * 1024, "{each} bytes for each session");
    for (pass, session) in passes.iter().zip(&last) {
        assert_eq!(
            kept.post(&scene, pass, session, PING.to_owned()).await.0,
            200
        );
    }
    scene.honest_call_works().await;
    for pass in &passes {
        scene.gate.revoke(pass);
    }
    wait_until("theirs are gone", || sessions(&scene) == 1).await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_grant_has_so_many_sessions_and_the_one_idle_longest_makes_room() {
    let scene = over_http(|_| {}).await;
    let pass = scene.another_pass("crowd");
    let mut kept = Kept::connect(&scene).await;
    let (used, idle) = (
        kept.open(&scene, &pass).await,
        kept.open(&scene, &pass).await,
    );
    for number in 0..1_100 {
        kept.open(&scene, &pass).await;
        if number % 100 == 0 {
            assert_eq!(
                kept.post(&scene, &pass, &used, PING.to_owned()).await.0,
                200
            );
        }
    }
    assert_eq!(sessions(&scene), 1_024 + 1);
    assert_eq!(
        kept.post(&scene, &pass, &used, PING.to_owned()).await.0,
        200
    );
    assert_eq!(
        kept.post(&scene, &pass, &idle, PING.to_owned()).await.0,
        404
    );
    // Another grant's session is none of its business.
    scene.honest_call_works().await;
    wait_until("the upstream hears of those that left", || {
        scene.upstream.events_of("session deleted").len() >= 78
    })
    .await;
}

/// As many open files as this machine gives.
fn allow_files(needed: u64) {
    let limit = getrlimit(Resource::Nofile);
    let maximum = limit.maximum.unwrap_or(u64::MAX);
    assert!(
        maximum >= needed,
        "this test needs {needed} open files, and may have {maximum}"
    );
    let raised = Rlimit {
        current: Some(maximum.min(65_536)),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Reads a stream until a message with this member value comes.
async fn until(stream: &mut Stream, member: &str, value: &str) {
    loop {
        let message = stream.message().await.expect("the stream goes on");
        let found = &message[member];
        if found
            .as_str()
            .map_or_else(|| found.to_string(), str::to_owned)
            == value
        {
            return;
        }
    }
}

/// 500 streams of their own and 500 answers that are streams, all open at once;
/// each gets what is meant for it.
async fn thousand_streams(scene: &Scene, agents: &[provost_testkit::client::Client], round: usize) {
    let go = scene.gate.data().join(format!("go {round}"));
    let (mut own, mut answers) = (Vec::new(), Vec::new());
    for agent in agents {
        own.push(agent.as_http().get(None).await.unwrap());
        let arguments = json!({"until": go, "steps": 1});
        let meta = json!({"progressToken": round});
        let params = json!({"name": "slow", "arguments": arguments, "_meta": meta});
        let id = 1_000 + round;
        let slow = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
        let agent = agent.clone();
        answers.push(tokio::spawn(async move {
            agent.as_http().post_stream(&slow).await
        }));
    }
    scene.upstream.wait_for_calls(agents.len()).await;
    assert!(open_connections(scene) >= 2 * agents.len() as u64);
    scene.honest_call_works().await;
    scene
        .upstream
        .fixture()
        .notify("notifications/tools/list_changed", json!({}));
    for stream in &mut own {
        until(stream, "method", "notifications/tools/list_changed").await;
    }
    std::fs::write(&go, "").unwrap();
    for answer in answers {
        let mut stream = within("an answer", answer).await.unwrap().unwrap();
        until(&mut stream, "method", "notifications/progress").await;
        until(&mut stream, "id", &(1_000 + round).to_string()).await;
    }
}

#[tokio::test]
async fn a_thousand_streams_are_served_and_leave_nothing_behind() {
    allow_files(8_000);
    let scene = over_http(|settings| settings.call_timeout = Duration::from_secs(120)).await;
    let mut agents = Vec::new();
    for _ in 0..500 {
        agents.push(scene.another_agent(&scene.pass).await);
    }
    let mut files = Vec::new();
    for round in 0..3 {
        thousand_streams(&scene, &agents, round).await;
        scene.upstream.fixture().recorder.clear();
        wait_until("all connections are closed", || {
            open_connections(&scene) == 0
        })
        .await;
        let mut least = usize::MAX;
        wait_until("the other ends are closed", || {
            let now = open_files();
            let still = now >= least;
            least = least.min(now);
            still && now < 1_000
        })
        .await;
        files.push(open_files());
    }
    assert!(files[2] <= files[0] + 50, "{files:?}");
}
