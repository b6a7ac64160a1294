//! What is refused, and how it is told.

use super::{Unclear, errors, intercept};

#[test]
fn all_errors_come_at_once() {
    let yaml = r"
version: '2'
default: maybe
hide: [a, '', a]
tools:
  t:
    rules:
      - {action: evaluate}
      - {name: n, action: block}
      - {name: n, action: deny, conditions: [{path: args.a, op: eq, value: 1}]}
      - {name: n, conditions: [{path: arg.a, op: equals}]}
      - {name: n, conditions: [{path: args.a, op: in, value: 1}, {path: args.a, op: lt, value: x}]}
      - {name: n, conditions: [{path: args.a, op: exists, value: 1}, {path: args.a, op: regex, value: '('}]}
      - {name: n, conditions: [{path: state.t.c, op: lte, value: 1}]}
      - {name: n, conditions: [{path: args.a, op: eq}], state: {window: week, increment_from: amount, increment: x}}
      - {name: n, rate_limit: 5, action: deny, conditions: [{path: args.a, op: eq, value: 1}]}
      - {name: n, rate_limit: 0/hour}
      - {name: n, rate_limit: 5/week}
      - {name: n, conditions: [{path: args.a, op: eq}], state: {counter: d, window: day}}
      - {name: n, conditions: [{path: args.a, op: eq}], state: {counter: d, window: day}}
  u: 5
";
    insta::assert_snapshot!(errors(yaml).join("\n"), @r#"
line 2, version: must be `1`, not `2`
line 3, default: must be `allow` or `deny`, not `maybe`
line 4, hide[1]: an entry must be the name of a tool
line 4, hide[2]: duplicate entry `a`
line 8, tools.t.rules[0]: a rule must have a name
line 8, tools.t.rules[0]: a rule that evaluates needs at least one condition
line 9, tools.t.rules[1]: action must be `evaluate`, `deny` or `require_approval`, not `block`
line 10, tools.t.rules[2]: a rule that denies must not have conditions
line 11, tools.t.rules[3].conditions[0]: path must start with `args.` or `state.`, not `arg.a`
line 11, tools.t.rules[3].conditions[0]: unknown operator `equals`
line 12, tools.t.rules[4].conditions[0]: operator `in` requires a list as value
line 12, tools.t.rules[4].conditions[1]: operator `lt` requires a number as value
line 13, tools.t.rules[5].conditions[0]: operator `exists` requires a boolean as value
line 13, tools.t.rules[5].conditions[1]: invalid regex `(`
line 14, tools.t.rules[6].conditions[0]: refers to `state.t.c`, but no state block counts it
line 15, tools.t.rules[7].state: counter must not be empty
line 15, tools.t.rules[7].state: window must be `minute`, `hour` or `day`, not `week`
line 15, tools.t.rules[7].state: increment_from must start with `args.`, not `amount`
line 15, tools.t.rules[7].state: increment must be an integer
line 16, tools.t.rules[8]: rate_limit cannot be combined with conditions or state
line 16, tools.t.rules[8]: rate_limit cannot be used with another action than `evaluate`
line 16, tools.t.rules[8]: rate_limit must look like `5/hour`, not `5`
line 17, tools.t.rules[9]: the count of rate_limit must be a positive integer, not `0`
line 18, tools.t.rules[10]: the window of rate_limit must be `minute`, `hour` or `day`, not `week`
line 20, tools.t.rules[12]: duplicate state counter `d`, also used by tools.t.rules[11]
line 21, tools.u: must be a map, not a number
"#);
}

#[test]
fn what_is_not_yaml_is_refused_with_its_line() {
    assert!(errors("version: '1'\nversion: '1'\n")[0].starts_with("line 2, "));
    assert_eq!(
        errors("- a\n"),
        [
            "line 1, must be a map, not a list",
            "line 1, version: must be `1`, not ``"
        ]
    );
}

#[test]
fn what_this_language_cannot_take_is_refused() {
    let yaml = "version: '1'\ntools:\n  t:\n    rules: [{name: n, conditions: [{path: args.a..b, op: eq, value: 1}]}]\n";
    assert_eq!(
        errors(yaml),
        [
            "line 4, tools.t.rules[0].conditions[0]: path `args.a..b` cannot be kept: a key is missing"
        ]
    );
    let tie = "version: '1'\ntools:\n  a*b: {}\n  b*b: {}\n  '***': {}\n";
    let refused = intercept(tie, Unclear::Refuses).unwrap_err();
    assert!(!refused.has_a_rest);
    assert_eq!(
        refused.problems[0].to_string(),
        "/tools/***: cannot be imported: a bare `***` cannot be the name of a tool"
    );
}
