//! L: what is left behind, and what an operator relies on.

use super::*;
use crate::doors;
use provost_store::{ExportFormat, Record};
use serde_json::{Value, json};

/// A rule of every kind, a limit, something hidden.
pub(super) fn guarded() -> Value {
    let is = |path: &str, op: &str, value: Value| json!([{"path": path, "op": op, "value": value}]);
    json!({
        "version": "1",
        "default": "deny",
        "hide": ["change_tools"],
        "all_tools": {"limits": [{"counter": "calls", "window": "minute", "max": 60}]},
        "tools": {
            "echo": {"deny_if": [{"conditions": is("args.text", "contains", json!("rm -rf"))}]},
            "add": {"require": [{"conditions": is("args.a", "lte", json!(100))}]},
            "slow": {},
            "identity": {},
            "big": {"require": [{"conditions": is("args.bytes", "lt", json!(100_000))}]},
            "log": {},
            "fail": {},
            "roots": {},
            "write_note": {"require": [{"conditions": is("args.text", "under", json!(["/srv/work"]))}]},
            "rpc_error": {"action": "deny"},
            "sample": {"action": "require_approval"},
        },
        "methods": {"allow": ["resources/read", "prompts/get", "completion/complete", "resources/subscribe", "roots/list"]},
    })
}

/// Bad input, and the rule that refuses it.
const BAD: [(&str, &str, &str); 12] = [
    (
        "echo",
        r#"{"text":"rm -rf /"}"#,
        "/tools/echo/deny_if/args.text-contains",
    ),
    (
        "echo",
        r#"{"text":{"a":"rm -rf /"}}"#,
        "/tools/echo/deny_if/args.text-contains",
    ),
    ("echo", r#"{"Text":"rm -rf /"}"#, "(envelope)"),
    ("Echo", r#"{"text":"hi"}"#, "(envelope)"),
    ("add", r#"{"a":101,"b":0}"#, "/tools/add/require/args.a-lte"),
    ("add", r#"{"b":0}"#, "/tools/add/require/args.a-lte"),
    (
        "big",
        r#"{"bytes":"1e9"}"#,
        "/tools/big/require/args.bytes-lt",
    ),
    (
        "write_note",
        r#"{"text":"/srv/work/../x"}"#,
        "/tools/write_note/require/args.text-under",
    ),
    ("rpc_error", "{}", "/tools/rpc_error/action"),
    ("sample", "{}", "/tools/sample/action"),
    ("change_tools", "{}", "(hidden)"),
    ("elicit", "{}", "(default deny)"),
];

/// Every refusal names who, what, by which rule, and which arguments, by name.
async fn l103_every_refusal_has_a_record(scene: Scene) {
    for (tool, arguments, decided) in BAD {
        let watch = Watch::on(&scene, tool);
        let answer = scene.raw(call(1, tool, arguments)).await.message;
        assert_eq!(rule(&answer), decided, "{tool} {arguments}: {answer}");
        watch.call_refused(decided, tool).await;
    }
    let records = scene.gate.records();
    let refused: Vec<&Record> = records
        .iter()
        .filter(|record| record.decision != Decision::Allow)
        .collect();
    assert_eq!(refused.len(), BAD.len());
    for (record, (tool, arguments, _)) in refused.iter().zip(BAD) {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let mut keys: Vec<_> = arguments.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        let told = (
            record.grant_label.as_str(),
            record.server.as_str(),
            record.tool.as_deref(),
            &record.keys,
        );
        assert_eq!(told, ("agent", "fixture", Some(tool), &keys));
    }
    let numbers: Vec<u64> = records.iter().map(|record| record.number).collect();
    assert!(
        numbers.windows(2).all(|pair| pair[0] < pair[1]),
        "{numbers:?}"
    );
    assert!(scene.gate.store.audit_verify(None).unwrap().intact());
}
everywhere!(l103_every_refusal_has_a_record, guarded());

/// What records say of a call is the names of its arguments, never their values.
async fn l106_records_hold_no_values(scene: Scene) {
    let arguments = json!({"password": "canary-1", "nested": {"inner": "canary-2"}});
    scene.agent.call("echo", arguments.clone()).await;
    scene.agent.call("add", arguments).await;
    scene
        .raw(call(1, "echo", r#"{"a":"canary-3","a":"canary-4"}"#))
        .await;
    let records = scene.gate.records();
    assert!(
        records[..2]
            .iter()
            .all(|record| record.keys == ["nested", "password"])
    );
    for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
        let mut export = Vec::new();
        scene
            .gate
            .store
            .audit_export(format, &provost_store::Filter::default(), &mut export)
            .unwrap();
        let text = String::from_utf8(export).unwrap();
        assert!(text.contains("password") && !text.contains("canary") && !text.contains("inner"));
    }
    assert!(!scene.gate.gateway.metrics().contains("canary"));
    scene.honest_call_works().await;
}
both_faces!(
    l106_records_hold_no_values,
    tools(json!({"add": {"action": "deny"}}))
);

async fn l107_counts_do_not_grow_with_names(scene: Scene) {
    let shape = |metrics: &str| -> Vec<String> {
        let names = metrics
            .lines()
            .map(|line| line.rsplit_once(' ').map_or(line, |(name, _)| name));
        names.map(str::to_owned).collect()
    };
    scene.honest_call_works().await;
    let before = shape(&scene.gate.gateway.metrics());
    for n in 0..200 {
        scene.agent.call(&format!("random_{n}"), json!({})).await;
        scene
            .agent
            .request(&format!("vendor/random_{n}"), json!({}))
            .await;
    }
    if scene.face == Face::Http {
        for n in 0..50 {
            crate::doors::post(
                &scene,
                &format!("/mcp/random_{n}"),
                &[("host", "evil.example")],
            )
            .await;
            crate::doors::post(&scene, &format!("/random_{n}"), &[]).await;
        }
    }
    let metrics = scene.gate.gateway.metrics();
    assert_eq!(
        shape(&metrics),
        before,
        "the same lines, with other numbers"
    );
    assert!(
        !metrics.contains("random") && !metrics.contains("echo") && !metrics.contains("agent\"")
    );
    scene.honest_call_works().await;
}
both_faces!(
    l107_counts_do_not_grow_with_names,
    tools(json!({"add": {"action": "deny"}}))
);

/// Health, counts and administration are somewhere else.
async fn l109_administration_is_not_on_the_agents_side(scene: Scene) {
    let token = format!("Bearer {}", scene.pass.token);
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/admin",
        "/v1/admin",
        "/execute",
        "/",
    ] {
        for method in ["GET", "POST", "PUT"] {
            let watch = Watch::on(&scene, path);
            let url = format!("http://{}{path}", scene.gate.address);
            let headers = [
                ("authorization", token.as_str()),
                ("content-type", "application/json"),
            ];
            let reply =
                provost_testkit::http::send(method, &url, &headers, r#"{"list_grants":{}}"#)
                    .await
                    .unwrap();
            assert_eq!(
                (reply.status, doors::said(&reply)),
                (404, doors::told("path")),
                "{method} {path}"
            );
            watch.stranger("path").await;
        }
    }
    for method in ["admin/grants", "grant/mint", "policy/put", "server/add"] {
        let watch = Watch::on(&scene, method);
        let answer = scene
            .agent
            .request(method, json!({"server": "fixture"}))
            .await;
        assert_eq!(answer["error"]["code"], -32601, "{answer}");
        watch.refused("(method)", method).await;
    }
}
over_http!(l109_administration_is_not_on_the_agents_side, {
    log::start();
    allow_all()
});

/// What an ordinary agent does.
pub(super) fn ordinary() -> [(&'static str, Value); 16] {
    let call = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
    [
        ("tools/call", call("echo", json!({"text": "hello"}))),
        (
            "tools/call",
            call("echo", json!({"text": "rm, but not with -rf"})),
        ),
        ("tools/call", call("echo", json!({}))),
        ("tools/call", call("add", json!({"a": 100, "b": 2}))),
        ("tools/call", call("add", json!({"a": -5, "b": 1e2}))),
        ("tools/call", call("slow", json!({"ms": 20, "steps": 2}))),
        (
            "tools/call",
            call("echo", json!({"text": "größer \u{1f600}"})),
        ),
        ("tools/call", call("big", json!({"bytes": 99_999}))),
        ("tools/call", call("log", json!({"count": 3}))),
        ("tools/call", call("identity", json!({}))),
        ("tools/call", call("roots", json!({}))),
        (
            "tools/call",
            call("write_note", json!({"text": "/srv/work/notes/a.txt"})),
        ),
        ("resources/read", json!({"uri": "fixture://text"})),
        ("resources/subscribe", json!({"uri": "fixture://note"})),
        (
            "prompts/get",
            json!({"name": "greeting", "arguments": {"name": "Ada"}}),
        ),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "name", "value": "A"}}),
        ),
    ]
}

/// The policy that refuses the bad lets all of the ordinary through.
async fn l110_ordinary_calls_are_allowed(scene: Scene) {
    available(&scene, "legacy", &ordinary()).await;
}
everywhere!(l110_ordinary_calls_are_allowed, guarded());

/// Makes the ordinary calls, then the bad ones, and reports both.
pub(super) async fn available(scene: &Scene, era: &str, ordinary: &[(&str, Value)]) {
    assert!(ordinary.len() >= 11);
    let allowed = || {
        let records = scene.gate.records();
        let calls = records
            .iter()
            .filter(|record| record.method != "roots/list");
        calls
            .filter(|record| record.decision == Decision::Allow)
            .count()
    };
    let before = allowed();
    for (method, params) in ordinary {
        let answer = scene.agent.request(method, params.clone()).await;
        let fine = answer.get("result").is_some() && answer["result"]["isError"] != true;
        assert!(fine, "{method} {params}: {answer}");
    }
    assert_eq!(allowed(), before + ordinary.len());
    for (tool, arguments, decided) in BAD {
        let arguments: Value = serde_json::from_str(arguments).unwrap();
        let answer = scene.agent.call(tool, arguments).await;
        assert_eq!(rule(&answer), decided, "{tool}: {answer}");
    }
    assert_eq!(allowed(), before + ordinary.len());
    scene.honest_call_works().await;
    // Read by the program that makes the table.
    let (calls, bad) = (ordinary.len(), BAD.len());
    println!(
        "report: {era} era: {calls} of {calls} ordinary calls allowed, {bad} of {bad} bad ones refused"
    );
}
