//! What policies refuse in the modern era reaches agent, upstream and record
//! alike, and every result says that it is complete.

use super::*;
use provost_testkit::fixture::Options;

async fn a_denied_call_says_why_and_goes_nowhere(scene: Scene) {
    let before = scene.upstream.bytes().len();
    let answer = scene.raw(call(r#""a""#, "echo", "{}")).await;
    status_is(&answer, 200);
    let expected = json!({
        "jsonrpc": "2.0", "id": "a", "result": {
            "content": [{"type": "text", "text": "[POLICY DENIED] not on Fridays"}],
            "isError": true,
            "resultType": "complete",
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
    let message = scene.gate.records().remove(0).message;
    assert_eq!(message.as_deref(), Some("not on Fridays"));
    assert_eq!(scene.upstream.bytes().len(), before, "not a byte");
}
everywhere!(
    a_denied_call_says_why_and_goes_nowhere,
    Setup::modern(tools(
        json!({"echo": {"action": "deny", "reason": "not on Fridays"}})
    ))
);

async fn a_hidden_tool_is_neither_listed_nor_callable(scene: Scene) {
    assert!(!scene.agent.tools().await.contains(&"echo".to_owned()));
    let answer = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&answer), "(hidden)");
    assert_eq!(answer["result"]["resultType"], "complete");
    scene
        .records_become(&["tools/call echo: deny by (hidden)"])
        .await;
    assert!(scene.upstream.calls().is_empty());
}
everywhere!(
    a_hidden_tool_is_neither_listed_nor_callable,
    Setup::modern(json!({"version": "1", "default": "allow", "hide": ["echo"]}))
);

async fn what_is_not_listed_in_the_policy_is_denied_by_default(scene: Scene) {
    assert_eq!(scene.agent.tools().await, ["add"]);
    for tool in ["echo", "no_such_tool"] {
        let answer = scene.agent.call(tool, json!({})).await;
        assert_eq!(rule(&answer), "(default deny)");
    }
    let sum = scene.agent.call("add", json!({"a": 1, "b": 2})).await;
    assert_eq!(text(&sum), "3");
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
    Setup::modern(json!({"version": "1", "default": "deny", "tools": {"add": {}}}))
);

async fn arguments_are_judged(scene: Scene) {
    let refused = scene.agent.call("echo", json!({"text": "HELLO"})).await;
    assert_eq!(rule(&refused), "/tools/echo/require/args.text-regex");
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/tools/echo/require/args.text-regex");
    let fine = scene.agent.call("echo", json!({"text": "fine"})).await;
    assert_eq!(text(&fine), "fine");
    assert_eq!(scene.upstream.calls(), ["echo"]);
    assert_eq!(scene.gate.records().len(), 3);
}
everywhere!(
    arguments_are_judged,
    Setup::modern(tools(json!({"echo": {"require": [
        {"conditions": [{"path": "args.text", "op": "regex", "value": "^[a-z ]+$"}]},
    ]}})))
);

async fn the_third_call_in_a_minute_waits(scene: Scene) {
    for _ in 0..2 {
        scene.honest_call_works().await;
    }
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/tools/echo/limits/echo_rate");
    assert_eq!(refused["result"]["resultType"], "complete");
    let wait = decision(&refused)["retryAfterMs"].as_u64().unwrap();
    assert!((1..=60_000).contains(&wait), "{wait}");
    assert_eq!(scene.gate.records().remove(2).retry_after_ms, Some(wait));
    assert_eq!(scene.upstream.calls().len(), 2);
}
everywhere!(
    the_third_call_in_a_minute_waits,
    Setup::modern(tools(
        json!({"echo": {"rate_limit": {"max": 2, "window": 60}}})
    ))
);

async fn a_limit_on_calls_at_a_time_frees_its_place(scene: Scene) {
    let agent = scene.agent.clone();
    let id = agent.next_id();
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let slow = tokio::spawn(async move { agent.request_as(id, "tools/call", params).await });
    scene.upstream.wait_for_calls(1).await;
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "/all_tools/limits/one");
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
    Setup::modern(
        json!({"version": "1", "default": "allow", "all_tools": {"limits": [{"counter": "one", "concurrent": 1}]}})
    )
);

/// There are no sessions, so a limit of one is a limit of its grant.
async fn a_limit_of_a_session_is_one_of_the_grant(scene: Scene) {
    scene.honest_call_works().await;
    let same = scene.another_agent(&scene.pass).await;
    let refused = same.call("echo", json!({"text": "x"})).await;
    assert_eq!(rule(&refused), "/tools/echo/limits/c");
    let other = scene.another_agent(&scene.another_pass("other")).await;
    assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
}
both_faces!(
    a_limit_of_a_session_is_one_of_the_grant,
    Setup::modern(tools(
        json!({"echo": {"limits": [{"counter": "c", "window": "hour", "max": 1, "scope": "session"}]}})
    ))
);

async fn a_call_that_needs_a_person_is_refused_as_a_question(scene: Scene) {
    let answer = scene.agent.call("echo", json!({})).await;
    assert_eq!(decision(&answer)["decision"], "ask");
    assert_eq!(answer["result"]["resultType"], "complete");
    scene
        .records_become(&["tools/call echo: ask by /tools/echo/action"])
        .await;
    assert!(scene.upstream.calls().is_empty());
}
everywhere!(
    a_call_that_needs_a_person_is_refused_as_a_question,
    Setup::modern(tools(json!({"echo": {"action": "require_approval"}})))
);

async fn other_requests_need_a_rule_under_a_closed_policy(scene: Scene) {
    let complete = json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "name", "value": "A"}});
    let before = scene.upstream.bytes().len();
    for (method, params) in [
        ("resources/read", json!({"uri": "fixture://text"})),
        ("prompts/get", json!({"name": "plain"})),
        ("completion/complete", complete),
    ] {
        let answer = scene.ask(method, params).await;
        status_is(&answer, 200);
        assert_eq!(
            (code(&answer.message), rule(&answer.message)),
            (1403, "(method)"),
            "{method}"
        );
    }
    assert_eq!(scene.upstream.bytes().len(), before, "not a byte");
    scene
        .records_become(&[
            "resources/read: deny by (method)",
            "prompts/get: deny by (method)",
            "completion/complete: deny by (method)",
        ])
        .await;
}
everywhere!(
    other_requests_need_a_rule_under_a_closed_policy,
    Setup::modern(json!({"version": "1", "default": "deny", "tools": {"echo": {}}}))
);

/// What was there in the other era is not there in this one.
async fn methods_of_the_other_era_are_not_found(scene: Scene) {
    for method in [
        "initialize",
        "ping",
        "logging/setLevel",
        "resources/subscribe",
        "resources/unsubscribe",
        "tasks/list",
        "tasks/result",
        "sampling/createMessage",
        "elicitation/create",
        "roots/list",
        "vendor/echo",
        "Tools/Call",
        "rpc.discover",
    ] {
        let answer = scene.ask(method, json!({"taskId": "1"})).await;
        status_is(&answer, 404);
        assert_eq!(
            (code(&answer.message), rule(&answer.message)),
            (-32601, "(method)"),
            "{method}"
        );
        assert!(scene.upstream.requests(method).is_empty(), "{method}");
    }
    assert!(
        scene
            .gate
            .history()
            .iter()
            .all(|line| line.ends_with("deny by (method)"))
    );
    assert_eq!(scene.gate.records().len(), 13);
    scene.honest_call_works().await;
}
everywhere!(methods_of_the_other_era_are_not_found, open());

async fn an_unknown_method_passes_with_a_rule(scene: Scene) {
    let params = json!({"a": [1, {"b": null}]});
    let answer = scene.agent.request("vendor/echo", params).await;
    assert_eq!(
        answer["result"]["vendor"]["a"],
        json!([1, {"b": null}]),
        "{answer}"
    );
    scene.records_become(&["vendor/echo: allow, ok"]).await;
}
everywhere!(
    an_unknown_method_passes_with_a_rule,
    Setup::modern(
        json!({"version": "1", "default": "deny", "methods": {"allow": ["vendor/echo"]}})
    )
);

async fn a_grant_without_a_policy_denies_everything(scene: Scene) {
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "(no policy)");
    let read = json!({"uri": "fixture://text"});
    let read = scene.agent.request("resources/read", read).await;
    assert_eq!((code(&read), rule(&read)), (1403, "(no policy)"));
    assert!(scene.upstream.calls().is_empty());
}
everywhere!(
    a_grant_without_a_policy_denies_everything,
    Setup::without_policy()
        .options(Options::modern())
        .agent(Era::Modern)
);

async fn a_smuggled_call_is_refused(scene: Scene) {
    let before = scene.upstream.bytes().len();
    for (params, rule_id) in [
        (
            r#""name":"echo","arguments":{"a":1,"\u0061":2}"#,
            "(envelope)",
        ),
        (r#""name":"echo","name":"add","arguments":{}"#, "(envelope)"),
        (r#""Name":"echo","arguments":{}"#, "(envelope)"),
        (r#""name":"echo","arguments":[]"#, "(envelope)"),
        (r#""arguments":{}"#, "(envelope)"),
    ] {
        let answer = scene.raw(request("1", "tools/call", params)).await;
        let refused =
            answer.message["result"]["isError"] == true || answer.message.get("error").is_some();
        assert!(refused, "{params}: {answer:?}");
        let records = scene.gate.history();
        assert!(
            records.last().is_some_and(|line| line.ends_with(rule_id)),
            "{params}: {records:?}"
        );
    }
    assert_eq!(scene.upstream.bytes().len(), before, "not a byte");
    scene.honest_call_works().await;
}
everywhere!(a_smuggled_call_is_refused, open());

/// The answer of a revoked grant is that nobody knows it.
async fn a_revoked_grant_is_refused_at_the_next_request(scene: Scene) {
    scene.honest_call_works().await;
    scene.gate.revoke(&scene.pass);
    let before = scene.upstream.bytes().len();
    let text = call("1", "echo", "{}");
    let reply = scene.agent.as_http().post_raw(text).await.unwrap();
    assert_eq!(reply.status, 401);
    assert_eq!(scene.upstream.bytes().len(), before, "not a byte");
}

#[tokio::test]
async fn a_revoked_grant_is_refused_over_http() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Http, kind, open()).await;
        a_revoked_grant_is_refused_at_the_next_request(scene).await;
    }
}

async fn a_new_version_of_a_policy_counts_from_the_next_request(scene: Scene) {
    scene.honest_call_works().await;
    scene.policy(tools(json!({"echo": {"action": "deny"}})));
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(
        (rule(&refused), &decision(&refused)["version"]),
        ("/tools/echo/action", &json!(2))
    );
}
everywhere!(
    a_new_version_of_a_policy_counts_from_the_next_request,
    open()
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
everywhere!(failures_of_the_upstream_are_passed_on_and_recorded, open());
