//! Thousands of modern requests, each slightly wrong in its own way, in the body
//! or beside it: a denied tool is never called, and nothing is called without a
//! record.

use super::*;
use crate::fuzz::Dice;
use provost_store::Decision;
use provost_testkit::http;
use provost_testkit::modern;

fn meta(dice: &mut Dice) -> String {
    let mut members = Vec::new();
    for (key, good, bad) in [
        (
            "io.modelcontextprotocol/protocolVersion",
            r#""2026-07-28""#,
            r#""2025-11-25""#,
        ),
        ("io.modelcontextprotocol/clientCapabilities", "{}", "[]"),
        (
            "io.modelcontextprotocol/clientInfo",
            r#"{"name":"f","version":"1"}"#,
            "7",
        ),
        ("dev.provost/decision", r#"{"decision":"allow"}"#, "1"),
    ] {
        let value = if dice.roll(25) > 0 { good } else { bad };
        let key = match dice.roll(40) {
            0 => key.to_uppercase(),
            1 => key.replace('/', r"\/"),
            _ => key.to_owned(),
        };
        for _ in 0..dice.times().min(1 + dice.roll(20) / 19) {
            if dice.roll(30) > 0 {
                members.push(format!("\"{key}\":{value}"));
            }
        }
    }
    dice.object(members)
}

fn message(dice: &mut Dice) -> String {
    dice.messages += 1;
    let id = (100_000 + dice.messages).to_string();
    let mut params = vec![format!("\"_meta\":{}", meta(dice))];
    for _ in 0..dice.times() {
        let key = dice.mostly(&["name", r"n\u0061me", "Name", "ｎame"]);
        params.push(format!("\"{key}\":{}", dice.tool()));
    }
    let key = dice.mostly(&["arguments", "Arguments", r"\u0061rguments"]);
    params.push(format!("\"{key}\":{}", dice.arguments()));
    if dice.roll(20) == 0 {
        params.push(r#""requestState":"pv1.AAAA""#.to_owned());
    }
    let params = dice.object(params);
    let method = dice.mostly(&[r#""tools/call""#, r#""tools\/call""#, r#""Tools/Call""#]);
    let members = vec![
        r#""jsonrpc":"2.0""#.to_owned(),
        format!("\"id\":{}", dice.mostly(&[&id, "1", "null", "1.5"])),
        format!("\"method\":{method}"),
        format!("\"{}\":{params}", dice.mostly(&["params", "Params"])),
    ];
    dice.object(members)
}

/// Headers that mostly say what the body says, as far as anybody can read it.
fn headers(dice: &mut Dice, body: &str) -> Vec<(String, String)> {
    let read: Value = serde_json::from_str(body).unwrap_or_default();
    let mut headers = modern::standard_headers(&read);
    if dice.roll(6) == 0 {
        let name = dice.pick(&[
            "Mcp-Name",
            "Mcp-Method",
            "MCP-Protocol-Version",
            "Mcp-Param-X",
        ]);
        let value = dice.pick(&[
            "echo",
            "add",
            "=?base64?ZWNobw==?=",
            "=?base64?YWRk?=",
            "tools/call",
            "tools/list",
            "2026-07-28",
            "",
        ]);
        if dice.roll(2) == 0 {
            headers.retain(|(known, _)| known != name);
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    headers
}

async fn a_denied_tool_is_never_called(scene: Scene) {
    let mut dice = Dice {
        state: 0x6a09_e667_f3bc_c908,
        messages: 0,
    };
    let token = format!("Bearer {}", scene.pass.token);
    for turn in 0..2000 {
        if turn % 100 == 0 {
            // Over stdio nobody waits for each of them.
            scene.agent.request("server/discover", nothing()).await;
        }
        let body = message(&mut dice);
        match scene.face {
            Face::Http => {
                let own = headers(&mut dice, &body);
                let mut all = vec![("authorization", token.as_str())];
                all.extend(own.iter().map(|(n, v)| (n.as_str(), v.as_str())));
                let url = scene.agent.as_http().url();
                let reply = http::post(url, &all, body.clone()).await.unwrap();
                assert!(
                    [200, 202, 400, 404].contains(&reply.status),
                    "{}: {body}",
                    reply.status
                );
            }
            // A line feed would make two messages of it.
            Face::Stdio => {
                let line = body.replace('\n', " ");
                scene.agent.as_stdio().write(line).unwrap();
            }
        }
    }
    scene.honest_call_works().await;
    let arrived = scene.upstream.requests("tools/call");
    assert!(
        arrived.iter().all(|params| params["name"] != "add"),
        "{arrived:?}"
    );
    assert!(scene.upstream.calls().iter().all(|tool| tool != "add"));
    let allowed = |record: &provost_store::Record| record.decision == Decision::Allow;
    let records = scene.gate.records();
    let allowed = records.iter().filter(|record| allowed(record)).count();
    assert_eq!(arrived.len(), allowed, "each call has its record");
    assert!(
        allowed > 50 && records.len() > 1000,
        "{allowed} of {}",
        records.len()
    );
    for kind in ["nonsense", "refused", "stray response"] {
        let strange = scene.upstream.events_of(kind);
        assert!(strange.is_empty(), "{kind}: {strange:?}");
    }
    assert!(!scene.upstream.saw("dev.provost"));
}
everywhere!(
    a_denied_tool_is_never_called,
    Setup::modern(tools(json!({"add": {"action": "deny"}})))
);
