//! Servers that are processes: ended with everything they started, started again
//! with patience, bounded in number, and never steered by what an agent sends.

use std::time::Duration;

use crate::harness::*;
use provost_testkit::fixture::{Hostility, Options};
use provost_testkit::wait_until;
use serde_json::json;

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
async fn a_servers_own_variables_reach_it() {
    let stdio = provost_testkit::fixture::Stdio::new(&Options::default());
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let start = stdio.start.clone().env("FIXTURE_SECRET", "s3cret");
    scene.gate.stdio_server("child", &start, Processes::Session);
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
async fn whoever_only_tells_something_takes_nobodys_process() {
    let setup = Setup::from(allow_all())
        .processes(Processes::Grant)
        .settings(|settings| settings.max_children = 1);
    let scene = Scene::new(Face::Http, Kind::Stdio, setup).await;
    // A program that changed: the process of the agent is gone, its session is not.
    let TestUpstream::Stdio(stdio) = &scene.upstream else {
        panic!("the server is a process");
    };
    let changed = stdio.start.clone().args(["--extra-tools", "further"]);
    scene
        .gate
        .set_program_for("fixture", &changed, Processes::Grant);
    wait_until("its process is gone", || scene.gate.children() == 0).await;
    let pass = scene.another_pass("other");
    let other = scene.another_agent(&pass).await;
    other.close().await;
    assert_eq!(scene.gate.children(), 1);
    let changed = "notifications/roots/list_changed";
    scene.agent.notify(changed, json!({})).await;
    scene.agent.cancel(7).await;
    assert_eq!(scene.gate.children(), 1);
    let again = scene.another_agent(&pass).await;
    assert_eq!(text(&again.call("echo", json!({"text": "x"})).await), "x");
    again.close().await;
    assert_eq!(scene.upstream.events_of("started").len(), 2);
    // A request is worth a process that nobody uses.
    scene.honest_call_works().await;
    assert_eq!(scene.upstream.events_of("started").len(), 3);
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
