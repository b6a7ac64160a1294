//! What policies decide about tools reaches agent, upstream and record alike.

use crate::harness::*;
use provost_testkit::client::Client;
use serde_json::{Value, json};

async fn an_allowed_call_is_forwarded_and_recorded(scene: Scene) {
    let answer = scene
        .agent
        .call("echo", json!({"text": "hi", "also": 1}))
        .await;
    assert_eq!(text(&answer), "hi");
    assert_eq!(scene.upstream.calls(), ["echo"]);
    scene.records_become(&["tools/call echo: allow, ok"]).await;
    let record = scene.gate.records().remove(0);
    assert_eq!(record.keys, ["also", "text"]);
    assert_eq!(
        (record.policy.as_deref(), record.version),
        (Some("rules"), Some(1))
    );
    assert_eq!(record.grant, scene.pass.grant.to_string());
    assert_eq!(
        (record.grant_label.as_str(), record.server.as_str()),
        ("agent", "fixture")
    );
    assert!(record.latency_us.is_some());
}
everywhere!(an_allowed_call_is_forwarded_and_recorded, allow_all());

async fn a_denied_call_says_why_and_goes_nowhere(scene: Scene) {
    let answer = scene.raw(call(r#""a""#, "echo", "{}")).await;
    assert_eq!(answer.status.unwrap_or(200), 200);
    let expected = json!({
        "jsonrpc": "2.0", "id": "a", "result": {
            "content": [{"type": "text", "text": "[POLICY DENIED] not on Fridays"}],
            "isError": true,
            "_meta": {DECISION: {
                "decision": "deny", "rule": "/tools/echo/action", "policy": "rules", "version": 1,
                "grant": scene.pass.grant.to_string(),
            }},
        },
    });
    assert_eq!(answer.message, expected);
    scene
        .records_become(&["tools/call echo: deny by /tools/echo/action"])
        .await;
    assert_eq!(
        scene.gate.records()[0].message.as_deref(),
        Some("not on Fridays")
    );
    assert!(scene.upstream.requests("tools/call").is_empty());
}
everywhere!(
    a_denied_call_says_why_and_goes_nowhere,
    tools(json!({"echo": {"action": "deny", "reason": "not on Fridays"}}))
);

async fn a_hidden_tool_is_neither_listed_nor_callable(scene: Scene) {
    assert!(!scene.agent.tools().await.contains(&"echo".to_owned()));
    let answer = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&answer), "(hidden)");
    scene
        .records_become(&["tools/call echo: deny by (hidden)"])
        .await;
    assert!(scene.upstream.calls().is_empty());
}
everywhere!(
    a_hidden_tool_is_neither_listed_nor_callable,
    json!({"version": "1", "default": "allow", "hide": ["echo"]})
);

async fn what_is_not_listed_in_the_policy_is_denied_by_default(scene: Scene) {
    assert_eq!(scene.agent.tools().await, ["add"]);
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "(default deny)"
    );
    assert_eq!(
        rule(&scene.agent.call("no_such_tool", json!({})).await),
        "(default deny)"
    );
    assert_eq!(
        text(&scene.agent.call("add", json!({"a": 1, "b": 2})).await),
        "3"
    );
    assert_eq!(scene.upstream.calls(), ["add"]);
    scene
        .records_become(&[
            "tools/call echo: deny by (default deny)",
            "tools/call no_such_tool: deny by (default deny)",
            "tools/call add: allow, ok",
        ])
        .await;
}
everywhere!(
    what_is_not_listed_in_the_policy_is_denied_by_default,
    json!({"version": "1", "default": "deny", "tools": {"add": {}}})
);

fn argument_rules() -> Value {
    let is = |op: &str, value: &str| json!([{"path": "args.text", "op": op, "value": value}]);
    tools(json!({"echo": {
        "require": [{"conditions": is("regex", "^[a-z ]+$"), "on_deny": "only small letters"}],
        "deny_if": [{"conditions": is("contains", "secret")}],
    }}))
}

async fn arguments_are_judged(scene: Scene) {
    let refused = scene.agent.call("echo", json!({"text": "HELLO"})).await;
    assert_eq!(rule(&refused), "/tools/echo/require/args.text-regex");
    assert_eq!(text(&refused), "[POLICY DENIED] only small letters");
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/tools/echo/require/args.text-regex");
    let refused = scene.agent.call("echo", json!({"text": "a secret"})).await;
    assert_eq!(rule(&refused), "/tools/echo/deny_if/args.text-contains");
    assert_eq!(
        text(&scene.agent.call("echo", json!({"text": "fine"})).await),
        "fine"
    );
    assert_eq!(scene.upstream.calls(), ["echo"]);
    assert_eq!(scene.gate.records().len(), 4);
}
everywhere!(arguments_are_judged, argument_rules());

async fn the_eleventh_call_in_a_minute_waits(scene: Scene) {
    for _ in 0..10 {
        scene.honest_call_works().await;
    }
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/tools/echo/limits/echo_rate");
    let wait = decision(&refused)["retryAfterMs"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    let record = scene.gate.records().remove(10);
    assert_eq!(record.retry_after_ms, Some(wait));
    assert_eq!(scene.upstream.calls().len(), 10);
    assert_eq!(
        text(&scene.agent.call("add", json!({"a": 1, "b": 1})).await),
        "2"
    );
}
everywhere!(
    the_eleventh_call_in_a_minute_waits,
    tools(json!({"echo": {"rate_limit": {"max": 10, "window": 60}}}))
);

async fn a_limit_on_calls_at_a_time_frees_its_place(scene: Scene) {
    let agent = scene.agent.clone();
    let id = agent.next_id();
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let slow = tokio::spawn(async move { agent.request_as(id, "tools/call", params).await });
    scene.upstream.wait_for_calls(1).await;
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "/all_tools/limits/one"
    );
    scene.agent.cancel(id).await;
    scene.upstream.wait_for("cancelled").await;
    slow.abort();
    scene
        .records_become(&[
            "tools/call slow: allow, cancelled",
            "tools/call echo: deny by /all_tools/limits/one",
        ])
        .await;
    scene.honest_call_works().await;
}
everywhere!(
    a_limit_on_calls_at_a_time_frees_its_place,
    json!({"version": "1", "default": "allow", "all_tools": {"limits": [{"counter": "one", "concurrent": 1}]}})
);

async fn a_call_that_needs_a_person_is_refused_as_a_question(scene: Scene) {
    let answer = scene.agent.call("echo", json!({})).await;
    assert_eq!(decision(&answer)["decision"], "ask");
    assert_eq!(rule(&answer), "/tools/echo/action");
    assert!(
        text(&answer).starts_with("[POLICY DENIED] costs money"),
        "{answer}"
    );
    scene
        .records_become(&["tools/call echo: ask by /tools/echo/action"])
        .await;
    assert!(scene.upstream.calls().is_empty());
}
everywhere!(
    a_call_that_needs_a_person_is_refused_as_a_question,
    tools(json!({"echo": {"action": "require_approval", "reason": "costs money"}}))
);

async fn a_grant_without_a_policy_denies_everything(scene: Scene) {
    assert!(scene.agent.tools().await.is_empty());
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "(no policy)"
    );
    let read = scene
        .agent
        .request("resources/read", json!({"uri": "fixture://text"}))
        .await;
    assert_eq!(
        (&read["error"]["code"], rule(&read)),
        (&json!(1403), "(no policy)")
    );
    assert!(scene.upstream.calls().is_empty());
    scene
        .records_become(&[
            "tools/call echo: deny by (no policy)",
            "resources/read: deny by (no policy)",
        ])
        .await;
}
everywhere!(
    a_grant_without_a_policy_denies_everything,
    Setup::without_policy()
);

async fn an_observed_grant_is_judged_on_paper_only(scene: Scene) {
    assert!(scene.agent.tools().await.contains(&"echo".to_owned()));
    scene.honest_call_works().await;
    scene.records_become(&["tools/call echo: allow, ok"]).await;
    let shadow = scene
        .gate
        .records()
        .remove(0)
        .shadow
        .expect("the draft was asked");
    assert_eq!(shadow.rule.as_deref(), Some("(hidden)"));
    assert_eq!(
        (shadow.policy.as_str(), shadow.decision.as_str()),
        ("draft", "deny")
    );
}
everywhere!(
    an_observed_grant_is_judged_on_paper_only,
    Setup::observed(json!({"version": "1", "default": "deny", "hide": "*"}))
);

async fn an_observed_grant_still_speaks_the_protocol(scene: Scene) {
    let unknown = scene.agent.request("vendor/foo", json!({})).await;
    assert_eq!(rule(&unknown), "(method)");
    let twice = scene
        .agent
        .call("echo", json!({"path": "/ok", "PATH": "/etc/shadow"}))
        .await;
    assert_eq!(rule(&twice), "(envelope)");
    assert!(scene.upstream.calls().is_empty() && !scene.upstream.saw("vendor/foo"));
    scene.honest_call_works().await;
}
everywhere!(
    an_observed_grant_still_speaks_the_protocol,
    Setup::observed(json!({"version": "1", "default": "deny"}))
);

async fn a_draft_beside_the_policy_is_recorded_and_not_enforced(scene: Scene) {
    scene.honest_call_works().await;
    scene.honest_call_works().await;
    let said = |record: provost_store::Record| record.shadow.unwrap().decision.as_str();
    let said: Vec<_> = scene.gate.records().into_iter().map(said).collect();
    assert_eq!(said, ["allow", "deny"], "the draft counts for itself");
    assert_eq!(
        rule(&scene.agent.call("add", json!({})).await),
        "/tools/add/action"
    );
}
everywhere!(
    a_draft_beside_the_policy_is_recorded_and_not_enforced,
    Setup::from(tools(json!({"add": {"action": "deny"}}))).shadow(tools(
        json!({"echo": {"rate_limit": {"max": 1, "window": 60}}})
    ))
);

async fn failures_of_the_upstream_are_passed_on_and_recorded(scene: Scene) {
    let failed = scene
        .agent
        .call("fail", json!({"message": "no luck"}))
        .await;
    assert_eq!(
        (text(&failed), &failed["result"]["isError"]),
        ("no luck", &json!(true))
    );
    let failed = scene
        .agent
        .call("rpc_error", json!({"code": -7, "message": "no"}))
        .await;
    let data = json!({"vendor": {"kept": true}});
    assert_eq!(
        failed["error"],
        json!({"code": -7, "message": "no", "data": data})
    );
    scene
        .records_become(&[
            "tools/call fail: allow, tool_error",
            "tools/call rpc_error: allow, rpc_error",
        ])
        .await;
}
everywhere!(
    failures_of_the_upstream_are_passed_on_and_recorded,
    allow_all()
);

async fn quota_comes_back_only_as_the_limit_says(scene: Scene) {
    for _ in 0..3 {
        let failed = scene.agent.call("fail", json!({})).await;
        assert_eq!(failed["result"]["isError"], true);
        assert!(failed["result"].get("_meta").is_none(), "{failed}");
    }
    scene.agent.call("rpc_error", json!({})).await;
    assert_eq!(
        rule(&scene.agent.call("rpc_error", json!({})).await),
        "/tools/rpc_error/limits/kept"
    );
}
everywhere!(
    quota_comes_back_only_as_the_limit_says,
    tools(json!({
        "fail": {"limits": [{"counter": "back", "window": "hour", "max": 1, "refund": "failed"}]},
        "rpc_error": {"limits": [{"counter": "kept", "window": "hour", "max": 1}]},
    }))
);

async fn nobody_is_asked_about_what_a_limit_refuses(scene: Scene) {
    scene.honest_call_works().await;
    let answer = scene.agent.call("add", json!({})).await;
    assert_eq!(decision(&answer)["decision"], "deny");
    assert_eq!(rule(&answer), "/all_tools/limits/calls");
}
both_faces!(
    nobody_is_asked_about_what_a_limit_refuses,
    json!({
        "version": "1", "default": "allow", "tools": {"add": {"action": "require_approval"}},
        "all_tools": {"limits": [{"counter": "calls", "window": "hour", "max": 1}]},
    })
);

async fn a_question_to_a_person_costs_no_quota(scene: Scene) {
    for _ in 0..3 {
        assert_eq!(
            decision(&scene.agent.call("add", json!({})).await)["decision"],
            "ask"
        );
    }
    scene.honest_call_works().await;
}
both_faces!(
    a_question_to_a_person_costs_no_quota,
    json!({
        "version": "1", "default": "allow", "tools": {"add": {"action": "require_approval"}},
        "all_tools": {"limits": [{"counter": "calls", "window": "hour", "max": 1}]},
    })
);

fn one_an_hour(scope: &str) -> Value {
    tools(
        json!({"echo": {"limits": [{"counter": "c", "window": "hour", "max": 1, "scope": scope}]}}),
    )
}

async fn scope_says_who_shares_a_limit(scene: Scene) {
    scene.honest_call_works().await;
    let refused = async |agent: &Client| {
        let answer = agent.call("echo", json!({"text": "x"})).await;
        answer["result"]["isError"] == true
    };
    let same = scene.another_agent(&scene.pass).await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    assert!(refused(&scene.agent).await);
    let shared = (refused(&same).await, refused(&other).await);
    let scope = scene.gate.store.policy("fixture", "rules", None).unwrap();
    let expected = match &*scope.text {
        text if text.contains("session") => (false, false),
        text if text.contains("server") => (true, true),
        _ => (true, false),
    };
    assert_eq!(shared, expected, "{}", scope.text);
}

#[tokio::test]
async fn scope_says_who_shares_a_limit_on_both_faces() {
    for scope in ["grant", "server", "session"] {
        for face in [Face::Http, Face::Stdio] {
            scope_says_who_shares_a_limit(Scene::new(face, Kind::Http, one_an_hour(scope)).await)
                .await;
        }
    }
}
