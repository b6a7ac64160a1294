//! No secret leaves: not in output, not in logs, not in the process list, not in the data directory.

use provost_testkit::client::Client;
use serde_json::json;

use crate::place::{Place, lives};
use provost_testkit::process::fixture_program;

const CANARY: &str = "canary-7f3a9e";

#[tokio::test]
async fn l106_a_secret_is_found_nowhere() {
    let place = Place::new();
    place.file("canary", CANARY);
    let fixture = fixture_program();
    let mut seen = String::new();
    let mut run = |words: &[&str]| {
        let ran = place.run(words);
        seen.push_str(&ran.stdout);
        seen.push_str(&ran.stderr);
    };
    run(&[
        "server",
        "add",
        "far",
        "--url",
        "http://127.0.0.1:9/mcp",
        "--header",
        "Authorization=@canary",
    ]);
    run(&[
        "server",
        "add",
        "files",
        "--env",
        "SECRET=@canary",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ]);
    run(&[
        "server",
        "set",
        "far",
        "--header",
        &format!("X-Key={CANARY}"),
    ]);
    run(&[
        "server",
        "set",
        "far",
        "--url",
        &format!("https://me:{CANARY}@example.com/"),
    ]);
    let policy = place.file("policy.json", crate::place::POLICY);
    run(&["policy", "put", "files", "small", &policy]);
    let minted = place.json(&[
        "grant", "mint", "files", "--label", "laptop", "--policy", "small",
    ]);
    let token = minted["token"].as_str().unwrap().to_owned();
    let up = place.up(&["-vv"]).await;
    let client = Client::stdio(
        &place
            .start(&["connect", "files"])
            .env("PROVOST_GRANT", &token),
    );
    client.connect().await;
    client
        .request(
            "tools/call",
            json!({ "name": "echo", "arguments": { "text": CANARY } }),
        )
        .await;
    for words in [
        &["server", "test", "far"][..],
        &["server", "show", "far"],
        &["server", "list", "--json"],
        &["grant", "list", "--json"],
        &["log", "--json"],
        &["audit", "export"],
        &["doctor"],
    ] {
        run(words);
    }
    let processes = std::process::Command::new("ps")
        .args(["-eo", "args"])
        .output()
        .unwrap();
    let bridge = client.as_stdio().pid().unwrap();
    assert!(lives(bridge));
    for (what, text) in [
        ("output", seen),
        ("log", up.log()),
        (
            "process list",
            String::from_utf8_lossy(&processes.stdout).into_owned(),
        ),
    ] {
        assert!(
            !text.contains(CANARY),
            "the secret is in the {what}: {text}"
        );
        assert!(!text.contains(&token), "the token is in the {what}");
    }
    for file in files(&place.data()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let contains = |needle: &str| {
            bytes
                .windows(needle.len())
                .any(|window| window == needle.as_bytes())
        };
        assert!(
            !contains(CANARY) && !contains(&token),
            "a secret is in {}",
            file.display()
        );
    }
}

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn literal_secrets_are_refused_and_not_repeated() {
    let place = Place::new();
    insta::assert_snapshot!(place.story(&[
        "server",
        "add",
        "far",
        "--url",
        "http://a/",
        "--header",
        "Authorization=hidden"
    ]));
    insta::assert_snapshot!(place.story(&[
        "server",
        "add",
        "far",
        "--url",
        "http://a/",
        "--header",
        "A=env:NOT_SET"
    ]));
    insta::assert_snapshot!(place.story(&[
        "server",
        "add",
        "far",
        "--url",
        "http://a/",
        "--header",
        "A=@missing"
    ]));
}

#[test]
fn secrets_come_from_stdin_and_from_variables() {
    use std::io::Write;
    let place = Place::new();
    let mut command = place.command(&[
        "server",
        "add",
        "far",
        "--url",
        "http://a/",
        "--header",
        "A=-",
        "--header",
        "B=env:B_SECRET",
    ]);
    let mut child = command
        .env("B_SECRET", "b")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(
        place.json(&["server", "show", "far"])["headers"],
        json!(["A", "B"])
    );
}
