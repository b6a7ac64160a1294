//! What is not understood fails, or (when that is asked for) refuses the calls it is about: never less than before.

use serde_json::{Value, json};

use super::{Policy, Unclear, errors, intercept};

/// The document that is left, and the places that are not in it.
fn partial(yaml: &str) -> (Value, Vec<String>) {
    assert!(intercept(yaml, Unclear::Fails).unwrap_err().has_a_rest);
    let imported = intercept(yaml, Unclear::Refuses).unwrap();
    let dropped = imported.dropped.iter().map(ToString::to_string).collect();
    let document = serde_json::from_str(&imported.policy_json).unwrap();
    (document, dropped)
}

/// One tool that is denied because of what was not understood.
fn denied() -> Value {
    json!({"action": "deny", "reason": "the policy for this call could not be imported in full"})
}

/// All calls are refused.
fn all_denied() -> Value {
    json!({"deny_if": [{"conditions": [], "on_deny": "the policy for this call could not be imported in full"}]})
}

#[track_caller]
fn decides(yaml: &str, cases: &str) {
    let imported = intercept(yaml, Unclear::Refuses).unwrap();
    let policy = Policy::parse(&imported.policy_json).unwrap();
    let report = crate::cases::run(&policy, cases).unwrap();
    assert!(report.passed(), "{report}");
}

const OURS: &str = r#"{
  "version": "1",
  "default": "allow",
  "all_tools": { "limits": [ { "counter": "c", "window": "minute", "max": 1 } ] },
  "tools": {
    "send": { "deny_if": [ { "conditions": [ { "path": "args.to", "op": "eq", "value": "x" } ] } ] },
    "look": {}
  }
}"#;

#[test]
fn d42_a_document_of_our_own_is_not_taken_for_one_of_intercept() {
    let places = [
        "line 4, all_tools: `all_tools` is a field of Provost's own policies, which need no import; Intercept has none of that name here",
        "line 6, tools.send.deny_if: `deny_if` is a field of Provost's own policies, which need no import; Intercept has none of that name here",
    ];
    assert_eq!(errors(OURS), places);
    let (document, dropped) = partial(OURS);
    assert_eq!(dropped, places);
    assert_eq!(
        document,
        json!({"version": "1", "default": "deny", "all_tools": all_denied(), "tools": {"send": denied(), "look": {}}})
    );
    decides(
        OURS,
        "cases:\n  - {tool: send, expect: deny}\n  - {tool: look, expect: deny}\n  - {tool: other, expect: deny}\n",
    );
}

#[test]
fn d42_a_misspelt_field_fails_with_its_place() {
    let yaml = "version: '1'\ndefaut: deny\ntools:\n  a: {}\n";
    let place = "line 2, defaut: Intercept has no field `defaut` here; did you mean `default`?";
    assert_eq!(errors(yaml), [place]);
    let (document, dropped) = partial(yaml);
    assert_eq!(dropped, [place]);
    assert_eq!(
        document,
        json!({"version": "1", "default": "deny", "all_tools": all_denied(), "tools": {"a": {}}})
    );
    let yaml = "version: '1'\ntools:\n  a:\n    rule: []\n  b: {}\n";
    let place = "line 4, tools.a.rule: Intercept has no field `rule` here; did you mean `rules`?";
    assert_eq!(errors(yaml), [place]);
    let (document, dropped) = partial(yaml);
    assert_eq!(dropped, [place]);
    assert_eq!(document["default"], "allow");
    assert_eq!(document["tools"], json!({"a": denied(), "b": {}}));
    decides(
        yaml,
        "cases:\n  - {tool: a, expect: deny, rule: /tools/a/action}\n  - {tool: b, expect: allow}\n",
    );
}

#[test]
fn d42_an_unknown_kind_of_rule_fails_with_its_place() {
    let yaml = "version: '1'\ntools:\n  a:\n    rules:\n      - {name: n, action: block}\n      - {name: m, rate_limit: 5/week}\n  b: {}\n";
    let places = [
        "line 5, tools.a.rules[0]: action must be `evaluate`, `deny` or `require_approval`, not `block`",
        "line 6, tools.a.rules[1]: the window of rate_limit must be `minute`, `hour` or `day`, not `week`",
    ];
    assert_eq!(errors(yaml), places);
    let (document, dropped) = partial(yaml);
    assert_eq!(dropped, places);
    assert_eq!(document["tools"], json!({"a": denied(), "b": {}}));
    let everybody = yaml.replace("  a:", "  '*':");
    let (document, _) = partial(&everybody);
    assert_eq!(document["default"], "deny");
    assert_eq!(document["all_tools"], all_denied());
}

#[test]
fn d42_an_unknown_member_inside_a_rule_fails_with_its_place() {
    let yaml = "version: '1'\ntools:\n  a:\n    rules:\n      - name: n\n        conditions:\n          - {path: args.n, op: lte, value: 5, unless: {path: args.m}}\n        state: {counter: c, window: day, per: user}\n  b: {}\n";
    let places = [
        "line 7, tools.a.rules[0].conditions[0].unless: Intercept has no field `unless` here; known ones are `path`, `op` and `value`",
        "line 8, tools.a.rules[0].state.per: Intercept has no field `per` here; known ones are `counter`, `window`, `increment` and `increment_from`",
    ];
    assert_eq!(errors(yaml), places);
    let (document, dropped) = partial(yaml);
    assert_eq!(dropped, places);
    assert_eq!(document["tools"], json!({"a": denied(), "b": {}}));
}

#[test]
fn d42_conditions_on_counters_that_cannot_be_kept_are_not_forgotten() {
    let yaml = "version: '1'\ntools:\n  t:\n    rules:\n      - name: n\n        conditions: [{path: state.u.c, op: lt, value: 3}]\n  u:\n    rules:\n      - name: n\n        conditions: [{path: state.u.c, op: lte, value: 9}]\n        state: {counter: c, window: hour}\n";
    let place = "line 6, tools.t.rules[0].conditions[0]: the condition `state.u.c lt` cannot be kept: a limit here holds back only the calls it counts, by a highest count";
    assert_eq!(errors(yaml), [place]);
    let (document, dropped) = partial(yaml);
    assert_eq!(dropped, [place]);
    assert_eq!(document["tools"]["t"], denied());
    assert_eq!(document["tools"]["u"]["limits"][0]["max"], 9);
    // Intercept never counts this one, so the condition never held.
    let yaml = "version: '1'\ntools:\n  t:\n    rules:\n      - name: n\n        conditions: [{path: state.t.c, op: gte, value: 3}]\n        state: {counter: c, window: hour}\n";
    assert_eq!(partial(yaml).0["tools"]["t"], denied());
}

#[test]
fn d42_a_name_with_a_star_does_not_allow_more_tools_than_before() {
    let yaml = "version: '1'\ndefault: deny\ntools: {'get_*': {}, look: {}}\n";
    let place = "line 3, tools.get_*: `get_*` was the name of one tool; here its `*` stands for any text, and would allow more";
    assert_eq!(errors(yaml), [place]);
    assert_eq!(
        partial(yaml).0["tools"],
        json!({"get_*": denied(), "look": {}})
    );
}

#[test]
fn what_is_no_policy_of_intercept_has_no_rest() {
    for yaml in ["- a\n", "tools: [", "version: '2'\ntools: {a: {}}\n"] {
        let refused = intercept(yaml, Unclear::Refuses).unwrap_err();
        assert!(!refused.has_a_rest, "{yaml}");
    }
}
