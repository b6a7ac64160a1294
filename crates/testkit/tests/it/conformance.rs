//! The conformance runner: what it compares, what it lets pass, and the proxy between harness and gateway.

use provost_testkit::conformance::compare::{Comparison, Difference, Exceptions};
use provost_testkit::conformance::forward::Forwarder;
use provost_testkit::conformance::report::document;
use provost_testkit::conformance::server::{Era, serve};
use provost_testkit::conformance::suite::{
    Check, Outcome, Played, Revision, SUITES, Side, Standing, Status, Suite,
};
use provost_testkit::fixture::Fixture;
use provost_testkit::http;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use Status::{Failure, Info, Success, Warning};

/// An outcome with required scenarios, each with its checks.
fn outcome(scenarios: &[(&str, &[(&str, Status)])]) -> Outcome {
    let played = |checks: &[(&str, Status)]| Played {
        standing: Standing::Required,
        checks: checks
            .iter()
            .map(|(id, status)| Check {
                id: (*id).to_owned(),
                status: *status,
                error_message: None,
            })
            .collect(),
    };
    scenarios
        .iter()
        .map(|(name, checks)| ((*name).to_owned(), played(checks)))
        .collect()
}

fn compared(direct: Outcome, through: Outcome) -> Comparison {
    Comparison {
        suite: SUITES[0],
        direct,
        through,
    }
}

/// The names of what differs.
fn names(differences: &[Difference]) -> Vec<String> {
    let name = |it: &Difference| format!("{}: {}", it.scenario, it.check);
    differences.iter().map(name).collect()
}

#[test]
fn every_check_that_goes_differently_is_named() {
    let direct = outcome(&[
        (
            "a",
            &[("same", Success), ("worse", Success), ("gone", Success)],
        ),
        ("b", &[("twice", Success), ("twice", Success)]),
        ("c", &[("all", Success)]),
    ]);
    let through = outcome(&[
        (
            "a",
            &[("worse", Warning), ("same", Success), ("new", Failure)],
        ),
        ("b", &[("twice", Success)]),
    ]);
    let differences = compared(direct, through).differences();
    assert_eq!(
        names(&differences),
        ["a: gone", "a: new", "a: worse", "b: twice", "c: all"]
    );
}

#[test]
fn order_notes_and_sign_ins_make_no_difference() {
    let direct = outcome(&[
        ("a", &[("one", Success), ("two", Failure), ("log", Info)]),
        ("auth/x", &[("signed-in", Success)]),
    ]);
    let through = outcome(&[("a", &[("two", Failure), ("one", Success)])]);
    assert_eq!(compared(direct, through).differences(), []);
    let noted = compared(
        outcome(&[("a", &[("one", Success)])]),
        outcome(&[("a", &[("one", Info)])]),
    );
    assert_eq!(
        names(&noted.differences()),
        ["a: one"],
        "a check is more than a note"
    );
}

#[test]
fn a_required_failure_is_seen_and_one_that_does_not_count_is_not() {
    let mut direct = outcome(&[("good", &[("x", Success)]), ("bad", &[("x", Failure)])]);
    let through = direct.clone();
    let comparison = compared(direct.clone(), through.clone());
    assert_eq!(comparison.required_failures(), ["bad"]);
    direct.get_mut("bad").unwrap().standing = Standing::NotScored("extension".to_owned());
    assert_eq!(compared(direct, through).required_failures(), [""; 0]);
}

fn exceptions(list: &Value) -> Exceptions {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("exceptions.json");
    std::fs::write(&file, list.to_string()).unwrap();
    Exceptions::read(&file).unwrap()
}

#[test]
fn exceptions_give_reasons_and_those_that_are_not_needed_are_named() {
    let suite = SUITES[0].to_string();
    let list = json!([
        {"suite": suite, "scenario": "a", "check": "*", "reason": "because"},
        {"suite": suite, "scenario": "b", "check": "x", "reason": "no longer"},
        {"suite": SUITES[5].to_string(), "scenario": "*", "check": "*", "reason": "not played"},
    ]);
    let direct = outcome(&[("a", &[("x", Success)]), ("c", &[("x", Success)])]);
    let through = outcome(&[("a", &[("x", Failure)]), ("c", &[("x", Failure)])]);
    let mut differences = compared(direct, through).differences();
    let stale = exceptions(&list).explain(&mut differences, &SUITES[..1]);
    assert_eq!(stale, [format!("{suite}: b: x")]);
    let reasons: Vec<_> = differences.iter().map(|it| it.reason.as_deref()).collect();
    assert_eq!(reasons, [Some("because"), None]);
}

#[test]
fn the_table_names_what_was_played_directly_only() {
    let client = Suite {
        side: Side::Client,
        revision: Revision::Legacy,
    };
    let direct = outcome(&[
        ("tools_call", &[("x", Success)]),
        ("auth/x", &[("x", Success), ("y", Warning)]),
    ]);
    let through = outcome(&[("tools_call", &[("x", Success)])]);
    let comparison = Comparison {
        suite: client,
        direct,
        through,
    };
    let text = document(&[comparison], &[]);
    for line in [
        "| client 2025-11-25, required, without sign-in | 1 | 1 / 0 | 1 / 0 | none |",
        "| client 2025-11-25, required, sign-in (OAuth) | 1 | 1 / 0 (1 warned) | – | upstream OAuth comes later |",
    ] {
        assert!(text.contains(line), "{line}\nis not in\n{text}");
    }
}

#[tokio::test]
async fn the_forwarder_adds_a_token_and_leaves_the_rest_alone() {
    let server = Fixture::plain();
    let forwarder = Forwarder::start(&server.url(), "secret").await.unwrap();
    let headers = [
        ("host", "evil.example"),
        ("origin", "http://evil.example"),
        ("content-type", "application/json"),
        ("mcp-session-id", "none"),
    ];
    let body = r#"{"jsonrpc":"2.0", "id":1,"method":"ping"}"#;
    http::send("POST", forwarder.url(), &headers, body)
        .await
        .unwrap();
    let seen = String::from_utf8(server.recorder.bytes()).unwrap();
    assert!(seen.ends_with(body), "{seen}");
    for (name, value) in headers
        .into_iter()
        .chain([("authorization", "Bearer secret")])
    {
        let line = format!("{name}: {value}\r\n");
        assert_eq!(
            seen.to_lowercase().matches(&line.to_lowercase()).count(),
            1,
            "{seen}"
        );
    }
}

/// Asks a conformance server of that era with the handshake of the one and then a request of the other.
async fn both_asked(era: Era) -> (Value, Value) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = tokio::spawn(serve(listener, era));
    let client = json!({"name": "t", "version": "1"});
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}});
    let legacy = http::post(&url, &[], hello.to_string()).await.unwrap();
    let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}}}});
    let version = ("mcp-protocol-version", "2026-07-28");
    let method = ("mcp-method", "server/discover");
    let modern = http::post(&url, &[version, method], discover.to_string())
        .await
        .unwrap();
    server.abort();
    (message(&legacy.text()), message(&modern.text()))
}

/// The message of an answer that is one, or a stream with one.
fn message(body: &str) -> Value {
    let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
    let stream = data
        .filter_map(|data| serde_json::from_str(data).ok())
        .next_back();
    serde_json::from_str(body)
        .ok()
        .or(stream)
        .unwrap_or_else(|| panic!("no message: {body}"))
}

#[tokio::test]
async fn each_era_can_be_switched_off() {
    for (era, legacy, modern) in [
        (Era::Legacy, true, false),
        (Era::Modern, false, true),
        (Era::Both, true, true),
    ] {
        let (handshake, discovered) = both_asked(era).await;
        assert_eq!(
            handshake.get("result").is_some(),
            legacy,
            "{era:?}: {handshake}"
        );
        assert_eq!(
            discovered.get("result").is_some(),
            modern,
            "{era:?}: {discovered}"
        );
    }
}
