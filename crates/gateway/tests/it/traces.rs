//! What a gateway leaves behind: records, counts and logs, bounded, escaped, and
//! without anything secret.

use std::time::Duration;

use crate::harness::*;
use provost_testkit::process::Start;
use serde_json::json;

const OPERATING: &str = include_str!("../../../../docs/guides/operating.md");

#[tokio::test]
async fn counts_are_by_decision_and_name_no_tool() {
    let scene = Scene::new(
        Face::Http,
        Kind::Http,
        tools(json!({"add": {"action": "deny"}, "slow": {"action": "require_approval"}})),
    )
    .await;
    scene.honest_call_works().await;
    scene.honest_call_works().await;
    scene.agent.call("add", json!({})).await;
    scene.agent.call("slow", json!({})).await;
    for n in 0..50 {
        scene.agent.call(&format!("random_{n}"), json!({})).await;
    }
    let metrics = scene.gate.gateway.metrics();
    for (decision, count) in [("allow", 52), ("deny", 1), ("ask", 1)] {
        let line =
            format!("provost_calls_total{{server=\"fixture\",decision=\"{decision}\"}} {count}");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    assert!(
        !metrics.contains("random") && !metrics.contains("echo") && !metrics.contains("agent\"")
    );
    let names: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let helps = metrics
        .lines()
        .filter(|line| line.starts_with("# HELP "))
        .count();
    assert!(names.len() > 5 && names.len() == helps);
    for name in names {
        assert!(
            OPERATING.contains(&format!("`{name}")),
            "docs/guides/operating.md does not speak of `{name}`"
        );
    }
}

async fn long_names_leave_short_traces(scene: Scene) {
    let long = "n".repeat(1 << 20);
    let keys: Vec<String> = (0..5000).map(|n| format!("\"key{n:04}\":0")).collect();
    let texts = [
        call(1, &long, "{}"),
        call(1, "add", &format!("{{\"{long}\":1}}")),
        call(1, "add", &format!("{{{}}}", keys.join(","))),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{long}"}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{long}":1}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"{long}":1,"{long}":2}}}}"#),
    ];
    for text in texts {
        let answer = scene.raw(text).await;
        assert!(answer.message.to_string().len() < 5_000);
    }
    let records = scene.gate.records();
    assert_eq!(records.len(), 6);
    for record in &records {
        assert!(format!("{record:?}").len() < 10_000, "{record:?}");
    }
    assert_eq!(records[2].keys.len(), 257);
    scene.honest_call_works().await;
}
both_faces!(
    long_names_leave_short_traces,
    json!({"version": "1", "default": "allow", "tools": {"add": {"action": "deny"}}, "hide": ["nnnn*"]})
);

const EVIL: &str = r"x\u001b[31m\nERROR forged-line\r\u202egnp.exe";

/// What a log line may not be, or hold.
fn forged(text: &str) -> Vec<&str> {
    let bad = |line: &&str| {
        line.starts_with("ERROR forged") || line.contains(['\u{1b}', '\r', '\u{202e}'])
    };
    let unmarked = |line: &&str| line.contains("forged-line") && !line.starts_with("20");
    text.lines()
        .filter(|line| bad(line) || unmarked(line))
        .collect()
}

async fn l105_logs_cannot_be_forged_and_hold_no_secrets(scene: Scene) {
    for tool in ["echo", "add"] {
        scene
            .agent
            .call(tool, json!({"text": "canary-argument"}))
            .await;
    }
    for text in [
        call(1, EVIL, "{}"),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{EVIL}"}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{EVIL}":1}}"#),
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"a{EVIL}":1,"a{EVIL}":2}}}}"#
        ),
        format!(r#"{{"jsonrpc":"2.0","method":"{EVIL}","id":null}}"#),
    ] {
        scene.raw(text).await;
    }
    scene.honest_call_works().await;
    scene.gate.revoke(&scene.pass);
    let text = log::start().text();
    assert!(text.contains("forged-line"), "they are logged: {text}");
    assert!(!text.contains("canary-argument") && !text.contains(&scene.pass.token));
    assert!(forged(&text).is_empty(), "{:#?}", forged(&text));
}
both_faces!(l105_logs_cannot_be_forged_and_hold_no_secrets, {
    log::start();
    tools(json!({"add": {"action": "deny"}}))
});

#[tokio::test]
async fn l105_the_words_of_a_server_cannot_forge_the_log() {
    let log = log::start();
    let script = r#"printf 'boo\033[31m\rERROR forged-line\n' >&2; printf '{"jsonrpc":"2.0","method":"x\\u001b[2J\\nERROR forged-line"}\n'; printf '{"\\u001b[2J\\nforged-line":1}\n'; cat"#;
    let setup = Setup::from(allow_all()).settings(|s| s.call_timeout = Duration::from_secs(1));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let start = Start::program("/bin/sh").args(["-c", script]);
    scene.gate.stdio_server("evil", &start, Processes::Session);
    drop(scene.gate.gateway.test_server("evil").await);
    let text = log.text();
    assert!(
        text.contains("boo"),
        "the server's own words are logged: {text}"
    );
    assert!(forged(&text).is_empty(), "{:#?}", forged(&text));
}
