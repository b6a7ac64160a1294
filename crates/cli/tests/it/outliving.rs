//! `run` and `connect` outlive the daemon (D40): whatever ends it, the agent's next call works.

use provost_testkit::client::Client;
use provost_testkit::process::fixture_program;
use provost_testkit::{wait_for, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::place::{Place, lives, send};

/// Allows what these stories need.
const OPEN: &str = r#"{ "version": "1", "default": "allow" }"#;

/// A server of its own behind `connect`, under a policy that allows everything; the token.
fn furnish(place: &Place) -> String {
    let token = place.furnish();
    let policy = place.file("open.json", OPEN);
    place.ok(&["policy", "put", "files", "small", &policy]);
    token
}

fn agent(place: &Place, token: &str) -> Client {
    let start = place.start(&["connect", "files"]);
    Client::stdio(&start.env("PROVOST_GRANT", token))
}

async fn echoes(client: &Client) {
    let answer = client.call("echo", json!({ "text": "x" })).await;
    assert_eq!(answer["result"]["content"][0]["text"], "x", "{answer}");
}

async fn kill(place: &Place) -> u32 {
    let pid = place.daemon_pid().unwrap();
    send(pid, Signal::KILL);
    wait_until("the daemon is dead", || !lives(pid)).await;
    pid
}

#[tokio::test]
async fn d40_the_next_call_after_kill_9_works_and_lists_are_announced_as_changed() {
    let place = Place::new();
    let token = furnish(&place);
    let connect = agent(&place, &token);
    let fixture = fixture_program();
    let fixture = fixture.to_str().unwrap();
    place.file("run.json", OPEN);
    let run = Client::stdio(&place.start(&["run", "--policy", "run.json", "--", fixture, "stdio"]));
    for client in [&connect, &run] {
        client.connect().await;
        echoes(client).await;
    }
    for _ in 0..3 {
        let before = kill(&place).await;
        for client in [&connect, &run] {
            echoes(client).await;
        }
        assert_ne!(place.daemon_pid().unwrap(), before);
    }
    let changed = "notifications/tools/list_changed";
    for client in [&connect, &run] {
        wait_until("each loss is announced", || {
            client.received(changed).len() >= 3
        })
        .await;
    }
    let records = place.ok(&["log", "--tool", "echo", "--json"]);
    assert_eq!(records.lines().count(), 8, "{records}");
}

#[tokio::test]
async fn d40_a_call_that_was_on_its_way_is_answered_with_outcome_unknown() {
    let place = Place::new();
    let token = furnish(&place);
    let client = agent(&place, &token);
    client.connect().await;
    let marker = place.path().join("never");
    let slow = client.call("slow", json!({ "until": marker }));
    let killed = async {
        wait_for("the call is on its way", || async {
            let shown = place.ok(&["log", "--tool", "slow", "--json"]);
            (!shown.is_empty()).then_some(())
        })
        .await;
        kill(&place).await;
    };
    let (answer, ()) = tokio::join!(slow, killed);
    assert_eq!(answer["error"]["code"], -32603);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("outcome unknown: the Provost daemon ended"),
        "{message}"
    );
    echoes(&client).await;
    let shown: Value =
        serde_json::from_str(&place.ok(&["log", "--tool", "slow", "--json"])).unwrap();
    assert_eq!(shown["status"], "unknown", "{shown}");
}

#[tokio::test]
async fn d40_what_an_agent_arranged_holds_with_the_next_daemon() {
    let place = Place::new();
    let token = furnish(&place);
    let up = place.up(&[]).await;
    let client = agent(&place, &token);
    client.connect().await;
    let subscribed = client
        .request("resources/subscribe", json!({ "uri": "fixture://note" }))
        .await;
    assert!(subscribed["result"].is_object(), "{subscribed}");
    drop(up);
    // Nobody says anything: the bridge sees the next daemon come.
    let _up = place.up(&[]).await;
    wait_until("the bridge is back", || {
        place.json(&["status"])["clients"] == 1
    })
    .await;
    let written = client.call("write_note", json!({ "text": "x" })).await;
    assert!(written["result"].is_object(), "{written}");
    client.wait_for("notifications/resources/updated").await;
}

#[tokio::test]
async fn d40_a_daemon_that_was_stopped_stays_so_until_an_agent_needs_it() {
    let place = Place::new();
    let token = furnish(&place);
    let client = agent(&place, &token);
    client.connect().await;
    let pid = place.daemon_pid().unwrap();
    place.ok(&["stop"]);
    wait_until("the daemon has ended", || !lives(pid)).await;
    assert_eq!(place.run(&["status"]).code, 5);
    echoes(&client).await;
    assert!(place.daemon_pid().is_some());
    client.as_stdio().end_input();
    wait_until("the bridge ends", || {
        client.as_stdio().exit_code() == Some(0)
    })
    .await;
}

#[tokio::test]
async fn d40_restore_replace_keeps_agents_and_the_listener() {
    let place = Place::new();
    let token = furnish(&place);
    let up = place.up(&[]).await;
    let client = agent(&place, &token);
    client.connect().await;
    echoes(&client).await;
    place.ok(&["backup", "all.backup"]);
    for _ in 0..3 {
        let (restored, ()) = tokio::join!(
            tokio::task::spawn_blocking({
                let mut command = place.command(&["restore", "all.backup", "--replace"]);
                move || command.output().unwrap()
            }),
            // Calls while everything is exchanged: each is answered.
            async {
                for _ in 0..20 {
                    let answer = client.call("echo", json!({ "text": "x" })).await;
                    let unknown = answer["error"]["message"].as_str();
                    let unknown = unknown.is_some_and(|text| text.starts_with("outcome unknown"));
                    assert!(unknown || answer["result"].is_object(), "{answer}");
                }
            }
        );
        let restored = restored.unwrap();
        assert!(
            restored.status.success(),
            "{}",
            String::from_utf8_lossy(&restored.stderr)
        );
        echoes(&client).await;
        // It is the daemon that was restored that serves, with its listener.
        let status = place.json(&["status"]);
        assert_eq!(status["pid"], up.child.id(), "{status}");
        assert_eq!(status["self_started"], false);
    }
}

#[tokio::test]
async fn d40_an_upgrade_needs_nobody() {
    let place = Place::new();
    let token = furnish(&place);
    let program = place.path().join("provost");
    let put = || {
        // As installers do: a new file in the place of the old one.
        let fresh = place.path().join("provost.new");
        std::fs::copy(env!("CARGO_BIN_EXE_provost"), &fresh).unwrap();
        std::fs::rename(&fresh, &program).unwrap();
    };
    put();
    let mut start = place
        .start(&["connect", "files"])
        .env("PROVOST_GRANT", &token);
    start.program = program.clone();
    let client = Client::stdio(&start);
    client.connect().await;
    let before = place.daemon_pid().unwrap();
    put();
    place.ok(&["stop"]);
    echoes(&client).await;
    let after = place.daemon_pid().unwrap();
    assert_ne!(before, after);
    let runs = std::fs::read_link(format!("/proc/{after}/exe")).unwrap();
    assert_eq!(runs, std::fs::canonicalize(&program).unwrap());
}

#[tokio::test]
async fn a_daemon_that_is_killed_while_it_starts_is_started_once_more() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let token = furnish(&place);
    let program = place.path().join("provost");
    std::fs::copy(env!("CARGO_BIN_EXE_provost"), &program).unwrap();
    // Nobody starts a daemon before the program is another one.
    let starting = std::fs::File::create(place.data().join("start.lock")).unwrap();
    starting.lock().unwrap();
    let mut start = place
        .start(&["connect", "files"])
        .env("PROVOST_GRANT", &token);
    start.program = program.clone();
    let client = Client::stdio(&start);
    let killed = place.path().join("killed");
    let script = format!(
        "#!/bin/sh\nmkdir '{}' 2>/dev/null && kill -9 $$\nexec '{}' \"$@\"\n",
        killed.display(),
        env!("CARGO_BIN_EXE_provost"),
    );
    let fresh = place.path().join("provost.new");
    std::fs::write(&fresh, script).unwrap();
    std::fs::set_permissions(&fresh, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::rename(&fresh, &program).unwrap();
    drop(starting);
    client.connect().await;
    echoes(&client).await;
    assert!(killed.is_dir());
}

#[tokio::test]
async fn d40_a_grant_that_was_revoked_ends_the_bridge_and_says_so() {
    let place = Place::new();
    let token = furnish(&place);
    let client = agent(&place, &token);
    client.connect().await;
    place.ok(&["grant", "revoke", "laptop"]);
    wait_until("the bridge ends", || {
        client.as_stdio().exit_code() == Some(1)
    })
    .await;
    wait_until("it says why", || {
        let stderr = client.as_stdio().stderr();
        stderr.contains("the token is not valid for server `files`")
    })
    .await;
}

#[tokio::test]
async fn a_server_that_never_opens_a_session_fails_the_run() {
    let place = Place::new();
    place.file("run.json", OPEN);
    let client = Client::stdio(&place.start(&["run", "--policy", "run.json", "--", "false"]));
    let answer = client
        .request(
            "initialize",
            json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } }),
        )
        .await;
    let told = answer["error"]["message"].as_str().unwrap();
    let end = "is not available: its program ended with exit code 1";
    assert!(told.ends_with(end), "{answer}");
    client.as_stdio().end_input();
    wait_until("the run ends", || client.as_stdio().exit_code() == Some(5)).await;
    wait_until("it says why", || {
        let stderr = client.as_stdio().stderr();
        stderr.contains("the server did not open a session")
    })
    .await;
}

/// What a run says whose server gives its agent no session: to the agent, and on stderr.
async fn refused_run(place: &Place, server: &[&str]) -> (String, String) {
    place.file("run.json", OPEN);
    let words = [&["run", "--policy", "run.json", "--name", "x"], server].concat();
    let client = Client::stdio(&place.start(&words));
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let answer = client.request("initialize", params).await;
    client.as_stdio().end_input();
    wait_until("the run ends", || client.as_stdio().exit_code() == Some(5)).await;
    wait_until("it says what to do", || {
        client.as_stdio().stderr().contains("hint: ")
    })
    .await;
    let told = answer["error"]["message"].as_str().unwrap().to_owned();
    (told, place.normal(&client.as_stdio().stderr()))
}

#[tokio::test]
async fn why_a_server_opened_no_session_is_told_on_stderr_and_its_exit_code_to_the_agent() {
    let place = Place::new();
    let boom = ["--", "sh", "-c", "echo boom >&2; exit 3"];
    let (told, stderr) = refused_run(&place, &boom).await;
    let end = "server `x` is not available: its program ended with exit code 3";
    assert_eq!(told, end);
    assert_eq!(
        stderr,
        format!(
            "error: the server did not open a session for the agent\n  caused by: {end}\n  \
             caused by: its standard error: boom\n  \
             hint: does the server start without Provost? The log of the daemon may say more: `[SCRATCH]/data/daemon.log`\n"
        )
    );
    let log = std::fs::read_to_string(place.data().join("daemon.log")).unwrap();
    let end = "Server `x`: its program ended with exit code 3";
    assert!(log.contains(end) && log.contains("boom"), "{log}");
    let (_, stderr) = refused_run(&place, &["--", "echo", "hello"]).await;
    assert!(stderr.contains("caused by: it sent: hello"), "{stderr}");
    let (told, stderr) = refused_run(&place, &["--url", "http://127.0.0.1:1/mcp"]).await;
    assert_eq!(told, "server `x` is not available");
    assert!(stderr.contains("onnection refused"), "{stderr}");
}

#[tokio::test]
async fn a_token_that_was_rotated_goes_on_once_the_new_one_is_in_the_file() {
    let place = Place::new();
    let token = furnish(&place);
    let file = place.file("grant", &token);
    let client = Client::stdio(&place.start(&["connect", "files", "--grant-file", &file]));
    client.connect().await;
    let rotated = place.json(&["grant", "rotate", "laptop"]);
    wait_until("the old one is refused", || {
        let stderr = client.as_stdio().stderr();
        stderr.contains("the token is that of the file `") && stderr.contains("grant`")
    })
    .await;
    place.file("grant", rotated["token"].as_str().unwrap());
    echoes(&client).await;
    place.ok(&["grant", "revoke", "laptop"]);
    wait_until("the new one is refused, too", || {
        client
            .as_stdio()
            .stderr()
            .matches("is not valid for server")
            .count()
            == 2
    })
    .await;
    // Whoever asks hears why before the bridge ends.
    let answer = client.call("echo", json!({ "text": "x" })).await;
    let told = answer["error"]["message"].as_str().unwrap();
    assert!(told.contains("is not valid for server `files`"), "{answer}");
    wait_until("the bridge ends", || {
        client.as_stdio().exit_code() == Some(1)
    })
    .await;
}

#[tokio::test]
async fn an_agent_whose_server_ends_during_a_call_is_told_how() {
    let place = Place::new();
    place.file("run.json", OPEN);
    let opened = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{}},"serverInfo":{"name":"f","version":"1"}}}"#;
    let server =
        format!("read a; echo '{opened}'; read b; read c; echo 'disk on fire' >&2; exit 9");
    let words = ["run", "--policy", "run.json", "--name", "x", "--"];
    let words = [&words[..], &["sh", "-c", &server]].concat();
    let client = Client::stdio(&place.start(&words));
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
    let answer = client.request("initialize", params).await;
    assert!(answer["result"].is_object(), "{answer}");
    client.notify("notifications/initialized", json!({})).await;
    let answer = client.call("echo", json!({ "text": "x" })).await;
    assert_eq!(
        answer["error"]["message"],
        "server `x` ended (exit code 9) during this call; whether it was carried out is not known"
    );
    let record: Value =
        serde_json::from_str(&place.ok(&["log", "--tool", "echo", "--json"])).unwrap();
    assert_eq!(record["status"], "upstream_down", "{record}");
}
