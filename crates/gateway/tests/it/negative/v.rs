//! V: versions, headers and eras.

use super::*;
use crate::doors::post;
use crate::sessions::initialize;
use serde_json::json;

/// Headers that name something else decide nothing in the legacy era: what the
/// body says is what is judged.
async fn v46_headers_decide_nothing_in_the_legacy_era(scene: Scene) {
    let named = [("mcp-method", "tools/list"), ("mcp-name", "add")];
    let own = scene.agent.as_http().headers();
    let own: Vec<(&str, &str)> = own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let headers = [&own[..], &named].concat();
    let url = scene.gate.url("fixture");
    let watch = Watch::on(&scene, "a denied tool under the name of an allowed one");
    let reply = provost_testkit::http::post(&url, &headers, call(1, "echo", "{}"))
        .await
        .unwrap();
    assert_eq!(rule(&reply.message()), "/tools/echo/action");
    watch
        .recorded("/tools/echo/action", "tools/call", Some("echo"))
        .await;
    watch.untouched();
    let reply = provost_testkit::http::post(&url, &headers, call(1, "slow", "{}"))
        .await
        .unwrap();
    assert_eq!(text(&reply.message()), "slept");
    assert_eq!(scene.upstream.calls(), ["slow"]);
}
over_http!(
    v46_headers_decide_nothing_in_the_legacy_era,
    tools(json!({"echo": {"action": "deny"}}))
);

async fn v47_an_unknown_revision_is_refused(scene: Scene) {
    for version in ["1900-01-01", "", "2025-11-25x", "2025-11-25, 2025-06-18"] {
        let watch = Watch::on(&scene, version);
        let reply = post(&scene, "/mcp/fixture", &[("mcp-protocol-version", version)]).await;
        let error = &reply.message()["error"];
        assert_eq!(
            (reply.status, &error["code"]),
            (400, &json!(-32022)),
            "{version}"
        );
        let supported = error["data"]["supported"].as_array().unwrap();
        assert!(supported.contains(&json!("2025-11-25")), "{error}");
        watch.refused(ENVELOPE, "ping").await;
    }
}
over_http!(v47_an_unknown_revision_is_refused, allow_all());

/// Each is refused before the session is open, and nothing is started for it.
async fn v49_nothing_goes_before_initialize(scene: Scene) {
    for (method, text) in [
        ("tools/call", call(1, "echo", "{}")),
        ("tools/list", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_owned()),
        (
            "resources/read",
            r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"fixture://text"}}"#.to_owned(),
        ),
    ] {
        let watch = Watch::on(&scene, text.clone());
        let answer = scene.raw(text).await;
        assert_eq!(answer.message["error"]["code"], -32600, "{answer:?}");
        assert_eq!(answer.status.unwrap_or(400), 400);
        watch.recorded(ENVELOPE, method, None).await;
        watch.untouched();
    }
    assert!(scene.upstream.bytes().is_empty() && scene.gate.children() == 0);
    scene.agent.connect().await;
    scene.honest_call_works().await;
}

everywhere_before_initialize!(v49_nothing_goes_before_initialize, allow_all());

async fn v50_a_second_initialize_is_refused(scene: Scene) {
    let mut other = initialize(90);
    other["params"]["clientInfo"]["name"] = json!("somebody else");
    other["params"]["capabilities"] = json!({"sampling": {}});
    for opening in [initialize(90), other] {
        let watch = Watch::on(&scene, opening.to_string());
        let answer = scene.raw(opening.to_string()).await;
        assert_eq!(answer.message["error"]["code"], -32600);
        assert_eq!(answer.status.unwrap_or(400), 400);
        watch.refused(ENVELOPE, "initialize").await;
    }
    assert_eq!(scene.upstream.requests("initialize").len(), 1);
}
everywhere!(v50_a_second_initialize_is_refused, allow_all());
