//! Who has a process of a server: each session its own, unless the operator says
//! otherwise; and that nothing of one outlives it.

use std::time::Duration;

use crate::harness::*;
use provost_store::{Attachment, NewGrant};
use provost_testkit::client::Client;
use provost_testkit::fixture::{Options, Stdio};
use provost_testkit::process::Start;
use provost_testkit::wait::wait_for;
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// Opens a session as a client of that name, version and capabilities would.
async fn opened_as(agent: &Client, name: &str, version: &str, capabilities: Value) -> Value {
    let params = json!({
        "protocolVersion": version, "capabilities": capabilities,
        "clientInfo": {"name": name, "version": "1"},
    });
    let answer = agent.request("initialize", params).await;
    if answer.get("result").is_some() {
        agent.notify("notifications/initialized", json!({})).await;
    }
    answer
}

fn another(scene: &Scene, face: Face) -> Client {
    match face {
        Face::Http => scene.gate.http_agent(&scene.pass),
        Face::Stdio => scene.gate.stdio_agent(&scene.pass),
    }
}

async fn works(agent: &Client, said: &str) {
    let answer = agent.call("echo", json!({"text": said})).await;
    assert_eq!(text(&answer), said);
}

async fn d41_clients_of_one_grant_have_a_process_each(scene: Scene) {
    let (old, new) = (another(&scene, scene.face), another(&scene, scene.face));
    for (agent, name, version, capabilities) in [
        (&old, "old", "2024-11-05", json!({})),
        (
            &new,
            "new",
            "2025-11-25",
            json!({"roots": {}, "sampling": {}}),
        ),
    ] {
        let answer = opened_as(agent, name, version, capabilities.clone()).await;
        assert_eq!(answer["result"]["protocolVersion"], version, "{answer}");
        assert!(agent.tools().await.contains(&"echo".to_owned()));
        works(agent, name).await;
    }
    let opened = scene.upstream.requests("initialize");
    let of = |name: &str| {
        opened
            .iter()
            .find(|params| params["clientInfo"]["name"] == name)
    };
    assert_eq!(of("old").unwrap()["capabilities"], json!({}));
    assert_eq!(
        of("new").unwrap()["capabilities"],
        json!({"roots": {}, "sampling": {}})
    );
    assert_eq!(scene.gate.children(), 2);
    old.close().await;
    wait_until("its process leaves with its session", || {
        scene.gate.children() == 1
    })
    .await;
    works(&new, "still there").await;
    new.close().await;
    wait_until("the other one, too", || scene.gate.children() == 0).await;
}

mod d41_clients_of_one_grant_have_a_process_each {
    use super::*;

    #[tokio::test]
    async fn http_to_stdio() {
        let scene = Scene::before_initialize(Face::Http, Kind::Stdio, allow_all());
        super::d41_clients_of_one_grant_have_a_process_each(scene).await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        let scene = Scene::before_initialize(Face::Stdio, Kind::Stdio, allow_all());
        super::d41_clients_of_one_grant_have_a_process_each(scene).await;
    }
}

#[tokio::test]
async fn d41_an_idle_session_ends_its_process_and_finds_another() {
    let setup = Setup::from(allow_all()).settings(|s| s.idle_child = Duration::from_millis(100));
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    let level = json!({"level": "error"});
    scene.agent.request("logging/setLevel", level).await;
    wait_until("its process ends", || scene.gate.children() == 0).await;
    scene.honest_call_works().await;
    let opened = scene.upstream.requests("initialize");
    assert_eq!((opened.len(), &opened[0]), (2, &opened[1]));
    assert_eq!(scene.upstream.requests("logging/setLevel").len(), 2);
}

/// Its connection is its session, so it is not idle while it is open.
#[tokio::test]
async fn d41_the_process_of_a_connected_agent_stays() {
    for listens in [false, true] {
        let setup = Setup::from(allow_all()).settings(|s| s.idle_child = Duration::from_millis(50));
        let face = if listens { Face::Http } else { Face::Stdio };
        let scene = Scene::new(face, Kind::Stdio, setup).await;
        if listens {
            scene.agent.listen().await;
        }
        // One of a session that nobody hears of comes and goes in the meantime, twice.
        for _ in 0..2 {
            let other = scene.gate.http_agent(&scene.pass);
            other.connect().await;
            wait_until("the other's leaves", || scene.gate.children() == 1).await;
        }
        scene.honest_call_works().await;
        assert_eq!(scene.upstream.events_of("started").len(), 3);
    }
}

async fn refused_in_words(agent: &Client, words: &str) {
    let answer = opened_as(agent, "one more", "2025-11-25", json!({})).await;
    assert_eq!(answer["error"]["code"], -32603, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains(words), "{message}");
}

#[tokio::test]
async fn d41_a_grant_has_so_many_processes_and_no_more() {
    log::start();
    let setup = Setup::from(allow_all()).settings(|s| s.max_children_per_grant = 2);
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    let second = scene.another_agent(&scene.pass).await;
    refused_in_words(
        &another(&scene, Face::Http),
        "the most server processes that it may have",
    )
    .await;
    refused_in_words(
        &another(&scene, Face::Stdio),
        "the most server processes that it may have",
    )
    .await;
    assert!(
        log::start()
            .text()
            .contains("`max_children_per_grant` allows no more")
    );
    // Others have their own, and a session that ends makes room.
    let other = scene.another_agent(&scene.another_pass("other")).await;
    works(&other, "other").await;
    second.close().await;
    wait_until("there is room", || scene.gate.children() == 2).await;
    works(&scene.another_agent(&scene.pass).await, "third").await;
}

#[tokio::test]
async fn d41_all_together_have_so_many_processes_and_no_more() {
    let setup = Setup::from(allow_all()).settings(|s| s.max_children = 1);
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    let other = scene.gate.http_agent(&scene.another_pass("other"));
    refused_in_words(&other, "too many server processes are running").await;
    assert_eq!(scene.upstream.events_of("started").len(), 1);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn d41_a_revoked_grant_leaves_no_process() {
    let setup = Setup::modern(allow_all()).eras(provost_testkit::fixture::Eras::Both);
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    let pass = scene.another_pass("other");
    let legacy = [scene.gate.http_agent(&pass), scene.gate.stdio_agent(&pass)];
    for agent in &legacy {
        agent.connect().await;
        works(agent, "legacy").await;
    }
    let modern = scene.gate.http_agent(&pass).modern();
    works(&modern, "modern").await;
    let slow = modern.clone();
    let slow = tokio::spawn(async move { slow.call("slow", json!({"ms": 500})).await });
    scene.upstream.wait_for_calls(4).await;
    let before = scene.gate.children();
    scene.gate.revoke(&pass);
    wait_until("all three are gone", || scene.gate.children() + 3 == before).await;
    slow.await.unwrap();
    scene.honest_call_works().await;
}

fn one_per_grant() -> Setup {
    log::start();
    Setup::from(allow_all()).processes(Processes::Grant)
}

#[tokio::test]
async fn d41_a_shared_process_takes_clients_that_are_alike() {
    for setup in [one_per_grant(), one_per_grant().shared()] {
        let scene = Scene::before_initialize(Face::Http, Kind::Stdio, setup);
        let (first, second) = (another(&scene, Face::Http), another(&scene, Face::Stdio));
        let capabilities = json!({"roots": {}});
        for (agent, name) in [(&first, "one"), (&second, "two")] {
            opened_as(agent, name, "2025-11-25", capabilities.clone()).await;
            works(agent, name).await;
        }
        assert_eq!(scene.upstream.events_of("started").len(), 1);
        let unlike = [
            ("2024-11-05", json!({"roots": {}})),
            ("2025-11-25", json!({})),
        ];
        for (version, asked) in unlike {
            for face in [Face::Http, Face::Stdio] {
                let agent = another(&scene, face);
                let answer = opened_as(&agent, "gemini", version, asked.clone()).await;
                assert_eq!(answer["error"]["code"], -32603, "{answer}");
                let message = answer["error"]["message"].as_str().unwrap();
                assert!(message.contains("another protocol version or other capabilities"));
            }
            let log = log::start().text();
            let told = |line: &&str| {
                line.contains("cannot serve `gemini`") && line.contains("was opened for `one`")
            };
            assert!(log.lines().any(|line| told(&line)), "{log}");
        }
        assert_eq!(scene.upstream.events_of("started").len(), 1);
        works(&first, "undisturbed").await;
        // Once nobody else uses it, it is opened as the next one asks.
        first.close().await;
        second.close().await;
        let other = another(&scene, Face::Http);
        let version = wait_for("the others to have left", || async {
            let answer = opened_as(&other, "gemini", "2024-11-05", json!({})).await;
            answer["result"].get("protocolVersion").cloned()
        })
        .await;
        assert_eq!(version, "2024-11-05");
        works(&other, "gemini").await;
        assert_eq!(scene.upstream.events_of("started").len(), 2);
    }
}

#[tokio::test]
async fn d41_a_server_that_crashes_is_no_fork_bomb() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let place = tempfile::tempdir().unwrap();
    let tries = place.path().join("tries");
    let script = format!("echo x >> {}; exit 3", tries.display());
    let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
    scene
        .gate
        .stdio_server("broken", &start, Processes::Session);
    scene.gate.put_policy("broken", "open", &allow_all());
    let pass = scene.gate.mint_on("broken", "open");
    let mut told = 0;
    // Each is a session of its own.
    for _ in 0..40 {
        let agent = scene.gate.http_agent(&pass);
        let answer = opened_as(&agent, "x", "2025-11-25", json!({})).await;
        assert_eq!(answer["error"]["code"], -32603, "{answer}");
        let pausing = "try again in half a minute";
        told += usize::from(
            answer["error"]["message"]
                .as_str()
                .unwrap()
                .contains(pausing),
        );
    }
    let tried = std::fs::read_to_string(&tries).unwrap().lines().count();
    assert!((2..15).contains(&tried), "started {tried} times");
    assert!(told > 20, "{told}");
    scene.honest_call_works().await;
}

async fn d21_a_request_leaves_the_process_when_it_ends(scene: Scene) {
    let before = gauge(&scene, "provost_server_process_users ");
    for n in 0..200 {
        works(&scene.agent, &n.to_string()).await;
    }
    let calls: Vec<_> = (0..50)
        .map(|n| {
            let agent = scene.agent.clone();
            tokio::spawn(async move { works(&agent, &n.to_string()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let users = || gauge(&scene, "provost_server_process_users ");
    wait_until("nobody is left", || users() <= before).await;
    assert!(before <= 1);
}

mod d21_a_request_leaves_the_process_when_it_ends {
    use super::*;

    #[tokio::test]
    async fn http_to_stdio() {
        let scene = Scene::new(Face::Http, Kind::Stdio, Setup::modern(allow_all())).await;
        super::d21_a_request_leaves_the_process_when_it_ends(scene).await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        let scene = Scene::new(Face::Stdio, Kind::Stdio, Setup::modern(allow_all())).await;
        super::d21_a_request_leaves_the_process_when_it_ends(scene).await;
    }
}

/// A server that leaves a process without parent, session and streams behind,
/// whose number it writes down, and is the fixture afterwards.
fn detaching(stdio: &Stdio, left: &std::path::Path) -> Start {
    let script = format!(
        "(setsid -f sh -c 'echo $$ >> {}; exec sleep 600' </dev/null >/dev/null 2>&1 &); exec \"$@\"",
        left.display()
    );
    let mut words = vec!["-c".to_owned(), script, "sh".to_owned()];
    words.extend(stdio.start.command_line());
    Start::program("/bin/sh").args(words)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn d93_a_detached_grandchild_is_gone_after_revoke_and_stop() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let (stdio, place) = (
        Stdio::new(&Options::default()),
        tempfile::tempdir().unwrap(),
    );
    let left = place.path().join("left");
    let start = detaching(&stdio, &left);
    scene
        .gate
        .stdio_server("detaching", &start, Processes::Session);
    scene.gate.put_policy("detaching", "open", &allow_all());
    let mint = |label: &str| {
        let (server, label) = ("detaching".to_owned(), label.to_owned());
        scene.gate.mint(NewGrant {
            server,
            label,
            attachment: Attachment {
                policy: Some("open".to_owned()),
                shadow: None,
            },
            ..NewGrant::default()
        })
    };
    let numbers = || -> Vec<String> {
        let text = std::fs::read_to_string(&left).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let lives = |number: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    let (first, second) = (mint("first"), mint("second"));
    for (count, pass) in [(1, &first), (2, &second)] {
        let agent = scene.gate.http_agent(pass);
        agent.connect().await;
        works(&agent, "x").await;
        wait_until("it left one behind", || numbers().len() == count).await;
    }
    assert!(numbers().iter().all(lives));
    scene.gate.revoke(&first);
    wait_until("the first is gone", || !lives(&numbers()[0])).await;
    assert!(lives(&numbers()[1]));
    scene.gate.gateway.stop().await;
    wait_until("none is left after the gateway", || !lives(&numbers()[1])).await;
}

/// What a modern server says of no request reaches whoever alone has called.
async fn said_beside(scene: &Scene, busy: &Client, other: &Client) -> usize {
    let agent = busy.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    let log = json!({"level": "error", "message": "canary"});
    assert!(other.call("log", log).await.get("result").is_some());
    slow.abort();
    let heard = |agent: &Client| agent.received("notifications/message").len();
    heard(busy) + heard(other)
}

#[tokio::test]
async fn d27_what_names_no_request_goes_to_none_of_several() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, Setup::modern(allow_all())).await;
        let other = scene.another_agent(&scene.pass).await;
        for agent in [&scene.agent, &other] {
            agent.set_log_level(Some("debug"));
        }
        assert_eq!(said_beside(&scene, &scene.agent, &other).await, 0);
        scene.honest_call_works().await;
    }
}

#[tokio::test]
async fn d27_a_process_of_everybody_tells_nobody() {
    for setup in [Setup::from(allow_all()), Setup::modern(allow_all())] {
        let scene = Scene::new(Face::Http, Kind::Stdio, setup.shared()).await;
        let other = scene.another_agent(&scene.another_pass("other")).await;
        if scene.era == Era::Modern {
            other.set_log_level(Some("debug"));
        }
        let log = json!({"level": "error", "message": "canary"});
        assert!(other.call("log", log).await.get("result").is_some());
        scene.honest_call_works().await;
        let heard = |agent: &Client| agent.received("notifications/message").len();
        assert_eq!((heard(&scene.agent), heard(&other)), (0, 0));
    }
}
