//! U: servers that are broken or hostile. Bytes do reach them; what has to hold
//! is that the caller gets a bounded answer, that the record tells how the call
//! ended, and that the next honest call works.

use std::time::Duration;

use super::*;
use provost_testkit::fixture::{Hostility, Options};
use provost_testkit::process::Start;
use provost_testkit::tcp::{Scripted, Then};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// An honest server with a tool that is not, and little patience with it.
fn impatient() -> Setup {
    log::start();
    Setup::from(allow_all()).settings(|settings| {
        settings.call_timeout = Duration::from_millis(1500);
        settings.result_limit = 1 << 20;
    })
}

/// What the answer and the record of a call say.
async fn told(scene: &Scene, habit: Hostility) -> (Value, String) {
    let before = scene.gate.records().len();
    let answer = scene
        .agent
        .call("hostile", json!({"mode": habit.word()}))
        .await;
    let ended = || {
        let history = scene.gate.history();
        let line = history.get(before).filter(|line| !line.ends_with("open"))?;
        line.strip_prefix("tools/call hostile: allow, ")
            .map(str::to_owned)
    };
    wait_until("the record tells how it ended", || ended().is_some()).await;
    (answer, ended().unwrap())
}

/// The call fails in our words, the record says how, and the next one works.
async fn fails(scene: &Scene, habit: Hostility, expected: &str) {
    let (answer, status) = told(scene, habit).await;
    let error = &answer["error"];
    assert_eq!(
        (&error["code"], status.as_str()),
        (&json!(-32603), expected),
        "{habit:?}: {answer}"
    );
    let said = error["message"].as_str().unwrap();
    assert!(
        said.starts_with("server `fixture` ") && said.len() < 200,
        "{habit:?}: {said}"
    );
    scene.honest_call_works().await;
}

/// The call is answered once, as if nothing were wrong.
async fn is_survived(scene: &Scene, habit: Hostility) {
    let (answer, status) = told(scene, habit).await;
    assert!(
        answer.get("result").is_some() && status == "ok",
        "{habit:?}: {answer}, {status}"
    );
    scene.honest_call_works().await;
    if scene.face == Face::Stdio {
        assert!(scene.agent.as_stdio().strays().is_empty(), "{habit:?}");
    }
}

async fn u91_noise_is_dropped(scene: Scene) {
    is_survived(&scene, Hostility::Garbage).await;
    is_survived(&scene, Hostility::FloodStderr).await;
}
to_stdio!(u91_noise_is_dropped, allow_all());

async fn u91_no_answer_is_waited_out(scene: Scene) {
    for habit in [
        Hostility::Silent,
        Hostility::WrongShape,
        Hostility::DuplicateKeys,
        Hostility::BadUtf8,
    ] {
        fails(&scene, habit, "timeout").await;
    }
}
to_stdio!(u91_no_answer_is_waited_out, impatient());

/// The half stays on the pipe, and what comes next is no answer either: one
/// more call is lost, and then it is over.
async fn u91_half_a_line_is_waited_out(scene: Scene) {
    let (answer, status) = told(&scene, Hostility::Partial).await;
    assert_eq!(
        (&answer["error"]["code"], status.as_str()),
        (&json!(-32603), "timeout")
    );
    let lost = scene.agent.call("echo", json!({"text": "lost"})).await;
    assert!(
        lost.get("result").is_some() || lost["error"]["code"] == -32603,
        "{lost}"
    );
    scene.honest_call_works().await;
}
to_stdio!(u91_half_a_line_is_waited_out, impatient());

async fn u91_a_process_that_ends_in_mid_call_is_started_again(scene: Scene) {
    for (count, habit) in [Hostility::Exit, Hostility::PartialExit, Hostility::Huge]
        .into_iter()
        .enumerate()
    {
        fails(&scene, habit, "upstream_down").await;
        assert_eq!(
            scene.upstream.events_of("started").len(),
            count + 2,
            "{habit:?}"
        );
        assert_eq!(scene.gate.children(), 1);
    }
}
to_stdio!(
    u91_a_process_that_ends_in_mid_call_is_started_again,
    impatient()
);

/// Twenty requests do not make twenty processes that die at once.
async fn u91_a_process_that_never_starts_is_tried_with_patience(scene: Scene) {
    let place = tempfile::tempdir().unwrap();
    let tries = place.path().join("tries");
    let script = format!(
        "echo x >> {}; echo the moon is in the wrong house >&2; exit 3",
        tries.display()
    );
    let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
    scene
        .gate
        .stdio_server("broken", &start, Processes::Session);
    scene.gate.put_policy("broken", "open", &allow_all());
    let pass = scene.gate.mint_on("broken", "open");
    let agent = match scene.face {
        Face::Http => scene.gate.http_agent(&pass),
        Face::Stdio => scene.gate.stdio_agent(&pass),
    };
    let opening = crate::sessions::initialize(1).to_string();
    for _ in 0..20 {
        let answer = scene::raw(scene.face, &agent, opening.clone().into_bytes()).await;
        assert_eq!(
            (
                answer.status.unwrap_or(502),
                &answer.message["error"]["code"]
            ),
            (502, &json!(-32603))
        );
        assert!(!answer.message.to_string().contains("moon"));
    }
    let tried = std::fs::read_to_string(&tries).unwrap().lines().count();
    assert!((1..12).contains(&tried), "started {tried} times");
    wait_until("only the honest process is left", || {
        scene.gate.children() == 1
    })
    .await;
    scene.honest_call_works().await;
}
to_stdio!(
    u91_a_process_that_never_starts_is_tried_with_patience,
    impatient()
);

/// Neither the process nor what it started, and no zombie.
async fn u91_no_process_is_left_behind(scene: Scene) {
    scene.honest_call_works().await;
    let pids: Vec<Value> = ["started", "grandchild"]
        .iter()
        .flat_map(|kind| scene.upstream.events_of(kind))
        .collect();
    scene.gate.gateway.stop().await;
    for pid in pids {
        let running = std::path::PathBuf::from(format!("/proc/{}/stat", pid["pid"]));
        let gone = || std::fs::read_to_string(&running).map_or(true, |stat| stat.contains(") Z "));
        wait_until(&format!("process {pid} is gone"), gone).await;
    }
}

fn never_leaving(habit: Hostility) -> Setup {
    let on = "nothing".to_owned();
    Setup::from(allow_all()).options(Options {
        on,
        ..Options::hostile(habit)
    })
}

mod u91_a_deaf_process_is_not_left_behind {
    use super::*;

    #[tokio::test]
    async fn http_to_stdio() {
        let setup = never_leaving(Hostility::IgnoreEnd);
        u91_no_process_is_left_behind(Scene::new(Face::Http, Kind::Stdio, setup).await).await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        let setup = never_leaving(Hostility::IgnoreEnd);
        u91_no_process_is_left_behind(Scene::new(Face::Stdio, Kind::Stdio, setup).await).await;
    }
}

mod u91_a_grandchild_is_not_left_behind {
    use super::*;

    #[tokio::test]
    async fn http_to_stdio() {
        let setup = never_leaving(Hostility::Grandchild);
        u91_no_process_is_left_behind(Scene::new(Face::Http, Kind::Stdio, setup).await).await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        let setup = never_leaving(Hostility::Grandchild);
        u91_no_process_is_left_behind(Scene::new(Face::Stdio, Kind::Stdio, setup).await).await;
    }
}

/// Dropped, and the log says so.
async fn u92_answers_to_nobody_and_second_answers_are_dropped(scene: Scene) {
    is_survived(&scene, Hostility::UnknownId).await;
    is_survived(&scene, Hostility::Twice).await;
    let told = [
        "answered a request that is not in flight",
        "answered a request nobody is waiting for",
        "sent more after its answer",
    ];
    let dropped = || {
        let log = log::start().text();
        told.iter()
            .map(|words| log.matches(words).count())
            .sum::<usize>()
    };
    wait_until("both are logged", || dropped() >= 2).await;
    assert_eq!(scene.gate.history().len(), 4);
}
everywhere!(
    u92_answers_to_nobody_and_second_answers_are_dropped,
    impatient()
);

const QUESTIONS: [(&str, &str); 3] = [
    ("sample", "sampling/createMessage"),
    ("elicit", "elicitation/create"),
    ("roots", "roots/list"),
];

async fn u93_questions_that_no_policy_allows_are_refused(scene: Scene) {
    for (tool, method) in QUESTIONS {
        let before = scene.gate.records().len();
        let answer = scene.agent.call(tool, json!({})).await;
        assert!(
            text(&answer).contains("1403") && text(&answer).contains("(method)"),
            "{answer}"
        );
        assert!(scene.agent.received(method).is_empty());
        let lines = [
            format!("tools/call {tool}: allow, ok"),
            format!("{method}: deny by (method)"),
        ];
        wait_until("both are recorded", || {
            scene.gate.history()[before..] == lines
        })
        .await;
        scene.honest_call_works().await;
    }
}
everywhere!(
    u93_questions_that_no_policy_allows_are_refused,
    json!({"version": "1", "default": "deny", "tools": {"sample": {}, "elicit": {}, "roots": {}, "echo": {}}})
);

async fn u93_questions_that_the_agent_does_not_know_are_refused(scene: Scene) {
    let client = json!({"name": "plain", "version": "1"});
    let opening = json!({"protocolVersion": "2025-11-25", "capabilities": {"roots": {}}, "clientInfo": client});
    let agent = &scene.agent;
    agent.request("initialize", opening).await;
    agent.notify("notifications/initialized", json!({})).await;
    scene.upstream.wait_for("notification").await;
    for (tool, method) in &QUESTIONS[..2] {
        let answer = agent.call(tool, json!({})).await;
        assert!(text(&answer).contains("did not declare"), "{answer}");
        assert!(agent.received(method).is_empty());
        let refused = |line: &String| line.starts_with(*method) && line.contains("deny");
        wait_until("it is recorded", || {
            scene.gate.history().iter().any(refused)
        })
        .await;
        scene.honest_call_works().await;
    }
    let roots = agent.call("roots", json!({})).await;
    assert!(text(&roots).contains("file:///srv/project"), "{roots}");
}
everywhere_before_initialize!(
    u93_questions_that_the_agent_does_not_know_are_refused,
    allow_all()
);

/// A certificate that nobody vouches for, no TLS where TLS is promised, and
/// versions of it that are too old: not a byte of the call is sent.
async fn u101_an_upstream_that_cannot_prove_itself_is_not_spoken_to(scene: Scene) {
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(std::sync::Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let spoken = tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            if acceptor.accept(socket).await.is_ok() {
                return true;
            }
        }
    });
    let plain = Scripted::start(
        vec![b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}".to_vec()],
        Then::Close,
    );
    // A server that only speaks TLS 1.0: `protocol_version` alert.
    let old = Scripted::start(vec![b"\x15\x03\x01\x00\x02\x02\x46".to_vec()], Then::Close);
    let honest = scene.upstream.fixture().url();
    for address in [
        format!("localhost:{port}"),
        plain.address().to_string(),
        old.address().to_string(),
    ] {
        let watch = Watch::on(&scene, address.clone());
        scene
            .gate
            .move_server("fixture", &format!("https://{address}/mcp"));
        let answer = scene.raw(call(1, "add", r#"{"a":"canary"}"#)).await;
        assert_eq!(
            (
                answer.status.unwrap_or(502),
                &answer.message["error"]["code"]
            ),
            (502, &json!(-32603)),
            "{address}"
        );
        assert!(!answer.message.to_string().contains("certificate"));
        let last = || scene.gate.history().pop();
        wait_until("it is recorded", || {
            last().as_deref() == Some("tools/call add: allow, not_sent")
        })
        .await;
        watch.untouched();
        scene.gate.move_server("fixture", &honest);
        scene.honest_call_works().await;
    }
    for server in [plain, old] {
        assert!(!String::from_utf8_lossy(&server.received()).contains("canary"));
    }
    spoken.abort();
    assert!(!spoken.await.unwrap_or(false), "a handshake was finished");
}
both_faces!(
    u101_an_upstream_that_cannot_prove_itself_is_not_spoken_to,
    allow_all()
);

const STEERING: &str = r#"{"name":"identity","arguments":{"command":"canary","args":["canary"],"env":{"CANARY":"canary","PATH":"canary"},"cwd":"/canary","url":"http://canary.example/mcp","server":"canary"},"_meta":{"canary":"canary","url":"http://canary.example/mcp"}}"#;

/// What runs, and with which environment, is what the operator registered.
async fn u102_nothing_of_a_request_reaches_a_command_line(scene: Scene) {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{STEERING}}}"#);
    let answer = scene.raw(text).await.message;
    let identity: Value = serde_json::from_str(crate::harness::text(&answer)).unwrap();
    assert_eq!(
        identity["variables"],
        json!(["PATH"]),
        "nothing else is inherited"
    );
    assert!(!identity["cwd"].to_string().contains("canary"));
    let pid = identity["pid"].as_u64().unwrap();
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(!command.contains("canary") && !command.contains(&scene.pass.token));
    assert_eq!(scene.upstream.events_of("started").len(), 1);
    assert_eq!(scene.gate.history(), ["tools/call identity: allow, ok"]);
    scene.honest_call_works().await;
}
to_stdio!(
    u102_nothing_of_a_request_reaches_a_command_line,
    allow_all()
);

/// Where a call goes is what the operator registered.
async fn u102_nothing_of_a_request_chooses_an_address(scene: Scene) {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{STEERING}}}"#);
    let trap = Scripted::start(
        vec![b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()],
        Then::Close,
    );
    let elsewhere = trap.address().to_string();
    if scene.face == Face::Http {
        let own = scene.agent.as_http().headers();
        let url = trap.url();
        let mut headers: Vec<(&str, &str)> =
            own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let steering = [
            "x-forwarded-host",
            "x-original-url",
            "x-rewrite-url",
            "x-mcp-server",
            "mcp-init-host",
            "forwarded",
            "destination",
        ];
        headers.extend(steering.map(|name| {
            (
                name,
                if name == "x-forwarded-host" {
                    elsewhere.as_str()
                } else {
                    url.as_str()
                },
            )
        }));
        let reply = provost_testkit::http::post(&scene.gate.url("fixture"), &headers, text)
            .await
            .unwrap();
        assert!(reply.message().get("result").is_some());
    } else {
        assert!(
            scene
                .raw(text.replace("http://canary.example/mcp", &trap.url()))
                .await
                .message
                .get("result")
                .is_some()
        );
    }
    assert!(trap.received().is_empty(), "another address was asked");
    let paths = scene.upstream.events_of("http");
    assert!(
        paths.iter().all(|request| request["path"] == "/mcp"),
        "{paths:?}"
    );
    assert_eq!(scene.gate.history(), ["tools/call identity: allow, ok"]);
    scene.honest_call_works().await;
}
both_faces!(u102_nothing_of_a_request_chooses_an_address, allow_all());
