//! Arguments that mean one thing to a policy and another to a server, and
//! arguments that cost too much to judge.

use super::*;
use serde_json::json;

/// A policy for `echo` with one condition in one of its lists.
fn condition(list: &str, path: &str, op: &str, value: serde_json::Value) -> Setup {
    let condition = json!({"path": path, "op": op, "value": value});
    Setup::from(tools(
        json!({"echo": {list: [{"conditions": [condition]}]}}),
    ))
}

/// Each of these arguments is refused by this rule.
async fn refused_by(scene: &Scene, decided: &str, all: &[String]) {
    for arguments in all {
        let watch = Watch::on(scene, arguments.clone());
        let answer = scene.raw(call(1, "echo", arguments)).await.message;
        assert_eq!(rule(&answer), decided, "{answer}");
        watch.call_refused(decided, "echo").await;
    }
}

async fn d06_text_that_only_looks_like_what_is_listed(scene: Scene) {
    let spelled = ["1.1", "1.100", "11e-1", " 1.10"];
    let all = spelled.map(|text| json!({ "text": text }).to_string());
    refused_by(&scene, "/tools/echo/require/args.text-in", &all).await;
}
both_faces!(
    d06_text_that_only_looks_like_what_is_listed,
    condition("require", "args.text", "in", json!(["1.10", "honest"]))
);

async fn d86_numbers_that_some_servers_read_as_others(scene: Scene) {
    let all = [
        "100.00000000000000001",
        "\"100.00000000000000001\"",
        "1e400",
    ];
    let all = all.map(|number| format!(r#"{{"n":{number}}}"#));
    refused_by(&scene, "/tools/echo/deny_if/args.n-gt", &all).await;
}
both_faces!(
    d86_numbers_that_some_servers_read_as_others,
    condition("deny_if", "args.n", "gt", json!(100))
);

async fn d07_words_inside_a_word(scene: Scene) {
    let all = [
        r#"["rm -rf /"]"#,
        r#"["rm -rf","/"]"#,
        r#"[" rm"]"#,
        r#"["rm"]"#,
    ];
    let all = all.map(|words| format!(r#"{{"argv":{words}}}"#));
    refused_by(&scene, "/tools/echo/deny_if/args.argv-argv_in", &all).await;
}
both_faces!(
    d07_words_inside_a_word,
    condition("deny_if", "args.argv", "argv_in", json!([["rm"]]))
);

async fn d84_a_text_that_is_made_for_a_pattern(scene: Scene) {
    let mut state = 7_u32;
    let text: String = (0..1_000_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 31 == 0 { 'a' } else { 'b' }
        })
        .collect();
    let all = [json!({ "blob": text }).to_string()];
    refused_by(&scene, "/tools/echo/deny_if/args.blob-regex", &all).await;
}
both_faces!(
    d84_a_text_that_is_made_for_a_pattern,
    condition("deny_if", "args.blob", "regex", json!("(a|b)*a(a|b){20}c"))
);

async fn d08_a_name_between_two_globs(scene: Scene) {
    for name in ["Delete_file", "DELETE_file", "delete\u{200b}_file"] {
        let watch = Watch::on(&scene, name);
        let answer = scene.raw(call(1, name, "{}")).await.message;
        assert_eq!(rule(&answer), ENVELOPE, "{name}: {answer}");
        watch.call_refused(ENVELOPE, name).await;
    }
}
both_faces!(
    d08_a_name_between_two_globs,
    tools(json!({"echo": {}, "delete_*": {"action": "deny"}, "*_file": {}}))
);
