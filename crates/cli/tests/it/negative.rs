//! Items of the numbered list of bad input that concern the whole program: what
//! it starts with, what its sockets take, and what is left when it is killed.

use provost_testkit::client::Client;
use provost_testkit::fixture::Fixture;
use provost_testkit::process::Start;
use provost_testkit::wait_until;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::place::{POLICY, Place};

/// Nothing is started, and nothing is created.
#[test]
fn a69_what_is_no_policy_starts_nothing() {
    let place = Place::new();
    for text in [
        "",
        " \n",
        "{",
        "{}",
        "[]",
        "null",
        "version: 1",
        r#"{"version":"2","default":"allow"}"#,
    ] {
        place.file("policy.json", text);
        let ran = place.run(&["run", "--policy", "policy.json", "--", "touch", "started"]);
        assert_ne!(ran.code, 0, "{text:?}: {}", ran.stderr);
        assert!(
            ran.stdout.is_empty() && ran.stderr.contains("policy.json"),
            "{text:?}: {}",
            ran.stderr
        );
        assert!(
            !place.path().join("started").exists() && !place.data().exists(),
            "{text:?}"
        );
    }
    let ran = place.run(&["run", "--policy", "missing.json", "--", "touch", "started"]);
    assert!(
        ran.code != 0 && !place.path().join("started").exists(),
        "{}",
        ran.stderr
    );
}

/// The policy that is in force is the last one that could be read.
#[test]
fn a69_what_is_no_policy_replaces_none() {
    let place = Place::new();
    place.furnish();
    let before = place.json(&["policy", "list", "files"]);
    for text in ["", "{}", r#"{"version":"1","defualt":"allow"}"#] {
        let file = place.file("bad.json", text);
        assert_ne!(
            place.run(&["policy", "put", "files", "small", &file]).code,
            0,
            "{text:?}"
        );
    }
    assert_eq!(place.json(&["policy", "list", "files"]), before);
}

/// Neither with the agents' own door nor with an agent's token.
#[tokio::test]
async fn l109_administration_is_not_for_agents() {
    let place = Place::new();
    let token = place.furnish();
    let up = place.up(&[]).await;
    let before = place.json(&["grant", "list"]);
    let bearer = format!("Bearer {token}");
    let headers = [
        ("authorization", bearer.as_str()),
        ("content-type", "application/json"),
    ];
    let request = r#"{"request":"list_grants"}"#;
    for path in [
        "/", "/admin", "/execute", "/request", "/metrics", "/healthz", "/readyz",
    ] {
        for method in ["GET", "POST"] {
            let url = format!("{}{path}", up.url);
            let reply = provost_testkit::http::send(method, &url, &headers, request)
                .await
                .unwrap();
            let said = std::str::from_utf8(&reply.body).unwrap();
            let words = "nothing is served here; agents call /mcp/<server>\n";
            assert_eq!((reply.status, said), (404, words), "{method} {path}");
        }
    }
    for hello in [
        request.to_owned(),
        format!(r#"{{"hello":"admin","token":"{token}"}}"#),
        format!(
            "POST /execute HTTP/1.1\r\nhost: localhost\r\nauthorization: {bearer}\r\ncontent-length: {}\r\n\r\n{request}",
            request.len()
        ),
        "GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned(),
    ] {
        let mut socket = tokio::net::UnixStream::connect(place.data().join("agent.sock"))
            .await
            .unwrap();
        socket
            .write_all(format!("{hello}\n").as_bytes())
            .await
            .unwrap();
        let mut said = Vec::new();
        let read = provost_testkit::wait::within(
            "the end of the connection",
            socket.read_to_end(&mut said),
        );
        drop(read.await);
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(
            !said.contains("laptop") && !said.contains("# TYPE") && !said.contains("HTTP/1.1 2"),
            "{hello}: {said}"
        );
    }
    assert_eq!(place.json(&["grant", "list"]), before);
    let agent = Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    agent.connect().await;
    assert!(
        agent
            .call("echo", json!({"text": "honest"}))
            .await
            .get("result")
            .is_some()
    );
}

/// The token is how `connect` is let in; the server behind it does not get it.
#[tokio::test]
async fn a66_the_token_of_connect_stays_with_us_over_stdio() {
    let place = Place::new();
    let fixture =
        provost_testkit::fixture::Stdio::new(&provost_testkit::fixture::Options::default());
    let line = fixture.start.command_line();
    let words: Vec<&str> = ["server", "add", "files", "--"]
        .into_iter()
        .chain(line.iter().map(String::as_str))
        .collect();
    place.ok(&words);
    let policy = place.file(
        "policy.json",
        &POLICY.replace("\"echo\": {}", "\"echo\": {}, \"identity\": {}"),
    );
    place.ok(&["policy", "put", "files", "small", &policy]);
    let minted = place.json(&[
        "grant", "mint", "files", "--label", "laptop", "--policy", "small",
    ]);
    let token = minted["token"].as_str().unwrap().to_owned();
    let up = place.up(&["-vv"]).await;
    let start: Start = place
        .start(&["connect", "files"])
        .env("PROVOST_GRANT", &token);
    let agent = Client::stdio(&start);
    agent.connect().await;
    let identity = agent.call("identity", json!({})).await;
    let refused = agent.call("write_note", json!({})).await;
    let said = format!("{identity}{refused}");
    assert!(
        said.contains("variables") && !said.contains("PROVOST"),
        "{said}"
    );
    for (what, text) in [
        ("an answer", said),
        (
            "the upstream",
            String::from_utf8_lossy(&fixture.bytes()).into_owned(),
        ),
        ("the log", up.log()),
        ("the export", place.ok(&["audit", "export"])),
        ("stderr", agent.as_stdio().stderr()),
    ] {
        assert!(
            !text.contains(&token[3..]),
            "the token is in {what}: {text}"
        );
    }
    assert!(
        agent
            .call("echo", json!({"text": "honest"}))
            .await
            .get("result")
            .is_some()
    );
}

/// What was in flight shows as unknown, was counted, and is not repeated.
#[tokio::test]
async fn l108_a_call_in_flight_at_a_kill_is_neither_forgotten_nor_repeated() {
    let place = Place::new();
    let upstream = Fixture::plain();
    place.ok(&["server", "add", "far", "--url", &upstream.url()]);
    let policy = json!({"version": "1", "default": "deny", "tools": {"echo": {}, "slow": {"rate_limit": {"max": 1, "window": 3600}}}});
    let policy = place.file("policy.json", &policy.to_string());
    place.ok(&["policy", "put", "far", "rules", &policy]);
    let minted = place.json(&[
        "grant", "mint", "far", "--label", "laptop", "--policy", "rules",
    ]);
    let token = minted["token"].as_str().unwrap().to_owned();
    let mut up = place.up(&[]).await;
    let agent = Client::http(&format!("{}/mcp/far", up.url), Some(&token));
    agent.connect().await;
    let link = agent.as_http().clone();
    let slow = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 60_000}}});
    let asked = tokio::spawn(async move { link.post_raw(slow.to_string()).await });
    wait_until("it is on its way", || upstream.recorder.calls() == ["slow"]).await;
    up.signal(Signal::KILL);
    up.ended().await;
    assert!(asked.await.unwrap().is_err(), "no answer came");
    let up = place.up(&["-v"]).await;
    let log = place.ok(&["log", "--json"]);
    let record: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&record["tool"], &record["decision"], &record["status"]),
        (&json!("slow"), &json!("allow"), &json!("unknown"))
    );
    assert_eq!(place.json(&["audit", "verify"])["intact"], true);
    assert_eq!(upstream.recorder.calls(), ["slow"], "nothing is sent again");
    let agent = Client::http(&format!("{}/mcp/far", up.url), Some(&token));
    agent.connect().await;
    let refused = agent.call("slow", json!({})).await;
    assert_eq!(
        refused["result"]["_meta"]["dev.provost/decision"]["rule"],
        "/tools/slow/limits/slow_rate"
    );
    assert!(
        agent
            .call("echo", json!({"text": "honest"}))
            .await
            .get("result")
            .is_some()
    );
}
