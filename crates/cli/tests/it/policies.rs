//! Policies in files: check, schema, import. No store is made for them.

use crate::place::{POLICY, Place};

const BROKEN: &str = r#"{
  "version": "1",
  "default": "deny",
  "tools": {
    "spawn": { "limits": [{ "counter": "c", "window": "fortnight", "max": 1 }] },
    "send": { "acton": "deny" }
  }
}
"#;

#[test]
fn a_good_policy_is_ok_and_nothing_is_created() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    insta::assert_snapshot!(place.story(&["policy", "check", "policy.json"]));
    assert!(!place.data().exists() && !place.config().exists());
}

#[test]
fn all_errors_of_a_policy_are_shown_at_once_with_their_places() {
    let place = Place::new();
    place.file("broken.json", BROKEN);
    insta::assert_snapshot!(place.story(&["policy", "check", "broken.json"]));
    insta::assert_snapshot!(place.story(&["policy", "check", "--json", "broken.json"]));
}

#[test]
fn files_that_cannot_be_read_say_which_and_why() {
    let place = Place::new();
    insta::assert_snapshot!(place.story(&["policy", "check", "missing.json"]));
    std::fs::write(
        place.path().join("latin1.json"),
        b"{ \"version\": \"\xe9\" }",
    )
    .unwrap();
    insta::assert_snapshot!(place.story(&["policy", "check", "latin1.json"]));
    place.file("tools.json", "{}");
    place.file("policy.json", POLICY);
    insta::assert_snapshot!(place.story(&[
        "policy",
        "check",
        "policy.json",
        "--tools",
        "tools.json"
    ]));
}

#[test]
fn the_schema_is_json() {
    let place = Place::new();
    let schema: serde_json::Value = serde_json::from_str(&place.ok(&["policy", "schema"])).unwrap();
    assert!(schema["$schema"].as_str().unwrap().contains("2020-12"));
}

#[test]
fn an_imported_policy_is_a_policy() {
    let place = Place::new();
    place.file(
        "intercept.yaml",
        "version: \"1\"\ndescription: small\ntools:\n  send:\n    rules:\n      - name: not too often\n        rate_limit: 5/minute\n        on_deny: slow down\n",
    );
    place.ok(&[
        "policy",
        "import",
        "intercept.yaml",
        "--output",
        "policy.json",
    ]);
    place.ok(&["policy", "check", "policy.json"]);
    let again = place.run(&[
        "policy",
        "import",
        "intercept.yaml",
        "--output",
        "policy.json",
    ]);
    assert_eq!(again.code, 4, "{}", again.stderr);
    place.file("bad.yaml", "tools: [");
    assert_eq!(place.run(&["policy", "import", "bad.yaml"]).code, 1);
}

#[test]
fn d42_what_is_not_understood_is_not_imported() {
    let place = Place::new();
    place.file(
        "intercept.yaml",
        "version: \"1\"\ndefault: deny\ntools:\n  look: {}\n  send:\n    rules:\n      - name: small\n        conditions: [{path: args.n, op: lte, value: 5, unles: x}]\n",
    );
    insta::assert_snapshot!(place.story(&[
        "policy",
        "import",
        "intercept.yaml",
        "--output",
        "policy.json"
    ]));
    assert!(!place.path().join("policy.json").exists());
    insta::assert_snapshot!(place.story(&["policy", "import", "intercept.yaml", "--partial"]));
    // A policy of our own is none of Intercept's.
    place.file("own.json", POLICY);
    insta::assert_snapshot!(place.story(&["policy", "import", "own.json"]));
}

#[test]
fn d51_yaml_commas_and_comments_get_a_hint() {
    let place = Place::new();
    place.file(
        "policy.yaml",
        "# ours\nversion: \"1\"\ndefault: deny\ntools:\n  spawn: {}\n",
    );
    place.file(
        "commas.json",
        "{\n  \"version\": \"1\",\n  \"default\": \"deny\",\n  \"tools\": { \"spawn\": {}, },\n}\n",
    );
    place.file(
        "comment.json",
        "{\n  \"version\": \"1\", // the language\n  \"default\": \"deny\"\n}\n",
    );
    place.file("cases.yaml", "cases: []\n");
    for file in ["policy.yaml", "commas.json", "comment.json"] {
        insta::assert_snapshot!(place.story(&["policy", "check", file]));
    }
    // Every command that reads a policy says the same.
    let hint = "hint: policies are JSON";
    for args in [
        ["policy", "explain", "policy.yaml", "--tool", "spawn"].as_slice(),
        &["policy", "test", "policy.yaml", "cases.yaml"],
        &["policy", "put", "files", "rules", "policy.yaml"],
        &[
            "policy",
            "explain",
            "--json",
            "policy.yaml",
            "--tool",
            "spawn",
        ],
    ] {
        let told = place.run(args);
        assert_eq!(told.code, 1, "{args:?}: {}", told.stderr);
        assert!(told.stderr.contains(hint), "{args:?}: {}", told.stderr);
    }
}
