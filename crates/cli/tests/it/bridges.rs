//! `run` and `connect`: what an agent sees on stdin and stdout.

use provost_testkit::client::Client;
use provost_testkit::process::fixture_program;
use provost_testkit::{wait_for, wait_until};
use serde_json::{Value, json};

use crate::place::{POLICY, Place};

async fn call(client: &Client, tool: &str, arguments: Value) -> Value {
    client
        .request(
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        )
        .await
}

fn refused(answer: &Value) -> bool {
    answer.to_string().contains("[POLICY DENIED]")
}

fn run_words(fixture: &str) -> [&str; 6] {
    ["run", "--policy", "policy.json", "--", fixture, "stdio"]
}

#[tokio::test]
async fn run_governs_a_command_and_counters_survive_a_restart() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let words = run_words(fixture.to_str().unwrap());
    let first = Client::stdio(&place.start(&words));
    first.connect().await;
    for _ in 0..3 {
        assert!(!refused(
            &call(&first, "add", json!({ "a": 1, "b": 2 })).await
        ));
    }
    let denied = call(&first, "add", json!({ "a": 1, "b": 2 })).await;
    assert!(
        refused(&denied) && denied.to_string().contains("retryAfterMs"),
        "{denied}"
    );
    first.as_stdio().end_input();
    wait_until("the first run ends", || {
        first.as_stdio().exit_code() == Some(0)
    })
    .await;
    let second = Client::stdio(&place.start(&words));
    second.connect().await;
    assert!(refused(
        &call(&second, "add", json!({ "a": 1, "b": 2 })).await
    ));
    // What counts is the path of the policy and the command: another command has its own count.
    let other = [&words[..], &["--generated-tools", "1"]].concat();
    let third = Client::stdio(&place.start(&other));
    third.connect().await;
    assert!(!refused(
        &call(&third, "add", json!({ "a": 1, "b": 2 })).await
    ));
}

#[tokio::test]
async fn stdout_carries_json_rpc_and_nothing_else() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let client = Client::stdio(&place.start(&run_words(fixture.to_str().unwrap())));
    client.connect().await;
    call(&client, "echo", json!({ "text": "x" })).await;
    client.as_stdio().end_input();
    wait_until("the run ends", || client.as_stdio().exit_code() == Some(0)).await;
    for line in client.as_stdio().lines() {
        let message: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(message["jsonrpc"], "2.0");
    }
}

#[tokio::test]
async fn a_saved_policy_holds_from_the_next_call_on_and_an_invalid_one_never() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let client = Client::stdio(&place.start(&run_words(fixture.to_str().unwrap())));
    client.connect().await;
    assert!(!refused(
        &call(&client, "echo", json!({ "text": "x" })).await
    ));
    // Saved as editors do: a new file renamed over the old one.
    let beside = place.file(
        "policy.json.new",
        &POLICY.replace("\"echo\": {},", "\"echo\": { \"action\": \"deny\" },"),
    );
    std::fs::rename(beside, place.path().join("policy.json")).unwrap();
    wait_for("the new policy", || async {
        refused(&call(&client, "echo", json!({ "text": "x" })).await).then_some(())
    })
    .await;
    place.file(
        "policy.json",
        "{ \"version\": \"1\", \"defualt\": \"allow\", \"tools\": { \"x\": 1 } }",
    );
    wait_until("the errors are reported", || {
        let stderr = client.as_stdio().stderr();
        stderr.contains("defualt")
            && stderr.contains("policy.json` was refused; version 2 stays in force")
    })
    .await;
    let troubles = || place.json(&["status"])["troubles"].clone();
    let told = |end: &str| {
        let message = &troubles()[0]["message"];
        message
            .as_str()
            .is_some_and(|message| message.ends_with(end))
    };
    wait_until("`status` says it", || {
        told("policy.json` was refused; version 2 stays in force")
    })
    .await;
    let found = place.json(&["doctor"]);
    let found = found.as_array().unwrap().iter();
    let mut found = found.filter(|found| found["message"] == troubles()[0]["message"]);
    assert_eq!(found.next().unwrap()["state"], "warning");
    std::fs::remove_file(place.path().join("policy.json")).unwrap();
    wait_until("that it is gone is reported", || {
        let stderr = client.as_stdio().stderr();
        stderr.contains("policy.json` is gone; version 2 stays in force")
    })
    .await;
    wait_until("`status` says that, too", || {
        told("policy.json` is gone; version 2 stays in force")
    })
    .await;
    assert!(refused(
        &call(&client, "echo", json!({ "text": "x" })).await
    ));
    place.file("policy.json", POLICY);
    wait_for("the repaired policy", || async {
        (!refused(&call(&client, "echo", json!({ "text": "x" })).await)).then_some(())
    })
    .await;
    assert!(troubles().is_null());
}

#[test]
fn an_invalid_policy_at_start_is_refused_with_all_its_errors_and_starts_nothing() {
    let place = Place::new();
    place.file(
        "policy.json",
        "{ \"version\": \"1\", \"defualt\": \"deny\", \"tools\": { \"x\": 1 } }",
    );
    let words = ["run", "--policy", "policy.json", "--", "touch", "started"];
    let story = place.story(&words);
    assert!(!place.path().join("started").exists() && !place.data().exists());
    insta::assert_snapshot!(story);
}

#[tokio::test]
async fn the_child_of_run_has_its_directory_and_environment_less_ours() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    // A server that writes down where it is and what it has, and then works.
    let fixture = fixture_program();
    let script = place.file(
        "server.sh",
        &format!(
            "pwd > where; env > env.txt; exec {} stdio\n",
            fixture.display()
        ),
    );
    let start = place
        .start(&["run", "--policy", "policy.json", "--", "sh", &script])
        .env("MINE", "yes");
    let client = Client::stdio(&start);
    client.connect().await;
    let here = std::fs::read_to_string(place.path().join("where")).unwrap();
    assert_eq!(
        std::path::Path::new(here.trim()),
        std::fs::canonicalize(place.path()).unwrap()
    );
    let environment = std::fs::read_to_string(place.path().join("env.txt")).unwrap();
    assert!(environment.contains("MINE=yes"));
    assert!(!environment.contains("PROVOST_"), "{environment}");
}

#[tokio::test]
async fn nothing_is_left_behind_when_run_is_killed_or_told_to_end() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let script = place.file(
        "server.sh",
        &format!("echo $$ >> pids; exec {} stdio\n", fixture.display()),
    );
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::KILL] {
        let client =
            Client::stdio(&place.start(&["run", "--policy", "policy.json", "--", "sh", &script]));
        client.connect().await;
        let pids = std::fs::read_to_string(place.path().join("pids")).unwrap();
        let server: u32 = pids.lines().last().unwrap().parse().unwrap();
        let daemon = place.daemon_pid().unwrap();
        crate::place::send(client.as_stdio().pid().unwrap(), signal);
        wait_until("the server has ended", || !crate::place::lives(server)).await;
        wait_until("the daemon has left", || !crate::place::lives(daemon)).await;
    }
}

#[tokio::test]
async fn connect_bridges_to_a_registered_server() {
    let place = Place::new();
    let token = place.furnish();
    let file = place.file("grant", &format!("{token}\n"));
    for start in [
        place
            .start(&["connect", "files"])
            .env("PROVOST_GRANT", &token),
        place.start(&["connect", "files", "--grant-file", &file]),
    ] {
        let client = Client::stdio(&start);
        client.connect().await;
        assert!(!refused(
            &call(&client, "echo", json!({ "text": "x" })).await
        ));
        assert!(refused(&call(&client, "fail", json!({})).await));
    }
    let denials = place.ok(&["log", "--decision", "deny", "--json"]);
    assert_eq!(denials.lines().count(), 2, "{denials}");
}

#[test]
fn connect_says_what_is_wrong_with_the_grant() {
    let place = Place::new();
    let token = place.furnish();
    insta::assert_snapshot!(place.story(&["connect", "files"]));
    let story = |server: &str, token: &str| {
        let ran = place
            .command(&["connect", server])
            .env("PROVOST_GRANT", token)
            .output()
            .unwrap()
            .into();
        place.tell(&["connect", server], &ran)
    };
    let unknown = story("files", "pv_nonsense");
    // Whether the server or the grant is the wrong one is not told.
    assert_eq!(
        unknown
            .replace("`files`", "`nowhere`")
            .replace("connect files", "connect nowhere"),
        story("nowhere", &token)
    );
    insta::assert_snapshot!(unknown);
    insta::assert_snapshot!(place.story(&["connect", "files", "--grant-file", "missing"]));
}

#[tokio::test]
async fn follow_streams_records_as_they_come() {
    use tokio::io::AsyncBufReadExt;
    let place = Place::new();
    let token = place.furnish();
    let _up = place.up(&[]).await;
    let client = Client::stdio(
        &place
            .start(&["connect", "files"])
            .env("PROVOST_GRANT", &token),
    );
    client.connect().await;
    let mut follow = tokio::process::Command::from(place.command(&["log", "--follow", "--json"]));
    let mut follow = follow
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(follow.stdout.take().unwrap()).lines();
    for text in ["one", "two"] {
        call(&client, "echo", json!({ "text": text })).await;
        let line = provost_testkit::wait::within("a record", lines.next_line())
            .await
            .unwrap()
            .unwrap();
        let record: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (record["tool"].as_str(), record["decision"].as_str()),
            (Some("echo"), Some("allow"))
        );
    }
}

#[tokio::test]
async fn more_records_than_one_answer_holds_are_all_shown() {
    let place = Place::new();
    let token = place.furnish();
    let connect = place
        .start(&["connect", "files"])
        .env("PROVOST_GRANT", &token);
    let client = Client::stdio(&connect);
    client.connect().await;
    for _ in 0..1_050 {
        call(&client, "fail", json!({})).await;
    }
    let numbers = |words: &[&str]| -> Vec<u64> {
        let shown = place.ok(&[&["log", "--tool", "fail", "--json"], words].concat());
        let number = |line| serde_json::from_str::<Value>(line).unwrap()["number"].as_u64();
        shown.lines().map(|line| number(line).unwrap()).collect()
    };
    let all = numbers(&["--since", "1h"]);
    assert_eq!(all.len(), 1_050);
    assert!(all.is_sorted());
    assert_eq!(numbers(&["-n", "1020"]), all[30..]);
    drop(client);
    // And without the daemon.
    assert_eq!(numbers(&["-n", "2000"]), all);
}

#[test]
fn a_command_that_is_not_there_is_told_at_once() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    insta::assert_snapshot!(place.story(&[
        "run",
        "--policy",
        "policy.json",
        "--",
        "no-such-program",
        "x"
    ]));
    assert!(!place.data().exists());
}

#[tokio::test]
async fn runs_from_different_directories_do_not_disturb_each_other() {
    let place = Place::new();
    let policy = place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let words = [
        "run",
        "--policy",
        &policy,
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let first = Client::stdio(&place.start(&words));
    first.connect().await;
    let mut elsewhere = place.start(&words);
    elsewhere.cwd = Some(std::env::temp_dir());
    let second = Client::stdio(&elsewhere);
    second.connect().await;
    for client in [&first, &second, &first] {
        assert!(!refused(
            &call(client, "add", json!({ "a": 1, "b": 2 })).await
        ));
    }
    // One grant, one count.
    assert!(refused(
        &call(&second, "add", json!({ "a": 1, "b": 2 })).await
    ));
}

#[tokio::test]
async fn d48_a_run_has_a_name_that_says_what_it_is() {
    let place = Place::new();
    place.furnish();
    place.file("team notes.json", POLICY);
    let fixture = fixture_program();
    let start = |name: &[&str], command: &[&str]| {
        let words = [
            &["run", "--policy", "team notes.json"],
            name,
            &["--"],
            command,
        ]
        .concat();
        Client::stdio(&place.start(&words))
    };
    let fixture = [fixture.to_str().unwrap(), "stdio"];
    let unnamed = start(&[], &fixture);
    let named = start(&["--name", "notes"], &fixture);
    for client in [&unnamed, &named] {
        client.connect().await;
        call(client, "echo", json!({ "text": "x" })).await;
    }
    let records = place.ok(&["log", "--tool", "echo", "--json"]);
    let of = |line: &str| {
        let record: Value = serde_json::from_str(line).unwrap();
        let word = |name: &str| record[name].as_str().unwrap().to_owned();
        (
            word("server"),
            word("grant_label"),
            record["policy"].clone(),
        )
    };
    let mut seen: Vec<_> = records.lines().map(of).collect();
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        seen[0],
        ("notes".to_owned(), "run".to_owned(), json!("team-notes"))
    );
    assert!(seen[1].0.starts_with("run-provost-fixture-"), "{seen:?}");
    // A name belongs to one thing at a time.
    let refused = |name: &str, command: &[&str]| {
        let words = [
            &["run", "--policy", "team notes.json", "--name", name, "--"],
            command,
        ]
        .concat();
        let ran = place.run(&words);
        assert_eq!(ran.code, 4, "{}", ran.stderr);
        ran.stderr
    };
    let other = [&fixture[..], &["--generated-tools", "1"]].concat();
    assert!(
        refused("notes", &other).contains("another `provost run` with another policy or command")
    );
    assert!(refused("files", &fixture).contains("it is a registered server"));
}

/// Opens a session as a client of that name would.
async fn open_as(client: &Client, name: &str) {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": { "name": name, "version": "2.1.332" },
    });
    let opened = client.request("initialize", params).await;
    assert!(opened.get("result").is_some(), "{opened}");
    client.notify("notifications/initialized", json!({})).await;
}

#[tokio::test]
async fn d48_two_clients_behind_the_same_run_are_told_apart() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let words = run_words(fixture.to_str().unwrap());
    let words = [&["run", "--name", "files"], &words[1..]].concat();
    for name in ["claude-code", "gemini-cli-mcp-client"] {
        let client = Client::stdio(&place.start(&words));
        open_as(&client, name).await;
        call(&client, "echo", json!({ "text": "x" })).await;
        client.as_stdio().end_input();
        wait_until("the run ends", || client.as_stdio().exit_code() == Some(0)).await;
    }
    let log = place.ok(&["log", "--tool", "echo"]);
    let grants = ["run (claude-code)", "run (gemini-cli-mc…)"];
    for (line, grant) in log.lines().skip(1).zip(grants) {
        assert!(line.contains(grant), "{log}");
    }
    let log = ["log", "--tool", "echo", "--client", "claude-code", "--json"];
    let one = place.ok(&log);
    let record: Value = serde_json::from_str(&one).unwrap();
    assert_eq!(record["client"], "claude-code 2.1.332");
    assert_eq!(record["grant_label"], "run");
    let narrow = place.command(&["log"]).env("COLUMNS", "80").output();
    let narrow = String::from_utf8(narrow.unwrap().stdout).unwrap();
    assert!(narrow.contains("run (claude-code)"), "{narrow}");
    for line in narrow.lines() {
        assert!(line.chars().count() <= 80, "{narrow}");
    }
}

#[tokio::test]
async fn d48_a_mistyped_tool_in_the_policy_of_a_run_is_told_once_the_tools_are_known() {
    let place = Place::new();
    let policy = |name: &str| {
        format!(
            r#"{{ "version": "1", "default": "deny", "hide": ["whisperr"],
                "tools": {{ "{name}": {{}}, "none_*": {{ "action": "deny" }}, "add": {{}} }} }}"#
        )
    };
    place.file("policy.json", &policy("ecoh"));
    let fixture = fixture_program();
    let client = Client::stdio(&place.start(&run_words(fixture.to_str().unwrap())));
    client.connect().await;
    assert_eq!(client.tools().await, ["add"]);
    let stderr = || client.as_stdio().stderr();
    wait_until("the mistyped names are told", || {
        stderr().contains("`whisperr`") && stderr().contains("did you mean `echo`?")
    })
    .await;
    // The tool that was meant is hidden from the agent, and not from whoever wrote the policy.
    let told = stderr();
    assert!(told.contains("the server has no tool `ecoh`"), "{told}");
    assert!(told.contains("policy.json:"), "{told}");
    assert!(!told.contains("covers no tool"), "{told}");
    // Once for each policy.
    client.tools().await;
    place.file("policy.json", &policy("ehco"));
    wait_until("the next one is told, too", || stderr().contains("`ehco`")).await;
    assert_eq!(stderr().matches("`ecoh`").count(), 1, "{}", stderr());
}

#[tokio::test]
async fn another_policy_file_under_the_same_name_is_the_policy_of_the_run() {
    let place = Place::new();
    let fixture = fixture_program();
    let run = |policy: &str| {
        let words = ["run", "--name", "x", "--policy", policy, "--"];
        let words = [&words[..], &[fixture.to_str().unwrap(), "stdio"]].concat();
        Client::stdio(&place.start(&words))
    };
    place.file("open.json", POLICY);
    place.file("closed.json", r#"{ "version": "1", "default": "deny" }"#);
    for (policy, closed) in [
        ("open.json", false),
        ("closed.json", true),
        ("open.json", false),
    ] {
        let client = run(policy);
        client.connect().await;
        let answer = call(&client, "echo", json!({ "text": "x" })).await;
        assert_eq!(refused(&answer), closed, "{policy}: {answer}");
        client.as_stdio().end_input();
        wait_until("the run ends", || client.as_stdio().exit_code() == Some(0)).await;
    }
    // What a person attached stays.
    let attach = ["policy", "attach", "run", "closed", "--server", "x"];
    place.ok(&attach);
    place.file("third.json", POLICY);
    for (policy, hint) in [
        ("open.json", "provost policy attach run open --server x"),
        ("third.json", "provost server remove x"),
    ] {
        let client = run(policy);
        wait_until("the run is refused", || {
            client.as_stdio().exit_code() == Some(1)
        })
        .await;
        wait_until("it says what to do", || {
            let stderr = client.as_stdio().stderr();
            stderr.contains("somebody attached policy `closed`") && stderr.contains(hint)
        })
        .await;
    }
}

#[test]
fn a_run_without_a_server_says_what_is_missing() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let ran = place.run(&["run", "--policy", "policy.json"]);
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "error: the server is missing\n  hint: add `--url URL`, or `-- CMD ARGS…` for a child process\n"
    );
}

#[test]
fn a_grant_file_that_others_can_read_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let token = place.furnish();
    let file = place.file("grant", &token);
    let stderr = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let ran = place.run(&["connect", "files", "--grant-file", "grant"]);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stderr
    };
    assert_eq!(
        stderr(0o644),
        "provost: others can read grant file `grant`, and use the grant; `chmod 600 grant`\n"
    );
    assert_eq!(stderr(0o600), "");
}
