//! What goes wrong around Provost: each with its own words and exit code.

use std::os::unix::fs::PermissionsExt;

use crate::place::Place;
use provost_testkit::process::fixture_program;
use provost_testkit::wait_until;

#[test]
fn names_and_addresses_are_checked() {
    let place = Place::new();
    for words in [
        &["server", "add", "Bad Name", "--url", "http://a/"][..],
        &["server", "add", "fleet", "--url", "http://a/"],
        &["server", "add", "a", "--url", "ftp://a/"],
        &[
            "server",
            "add",
            "a",
            "--url",
            "http://a/",
            "--env",
            "A=env:HOME",
        ],
        &[
            "server",
            "add",
            "a",
            "--url",
            "http://a/",
            "--header",
            "Host=env:HOME",
        ],
        &["server", "add", "a"],
        &["server", "add", "a", "--url", "http://a/", "--", "cat"],
        &["grant", "mint", "a", "--label", "", "--policy", "x"],
        &["grant", "mint", "a", "--label", "x", "--observe"],
        &["grant", "mint", "a", "--label", "x", "--expires", "soon"],
        &["log", "--since", "yesterday"],
        &["up", "--listen", "somewhere"],
    ] {
        insta::assert_snapshot!(place.story(words));
    }
}

#[test]
fn upstreams_that_do_not_work_are_told_apart() {
    let place = Place::new();
    place.ok(&[
        "server",
        "add",
        "refusing",
        "--url",
        "http://127.0.0.1:9/mcp",
    ]);
    place.ok(&[
        "server",
        "add",
        "missing",
        "--force",
        "--",
        "/no/such/program",
    ]);
    place.ok(&["server", "add", "crashing", "--", "sh", "-c", "exit 3"]);
    for name in ["refusing", "missing", "crashing", "nowhere"] {
        insta::assert_snapshot!(place.story(&["server", "test", name]));
    }
}

#[test]
fn a_server_that_works_is_described() {
    let place = Place::new();
    let fixture = fixture_program();
    place.ok(&[
        "server",
        "add",
        "files",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ]);
    insta::assert_snapshot!(place.story(&["server", "test", "files"]));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Place::new();
    place.ok(&["server", "list"]);
    let key = std::fs::read_dir(place.config())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.is_file())
        .unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!(place.story(&["server", "list"]));
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 1);
    assert!(doctor.stdout.contains("chmod 600"), "{}", doctor.stdout);
}

#[test]
fn a_damaged_journal_is_named_and_the_rest_is_used() {
    let place = Place::new();
    place.furnish();
    let journal = std::fs::read_dir(place.data().join("journal"))
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, text.replacen("policy.put", "policy.putt", 1)).unwrap();
    let listed = place.run(&["grant", "list"]);
    assert_eq!(listed.code, 0);
    let warning = "warning: the journal is damaged: segment 1, line 7";
    assert!(listed.stderr.starts_with(warning), "{}", listed.stderr);
    let verified = place.run(&["audit", "verify"]);
    assert_eq!(verified.code, 6, "{}{}", verified.stdout, verified.stderr);
    insta::assert_snapshot!(place.tell(&["audit", "verify"], &verified));
}

#[test]
fn an_export_is_private_and_whole_or_not_there() {
    let place = Place::new();
    place.furnish();
    place.ok(&["audit", "export", "--output", "whole.jsonl"]);
    let whole = place.path().join("whole.jsonl");
    let mode = std::fs::metadata(&whole).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&whole).unwrap();
    assert!(place.ok(&["audit", "export"]).starts_with(&text));
    // What is there already is neither overwritten nor removed.
    assert_eq!(
        place
            .run(&["audit", "export", "--output", "whole.jsonl"])
            .code,
        4
    );
    assert_eq!(std::fs::read_to_string(&whole).unwrap(), text);
    std::fs::remove_dir_all(place.data()).unwrap();
    place.file("data", "");
    let failed = place.run(&["audit", "export", "--output", "half.jsonl"]);
    assert_ne!(failed.code, 0);
    assert!(!place.path().join("half.jsonl").exists());
}

#[test]
fn a_data_directory_that_is_no_directory_is_refused() {
    let place = Place::new();
    place.file("data", "");
    let ran = place.run(&["server", "list"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("error: "), "{}", ran.stderr);
}

#[test]
fn without_a_home_directories_must_be_named() {
    let place = Place::new();
    let ran = place
        .bare()
        .env_remove("HOME")
        .args(["server", "list"])
        .output()
        .unwrap()
        .into();
    insta::assert_snapshot!(place.tell(&["server", "list"], &ran));
}

#[test]
fn the_data_flag_may_stand_before_the_command_and_beats_the_variable() {
    let place = Place::new();
    let other = place.path().join("other");
    place.ok(&[
        "--data",
        other.to_str().unwrap(),
        "server",
        "add",
        "there",
        "--url",
        "http://a/",
    ]);
    assert_eq!(place.json(&["server", "list"]), serde_json::json!([]));
    let after = place.json(&["server", "list", "--data", other.to_str().unwrap()]);
    assert_eq!(after[0]["name"], "there");
}

/// A server on HTTP that answers everything with this text.
fn web(text: &'static str) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut piece = [0; 16_384];
            drop(stream.read(&mut piece));
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
            drop(write!(
                stream,
                "{head}\r\ncontent-length: {}\r\n\r\n{text}",
                text.len()
            ));
        }
    });
    url
}

#[tokio::test]
async fn d44_a_server_that_does_not_work_says_what_was_seen_of_it() {
    let place = Place::new();
    let url = web("<h1>Welcome to \u{1b}nginx</h1>");
    place.ok(&["server", "add", "web", "--url", &url]);
    let script = "echo 'cannot open /etc/token' >&2; echo 'giving up' >&2; exit 3";
    place.ok(&["server", "add", "crashing", "--", "sh", "-c", script]);
    let told = |place: &Place, name: &str| {
        let ran = place.run(&["server", "test", name, "--json"]);
        assert_eq!(ran.code, 5, "{}", ran.stderr);
        let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        error["error"]["causes"].clone()
    };
    let crashed = serde_json::json!([
        "it ended, or closed the connection, before it had answered",
        "its program ended with exit code 3",
        "its standard error: cannot open /etc/token",
        "its standard error: giving up",
    ]);
    let no_mcp = serde_json::json!([
        "it sent something that is not an MCP answer",
        "it sent: <h1>Welcome to \\u{1b}nginx</h1>",
    ]);
    // The same with a daemon, over its socket.
    assert_eq!(told(&place, "crashing"), crashed);
    assert_eq!(told(&place, "web"), no_mcp);
    let _up = place.up(&[]).await;
    assert_eq!(told(&place, "crashing"), crashed);
    assert_eq!(told(&place, "web"), no_mcp);
}

#[test]
fn d44_a_program_that_is_missing_is_found_when_its_server_is_added() {
    let place = Place::new();
    insta::assert_snapshot!(place.story(&["server", "add", "a", "--", "no-such-program"]));
    insta::assert_snapshot!(place.story(&["server", "add", "a", "--", "./here.sh"]));
    assert_eq!(place.json(&["server", "list"]), serde_json::json!([]));
    place.ok(&["server", "add", "a", "--force", "--", "no-such-program"]);
    // A PATH of its own says where it is.
    let tool = place.file("tool", "#!/bin/sh\n");
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    place.file("path.txt", place.path().to_str().unwrap());
    let env = ["server", "add", "b", "--env", "PATH=@path.txt", "--"];
    place.ok(&[&env[..], &["tool"]].concat());
    let refused = place.run(&["server", "add", "c", "--", "tool"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
}

#[tokio::test]
async fn d45_doctor_looks_at_every_server() {
    let place = Place::new();
    place.furnish();
    place.ok(&["server", "add", "gone", "--url", "http://127.0.0.1:9/mcp"]);
    place.ok(&[
        "server",
        "add",
        "missing",
        "--force",
        "--",
        "no-such-program",
    ]);
    place.ok(&["server", "add", "crashing", "--", "sh", "-c", "exit 3"]);
    let alone = place.run(&["doctor", "--json"]);
    let _up = place.up(&[]).await;
    let served = place.run(&["doctor", "--json"]);
    for ran in [alone, served] {
        assert_eq!(ran.code, 1, "{}", ran.stderr);
        let findings: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let servers: Vec<_> = findings
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["about"].as_str().unwrap().starts_with("server "))
            .map(|finding| {
                let word = |key: &str| finding[key].as_str().unwrap().to_owned();
                format!("{} {}: {}", word("state"), word("about"), word("message"))
            })
            .collect();
        assert_eq!(
            servers,
            [
                "broken server missing: there is no program `no-such-program`",
                "broken server crashing: it ended, or closed the connection, before it had answered; its program ended with exit code 3",
                "ok server files: works: legacy (protocol 2025-11-25), 17 tools",
                "broken server gone: it cannot be reached or started; cannot connect to `127.0.0.1`, port 9: connection refused",
            ]
        );
        // Nothing is said of programs that nobody needs.
        assert!(!ran.stdout.contains("tmux"), "{}", ran.stdout);
    }
}

#[test]
fn d45_doctor_points_out_limits_that_no_tool_can_charge() {
    let place = Place::new();
    place.furnish();
    let finding = || {
        let findings = place.json(&["doctor"]);
        let findings = findings.as_array().unwrap().clone();
        let about = |found: &serde_json::Value| found["about"] == "policy files/small";
        findings.into_iter().find(about)
    };
    assert_eq!(finding(), None, "nothing was called, and nothing is wrong");
    let mistyped = place.file(
        "mistyped.json",
        r#"{ "version": "1", "default": "allow", "tools": {
            "ad": { "limits": [{ "counter": "adds", "window": "day", "max": 9 }] },
            "ech": { "rate_limit": { "max": 1, "window": 60 } },
            "echo": { "rate_limit": { "max": 1, "window": 60 } } } }"#,
    );
    place.ok(&["policy", "put", "files", "small", &mistyped]);
    let idle = finding().unwrap();
    assert_eq!(idle["state"], "warning");
    assert_eq!(
        idle["message"],
        "no tool of the server counts towards `adds`, `ech_rate`"
    );
}

#[test]
fn doctor_points_out_grants_that_only_observe_or_have_no_policy() {
    let place = Place::new();
    place.furnish();
    place.ok(&["grant", "mint", "files", "--label", "bare"]);
    place.ok(&[
        "grant",
        "mint",
        "files",
        "--label",
        "watched",
        "--policy",
        "small",
        "--observe",
    ]);
    let doctor = place.ok(&["doctor"]);
    assert!(
        doctor.contains("grant files/bare") && doctor.contains("grant files/watched"),
        "{doctor}"
    );
}

#[test]
fn l105_what_people_wrote_cannot_steer_the_terminal() {
    let place = Place::new();
    place.furnish();
    let policy = crate::place::POLICY;
    let evil = "evil\u{1b}[2J\u{202e}";
    let file = place.file("evil.json", policy);
    place.ok(&[
        "policy",
        "put",
        "files",
        "evil",
        &file,
        "--description",
        evil,
    ]);
    let refused = place.run(&["grant", "mint", "files", "--label", evil]);
    for text in [place.ok(&["policy", "list"]), refused.stderr] {
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
        assert!(text.contains("evil\\x1b[2J"), "{text}");
    }
}

#[test]
fn a_damaged_database_is_called_so() {
    for (damage, said) in [
        ("not a database at all", "file is not a database"),
        ("", "is damaged: "),
    ] {
        let place = Place::new();
        place.furnish();
        let path = place.data().join("provost.db");
        if damage.is_empty() {
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        } else {
            std::fs::write(&path, damage).unwrap();
        }
        let ran = place.run(&["server", "list"]);
        assert_eq!(ran.code, 6, "{}", ran.stderr);
        assert!(ran.stderr.contains(said), "{}", ran.stderr);
        let file = path.display().to_string();
        assert!(ran.stderr.contains(&file), "{}", ran.stderr);
        assert!(
            ran.stderr
                .contains("restore a backup with `provost restore`"),
            "{}",
            ran.stderr
        );
    }
}

#[tokio::test]
async fn doctor_says_that_the_journal_was_moved_away() {
    let place = Place::new();
    place.furnish();
    let _up = place.up(&[]).await;
    let journal = place.data().join("journal");
    let away = place.path().join("away");
    std::fs::rename(&journal, &away).unwrap();

    let mint = ["grant", "mint", "files", "--label", "late"];
    let refused = place.run(&mint);
    assert_eq!(refused.code, 5, "{}", refused.stderr);
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 1, "{}", doctor.stdout);
    let segment = journal.join("00000001.log");
    let said = format!("the journal cannot be written: `{}`", segment.display());
    assert!(doctor.stdout.contains(&said), "{}", doctor.stdout);

    std::fs::rename(&away, &journal).unwrap();
    wait_until("the journal is written again", || {
        place.run(&["doctor"]).code == 0
    })
    .await;
    place.ok(&mint);
    let verified = place.json(&["audit", "verify"]);
    assert_eq!(verified["intact"], true, "{verified}");
}
