//! A call that was judged and recorded, and then waits for its server: nothing of it
//! goes when what it was judged on ended in the meantime.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::harness::scripted::{Said, ScriptedServer, honest};
use provost_store::{Attachment, Processes};
use provost_testkit::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What happens while the call waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Put,
    Attach,
    Detach,
    Expire,
    Revoke,
    Rotate,
}

const OF_POLICIES: [Change; 3] = [Change::Put, Change::Attach, Change::Detach];
const OF_GRANTS: [Change; 3] = [Change::Expire, Change::Revoke, Change::Rotate];

impl Change {
    async fn happen(self, scene: &Scene) {
        let policy = |name: &str| Attachment {
            policy: Some(name.to_owned()),
            shadow: None,
        };
        match self {
            Change::Put => scene.policy(json!({"version": "1", "default": "deny"})),
            Change::Attach => {
                let closed = json!({"version": "1", "default": "deny"});
                scene.gate.put_policy("fixture", "closed", &closed);
                scene.gate.attach(&scene.pass, policy("closed"));
            }
            Change::Detach => scene.gate.attach(&scene.pass, Attachment::default()),
            Change::Expire => {
                let clock = scene.gate.store.clock();
                let end = clock.now().wall + 200_000;
                scene
                    .gate
                    .expire_in(&scene.pass, Duration::from_millis(200));
                wait_until("the grant has ended", || clock.now().wall > end).await;
            }
            Change::Revoke => scene.gate.revoke(&scene.pass),
            Change::Rotate => drop(scene.gate.rotate(&scene.pass)),
        }
    }

    /// How the calls that waited end in the record.
    fn status(self) -> &'static str {
        match self {
            Change::Put | Change::Attach | Change::Detach => "not_sent",
            Change::Expire | Change::Revoke | Change::Rotate => "grant_ended",
        }
    }

    /// What their agent is told; over stdio its stream may end first.
    fn was_told(self, answer: &Value) {
        match self {
            Change::Put | Change::Attach | Change::Detach => {
                assert_eq!(answer["error"]["code"], -32603, "{self:?}: {answer}");
                let words = "the policy or the settings changed while the call waited for server `fixture`; send it again";
                assert_eq!(answer["error"]["message"], words, "{self:?}");
            }
            Change::Expire | Change::Revoke | Change::Rotate => {
                assert_eq!(answer["error"]["code"], 1403, "{self:?}: {answer}");
                assert_eq!(rule(answer), "(revoked)", "{self:?}");
            }
        }
    }
}

/// A policy under which `add` can be called three times.
fn three() -> Value {
    tools(json!({"echo": {}, "add": {"rate_limit": {"max": 3, "window": 3600}}}))
}

fn calling(agent: &Client, tool: &'static str, arguments: Value) -> JoinHandle<Value> {
    let agent = agent.clone();
    tokio::spawn(async move { agent.call(tool, arguments).await })
}

fn pid(scene: &Scene) -> Pid {
    let started = scene.upstream.events_of("started");
    let pid = started.last().unwrap()["pid"].as_i64().unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

fn signal(scene: &Scene, signal: Signal) {
    kill_process(pid(scene), signal).unwrap();
}

/// Whether something was written to the process that it has not read.
fn waits_to_be_read(scene: &Scene) -> bool {
    let input = format!("/proc/{}/fd/0", pid(scene).as_raw_nonzero());
    let input = std::fs::File::open(input).unwrap();
    rustix::io::ioctl_fionread(&input).unwrap() > 0
}

fn stdio_scene(face: Face, processes: Processes) -> impl Future<Output = Scene> {
    Scene::new(face, Kind::Stdio, Setup::from(three()).processes(processes))
}

/// Its process does not read: the first call is written half, three are behind it.
async fn nothing_is_begun_behind_a_process_that_does_not_read(
    scene: Scene,
    other: Option<Client>,
    change: Change,
) {
    signal(&scene, Signal::STOP);
    let first = calling(&scene.agent, "echo", json!({"text": "x".repeat(300_000)}));
    wait_until("some of it is written", || waits_to_be_read(&scene)).await;
    let behind: Vec<_> = (0..3)
        .map(|n| calling(&scene.agent, "add", json!({"a": n, "b": 1})))
        .collect();
    wait_until("all are recorded", || scene.gate.history().len() == 4).await;
    change.happen(&scene).await;
    signal(&scene, Signal::CONT);
    let stays = change.status() == "not_sent";
    for call in behind {
        if stays || scene.face == Face::Http {
            change.was_told(&call.await.unwrap());
        }
    }
    let end = format!("tools/call add: allow, {}", change.status());
    let ended = || scene.gate.history()[1..] == [&*end, &*end, &*end];
    wait_until("the calls end so", ended).await;
    if let Some(other) = other {
        let answer = other.call("echo", json!({"text": "other"})).await;
        assert_eq!(text(&answer), "other");
    }
    if stays {
        drop(first.await);
        // Each of them used nothing up.
        let policy = Some(gate::POLICY.to_owned());
        let attachment = Attachment {
            policy,
            shadow: None,
        };
        scene.gate.attach(&scene.pass, attachment);
        scene.policy(three());
        for _ in 0..3 {
            let sum = scene.agent.call("add", json!({"a": 1, "b": 1})).await;
            assert_eq!(text(&sum), "2", "{change:?}");
        }
    }
    let added = |name: &&String| *name == "add";
    let added = scene.upstream.calls().iter().filter(added).count();
    assert_eq!(added, if stays { 3 } else { 0 }, "{change:?}");
}

async fn s4_calls_behind_a_process_that_does_not_read_go_with_their_grant(face: Face) {
    for processes in [Processes::Shared, Processes::Grant] {
        for change in OF_GRANTS {
            let scene = stdio_scene(face, processes).await;
            // It keeps the process alive when the sessions of the grant end.
            let pass = match processes {
                Processes::Shared => scene.another_pass("other"),
                Processes::Grant | Processes::Session => scene.pass.clone(),
            };
            let other = scene.another_agent(&pass).await;
            let other = (processes == Processes::Shared).then_some(other);
            nothing_is_begun_behind_a_process_that_does_not_read(scene, other, change).await;
        }
    }
}
on_each_face!(s4_calls_behind_a_process_that_does_not_read_go_with_their_grant);

async fn s4_calls_behind_a_process_that_does_not_read_go_with_their_policy(face: Face) {
    for change in OF_POLICIES {
        let scene = stdio_scene(face, Processes::Session).await;
        nothing_is_begun_behind_a_process_that_does_not_read(scene, None, change).await;
    }
}
on_each_face!(s4_calls_behind_a_process_that_does_not_read_go_with_their_policy);

/// The server answers `initialize` at first, and later only once the dam is open.
async fn opened(face: Face, kind: Kind, dam: &Dam, options: Options) -> Scene {
    dam.open();
    let setup = Setup::from(three()).options(dam.before("initialize", options));
    let scene = Scene::new(face, kind, setup).await;
    dam.shut();
    scene
}

/// The call waits until the server is opened again.
async fn nothing_is_sent_after_opening_again(scene: Scene, dam: Dam, change: Change) {
    let call = calling(&scene.agent, "add", json!({"a": 1, "b": 1}));
    let asked = || scene.upstream.requests("initialize").len() == 2;
    wait_until("the server is opened again", asked).await;
    change.happen(&scene).await;
    dam.open();
    if change.status() == "not_sent" || scene.face == Face::Http {
        change.was_told(&call.await.unwrap());
    }
    scene
        .records_become(&[&*format!("tools/call add: allow, {}", change.status())])
        .await;
    // Whoever comes next finds a server that works, and whatever was written is read.
    let other = scene.another_pass("other");
    if change == Change::Put {
        scene.policy(three());
    }
    let answer = scene.another_agent(&other).await;
    let answer = answer.call("echo", json!({"text": "other"})).await;
    assert_eq!(text(&answer), "other");
    assert_eq!(scene.upstream.calls(), ["echo"], "{change:?}");
}

async fn s4_a_process_that_is_opened_again_gets_no_call_of_before(face: Face) {
    for change in OF_POLICIES.into_iter().chain(OF_GRANTS) {
        let dam = Dam::new();
        let scene = opened(face, Kind::Stdio, &dam, Options::default()).await;
        scene.kill_process().await;
        nothing_is_sent_after_opening_again(scene, dam, change).await;
    }
}
on_each_face!(s4_a_process_that_is_opened_again_gets_no_call_of_before);

/// A server over HTTP that forgot its sessions. It has read the call once, whatever it
/// said to it, so nothing comes back.
#[tokio::test]
async fn s4_a_lost_session_that_is_opened_again_gets_no_call_of_before_over_http() {
    for change in OF_POLICIES.into_iter().chain(OF_GRANTS) {
        let dam = Dam::new();
        let mut scene = opened(Face::Http, Kind::Http, &dam, Options::default()).await;
        let port = Some(scene.upstream.fixture().address().port());
        scene.stop_upstream();
        let options = dam.before("initialize", Options::default());
        scene.upstream = TestUpstream::start(Kind::Http, Options { port, ..options });
        let call = calling(&scene.agent, "add", json!({"a": 1, "b": 1}));
        asked(&scene, "initialize").await;
        change.happen(&scene).await;
        dam.open();
        change.was_told(&call.await.unwrap());
        let end = match change.status() {
            "not_sent" => "upstream_down",
            ended => ended,
        };
        scene
            .records_become(&[&*format!("tools/call add: allow, {end}")])
            .await;
        if change == Change::Put {
            scene.policy(three());
        }
        let other = scene.another_agent(&scene.another_pass("other")).await;
        let answer = other.call("echo", json!({"text": "other"})).await;
        assert_eq!(text(&answer), "other");
        assert_eq!(scene.upstream.calls(), ["echo"], "{change:?}");
    }
}

/// A server that cannot be connected to for as long as its queue is full.
struct Full {
    server: ScriptedServer,
    called: Arc<Mutex<Vec<String>>>,
    address: std::net::SocketAddr,
}

impl Full {
    fn start() -> Full {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let called = Arc::<Mutex<Vec<String>>>::default();
        let calls = Arc::clone(&called);
        let server = ScriptedServer::on(listener, move |message| {
            if message["method"] == "tools/call" {
                let name = message["params"]["name"].as_str().unwrap_or_default();
                calls.lock().unwrap().push(name.to_owned());
            }
            Said::Now(honest(message))
        });
        Full {
            server,
            called,
            address,
        }
    }

    /// Fills the queue. The fillers leave when this is dropped.
    async fn fill(&self) -> JoinSet<TcpStream> {
        self.server.accept(false);
        let mut fillers = JoinSet::new();
        let mut inside = Vec::new();
        let address = self.address;
        loop {
            fillers.spawn(async move { TcpStream::connect(address).await.unwrap() });
            // One may be accepted still, and some wait; the next one waits in vain.
            let next = tokio::time::timeout(Duration::from_millis(500), fillers.join_next());
            match next.await {
                Ok(filler) => inside.push(filler.unwrap().unwrap()),
                Err(_) => break,
            }
        }
        fillers.spawn(async move {
            let _inside = inside;
            std::future::pending().await
        });
        fillers
    }
}

async fn s4_a_call_that_waits_for_a_connection_goes_with_what_it_was_judged_on(face: Face) {
    for change in OF_POLICIES.into_iter().chain(OF_GRANTS) {
        let full = Full::start();
        let setup = Setup::from(three()).settings(|settings| {
            settings.connect_timeout = Duration::from_secs(60);
            settings.call_timeout = Duration::from_secs(60);
        });
        let scene = Scene::before_initialize(face, Kind::Http, setup);
        scene.gate.move_server("fixture", &full.server.url);
        scene.agent.connect().await;
        assert_eq!(text(&scene.agent.call("echo", json!({})).await), "honest");
        let fillers = full.fill().await;
        let call = calling(&scene.agent, "add", json!({"a": 1, "b": 1}));
        let recorded = || scene.gate.history().len() == 2;
        wait_until("the call is recorded", recorded).await;
        change.happen(&scene).await;
        full.server.accept(true);
        drop(fillers);
        if change.status() == "not_sent" || face == Face::Http {
            change.was_told(&call.await.unwrap());
        }
        let end = format!("tools/call add: allow, {}", change.status());
        scene
            .records_become(&["tools/call echo: allow, ok", &*end])
            .await;
        if change == Change::Put {
            scene.policy(three());
        }
        let other = scene.another_agent(&scene.another_pass("other")).await;
        assert_eq!(text(&other.call("echo", json!({})).await), "honest");
        assert_eq!(*full.called.lock().unwrap(), ["echo", "echo"], "{change:?}");
    }
}
on_each_face!(s4_a_call_that_waits_for_a_connection_goes_with_what_it_was_judged_on);
