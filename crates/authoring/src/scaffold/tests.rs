use proptest::prelude::*;

use provost_policy::invisible::is_hidden;

use super::*;
use crate::{Offer, warnings};

fn tools() -> Vec<Value> {
    let tools = json!([
        { "name": "read", "title": "Read", "description": "Reads a file. Only text.",
          "inputSchema": { "type": "object", "required": ["path"], "properties": {
              "path": { "type": "string" }, "head": { "anyOf": [{ "type": "number" }, { "type": "null" }] } } },
          "annotations": { "readOnlyHint": true } },
        { "name": "read_many", "inputSchema": { "properties": {
              "paths": { "type": "array", "items": { "type": "string" } }, "odd.path": { "type": "string" } } },
          "annotations": { "readOnlyHint": true, "destructiveHint": false } },
        { "name": "write", "description": "Writes\u{202e} a file", "inputSchema": { "properties": { "path": { "type": "string" } } },
          "annotations": { "readOnlyHint": false } },
        { "name": "drop", "annotations": { "readOnlyHint": true, "destructiveHint": true } },
        { "name": "append", "inputSchema": { "properties": { "repoPath": { "type": "string" } } },
          "annotations": { "readOnlyHint": false, "destructiveHint": false } },
        { "name": "what", "inputSchema": true },
        { "name": "read" },
        { "name": "a/b" },
        { "name": "wild*" },
        { "title": "nameless" },
    ]);
    tools.as_array().unwrap().clone()
}

fn written(roots: &[&str]) -> Scaffold {
    let roots: Vec<String> = roots.iter().map(|root| (*root).to_owned()).collect();
    let described = Described {
        server: "files 1.0",
        capabilities: &["resources".to_owned(), "logging".to_owned()],
        tools: &tools(),
    };
    scaffold(&described, &roots).unwrap()
}

#[test]
fn d53_a_policy_to_begin_with() {
    let written = written(&["/srv/work"]);
    insta::assert_snapshot!(written.policy_json);
    assert_eq!(written.allowed, ["read_many"]);
    // `read` is listed twice, in two ways.
    assert_eq!(written.denied, ["read", "write", "drop"]);
    assert_eq!(written.limited, ["append", "what"]);
    assert_eq!(written.left_out.len(), 2);
}

#[test]
fn d53_nothing_in_it_is_warned_about() {
    let offer = Offer::read(&Value::from(tools()));
    for roots in [&[][..], &["/srv/work", "/tmp"]] {
        let written = written(roots);
        let policy = Policy::parse(&written.policy_json).unwrap();
        assert_eq!(
            warnings(&policy, offer.as_ref()),
            [],
            "{}",
            written.policy_json
        );
    }
}

#[test]
fn roots_that_no_path_can_be_under_are_refused() {
    let described = Described {
        tools: &tools(),
        ..Described::default()
    };
    let refused = scaffold(&described, &["~/work".to_owned()]).unwrap_err();
    assert!(refused[0].message.contains("~/work"), "{refused:?}");
}

#[test]
fn names_of_files_are_told_by_their_last_word() {
    for name in [
        "path",
        "repo_path",
        "filePath",
        "target-dir",
        "Directory",
        "paths",
        "source",
    ] {
        assert!(names_files(name), "{name}");
    }
    for name in [
        "",
        "pathology",
        "path_count",
        "profile",
        "query",
        "resource",
        "é",
    ] {
        assert!(!names_files(name), "{name}");
    }
}

/// Definitions as no honest server writes them.
fn definitions() -> impl Strategy<Value = Vec<Value>> {
    let text = || prop_oneof![".{0,12}", "[a-c*/._~-]{0,4}", "(Path|file|a.b|x\\[0\\])"];
    let property = (
        text(),
        prop::sample::select(vec![
            json!({ "type": "string" }),
            json!({ "type": ["string", "null"] }),
            json!({ "type": "array", "items": { "type": "string" } }),
            json!({ "$ref": "#/nowhere" }),
            json!(true),
            json!(null),
        ]),
    );
    let properties = prop::collection::vec(property, 0..4);
    let hint = || prop::sample::select(vec![json!(true), json!(false), json!(null), json!("yes")]);
    let tool = (text(), text(), properties, hint(), hint());
    let tool = tool.prop_map(|(name, description, properties, reads, destroys)| {
        let properties: Map<String, Value> = properties.into_iter().collect();
        json!({
            "name": name,
            "description": description,
            "inputSchema": { "properties": properties, "required": ["file", 1] },
            "annotations": { "readOnlyHint": reads, "destructiveHint": destroys },
        })
    });
    prop::collection::vec(tool, 0..5)
}

proptest! {
    #[test]
    fn whatever_a_server_lists_becomes_a_policy_without_warnings(tools in definitions(), server in ".{0,40}") {
        let described = Described { server: &server, capabilities: &[], tools: &tools };
        let written = scaffold(&described, &["/srv/work".to_owned()]).unwrap();
        let policy = Policy::parse(&written.policy_json).unwrap();
        let offer = Offer::read(&Value::from(tools));
        let listed = written.allowed.len() + written.limited.len() + written.denied.len();
        let warned = warnings(&policy, offer.as_ref());
        prop_assert!(listed == 0 || warned.is_empty(), "{:?}\n{}", warned, written.policy_json);
        let described = policy.body().tools.iter().filter_map(|(_, tool)| tool.description.as_deref());
        let hidden = described.chain(policy.description()).find(|text| text.contains(is_hidden));
        prop_assert_eq!(hidden, None);
    }
}
