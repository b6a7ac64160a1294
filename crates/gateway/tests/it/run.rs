//! Agents of `provost run`: each brings its own program along, with its own
//! directory and environment, and takes it away again.

use std::ffi::OsString;
use std::path::Path;

use crate::harness::*;
use provost_gateway::{ChildOverride, StdioAgent};
use provost_testkit::client::Client;
use provost_testkit::fixture::{Options, Stdio};
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// An agent that brings the fixture along.
async fn with_program(scene: &Scene, stdio: &Stdio, directory: &Path, name: &str) -> Client {
    let variable = |key: &str, value: &str| (OsString::from(key), OsString::from(value));
    let child = ChildOverride {
        command: stdio.start.program.clone().into(),
        args: stdio.start.args.iter().map(OsString::from).collect(),
        directory: directory.to_owned(),
        environment: vec![variable("FIXTURE_NAME", name), variable("OWN", "1")],
    };
    let agent = StdioAgent {
        grant: scene.pass.grant.clone(),
        server: scene.pass.server.clone(),
        child: Some(child),
    };
    let client = scene.gate.stdio_agent_as(agent);
    client.connect().await;
    client
}

async fn identity(agent: &Client) -> Value {
    let answer = agent.call("identity", json!({})).await;
    serde_json::from_str(text(&answer)).unwrap()
}

#[tokio::test]
async fn each_agent_has_its_own_program_directory_and_environment() {
    let scene = Scene::before_initialize(Face::Stdio, Kind::Stdio, allow_all());
    let stdio = Stdio::new(&Options::default());
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let first = with_program(&scene, &stdio, places[0].path(), "first").await;
    let second = with_program(&scene, &stdio, places[1].path(), "second").await;
    for (agent, place, name) in [
        (&first, &places[0], "first"),
        (&second, &places[1], "second"),
    ] {
        let identity = identity(agent).await;
        assert_eq!(identity["env"], json!({"FIXTURE_NAME": name}));
        let mut variables: Vec<&str> = identity["variables"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        variables.sort_unstable();
        assert_eq!(variables, ["FIXTURE_NAME", "OWN"]);
        let place = place.path().canonicalize().unwrap();
        assert_eq!(identity["cwd"].as_str(), place.to_str());
    }
    assert!(
        scene.upstream.bytes().is_empty(),
        "the registered program is not started"
    );
    assert_eq!(
        scene.gate.history(),
        vec!["tools/call identity: allow, ok"; 2]
    );
}

#[tokio::test]
async fn the_program_leaves_with_its_agent() {
    let scene = Scene::before_initialize(Face::Stdio, Kind::Stdio, allow_all());
    let stdio = Stdio::new(&Options::default());
    let place = tempfile::tempdir().unwrap();
    let agent = with_program(&scene, &stdio, place.path(), "one").await;
    assert_eq!(scene.gate.children(), 1);
    agent.close().await;
    wait_until("the program has left", || scene.gate.children() == 0).await;
    wait_until("the stream ends", || agent.as_stdio().ended()).await;
}

#[tokio::test]
async fn the_program_is_judged_like_any_server_and_stays_over_a_reload() {
    let policy = tools(json!({"echo": {"rate_limit": {"max": 2, "window": 60}}}));
    let scene = Scene::before_initialize(Face::Stdio, Kind::Stdio, policy);
    let stdio = Stdio::new(&Options::default());
    let place = tempfile::tempdir().unwrap();
    let first = with_program(&scene, &stdio, place.path(), "first").await;
    let second = with_program(&scene, &stdio, place.path(), "second").await;
    for agent in [&first, &second] {
        assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
    }
    assert_eq!(
        rule(&first.call("echo", json!({})).await),
        "/tools/echo/limits/echo_rate"
    );
    scene.policy(allow_all());
    assert_eq!(text(&second.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(
        stdio.events_of("started").len(),
        2,
        "no program was started again"
    );
}
