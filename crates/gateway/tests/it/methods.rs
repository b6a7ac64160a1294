//! Requests other than `tools/call`: what a policy lets through, and what is
//! left of the lists.

use crate::harness::*;
use serde_json::{Value, json};

fn deny(methods: Value) -> Value {
    json!({"version": "1", "default": "deny", "tools": {"echo": {}}, "methods": methods})
}

fn questions() -> [(&'static str, Value); 4] {
    [
        ("resources/read", json!({"uri": "fixture://text"})),
        ("resources/subscribe", json!({"uri": "fixture://text"})),
        ("prompts/get", json!({"name": "plain"})),
        (
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "name", "value": "A"}}),
        ),
    ]
}

async fn methods_pass_where_the_default_allows(scene: Scene) {
    for (method, params) in questions() {
        let answer = scene.agent.request(method, params).await;
        assert!(answer.get("result").is_some(), "{method}: {answer}");
        assert_eq!(scene.upstream.requests(method).len(), 1);
    }
    let lines = questions().map(|(method, _)| format!("{method}: allow, ok"));
    scene
        .records_become(&lines.each_ref().map(String::as_str))
        .await;
}
everywhere!(methods_pass_where_the_default_allows, allow_all());

async fn methods_need_to_be_allowed_where_the_default_denies(scene: Scene) {
    for (method, params) in questions() {
        let answer = scene.agent.request(method, params).await;
        assert_eq!(
            (&answer["error"]["code"], rule(&answer)),
            (&json!(1403), "(method)")
        );
        assert_eq!(decision(&answer)["version"], 1);
        assert!(scene.upstream.requests(method).is_empty());
    }
    let lines = questions().map(|(method, _)| format!("{method}: deny by (method)"));
    scene
        .records_become(&lines.each_ref().map(String::as_str))
        .await;
}
everywhere!(
    methods_need_to_be_allowed_where_the_default_denies,
    deny(json!({}))
);

async fn an_allowed_method_passes_and_a_denied_one_does_not(scene: Scene) {
    let read = scene
        .agent
        .request("resources/read", json!({"uri": "fixture://text"}))
        .await;
    assert_eq!(read["result"]["contents"][0]["text"], "Hello, world.");
    let prompt = scene
        .agent
        .request("prompts/get", json!({"name": "plain"}))
        .await;
    assert_eq!(rule(&prompt), "(method)");
    scene
        .records_become(&["resources/read: allow, ok", "prompts/get: deny by (method)"])
        .await;
}
everywhere!(
    an_allowed_method_passes_and_a_denied_one_does_not,
    json!({"version": "1", "default": "allow", "methods": {"deny": ["prompts/get"]}})
);

async fn an_unknown_method_is_not_found_without_a_rule(scene: Scene) {
    for method in ["vendor/echo", "tools/Call", "tools/call ", "rpc.discover"] {
        let answer = scene.agent.request(method, json!({"a": 1})).await;
        assert_eq!(
            (&answer["error"]["code"], rule(&answer)),
            (&json!(-32601), "(method)")
        );
        assert!(scene.upstream.requests(method).is_empty(), "{method}");
    }
    assert_eq!(scene.gate.records().len(), 4);
}
everywhere!(an_unknown_method_is_not_found_without_a_rule, allow_all());

async fn an_unknown_method_passes_with_a_rule(scene: Scene) {
    let answer = scene
        .agent
        .request("vendor/echo", json!({"a": [1, {"b": null}]}))
        .await;
    assert_eq!(answer["result"]["vendor"]["a"], json!([1, {"b": null}]));
    scene.records_become(&["vendor/echo: allow, ok"]).await;
}
everywhere!(
    an_unknown_method_passes_with_a_rule,
    deny(json!({"allow": ["vendor/echo"]}))
);

async fn lists_hold_what_may_be_used(scene: Scene) {
    let of = async |method: &str, member: &str| {
        let answer = scene.agent.request(method, json!({})).await;
        answer["result"][member]
            .as_array()
            .unwrap_or_else(|| panic!("no list: {answer}"))
            .len()
    };
    assert_eq!(scene.agent.tools().await, ["echo"]);
    assert_eq!(of("resources/list", "resources").await, 3);
    assert_eq!(of("resources/templates/list", "resourceTemplates").await, 1);
    assert_eq!(of("prompts/list", "prompts").await, 0);
}
everywhere!(
    lists_hold_what_may_be_used,
    deny(json!({"allow": ["resources/read"]}))
);

async fn filtered_lists_keep_the_rest_byte_for_byte(scene: Scene) {
    let answer = scene
        .raw(r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#)
        .await
        .message;
    let tools = &answer["result"]["tools"];
    assert_eq!(
        (tools.as_array().unwrap().len(), &tools[0]["name"]),
        (1, &json!("echo"))
    );
    let kept = &tools[0]["_meta"]["dev.example/vendor"]["kept"];
    assert_eq!(kept.as_u64(), Some(12_345_678_901_234_567_890));
}
everywhere!(filtered_lists_keep_the_rest_byte_for_byte, deny(json!({})));

async fn every_page_is_filtered(scene: Scene) {
    let tools = scene.agent.tools().await;
    assert_eq!(tools.len(), 16 + 12, "{tools:?}");
    assert!(
        !tools
            .iter()
            .any(|tool| tool == "echo" || tool.starts_with("generated_000"))
    );
}
everywhere!(
    every_page_is_filtered,
    Setup::from(json!({"version": "1", "default": "allow", "hide": ["echo", "generated_000*"]}))
        .options(provost_testkit::fixture::Options {
            generated_tools: 21,
            page: Some(5),
            ..Default::default()
        })
);

async fn denied_tools_stay_visible_and_hidden_ones_do_not(scene: Scene) {
    let tools = scene.agent.tools().await;
    assert_eq!(tools, ["echo", "add", "log"]);
}
everywhere!(
    denied_tools_stay_visible_and_hidden_ones_do_not,
    json!({
        "version": "1", "default": "deny", "hide": ["slow"],
        "tools": {"echo": {"action": "deny"}, "slow": {}, "add": {"deny_if": [{"conditions": []}]}, "log": {}},
    })
);

async fn housekeeping_always_passes_and_leaves_no_record(scene: Scene) {
    assert_eq!(
        scene.agent.request("ping", json!({})).await["result"],
        json!({})
    );
    let level = scene
        .agent
        .request("logging/setLevel", json!({"level": "error"}))
        .await;
    assert_eq!(level["result"], json!({}));
    let answer = scene
        .agent
        .request("resources/unsubscribe", json!({"uri": "fixture://text"}))
        .await;
    assert_eq!(answer["result"], json!({}));
    scene.records_become(&[]).await;
}
everywhere!(
    housekeeping_always_passes_and_leaves_no_record,
    deny(json!({}))
);

async fn initialize_is_passed_through(scene: Scene) {
    let result = scene.agent.connect().await;
    assert_eq!(result["serverInfo"]["title"], "Fixture");
    assert_eq!(result["instructions"], "A server for tests.");
    assert_eq!(
        result["capabilities"]["experimental"]["dev.example/vendor"]["kept"],
        true
    );
    assert_eq!(result["capabilities"]["tools"]["listChanged"], true);
    scene.upstream.wait_for("notification").await;
    let params = scene.upstream.requests("initialize").remove(0);
    assert_eq!(params["clientInfo"]["name"], "provost-testkit");
}

#[tokio::test]
async fn initialize_is_passed_through_everywhere() {
    for face in [Face::Http, Face::Stdio] {
        for kind in Kind::ALL {
            initialize_is_passed_through(Scene::before_initialize(face, kind, allow_all())).await;
        }
    }
}

async fn every_legacy_revision_is_spoken(face: Face) {
    for version in provost_testkit::fixture::VERSIONS {
        let scene = Scene::before_initialize(face, Kind::Http, allow_all());
        assert_eq!(
            scene.agent.connect_as(version).await["protocolVersion"],
            version
        );
        scene.upstream.wait_for("notification").await;
        scene.honest_call_works().await;
    }
}

#[tokio::test]
async fn every_legacy_revision_is_spoken_on_both_faces() {
    every_legacy_revision_is_spoken(Face::Http).await;
    every_legacy_revision_is_spoken(Face::Stdio).await;
}

/// What a policy may say of these in another era allows nothing in this one.
async fn methods_of_another_era_do_not_pass(scene: Scene) {
    for method in [
        "tasks/update",
        "subscriptions/listen",
        "server/discover",
        "sampling/createMessage",
        "roots/list",
    ] {
        let answer = scene.agent.request(method, json!({"taskId": "1"})).await;
        assert_eq!(
            (&answer["error"]["code"], rule(&answer)),
            (&json!(-32601), "(method)"),
            "{method}"
        );
        assert!(scene.upstream.requests(method).is_empty());
    }
    scene.honest_call_works().await;
}
everywhere!(methods_of_another_era_do_not_pass, allow_all());
