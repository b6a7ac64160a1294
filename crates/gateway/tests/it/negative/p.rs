//! P: arguments that try to get around a rule.

use super::*;
use serde_json::{Value, json};

/// `echo` only with an argument `x` for which this holds.
fn require(op: &str, value: Value) -> Value {
    tools(
        json!({"add": {"require": [{"conditions": [{"path": "args.x", "op": op, "value": value}]}]}}),
    )
}

fn rule_of(op: &str) -> String {
    format!("/tools/add/require/args.x-{op}")
}

/// Each value is refused by the rule, whichever way it is wrong; the good one passes.
async fn only_good(scene: &Scene, op: &str, bad: impl IntoIterator<Item = &str>, good: &[&str]) {
    for value in bad {
        let arguments = format!(r#"{{"x":{value}}}"#);
        let watch = Watch::on(scene, value);
        let answer = scene.raw(call(1, "add", &arguments)).await.message;
        assert_eq!(rule(&answer), rule_of(op), "{value}: {answer}");
        watch.call_refused(&rule_of(op), "add").await;
    }
    for value in good {
        let before = scene.upstream.calls().len();
        scene
            .raw(call(1, "add", &format!(r#"{{"x":{value}}}"#)))
            .await;
        assert_eq!(
            scene.upstream.calls().len(),
            before + 1,
            "{value} is in order"
        );
    }
}

async fn p82_paths_that_leave_their_root(scene: Scene) {
    let bad = [
        r#""/srv/work/../etc/shadow""#,
        r#""/srv/work/..""#,
        r#""/srv/workshop""#,
        r#""/etc/shadow""#,
        r#""srv/work""#,
        r#""./srv/work""#,
        r#""~/work""#,
        r#""/srv/work/~root""#,
        r#""/srv/work/%2e%2e/etc""#,
        r#""/srv/work/%2E%2E%2fetc""#,
        r#""/srv/work\\..\\etc""#,
        r#""/srv/work/a\u0000.txt""#,
        r#""/srv/work/a\n/../b""#,
        r#""/SRV/work/a""#,
        r#""/srv/Work/a""#,
        r#""/srv/work./a""#,
        r#""/srv/work /a""#,
        r#""/srv/work/a.""#,
        r#""/srv/work/a ""#,
        r#""/srv/work/\uff0e\uff0e/etc""#,
        r#""/srv/work\u2215..\u2215etc""#,
        r#""file:///srv/work/a""#,
        r#""""#,
    ];
    only_good(
        &scene,
        "under",
        bad,
        &[
            r#""/srv/work""#,
            r#""/srv//work/./a""#,
            r#""/srv/work/a/b.txt""#,
        ],
    )
    .await;
}
both_faces!(
    p82_paths_that_leave_their_root,
    require("under", json!(["/srv/work"]))
);

async fn p83_urls_that_lead_elsewhere(scene: Scene) {
    let bad = [
        r#""http://2130706433/""#,
        r#""http://0177.0.0.1/""#,
        r#""http://0x7f000001/""#,
        r#""http://0x7f.1/""#,
        r#""http://127.1/""#,
        r#""http://[::ffff:127.0.0.1]/""#,
        r#""http://[::1]/""#,
        r#""http://169.254.169.254/latest/meta-data""#,
        r#""http://10.0.0.1/""#,
        r#""http://localhost/""#,
        r#""https://good.example@evil.example/""#,
        r#""https://good.example:pw@evil.example/""#,
        r#""https://good.example.""#,
        r#""https://good.example.evil.example/""#,
        r#""https://evilgood.example/""#,
        r#""https://g\u043e\u043ed.example/""#,
        r#""https://xn--gd-fkaa.example/""#,
        r#""https://good%2eexample/""#,
        r#""https://evil.example\\@good.example/""#,
        r#""https://good.example\t.evil.example/""#,
        r#""https:good.example""#,
        r#""//good.example/""#,
        r#""javascript:alert(1)""#,
        r#""file:///etc/passwd""#,
        r#""gopher://good.example/""#,
        r#""https://good.example:99999/""#,
        r#""good.example""#,
        r#""""#,
    ];
    only_good(
        &scene,
        "host_in",
        bad,
        &[
            r#""https://good.example/a?b#c""#,
            r#""https://api.GOOD.example:8443/""#,
        ],
    )
    .await;
}
both_faces!(
    p83_urls_that_lead_elsewhere,
    require("host_in", json!(["good.example"]))
);

async fn p84_commands_with_more_in_them(scene: Scene) {
    let bad = [
        r#""git status; rm -rf /""#,
        r#""git status && id""#,
        r#""git status || id""#,
        r#""git status | sh""#,
        r#""git status & id""#,
        r#""git status $(id)""#,
        r#""git status ${HOME}""#,
        r#""git status `id`""#,
        r#""git status\nid""#,
        r#""git status\rid""#,
        r#""git status > /etc/passwd""#,
        r#""git status < /etc/passwd""#,
        r#""PATH=/tmp git status""#,
        r#""env PATH=/tmp git status""#,
        r#""alias git=id; git status""#,
        r#""g\"it\" status""#,
        r#""'git' status""#,
        r#""g\\it status""#,
        r#""git 'status'""#,
        r#""git stat*""#,
        r#""git status # x""#,
        r#""git""#,
        r#""git push""#,
        r#""gitstatus""#,
        r#""/tmp/git status""#,
        r#""GIT status""#,
        r#"["git","status; id"]"#,
        r#"["git push"]"#,
        r#"["git"]"#,
        r#"[["git","status"]]"#,
        r#"["git",1]"#,
        r#""""#,
        "[]",
    ];
    only_good(
        &scene,
        "argv_in",
        bad,
        &[
            r#""git status""#,
            r#""git status --short""#,
            r#"["git","status","--short"]"#,
        ],
    )
    .await;
}
both_faces!(
    p84_commands_with_more_in_them,
    require("argv_in", json!([["git", "status"]]))
);

async fn p86_values_of_another_type_are_not_compared(scene: Scene) {
    let bad = [
        r#""1e9""#,
        "[100]",
        r#"{"$gt":0}"#,
        "1E400",
        "1e9",
        r#""abc""#,
        "true",
        "null",
        r#""""#,
        r#"[[1]]"#,
        "101",
        "100.00000000000000000001",
        // Some read it as 100, or beside it.
        "99.9999999999999999999",
        r#""100 ""#,
        r#""0x10""#,
        r#""NaN""#,
        r#""١""#,
    ];
    only_good(&scene, "lte", bad, &["-0", "100", "1e2", "99.99", r#""5""#]).await;
}
both_faces!(
    p86_values_of_another_type_are_not_compared,
    require("lte", json!(100))
);

/// In a list of denials what cannot be compared is denied too, not skipped.
async fn p86_what_cannot_be_compared_is_not_let_through(scene: Scene) {
    for value in [r#"["rm"]"#, r#"{"$ne":""}"#, "7", "null", "true"] {
        let watch = Watch::on(&scene, value);
        let answer = scene
            .raw(call(1, "add", &format!(r#"{{"x":{value}}}"#)))
            .await
            .message;
        assert_eq!(
            rule(&answer),
            "/tools/add/deny_if/args.x-contains",
            "{value}: {answer}"
        );
        watch
            .call_refused("/tools/add/deny_if/args.x-contains", "add")
            .await;
    }
}
both_faces!(
    p86_what_cannot_be_compared_is_not_let_through,
    tools(
        json!({"add": {"deny_if": [{"conditions": [{"path": "args.x", "op": "contains", "value": "rm"}]}]}})
    )
);

async fn p87_an_argument_that_is_not_there(scene: Scene) {
    let decided = rule_of("lte");
    for arguments in [
        "{}",
        r#"{"y":1}"#,
        r#"{"X":1}"#,
        r#"{"x ":1}"#,
        r#"{"args":{"x":1}}"#,
    ] {
        let watch = Watch::on(&scene, arguments);
        let answer = scene.raw(call(1, "add", arguments)).await.message;
        let told = rule(&answer).to_owned();
        assert!(
            told == decided || (arguments.contains('X') && told == ENVELOPE),
            "{arguments}: {answer}"
        );
        watch.call_refused(&told, "add").await;
    }
    let none = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}"#;
    let watch = Watch::on(&scene, none);
    assert_eq!(rule(&scene.raw(none).await.message), decided);
    watch.call_refused(&decided, "add").await;
}
both_faces!(
    p87_an_argument_that_is_not_there,
    require("lte", json!(100))
);

/// In a list of approvals what is missing counts as a reason to ask.
async fn p87_an_argument_that_would_have_been_asked_about(scene: Scene) {
    let decided = "/tools/add/approve_if/args.x-gt";
    for arguments in ["{}", r#"{"x":101}"#] {
        let watch = Watch::on(&scene, arguments);
        assert_eq!(
            rule(&scene.raw(call(1, "add", arguments)).await.message),
            decided
        );
        watch.call_refused(decided, "add").await;
    }
}
both_faces!(
    p87_an_argument_that_would_have_been_asked_about,
    tools(
        json!({"add": {"approve_if": [{"conditions": [{"path": "args.x", "op": "gt", "value": 100}]}]}})
    )
);

const MOST: usize = 10;

fn limited() -> Value {
    tools(json!({"add": {"limits": [
        {"counter": "adds", "window": "day", "max": MOST, "scope": "grant"},
        {"counter": "spent", "window": "day", "max": 1000, "increment_from": "args.a"},
    ]}}))
}

/// Three times as many at once as there is room for, over two connections; then
/// again after a restart, and with a new version of the policy.
async fn p89_a_burst_does_not_overspend(scene: Scene) {
    let other = scene.another_agent(&scene.pass).await;
    let burst = (0..3 * MOST).map(|n| {
        let agent = if n % 2 == 0 {
            scene.agent.clone()
        } else {
            other.clone()
        };
        tokio::spawn(async move { agent.call("add", json!({"a": 1, "b": 2})).await })
    });
    let mut refused = 0;
    for answer in burst.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer["result"]["isError"] == true {
            assert_eq!(rule(&answer), "/tools/add/limits/adds");
            refused += 1;
        }
    }
    assert_eq!((refused, scene.upstream.calls().len()), (2 * MOST, MOST));
    assert_eq!(scene.gate.records().len(), 3 * MOST);
    scene.policy(limited());
    let again = scene.another_agent(&scene.pass).await;
    for agent in [&scene.agent, &again] {
        let answer = agent.call("add", json!({"a": 1, "b": 2})).await;
        assert_eq!(
            rule(&answer),
            "/tools/add/limits/adds",
            "with a new version of the policy"
        );
    }
    assert_eq!(scene.upstream.calls().len(), MOST);
    assert_eq!(scene.gate.records().len(), 3 * MOST + 2);
    let Scene {
        gate,
        upstream,
        pass,
        face,
        ..
    } = scene;
    let gate = gate.restart(crate::harness::gate::settings()).await;
    let agent = match face {
        Face::Http => gate.http_agent(&pass),
        Face::Stdio => gate.stdio_agent(&pass),
    };
    agent.connect().await;
    assert_eq!(
        rule(&agent.call("add", json!({"a": 1, "b": 2})).await),
        "/tools/add/limits/adds"
    );
    assert_eq!(
        upstream
            .calls()
            .iter()
            .filter(|tool| *tool == "add")
            .count(),
        MOST
    );
    assert_eq!(
        text(&agent.call("echo", json!({"text": "honest"})).await),
        "honest"
    );
}
everywhere!(p89_a_burst_does_not_overspend, limited());

/// What is counted by its amount: no negative, huge, fine-grained or hidden one.
async fn p89_amounts_that_are_none(scene: Scene) {
    let decided = "/tools/add/limits/spent";
    for amount in [
        "-1",
        "-0.5",
        "1001",
        "1e30",
        "0.0000000001",
        "\"x\"",
        "[1]",
        "{}",
        "null",
        "true",
        "1E400",
    ] {
        let watch = Watch::on(&scene, amount);
        let answer = scene
            .raw(call(1, "add", &format!(r#"{{"a":{amount},"b":0}}"#)))
            .await
            .message;
        assert_eq!(rule(&answer), decided, "{amount}: {answer}");
        watch.call_refused(decided, "add").await;
    }
    let watch = Watch::on(&scene, "no amount");
    assert_eq!(
        rule(&scene.raw(call(1, "add", "{}")).await.message),
        decided
    );
    watch.call_refused(decided, "add").await;
}
both_faces!(p89_amounts_that_are_none, limited());
