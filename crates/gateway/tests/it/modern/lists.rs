//! Lists hold what may be used, and nobody keeps them for others.

use super::*;
use provost_testkit::fixture::{Hostility, Options};

fn deny(methods: Value) -> Value {
    json!({"version": "1", "default": "deny", "tools": {"echo": {}, "located": {}}, "methods": methods})
}

const LISTS: [(&str, &str); 4] = [
    ("tools/list", "tools"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resourceTemplates"),
    ("prompts/list", "prompts"),
];

async fn lists_hold_what_may_be_used(scene: Scene) {
    let of = async |method: &str, member: &str| {
        let answer = scene.agent.request(method, nothing()).await;
        let list = answer["result"][member].as_array();
        list.unwrap_or_else(|| panic!("no list: {answer}")).len()
    };
    assert_eq!(scene.agent.tools().await, ["echo", "located"]);
    assert_eq!(of("resources/list", "resources").await, 3);
    assert_eq!(of("resources/templates/list", "resourceTemplates").await, 1);
    assert_eq!(of("prompts/list", "prompts").await, 0);
    assert!(scene.gate.records().is_empty());
}
everywhere!(
    lists_hold_what_may_be_used,
    Setup::modern(deny(json!({"allow": ["resources/read"]})))
);

/// The fixture says that everybody may keep everything for an hour.
async fn what_a_grant_sees_is_its_own_and_not_for_long(scene: Scene) {
    let own = |answer: &Value| {
        let result = &answer["result"];
        assert_eq!(result["cacheScope"], "private", "{answer}");
        let kept = result["ttlMs"].as_u64().expect("a number");
        assert!(kept <= 60_000, "{answer}");
        assert_eq!(result["resultType"], "complete");
    };
    for (method, _) in LISTS {
        own(&scene.agent.request(method, nothing()).await);
    }
    let read = json!({"uri": "fixture://text"});
    own(&scene.agent.request("resources/read", read).await);
}
everywhere!(what_a_grant_sees_is_its_own_and_not_for_long, open());

async fn lists_that_say_nothing_about_keeping_are_completed(scene: Scene) {
    for (method, _) in LISTS {
        let answer = scene.agent.request(method, nothing()).await;
        let result = &answer["result"];
        assert_eq!(result["cacheScope"], "private", "{answer}");
        assert!(result["ttlMs"].as_u64().is_some_and(|ttl| ttl <= 60_000));
    }
}
everywhere!(
    lists_that_say_nothing_about_keeping_are_completed,
    open().options(Options {
        hostile: Some(Hostility::NoCacheFields),
        on: "*".to_owned(),
        ..Options::modern()
    })
);

async fn filtered_lists_keep_the_rest_byte_for_byte(scene: Scene) {
    let answer = scene.answered(&request("7", "tools/list", "")).await;
    let tools = answer["result"]["tools"].as_array().unwrap();
    assert_eq!((tools.len(), &tools[0]["name"]), (2, &json!("echo")));
    let kept = &tools[0]["_meta"]["dev.example/vendor"]["kept"];
    assert_eq!(kept.as_u64(), Some(12_345_678_901_234_567_890));
    let annotated = &tools[1]["inputSchema"]["properties"]["region"]["x-mcp-header"];
    assert_eq!(annotated, "Region");
}
everywhere!(
    filtered_lists_keep_the_rest_byte_for_byte,
    Setup::modern(deny(json!({})))
);

async fn every_page_is_filtered(scene: Scene) {
    let tools = scene.agent.tools().await;
    let gone = |tool: &String| tool == "echo" || tool.starts_with("generated_000");
    assert!(!tools.iter().any(gone), "{tools:?}");
    assert_eq!(tools.len(), 17 + 6 - 1 + 21 - 9, "{tools:?}");
}
everywhere!(
    every_page_is_filtered,
    Setup::modern(json!({"version": "1", "default": "allow", "hide": ["echo", "generated_000*"]}))
        .options(Options {
            generated_tools: 21,
            page: Some(5),
            ..Options::modern()
        })
);

/// Whoever took such a definition could be made to send any header.
async fn c81_badly_annotated_tools_are_nobodys(scene: Scene) {
    let tools = scene.agent.tools().await;
    let bad: Vec<&String> = tools.iter().filter(|t| t.starts_with("bad_")).collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert!(tools.contains(&"located".to_owned()), "{tools:?}");
    for tool in [
        "bad_empty",
        "bad_newline",
        "bad_number",
        "bad_twice",
        "bad_defs",
    ] {
        let answer = scene.agent.call(tool, json!({"a": "x", "b": "x"})).await;
        let refused = answer["result"]["isError"] == true || answer.get("error").is_some();
        assert!(refused, "{tool}: {answer}");
    }
    assert!(scene.upstream.calls().is_empty());
    let records = scene.gate.history();
    assert!(
        records.len() == 5 && records.iter().all(|line| line.contains("deny by")),
        "{records:?}"
    );
    scene.honest_call_works().await;
}
everywhere!(
    c81_badly_annotated_tools_are_nobodys,
    open().options(Options {
        hostile: Some(Hostility::BadAnnotations),
        on: "tools/list".to_owned(),
        ..Options::modern()
    })
);

/// They need not be listed first.
async fn c81_badly_annotated_tools_are_refused_unseen(scene: Scene) {
    let answer = scene.agent.call("bad_twice", json!({"a": "x"})).await;
    let refused = answer["result"]["isError"] == true || answer.get("error").is_some();
    assert!(refused, "{answer}");
    assert!(scene.upstream.calls().is_empty());
    scene.honest_call_works().await;
}
everywhere!(
    c81_badly_annotated_tools_are_refused_unseen,
    open().options(Options {
        hostile: Some(Hostility::BadAnnotations),
        on: "tools/list".to_owned(),
        ..Options::modern()
    })
);
