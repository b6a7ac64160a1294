//! Registered servers: their credentials, and looking at them without an agent.

use std::time::Duration;

use crate::harness::*;
use provost_gateway::ServerFault;
use provost_testkit::fixture::{Eras, Fixture, Hostility, Options};
use provost_testkit::process::{Start, fixture_program};
use provost_testkit::wait_for;
use serde_json::{Value, json};

/// A server that wants this as `Authorization`.
fn guarded(value: &str) -> Fixture {
    Fixture::start(Options {
        authorization: Some(value.to_owned()),
        ..Options::default()
    })
}

#[tokio::test]
async fn a_servers_own_headers_are_sent_and_the_agents_are_not() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let fixture = guarded("Bearer right");
    let headers = [("Authorization", "Bearer right"), ("X-Tenant", "seven")];
    scene
        .gate
        .http_server_with("guarded", &fixture.url(), &headers);
    scene.gate.put_policy("guarded", "open", &allow_all());
    let pass = scene.gate.mint_on("guarded", "open");
    let agent = scene.gate.http_agent(&pass);
    agent.connect().await;
    let identity = agent.call("identity", json!({})).await;
    let identity: Value = serde_json::from_str(text(&identity)).unwrap();
    assert_eq!(identity["headers"]["authorization"], "Bearer right");
    assert_eq!(identity["headers"]["x-tenant"], "seven");
    assert!(!fixture.recorder.saw(&pass.token));
}

#[tokio::test]
async fn a_changed_credential_holds_at_the_next_message() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let fixture = guarded("Bearer right");
    scene.gate.http_server_with(
        "guarded",
        &fixture.url(),
        &[("authorization", "Bearer right")],
    );
    scene.gate.put_policy("guarded", "open", &allow_all());
    let agent = scene
        .gate
        .http_agent(&scene.gate.mint_on("guarded", "open"));
    agent.connect().await;
    for (secret, works) in [("Bearer wrong", false), ("Bearer right", true)] {
        scene
            .gate
            .set_headers("guarded", &[("authorization", secret)]);
        let answer = agent.call("echo", json!({"text": "x"})).await;
        assert_eq!(answer.get("result").is_some(), works, "{answer}");
        assert!(!answer.to_string().contains("Bearer"));
    }
    assert_eq!(
        scene.gate.history(),
        [
            "tools/call echo: allow, http_401",
            "tools/call echo: allow, ok"
        ]
    );
}

#[tokio::test]
async fn a_look_at_a_server_says_what_is_wrong_with_it() {
    let setup = Setup::from(allow_all()).settings(|s| s.call_timeout = Duration::from_secs(1));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let look = async |name: &str| {
        let looked = scene.gate.gateway.test_server(name).await;
        looked.map_err(|failed| failed.fault)
    };
    let mut stopped = Fixture::plain();
    stopped.stop();
    scene.gate.http_server("stopped", &stopped.url());
    assert!(matches!(look("stopped").await, Err(ServerFault::Down)));
    let guarded = guarded("Bearer right");
    scene.gate.http_server("guarded", &guarded.url());
    assert!(matches!(
        look("guarded").await,
        Err(ServerFault::Status(401))
    ));
    let web = Fixture::start(Options {
        on: "*".into(),
        ..Options::hostile(Hostility::Html)
    });
    scene.gate.http_server("web", &web.url());
    assert!(matches!(look("web").await, Err(ServerFault::NotMcp)));
    let silent = Fixture::start(Options {
        on: "*".into(),
        ..Options::hostile(Hostility::Silent)
    });
    scene.gate.http_server("silent", &silent.url());
    assert!(matches!(look("silent").await, Err(ServerFault::Slow)));
    scene.gate.stdio_server(
        "nothing",
        &Start::program("/no/such/program"),
        Processes::Session,
    );
    assert!(matches!(look("nothing").await, Err(ServerFault::Down)));
    assert!(matches!(
        look("nowhere").await,
        Err(ServerFault::Unknown(_))
    ));
    scene.records_become(&[]).await;
}

#[tokio::test]
async fn a_look_at_a_server_says_which_eras_it_speaks() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    for (eras, protocols) in [
        (Eras::Legacy, vec!["2025-11-25"]),
        (Eras::Modern, vec!["2026-07-28"]),
        (Eras::Both, vec!["2025-11-25", "2026-07-28"]),
    ] {
        let upstream = Fixture::start(Options {
            eras,
            ..Options::default()
        });
        let name = format!("{eras:?}").to_lowercase();
        scene.gate.http_server(&name, &upstream.url());
        let report = scene.gate.gateway.test_server(&name).await.unwrap();
        assert_eq!(report.protocols, protocols, "{name}");
        assert_eq!(report.name, "provost-fixture", "{name}");
        assert!(
            report.tools.iter().any(|tool| tool.name == "echo"),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_down_and_costs_no_quota() {
    let limited = tools(json!({"echo": {"rate_limit": {"max": 1, "window": 60}}}));
    let scene = Scene::new(Face::Http, Kind::Stdio, limited).await;
    let answer = scene.raw(call(1, "add", r#"{"a":1,"b":1}"#)).await;
    assert!(answer.message.get("result").is_some());
    scene
        .gate
        .set_program("fixture", &Start::program("/no/such/program"));
    for id in 0..2 {
        let answer = scene.raw(call(id, "echo", "{}")).await;
        assert_eq!(
            (answer.status, &answer.message["error"]["code"]),
            (Some(502), &json!(-32603))
        );
        assert!(!answer.message.to_string().contains("/no/such"));
    }
    let last = vec!["tools/call echo: allow, not_sent"; 2];
    assert_eq!(scene.gate.history()[1..], last);
}

/// Agents do not wait for long, so they are told that the era is not spoken; but
/// what was only slow is known for what it is as soon as it answers.
#[tokio::test]
async fn a_program_that_starts_slowly_is_modern_once_it_answers() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let place = tempfile::tempdir().unwrap();
    let ready = place.path().join("ready");
    let script = format!(
        "until [ -e {} ]; do sleep 0.1; done; exec {} stdio --eras modern",
        ready.display(),
        fixture_program().display()
    );
    let start = Start::program("/bin/sh").args(["-c", script.as_str()]);
    scene.gate.stdio_server("slow", &start, Processes::Session);
    scene.gate.put_policy("slow", "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on("slow", "open"));
    let agent = agent.modern();
    let refused = agent.request("server/discover", json!({})).await;
    assert_eq!(refused["error"]["code"], -32601, "{refused}");
    std::fs::write(&ready, "").unwrap();
    let found = wait_for("the server is found to be modern", async || {
        let answer = agent.request("server/discover", json!({})).await;
        answer.get("result").cloned()
    });
    assert_eq!(found.await["supportedVersions"], json!(["2026-07-28"]));
}
