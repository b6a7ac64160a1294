//! C: which tools there are, and under which names.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use provost_testkit::fixture::Options;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

async fn c71_what_is_not_listed_cannot_be_called(scene: Scene) {
    let listed = scene.agent.tools().await;
    for (tool, decided) in [
        ("slow", "(default deny)"),
        ("add", "(hidden)"),
        ("write_note", "(hidden)"),
    ] {
        assert!(!listed.iter().any(|name| name == tool), "{tool} is listed");
        let watch = Watch::on(&scene, tool);
        assert_eq!(
            rule(&scene.agent.call(tool, json!({})).await),
            decided,
            "{tool}"
        );
        watch.call_refused(decided, tool).await;
    }
    assert_eq!(listed, ["echo"]);
}
everywhere!(
    c71_what_is_not_listed_cannot_be_called,
    json!({"version": "1", "default": "deny", "hide": ["add", "write_*"], "tools": {"echo": {}, "add": {}}})
);

/// No spelling of an allowed name is that name.
async fn c72_names_that_only_look_alike_are_not_allowed(scene: Scene) {
    for name in [
        "Echo",
        "ECHO",
        "\u{435}cho",
        "ech\u{43e}",
        "ech\u{200b}o",
        "\u{feff}echo",
        "ｅcho",
        "echo ",
        " echo",
        "e\u{301}cho",
        "echo\u{ad}",
        "echo\u{2060}",
        "echo\u{202e}",
        "𝐞cho",
    ] {
        let watch = Watch::on(&scene, name);
        let answer = scene.agent.call(name, json!({})).await;
        let decided = rule(&answer).to_owned();
        assert!(
            [ENVELOPE, "(default deny)"].contains(&decided.as_str()),
            "{name}: {answer}"
        );
        watch.refused(&decided, "tools/call").await;
    }
}
everywhere!(
    c72_names_that_only_look_alike_are_not_allowed,
    json!({"version": "1", "default": "deny", "tools": {"echo": {}}})
);

/// Where everything else is allowed, a name that folds to a listed one is not.
async fn c72_names_that_only_look_like_a_tool_are_refused(scene: Scene) {
    scene.agent.tools().await;
    for name in ["Echo", "ECHO", "ｅcho", "e\u{0063}HO"] {
        let watch = Watch::on(&scene, name);
        assert_eq!(
            rule(&scene.agent.call(name, json!({})).await),
            ENVELOPE,
            "{name}"
        );
        watch.call_refused(ENVELOPE, name).await;
    }
}
everywhere!(
    c72_names_that_only_look_like_a_tool_are_refused,
    allow_all()
);

async fn c72_names_that_only_look_like_a_rule_are_refused(scene: Scene) {
    for name in ["Add", "ａdd", "WRITE_note"] {
        let watch = Watch::on(&scene, name);
        assert_eq!(
            rule(&scene.agent.call(name, json!({})).await),
            ENVELOPE,
            "{name}"
        );
        watch.call_refused(ENVELOPE, name).await;
    }
}
both_faces!(
    c72_names_that_only_look_like_a_rule_are_refused,
    json!({"version": "1", "default": "allow", "hide": ["write_note"], "tools": {"add": {}}})
);

const STRANGE: [&str; 5] = [
    "files/read",
    "../etc",
    "read..write",
    "red\u{1b}[31m",
    "two\nlines",
];

/// They are not in the list, and not callable; two underscores are a name.
async fn c74_names_that_read_as_paths_are_no_tools(scene: Scene) {
    let listed = scene.agent.tools().await;
    assert!(listed.iter().any(|name| name == "a__b"), "{listed:?}");
    for name in STRANGE {
        assert!(
            !listed.iter().any(|tool| tool == name),
            "{name:?} is listed"
        );
        let watch = Watch::on(&scene, name);
        let answer = scene.agent.call(name, json!({})).await;
        assert_eq!(rule(&answer), ENVELOPE, "{name:?}");
        assert!(!text(&answer).contains(['\u{1b}', '\n']), "{answer}");
        watch.refused(ENVELOPE, "tools/call").await;
    }
    assert!(
        scene
            .agent
            .call("a__b", json!({}))
            .await
            .get("result")
            .is_some()
    );
    assert_eq!(
        scene.upstream.calls().last().map(String::as_str),
        Some("a__b")
    );
}
everywhere!(c74_names_that_read_as_paths_are_no_tools, {
    let names = STRANGE
        .iter()
        .chain(&["a__b"])
        .map(|name| (*name).to_owned());
    Setup::from(allow_all()).options(Options {
        extra_tools: names.collect(),
        ..Options::default()
    })
});

/// A server whose list of tools goes round through these cursors for ever;
/// counts how often it is asked for a page.
async fn round(cursors: &'static [&'static str]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = String::new();
            let whole = |request: &str| {
                let (head, body) = request.split_once("\r\n\r\n")?;
                let length = head.to_ascii_lowercase();
                let length = length
                    .split("content-length: ")
                    .nth(1)
                    .map_or("0", |rest| rest.lines().next().unwrap());
                (body.len() >= length.parse().ok()?).then_some(())
            };
            let mut chunk = [0; 4096];
            while whole(&request).is_none() {
                let Ok(length @ 1..) = socket.read(&mut chunk).await else {
                    break;
                };
                request.push_str(&String::from_utf8_lossy(&chunk[..length]));
            }
            let body: Value =
                serde_json::from_str(request.split("\r\n\r\n").nth(1).unwrap_or_default())
                    .unwrap_or_default();
            let id = &body["id"];
            let answer = match body["method"].as_str() {
                Some("initialize") => {
                    json!({"jsonrpc": "2.0", "id": id, "result": {"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}}})
                }
                Some("tools/list") => {
                    let page = count.fetch_add(1, Ordering::Relaxed);
                    let next = cursors[page % cursors.len()];
                    json!({"jsonrpc": "2.0", "id": id, "result": {"tools": [{"name": format!("t{page}")}], "nextCursor": next}})
                }
                Some(_) if id.is_null() => Value::Null,
                _ => {
                    json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": "no"}})
                }
            };
            let (status, body) = if answer.is_null() {
                ("202 Accepted", String::new())
            } else {
                ("200 OK", answer.to_string())
            };
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            drop(socket.write_all((head + &body).as_bytes()).await);
        }
    });
    (url, asked)
}

/// A list that comes back to where it was has an end all the same.
async fn c79_a_list_that_goes_round_has_an_end(scene: Scene) {
    for cursors in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
        let (url, asked) = round(cursors).await;
        scene.gate.http_server("round", &url);
        let report = scene.gate.gateway.test_server("round").await.unwrap();
        assert_eq!(report.tools.len(), cursors.len() + 1, "{:?}", report.tools);
        assert_eq!(asked.load(Ordering::Relaxed), cursors.len() + 1);
        scene.gate.remove_server("round");
    }
    scene.honest_call_works().await;
    assert_eq!(
        scene.gate.history(),
        ["tools/call echo: allow, ok"],
        "a look of our own leaves no record"
    );
}
over_http!(c79_a_list_that_goes_round_has_an_end, allow_all());
