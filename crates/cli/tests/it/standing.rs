//! `status`, `stop` and `metrics`: a daemon as its owner sees it.

use provost_testkit::client::Client;
use serde_json::json;

use crate::place::{Place, Up};

/// A daemon through which `echo` was called once.
async fn up_and_called(place: &Place) -> Up {
    let token = place.furnish();
    let up = place.up(&[]).await;
    let client = Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    client.connect().await;
    let call = json!({ "name": "echo", "arguments": { "text": "x" } });
    client.request("tools/call", call).await;
    up
}

#[tokio::test]
async fn status_tells_what_the_daemon_looks_after() {
    let place = Place::new();
    let token = place.furnish();
    place.ok(&["server", "add", "far", "--url", "http://127.0.0.1:9/mcp"]);
    let up = place.up(&[]).await;
    let client = Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    client.connect().await;
    for tool in ["echo", "fail"] {
        let call = json!({ "name": tool, "arguments": { "text": "x" } });
        client.request("tools/call", call).await;
    }
    let status = place.json(&["status"]);
    assert_eq!(status["pid"], up.child.id());
    assert_eq!(status["listen"], up.url);
    assert_eq!(status["data"], place.data().to_str().unwrap());
    assert_eq!(status["grants"], 1);
    assert_eq!(
        status["servers"],
        json!([
            { "name": "far", "kind": "http", "eras": [], "usable": true },
            { "name": "files", "kind": "stdio", "eras": ["legacy"], "usable": true },
        ])
    );
    assert_eq!(status["last_minute"], json!({ "calls": 2, "denied": 1 }));
    assert_eq!(status["journal"]["intact_at_start"], true);
    let log = place.data().join("journal/00000001.log");
    let bytes = std::fs::metadata(log).unwrap().len();
    assert_eq!(status["journal"]["bytes"], bytes);
    let told = place.ok(&["status"]);
    let told = regex::Regex::new(r"\d+\.\d [KM]iB")
        .unwrap()
        .replace_all(&told, "[SIZE]");
    let told = regex::Regex::new(r"of \d+ calls")
        .unwrap()
        .replace_all(&told, "of [MOST] calls");
    insta::assert_snapshot!(place.normal(&told));
}

#[tokio::test]
async fn stop_ends_the_daemon_in_order_and_waits_for_it() {
    let place = Place::new();
    place.furnish();
    let mut up = place.up(&[]).await;
    insta::assert_snapshot!(place.story(&["stop"]));
    // Nothing holds the data directory any more when the command comes back.
    assert!(!place.data().join("admin.sock").exists());
    let entries = place.ok(&["audit", "export"]);
    assert!(entries.contains("daemon.end"), "{entries}");
    assert_eq!(up.ended().await, Some(0), "{}", up.log());
    place.ok(&["audit", "verify"]);
    let up = place.up(&["-v"]).await;
    let stopped = place.json(&["stop"]);
    assert_eq!(stopped["pid"], up.child.id());
}

#[test]
fn without_a_daemon_they_say_how_to_start_one() {
    let place = Place::new();
    for command in ["status", "stop", "metrics"] {
        let ran = place.run(&[command]);
        assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{command}");
        assert!(
            ran.stderr.contains("no daemon runs on") && ran.stderr.contains("`provost up`"),
            "{}",
            ran.stderr
        );
        assert!(!place.data().exists(), "`{command}` makes nothing");
    }
}

#[tokio::test]
async fn metrics_are_printed_as_prometheus_reads_them_and_as_json() {
    let place = Place::new();
    let _up = up_and_called(&place).await;
    let text = place.ok(&["metrics"]);
    let line = r#"provost_calls_total{server="files",decision="allow"} 1"#;
    assert!(text.lines().any(|found| found == line), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#')).count();
    let samples = place.json(&["metrics"]);
    let samples = samples.as_array().unwrap();
    assert_eq!(samples.len(), lines);
    let counted = json!({
        "name": "provost_calls_total",
        "labels": { "server": "files", "decision": "allow" },
        "value": 1.0,
    });
    assert!(samples.contains(&counted), "{samples:?}");
}

#[test]
fn help_is_a_command_too() {
    let place = Place::new();
    assert_eq!(
        place.ok(&["help", "server", "add"]),
        place.ok(&["server", "add", "--help"])
    );
    assert_eq!(place.ok(&["help"]), place.ok(&["--help"]));
    assert_eq!(place.run(&["help", "nothing"]).code, 2);
}

#[tokio::test]
async fn d51_grants_are_minted_for_the_port_that_was_configured() {
    let place = Place::new();
    place.furnish();
    let mint = |label: &str| {
        let minted = place.json(&["grant", "mint", "files", "--label", label]);
        minted["url"].as_str().unwrap().to_owned()
    };
    assert_eq!(mint("before"), "http://127.0.0.1:7300/mcp/files");
    let up = place.up(&[]).await;
    let url = format!("{}/mcp/files", up.url);
    assert_eq!(mint("running"), url);
    place.ok(&["stop"]);
    assert_eq!(mint("stopped"), url);
    let set = place
        .command(&["grant", "mint", "files", "--label", "set", "--json"])
        .env("PROVOST_LISTEN", "127.0.0.1:7999")
        .output()
        .unwrap();
    let set: serde_json::Value = serde_json::from_slice(&set.stdout).unwrap();
    assert_eq!(set["url"], "http://127.0.0.1:7999/mcp/files");
}

#[tokio::test]
async fn d51_moments_in_json_are_rfc_3339_everywhere() {
    let place = Place::new();
    let _up = up_and_called(&place).await;
    let mint = ["grant", "mint", "files", "--label", "ci", "--expires", "1d"];
    let minted = place.json(&mint);
    let history = place.json(&["policy", "history", "files", "small"]);
    let record = place.json(&["log"]);
    let export = place.ok(&["audit", "export"]);
    let export: serde_json::Value = serde_json::from_str(export.lines().last().unwrap()).unwrap();
    let rfc3339 = regex::Regex::new(r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$").unwrap();
    for moment in [
        &minted["grant"]["created"],
        &minted["grant"]["expires"],
        &history[0]["at"],
        &record["at"],
        &export["at"],
    ] {
        let text = moment.as_str().unwrap_or_else(|| panic!("{moment}"));
        assert!(rfc3339.is_match(text), "{text}");
    }
}

#[tokio::test]
async fn d51_tables_fit_a_terminal_of_80_columns() {
    let place = Place::new();
    let token = place.furnish();
    let up = place.up(&[]).await;
    let client = Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    client.connect().await;
    for tool in ["echo", "fail", "write_note"] {
        client
            .request("tools/call", json!({ "name": tool, "arguments": {} }))
            .await;
    }
    for words in [&["log"][..], &["grant", "list"], &["server", "list"]] {
        let narrow = place.command(words).env("COLUMNS", "80").output().unwrap();
        let narrow = String::from_utf8(narrow.stdout).unwrap();
        for line in narrow.lines().filter(|line| line.contains(' ')) {
            // A path is not broken, so that it can be copied.
            let longest = line.split_whitespace().map(str::len).max().unwrap();
            assert!(line.chars().count() <= 80.max(longest + 8), "{line}");
        }
        // Whoever reads a pipe has a record on each line.
        let wide = place.ok(words);
        assert!(wide.lines().count() <= 4, "{wide}");
    }
    let log = place.ok(&["log"]);
    let refused = log
        .lines()
        .find(|line| line.contains("write_note"))
        .unwrap();
    let (sentence, rule) = (
        refused.find("does not allow"),
        refused.find("(default deny)"),
    );
    assert!(sentence.unwrap() < rule.unwrap(), "{refused}");
}
