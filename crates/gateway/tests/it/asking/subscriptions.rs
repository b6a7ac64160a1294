//! D01: what starts a subscription has one shape.

use super::*;

/// Whoever may not read a resource may not watch it either, however it is said.
async fn d01_every_shape_but_the_exact_one_is_refused(scene: Scene) {
    scene.agent.declare(everything());
    let uris = json!(["fixture://note"]);
    let shapes = [
        json!({"notifications": {"resourceSubscriptions": "fixture://note"}}),
        json!({"notifications": {"resourceSubscriptions": {"0": "fixture://note"}}}),
        json!({"notifications": {"resourceSubscriptions": [["fixture://note"]]}}),
        json!({"notifications": {"resourceSubscriptions": [null]}}),
        json!({"notifications": {"resourceSubscriptions": null}}),
        json!({"notifications": {"ResourceSubscriptions": uris}}),
        json!({"notifications": {"resource\u{200b}Subscriptions": uris}}),
        json!({"notifications": {"resourceSubscription": uris}}),
        json!({"notifications": {"resourceSubscriptions": uris, "ResourceSubscriptions": []}}),
        json!({"notifications": {"toolsListChanged": "yes"}}),
        json!({"notifications": {"toolsListChanged": 1}}),
        json!({"notifications": {"ToolsListChanged": true}}),
        json!({"notifications": {"taskIds": "job-1"}}),
        json!({"notifications": {"taskIds": [1]}}),
        json!({"notifications": {"vendor": true}}),
        json!({"Notifications": {"resourceSubscriptions": uris}}),
        json!({"notifications": {}, "Notifications": {"resourceSubscriptions": uris}}),
        json!({"notifications": {}, "resourceSubscriptions": uris}),
        json!({"notifications": [{"resourceSubscriptions": uris}]}),
        json!({"notifications": "resourceSubscriptions"}),
        json!({}),
    ];
    for params in shapes {
        let (bytes, records) = (scene.upstream.bytes().len(), scene.gate.records().len());
        let answer = scene
            .agent
            .request("subscriptions/listen", params.clone())
            .await;
        let code = answer["error"]["code"].as_i64();
        assert!(matches!(code, Some(-32600 | -32602)), "{params}: {answer}");
        assert_eq!(scene.upstream.bytes().len(), bytes, "{params}");
        let recorded = || scene.gate.records().len() == records + 1;
        wait_until("it is recorded", recorded).await;
        let last = scene.gate.records().pop().unwrap();
        assert_eq!(last.rule.as_deref(), Some("(envelope)"), "{params}");
    }
    let watched = json!({"notifications": {"resourceSubscriptions": uris}});
    let answer = scene.agent.request("subscriptions/listen", watched).await;
    assert_eq!(rule(&answer), "(method)", "{answer}");
    scene.honest_call_works().await;
}
everywhere!(
    d01_every_shape_but_the_exact_one_is_refused,
    Setup::modern(json!({"version": "1", "default": "deny", "tools": {"echo": {}}}))
);

/// The same for whatever else decides: a name that only looks like the right one
/// is refused, inside of `_meta` and of capabilities as well.
async fn d01_names_that_decide_are_exact(scene: Scene) {
    let meta = |more: &str| {
        format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}{more}}}"#
        )
    };
    let capabilities = |inside: &str| {
        format!(
            r#"{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{inside}}}"#
        )
    };
    for params in [
        format!(r#""_meta":{},"Task":{{}}"#, meta("")),
        format!(r#""_meta":{},"Notifications":{{}}"#, meta("")),
        format!(r#""_meta":{},"TaskId":"job-1""#, meta("")),
        format!(r#""_meta":{}"#, meta(r#","ProgressToken":1"#)),
        format!(r#""_meta":{}"#, meta(r#","Dev.Provost/Decision":{}"#)),
        format!(
            r#""_meta":{}"#,
            meta(r#","IO.modelcontextprotocol/clientCapabilities":{"roots":{}}"#)
        ),
        format!(r#""_meta":{}"#, capabilities(r#"{"Elicitation":{}}"#)),
        format!(
            r#""_meta":{}"#,
            capabilities(r#"{"elicitation":{"URL":{}}}"#)
        ),
        format!(
            r#""_meta":{}"#,
            capabilities(r#"{"extensions":{"io.modelcontextprotocol/Tasks":{}}}"#)
        ),
    ] {
        let (bytes, records) = (scene.upstream.bytes().len(), scene.gate.records().len());
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":"odd","method":"tools/call","params":{{"name":"echo","arguments":{{}},{params}}}}}"#
        );
        let answer = scene.raw(message).await.message;
        assert_eq!(answer["error"]["code"], -32600, "{params}: {answer}");
        assert_eq!(scene.upstream.bytes().len(), bytes, "{params}");
        let recorded = || scene.gate.records().len() == records + 1;
        wait_until("it is recorded", recorded).await;
    }
    scene.honest_call_works().await;
}
both_faces!(d01_names_that_decide_are_exact, Setup::modern(allow_all()));

/// Tasks are followed by those whose they are, and who know tasks.
async fn d01_only_ones_own_tasks_are_followed(scene: Scene) {
    scene.agent.declare(everything());
    let task = scene.job(json!({"q": person("ready?")})).await;
    let params = json!({"notifications": {"taskIds": [task]}});
    let thief = scene.another_agent(&scene.another_pass("thief")).await;
    let answer = thief.request("subscriptions/listen", params.clone()).await;
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    thief.declare(everything());
    let answer = thief.request("subscriptions/listen", params).await;
    assert_eq!(answer["error"]["code"], -32602, "{answer}");
    assert!(scene.upstream.requests("subscriptions/listen").is_empty());
    let mut listening = scene.agent.subscribe(json!({"taskIds": [task]})).await;
    assert_eq!(listening.acknowledged().await, json!({"taskIds": [task]}));
    let other = scene.job(json!({})).await;
    for cancelled in [&other, &task] {
        scene
            .agent
            .request("tasks/cancel", json!({ "taskId": cancelled }))
            .await;
    }
    let told = listening.next().await.expect("a message");
    assert_eq!(told["method"], "notifications/tasks");
    assert_eq!(told["params"]["taskId"], task, "{told}");
}
everywhere!(
    d01_only_ones_own_tasks_are_followed,
    Setup::modern(allow_all())
);

mod legacy {
    use super::*;

    async fn d01_a_subscription_names_a_resource(scene: Scene) {
        for params in [
            json!({}),
            json!({"uri": ["fixture://note"]}),
            json!({"Uri": "fixture://note"}),
        ] {
            let bytes = scene.upstream.bytes().len();
            let answer = scene
                .agent
                .request("resources/subscribe", params.clone())
                .await;
            let code = answer["error"]["code"].as_i64();
            assert!(matches!(code, Some(-32600 | -32602)), "{params}: {answer}");
            assert_eq!(scene.upstream.bytes().len(), bytes, "{params}");
        }
        scene.honest_call_works().await;
    }
    both_faces!(d01_a_subscription_names_a_resource, allow_all());
}
