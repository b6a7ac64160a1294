//! Servers that are processes: ended with everything they started, started again
//! with patience, bounded in number, and never steered by what an agent sends.

use std::time::Duration;

use crate::harness::*;
use crate::upstreams::with_habit;
use provost_testkit::fixture::{Hostility, Options};
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// A habit that costs the process its life: the caller is told, and the next
/// one finds a new process.
async fn costs_the_process(habit: Hostility) {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, with_habit(habit)).await;
        let answer = scene.raw(call(7, "echo", "{}")).await;
        assert_eq!(answer.status.unwrap_or(502), 502);
        assert_eq!(
            answer.message["error"]["code"], -32603,
            "{habit:?}: {answer:?}"
        );
        scene
            .records_become(&["tools/call echo: allow, upstream_down"])
            .await;
        wait_until("the process is gone", || scene.gate.children() == 0).await;
        assert_eq!(scene.agent.tools().await.len(), 17);
        assert_eq!(scene.upstream.events_of("started").len(), 2);
        assert_eq!(scene.upstream.requests("initialize").len(), 2);
    }
}

#[tokio::test]
async fn u91_a_process_that_ends_in_mid_call_is_started_again() {
    costs_the_process(Hostility::Exit).await;
    costs_the_process(Hostility::PartialExit).await;
}

#[tokio::test]
async fn u91_a_line_of_a_hundred_megabytes_ends_the_process() {
    costs_the_process(Hostility::Huge).await;
}

#[tokio::test]
async fn u91_a_process_that_never_starts_is_tried_with_patience() {
    let setup = Setup::from(allow_all()).options(Options::hostile(Hostility::CrashAtStart));
    let scene = Scene::before_initialize(Face::Http, Kind::Stdio, setup);
    let client = json!({"name": "x", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    let initialize =
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).to_string();
    for _ in 0..20 {
        let answer = scene.raw(initialize.clone()).await;
        assert_eq!(
            (answer.status, &answer.message["error"]["code"]),
            (Some(502), &json!(-32603))
        );
        assert!(!answer.message.to_string().contains("moon"));
    }
    wait_until("no process is left", || scene.gate.children() == 0).await;
}

#[tokio::test]
async fn u91_no_process_is_left_behind() {
    for habit in [Hostility::IgnoreEnd, Hostility::Grandchild] {
        let setup = Setup::from(allow_all()).options(Options {
            on: "nothing".into(),
            ..Options::hostile(habit)
        });
        let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
        scene.honest_call_works().await;
        let pids: Vec<Value> = ["started", "grandchild"]
            .iter()
            .flat_map(|kind| scene.upstream.events_of(kind))
            .collect();
        scene.gate.gateway.stop().await;
        for pid in pids {
            let running = std::path::PathBuf::from(format!("/proc/{}/stat", pid["pid"]));
            let gone =
                || std::fs::read_to_string(&running).map_or(true, |stat| stat.contains(") Z "));
            wait_until(&format!("{habit:?}: process {pid} is gone"), gone).await;
        }
    }
}

#[tokio::test]
async fn a_process_that_nobody_uses_leaves() {
    let setup = Setup::from(allow_all())
        .settings(|settings| settings.idle_child = Duration::from_millis(100));
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    assert_eq!(scene.gate.children(), 1);
    scene.agent.close().await;
    wait_until("it leaves", || scene.gate.children() == 0).await;
    scene.upstream.wait_for("end of input").await;
    let agent = scene.another_agent(&scene.pass).await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "again"})).await),
        "again"
    );
}

#[tokio::test]
async fn there_are_never_more_processes_than_allowed() {
    let setup = Setup::from(allow_all()).settings(|settings| settings.max_children = 1);
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    let other = scene.gate.http_agent(&scene.another_pass("other"));
    let answer = other.request("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}})).await;
    assert_eq!(answer["error"]["code"], -32603);
    assert_eq!(scene.upstream.events_of("started").len(), 1);
    scene.honest_call_works().await;
}

#[tokio::test]
async fn u102_nothing_of_a_request_reaches_command_line_or_environment() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, allow_all()).await;
        let params = r#"{"name":"identity","arguments":{"command":"canary","env":{"CANARY":"canary"},"url":"http://canary"},"_meta":{"canary":"canary"}}"#;
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let answer = scene.raw(text).await.message;
        let identity: Value = serde_json::from_str(crate::harness::text(&answer)).unwrap();
        assert_eq!(
            identity["variables"],
            json!(["PATH"]),
            "nothing else is inherited"
        );
        let pid = identity["pid"].as_u64().unwrap();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!command.contains("canary") && !command.contains(&scene.pass.token));
    }
}

#[tokio::test]
async fn a_servers_own_variables_reach_it() {
    let stdio = provost_testkit::fixture::Stdio::new(&Options::default());
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let start = stdio.start.clone().env("FIXTURE_SECRET", "s3cret");
    scene.gate.stdio_server("child", &start, false);
    scene.gate.put_policy("child", "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on("child", "open"));
    agent.connect().await;
    assert!(text(&agent.call("identity", json!({})).await).contains("s3cret"));
}

#[tokio::test]
async fn a_process_that_nobody_uses_makes_room_for_another() {
    let setup = Setup::from(allow_all()).settings(|settings| settings.max_children = 1);
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    scene.agent.close().await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(scene.upstream.events_of("started").len(), 2);
    wait_until("one is left", || scene.gate.children() == 1).await;
}

#[tokio::test]
async fn a_process_that_nobody_could_open_leaves() {
    let options = Options {
        on: "initialize".into(),
        ..Options::hostile(Hostility::Silent)
    };
    let setup = Setup::from(allow_all())
        .options(options)
        .settings(|settings| {
            settings.call_timeout = Duration::from_secs(20);
            settings.idle_child = Duration::from_millis(100);
        });
    let scene = Scene::before_initialize(Face::Http, Kind::Stdio, setup);
    let agent = scene.agent.clone();
    let opening = tokio::spawn(async move { agent.connect().await });
    scene.upstream.wait_for("started").await;
    opening.abort();
    wait_until("the process is gone", || scene.gate.children() == 0).await;
}

#[tokio::test]
async fn the_process_of_a_grant_that_is_gone_leaves_with_it() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, allow_all()).await;
        let pass = scene.another_pass("other");
        let other = scene.another_agent(&pass).await;
        assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
        assert_eq!(scene.gate.children(), 2);
        scene.gate.revoke(&pass);
        wait_until("one is left", || scene.gate.children() == 1).await;
        scene.honest_call_works().await;
    }
}
