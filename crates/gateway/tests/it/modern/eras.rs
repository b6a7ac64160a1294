//! Which era a server speaks is found out by asking it, never by one error code,
//! and asked again when it may have become another.

use super::*;
use provost_testkit::client::Client;
use provost_testkit::fixture::{Eras, Fixture, Hostility, Options};
use provost_testkit::process::Start;
use provost_testkit::tcp::{Scripted, Then};

fn scene(face: Face, kind: Kind, eras: Eras, agent: Era) -> Scene {
    let setup = Setup::from(allow_all()).eras(eras).agent(agent);
    Scene::before_initialize(face, kind, setup)
}

const PLACES: [(Face, Kind); 4] = [
    (Face::Http, Kind::Http),
    (Face::Http, Kind::Stdio),
    (Face::Stdio, Kind::Http),
    (Face::Stdio, Kind::Stdio),
];

/// Sends `initialize` as a client of the legacy era does.
async fn initialize(agent: &Client) -> Value {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "plain", "version": "1"},
    });
    agent.request("initialize", params).await
}

async fn speaks_modern(scene: &Scene) {
    scene.agent.connect().await;
    scene.honest_call_works().await;
    assert!(
        !scene.upstream.saw("initialize"),
        "a modern server is not initialized"
    );
}

#[tokio::test]
async fn modern_agents_are_served_by_servers_that_speak_their_era() {
    for (face, kind) in PLACES {
        for eras in [Eras::Modern, Eras::Both] {
            speaks_modern(&scene(face, kind, eras, Era::Modern)).await;
        }
    }
}

#[tokio::test]
async fn legacy_agents_are_served_by_servers_that_speak_their_era() {
    for (face, kind) in PLACES {
        for eras in [Eras::Legacy, Eras::Both] {
            let scene = scene(face, kind, eras, Era::Legacy);
            scene.agent.connect().await;
            scene.honest_call_works().await;
        }
    }
}

/// The answer tells clients of both eras to take the other one.
async fn a_modern_agent_is_sent_back(scene: &Scene) {
    let found = scene.ask("server/discover", nothing()).await;
    status_is(&found, 404);
    assert_eq!(code(&found.message), -32601, "{found:?}");
    for (method, params) in [
        ("tools/list", nothing()),
        ("tools/call", json!({"name": "echo", "arguments": {}})),
    ] {
        let answer = scene.ask(method, params).await;
        status_is(&answer, 400);
        assert_eq!(code(&answer.message), -32022, "{answer:?}");
        let supported = &answer.message["error"]["data"]["supported"];
        assert_eq!(
            supported,
            &json!(["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"])
        );
    }
    assert!(scene.upstream.calls().is_empty());
}

#[tokio::test]
async fn a_modern_agent_before_a_legacy_server_is_sent_back_and_falls_back() {
    for (face, kind) in PLACES {
        let scene = scene(face, kind, Eras::Legacy, Era::Modern);
        a_modern_agent_is_sent_back(&scene).await;
        match face {
            Face::Http => {
                let legacy = scene.gate.http_agent(&scene.pass);
                legacy.connect().await;
                let answer = legacy.call("echo", json!({"text": "legacy"})).await;
                assert_eq!(text(&answer), "legacy");
            }
            // A `server/discover` that was refused decides nothing.
            Face::Stdio => {
                let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
                let initialize =
                    json!({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": params});
                let answer = scene.raw(initialize.to_string()).await.message;
                assert_eq!(
                    answer["result"]["protocolVersion"], "2025-11-25",
                    "{answer}"
                );
                let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
                scene.agent.send(&done).await;
                let text = r#"{"jsonrpc":"2.0","id":"e","method":"tools/call","params":{"name":"echo","arguments":{"text":"x"}}}"#;
                let answer = scene.raw(text).await.message;
                assert_eq!(super::text(&answer), "x");
            }
        }
    }
}

/// What a policy refuses is refused whatever the server speaks.
#[tokio::test]
async fn a_modern_agent_before_a_legacy_server_hears_its_policy_first() {
    let policy = tools(json!({"echo": {"action": "deny"}}));
    let setup = Setup::from(policy).agent(Era::Modern);
    let scene = Scene::before_initialize(Face::Http, Kind::Http, setup);
    let answer = scene.answered(&call("1", "echo", "{}")).await;
    assert_eq!(rule(&answer), "/tools/echo/action");
    assert!(scene.upstream.bytes().is_empty(), "nobody was asked");
}

#[tokio::test]
async fn a_legacy_agent_before_a_modern_server_is_told() {
    for (face, kind) in PLACES {
        let scene = scene(face, kind, Eras::Modern, Era::Legacy);
        let answer = initialize(&scene.agent).await;
        assert_eq!(code(&answer), -32022, "{answer}");
        assert_eq!(answer["error"]["data"]["supported"], json!(["2026-07-28"]));
        assert!(!scene.upstream.saw("tools/"), "{answer}");
        if face == Face::Http {
            let modern = scene.gate.http_agent(&scene.pass).modern();
            modern.connect().await;
            let echo = modern.call("echo", json!({"text": "modern"})).await;
            assert_eq!(text(&echo), "modern");
        }
    }
}

/// Agents of both eras at the same time, before a server of both.
#[tokio::test]
async fn agents_of_both_eras_share_a_server_of_both() {
    for (face, kind) in PLACES {
        let scene = scene(face, kind, Eras::Both, Era::Modern);
        scene.agent.connect().await;
        let legacy = super::scene::agent(&scene.gate, face, Era::Legacy, &scene.pass);
        legacy.connect().await;
        for n in 0..5 {
            let said = format!("legacy {n}");
            let answer = legacy.call("echo", json!({"text": said})).await;
            assert_eq!(text(&answer), said);
            assert!(answer["result"].get("resultType").is_none(), "{answer}");
            let said = format!("modern {n}");
            let answer = scene.agent.call("echo", json!({"text": said})).await;
            assert_eq!(text(&answer), said);
            assert_eq!(answer["result"]["resultType"], "complete");
        }
        if kind == Kind::Stdio {
            let started = scene.upstream.events_of("started").len();
            assert_eq!(started, 2, "a process for each era");
        }
        // The policies are the same, and so is what they count.
        assert_eq!(scene.gate.records().len(), 10);
    }
}

/// A limit of a grant is one limit, whichever era its calls are of.
#[tokio::test]
async fn both_eras_count_together() {
    let policy = tools(json!({"echo": {"rate_limit": {"max": 2, "window": 60}}}));
    let setup = Setup::from(policy).eras(Eras::Both).agent(Era::Modern);
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let legacy = scene.gate.http_agent(&scene.pass);
    legacy.connect().await;
    scene.honest_call_works().await;
    assert_eq!(text(&legacy.call("echo", json!({"text": "x"})).await), "x");
    for agent in [&scene.agent, &legacy] {
        let refused = agent.call("echo", json!({"text": "x"})).await;
        assert_eq!(rule(&refused), "/tools/echo/limits/echo_rate");
    }
}

/// The same address serves the other era from now on.
#[tokio::test]
async fn a_server_that_comes_back_in_another_era_is_asked_again() {
    for (before, after) in [(Eras::Legacy, Eras::Modern), (Eras::Modern, Eras::Legacy)] {
        let mut scene = scene(Face::Http, Kind::Http, before, Era::Modern);
        let legacy = scene.gate.http_agent(&scene.pass);
        let port = scene.upstream.fixture().address().port();
        for eras in [before, after] {
            match eras {
                Eras::Modern | Eras::Both => {
                    assert_eq!(scene.agent.discover().await["resultType"], "complete");
                    scene.honest_call_works().await;
                }
                Eras::Legacy => {
                    let found = scene.ask("server/discover", nothing()).await;
                    assert_eq!(code(&found.message), -32601, "{found:?}");
                    legacy.connect().await;
                    assert_eq!(text(&legacy.call("echo", json!({"text": "x"})).await), "x");
                }
            }
            if eras == before {
                scene.stop_upstream();
                let down = scene
                    .ask("tools/call", json!({"name": "echo", "arguments": {}}))
                    .await;
                assert!(down.message.get("error").is_some(), "{down:?}");
                drop(
                    legacy
                        .as_http()
                        .post_raw(super::super::harness::call(1, "echo", "{}"))
                        .await,
                );
                scene.upstream = TestUpstream::Http(Fixture::start(Options {
                    eras: after,
                    port: Some(port),
                    ..Options::default()
                }));
            }
        }
    }
}

#[tokio::test]
async fn a_program_that_is_replaced_by_one_of_another_era_is_asked_again() {
    for face in [Face::Http, Face::Stdio] {
        let scene = scene(face, Kind::Stdio, Eras::Legacy, Era::Modern);
        let found = scene.ask("server/discover", nothing()).await;
        assert_eq!(code(&found.message), -32601, "{found:?}");
        let newer = provost_testkit::fixture::Stdio::new(&Options::modern());
        scene.gate.set_program("fixture", &newer.start);
        let agent = scene.silent_agent(&scene.pass);
        assert_eq!(agent.discover().await["resultType"], "complete");
        assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
    }
}

/// Servers that answer what they do not know in ways of their own.
#[tokio::test]
async fn odd_answers_to_the_question_count_as_no() {
    for habit in [Hostility::WrongShape, Hostility::Garbage, Hostility::Exit] {
        let options = Options {
            hostile: Some(habit),
            on: "server/discover".to_owned(),
            ..Options::default()
        };
        let setup = Setup::from(allow_all()).options(options).agent(Era::Modern);
        let scene = Scene::before_initialize(Face::Http, Kind::Stdio, setup);
        let found = scene.ask("server/discover", nothing()).await;
        assert_eq!(code(&found.message), -32601, "{habit:?}: {found:?}");
        let legacy = scene.gate.http_agent(&scene.pass);
        legacy.connect().await;
        assert_eq!(text(&legacy.call("echo", json!({"text": "x"})).await), "x");
    }
}

/// Some never answer what they do not know; agents are told in the end.
#[tokio::test]
async fn silence_counts_as_no() {
    let options = Options {
        hostile: Some(Hostility::Silent),
        on: "server/discover".to_owned(),
        ..Options::default()
    };
    let setup = Setup::from(allow_all()).options(options).agent(Era::Modern);
    let scene = Scene::before_initialize(Face::Http, Kind::Stdio, setup);
    let found = scene.ask("server/discover", nothing()).await;
    assert_eq!(code(&found.message), -32601, "{found:?}");
    let legacy = scene.gate.http_agent(&scene.pass);
    legacy.connect().await;
    assert_eq!(text(&legacy.call("echo", json!({"text": "x"})).await), "x");
}

fn reply(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn error(code: i64, data: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":"provost-discover","error":{{"code":{code},"message":"no"{data}}}}}"#
    )
}

/// No single code says which era a server is of.
#[tokio::test]
async fn any_error_that_is_not_of_the_era_counts_as_no() {
    for answer in [
        reply("200 OK", &error(-32601, "")),
        reply("200 OK", &error(-32602, "")),
        reply("200 OK", &error(-32600, "")),
        reply("200 OK", &error(0, "")),
        reply("400 Bad Request", &error(-32000, "")),
        reply("400 Bad Request", "Mcp-Session-Id is missing"),
        reply("404 Not Found", &error(-32001, "")),
        reply("405 Method Not Allowed", ""),
        reply(
            "400 Bad Request",
            &error(-32022, r#","data":{"supported":["2025-11-25"]}"#),
        ),
        reply(
            "200 OK",
            r#"{"jsonrpc":"2.0","id":"provost-discover","result":{"supportedVersions":["2025-11-25"]}}"#,
        ),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let scripted = Scripted::start(vec![answer], Then::Close);
        let scene = scene(Face::Http, Kind::Http, Eras::Legacy, Era::Modern);
        scene.gate.move_server("fixture", &scripted.url());
        let found = scene.ask("server/discover", nothing()).await;
        assert_eq!(code(&found.message), -32601, "{shown}: {found:?}");
        status_is(&found, 404);
    }
}

/// A server that cannot be reached, or that is in trouble, is not a legacy one.
#[tokio::test]
async fn trouble_is_no_answer() {
    for answer in [
        reply("500 Internal Server Error", "oops"),
        reply("503 Service Unavailable", ""),
        reply("401 Unauthorized", ""),
        reply("429 Too Many Requests", ""),
    ] {
        let shown = String::from_utf8_lossy(&answer).into_owned();
        let scripted = Scripted::start(vec![answer], Then::Close);
        let scene = scene(Face::Http, Kind::Http, Eras::Modern, Era::Modern);
        let fixture = scene.upstream.fixture().url();
        scene.gate.move_server("fixture", &scripted.url());
        let found = scene.ask("server/discover", nothing()).await;
        status_is(&found, 502);
        assert_eq!(code(&found.message), -32603, "{shown}: {found:?}");
        scene.gate.move_server("fixture", &fixture);
        scene.agent.connect().await;
        scene.honest_call_works().await;
    }
    let mut scene = scene(Face::Http, Kind::Http, Eras::Modern, Era::Modern);
    scene.stop_upstream();
    let found = scene.ask("server/discover", nothing()).await;
    status_is(&found, 502);
}

/// A program that is not there is not a legacy server either.
#[tokio::test]
async fn a_program_that_does_not_start_is_no_answer() {
    let scene = scene(Face::Http, Kind::Stdio, Eras::Modern, Era::Modern);
    scene
        .gate
        .set_program("fixture", &Start::program("/no/such/program"));
    let found = scene.ask("server/discover", nothing()).await;
    status_is(&found, 502);
    assert_eq!(code(&found.message), -32603, "{found:?}");
}

/// One question serves all agents.
#[tokio::test]
async fn a_server_is_asked_once() {
    let scene = scene(Face::Http, Kind::Http, Eras::Modern, Era::Modern);
    let other = scene.silent_agent(&scene.another_pass("other"));
    let calls = (0..20).map(|n| {
        let agent = if n % 2 == 0 {
            scene.agent.clone()
        } else {
            other.clone()
        };
        tokio::spawn(async move { agent.call("echo", json!({"text": "x"})).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(text(&call.await.unwrap()), "x");
    }
    assert_eq!(scene.upstream.requests("server/discover").len(), 1);
    assert_eq!(scene.upstream.requests("tools/list").len(), 1);
}
