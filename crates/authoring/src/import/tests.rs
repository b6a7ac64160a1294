mod refused;
mod unclear;

use serde_json::{Value, json};

use super::*;

/// The document and the notes, without their places.
fn import(yaml: &str) -> (Value, Vec<String>) {
    let imported = intercept(yaml, Unclear::Fails);
    let imported = imported.unwrap_or_else(|errors| panic!("refused: {errors:?}"));
    let document = serde_json::from_str(&imported.policy_json).unwrap();
    let notes = imported
        .notes
        .iter()
        .map(|note| format!("{}: {}", note.path, note.message));
    // The one about the scope of limits is in most of them.
    (
        document,
        notes
            .filter(|note| !note.contains("scope `server`"))
            .collect(),
    )
}

/// One tool's rules.
fn rules(tool: &str, rules: &str) -> (Value, Vec<String>) {
    let indented = rules.trim_end().replace('\n', "\n      ");
    let yaml = format!("version: \"1\"\ntools:\n  {tool}:\n    rules:\n      {indented}\n");
    import(&yaml)
}

fn errors(yaml: &str) -> Vec<String> {
    intercept(yaml, Unclear::Fails)
        .unwrap_err()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect()
}

fn limit(counter: &str, window: &str, max: u64) -> Value {
    json!({"counter": counter, "window": window, "max": max, "scope": "server",
        "alignment": "calendar", "refund": "failed"})
}

#[test]
fn a_whole_policy_keeps_its_meaning() {
    let yaml = r#"
version: "1"
description: shop assistant
hide: [drop_shop]
tools:
  pay:
    rules:
      - name: small payments
        conditions:
          - {path: args.currency, op: in, value: [usd, eur]}
          - {path: args.order.note, op: exists, value: true}
        on_deny: only small payments
      - name: per day
        conditions:
          - {path: state.pay.spent, op: lte, value: 1000}
        state: {counter: spent, window: day, increment_from: args.amount}
  close_shop:
    rules:
      - {name: never, action: deny, on_deny: ask a person}
  look: {}
  "*":
    rules:
      - {name: all, rate_limit: 60/minute}
"#;
    let (document, notes) = import(yaml);
    insta::assert_snapshot!(format!("{document:#}\n{}", notes.join("\n")), @r#"
{
  "version": "1",
  "description": "shop assistant",
  "default": "allow",
  "hide": [
    "drop_shop"
  ],
  "all_tools": {
    "limits": [
      {
        "counter": "calls_per_minute",
        "window": "minute",
        "max": 60,
        "scope": "server",
        "alignment": "calendar",
        "refund": "failed"
      }
    ]
  },
  "tools": {
    "pay": {
      "require": [
        {
          "conditions": [
            {
              "path": "args.currency",
              "op": "in",
              "value": [
                "usd",
                "eur"
              ]
            },
            {
              "path": "args.order.note",
              "op": "exists",
              "value": true
            }
          ],
          "on_deny": "only small payments"
        }
      ],
      "limits": [
        {
          "counter": "pay_spent",
          "window": "day",
          "max": 1000,
          "scope": "server",
          "increment_from": "args.amount",
          "alignment": "calendar",
          "refund": "failed"
        }
      ]
    },
    "close_shop": {
      "action": "deny",
      "reason": "ask a person"
    },
    "look": {}
  }
}
tools.pay.rules[1].state: `args.amount` is counted exactly here, and a negative amount is refused; Intercept cut fractions off and let negative amounts lower the counter
"#);
}

#[test]
fn default_is_allow_as_in_intercept() {
    assert_eq!(
        import("version: 1\n").0,
        json!({"version": "1", "default": "allow", "tools": {}})
    );
    let (document, _) = import("version: '1'\ndefault: deny\ntools:\n  a:\n    rules: []\n  b:\n");
    assert_eq!(
        document,
        json!({"version": "1", "default": "deny", "tools": {"a": {}, "b": {}}})
    );
}

#[test]
fn rate_limits_become_calendar_limits_of_the_server() {
    let (document, notes) = rules("Send", "- rate_limit: 5/hour\n  name: n");
    assert_eq!(
        document["tools"]["Send"],
        json!({"limits": [limit("send_rate", "hour", 5)]})
    );
    assert_eq!(notes, [""; 0]);
    let (document, _) = rules("send", "- {rate_limit: 5/hour}\n- {rate_limit: 20/day}");
    assert_eq!(
        document["tools"]["send"]["limits"],
        json!([
            limit("send_rate_hour", "hour", 5),
            limit("send_rate_day", "day", 20)
        ])
    );
    let (document, _) = rules("'*'", "- {rate_limit: 5/minute}");
    assert_eq!(
        document["all_tools"]["limits"],
        json!([limit("calls_per_minute", "minute", 5)])
    );
}

#[test]
fn lte_and_lt_differ_by_one() {
    for (op, value, max) in [
        ("lte", "5", 5),
        ("lt", "5", 4),
        ("lte", "5.7", 5),
        ("lt", "5.7", 4),
        ("lt", "0", 0),
    ] {
        let (document, _) = rules(
            "t",
            &format!(
                "- name: n\n  conditions: [{{path: state.t.c, op: {op}, value: {value}}}]\n  state: {{counter: c, window: hour}}"
            ),
        );
        assert_eq!(
            document["tools"]["t"]["limits"],
            json!([limit("t_c", "hour", max)]),
            "{op} {value}"
        );
    }
}

#[test]
fn increments_are_kept() {
    let (document, notes) = rules(
        "t",
        "- name: n\n  conditions: [{path: state.t.c, op: lte, value: 9}]\n  state: {counter: c, window: day, increment: 3}",
    );
    assert_eq!(document["tools"]["t"]["limits"][0]["increment"], json!(3));
    assert_eq!(notes, [""; 0]);
    let (document, notes) = rules(
        "t",
        "- name: n\n  conditions: [{path: state.t.c, op: lte, value: 9}]\n  state: {counter: c, window: day, increment_from: args.n}",
    );
    assert_eq!(
        document["tools"]["t"]["limits"][0]["increment_from"],
        json!("args.n")
    );
    assert!(
        notes[0].contains("a negative amount is refused"),
        "{notes:?}"
    );
}

#[test]
fn a_rule_about_arguments_and_a_counter_becomes_both() {
    let (document, notes) = rules(
        "t",
        "- name: n\n  on_deny: no\n  conditions:\n    - {path: args.a, op: eq, value: x}\n    - {path: state.t.c, op: lte, value: 2}\n  state: {counter: c, window: hour}",
    );
    assert_eq!(
        document["tools"]["t"],
        json!({
            "require": [{"conditions": [{"path": "args.a", "op": "eq", "value": "x"}], "on_deny": "no"}],
            "limits": [limit("t_c", "hour", 2)],
        })
    );
    assert_eq!(notes, [""; 0]);
}

#[test]
fn counters_of_two_tools_never_become_one() {
    let yaml = "version: '1'\ntools:\n  a_b:\n    rules: &r\n      - name: n\n        conditions: [{path: state.a_b.c, op: lte, value: 1}]\n        state: {counter: c, window: hour}\n  a:\n    rules:\n      - name: n\n        conditions: [{path: state.a.b_c, op: lte, value: 1}]\n        state: {counter: b_c, window: day}\n";
    let (document, _) = import(yaml);
    assert_eq!(
        document["tools"]["a_b"]["limits"][0]["counter"],
        json!("a_b_c")
    );
    assert_eq!(
        document["tools"]["a"]["limits"][0]["counter"],
        json!("a_b_c_2")
    );
}

#[test]
fn a_condition_that_reads_a_counter_looks_before_the_call_is_added() {
    let yaml = "version: '1'\ntools:\n  t:\n    rules:\n      - name: n\n        conditions: [{path: state._global.c, op: lt, value: 3}]\n  '*':\n    rules:\n      - name: n\n        conditions: [{path: state._global.c, op: lte, value: 9}]\n        state: {counter: c, window: hour}\n";
    let (document, notes) = import(yaml);
    assert_eq!(
        document["all_tools"]["limits"],
        json!([limit("c", "hour", 9)])
    );
    assert_eq!(
        document["tools"]["t"]["limits"],
        json!([limit("c", "hour", 3)])
    );
    assert_eq!(notes, [""; 0]);
}

#[test]
fn counters_that_intercept_never_counts_are_left_out_with_a_note() {
    let (document, notes) = rules(
        "t",
        "- name: n\n  conditions: [{path: args.a, op: eq, value: x}]\n  state: {counter: c, window: hour}",
    );
    assert_eq!(document["tools"]["t"].get("limits"), None);
    assert!(notes[0].contains("Intercept never counts it"), "{notes:?}");
    let (document, notes) = rules(
        "t",
        "- name: n\n  conditions: [{path: state.t.c, op: lte, value: 5}]\n  state: {counter: c, window: hour, increment: -1}",
    );
    assert_eq!(document["tools"]["t"], json!({}));
    assert!(notes[0].contains("negative increment"), "{notes:?}");
}

#[test]
fn a_denied_tool_stays_visible_and_denied() {
    let (document, notes) = rules(
        "t",
        "- {name: no, action: deny}\n- {name: limit, rate_limit: 1/day}",
    );
    assert_eq!(
        document["tools"]["t"],
        json!({"action": "deny", "reason": "Denied by rule \"no\""})
    );
    assert_eq!(
        notes,
        ["tools.t.rules[1]: left out: the tool is denied anyway"]
    );
    let (document, _) = rules("'*'", "- {name: no, action: deny, on_deny: closed}");
    assert_eq!(
        document["all_tools"],
        json!({"deny_if": [{"conditions": [], "on_deny": "closed"}]})
    );
}

#[test]
fn approvals_are_kept() {
    let (document, notes) = rules(
        "t",
        "- {name: ask, action: require_approval, on_deny: costs money, approval_timeout: 30m}",
    );
    assert_eq!(
        document["tools"]["t"],
        json!({"action": "require_approval", "reason": "costs money"})
    );
    assert!(
        notes[0].contains("`approval_timeout` is not kept"),
        "{notes:?}"
    );
    let (document, _) = rules(
        "t",
        "- name: ask\n  action: require_approval\n  conditions: [{path: args.n, op: gt, value: 5}]",
    );
    assert_eq!(
        document["tools"]["t"]["approve_if"][0]["conditions"],
        json!([{"path": "args.n", "op": "exists", "value": true}, {"path": "args.n", "op": "gt", "value": 5}])
    );
    let (document, _) = rules("'*'", "- {name: ask, action: require_approval}");
    assert_eq!(
        document["all_tools"]["approve_if"],
        json!([{"conditions": [], "on_deny": "Denied by rule \"ask\""}])
    );
    let (_, notes) = import("version: '1'\napprovals:\n  notify: {webhook: {url: x}}\n");
    assert!(notes[0].starts_with("approvals: not kept"), "{notes:?}");
}

#[test]
fn what_compares_otherwise_is_noted_where_it_stands() {
    let condition = |text: &str| rules("t", &format!("- name: n\n  conditions: [{text}]")).1;
    for (text, wanted) in [
        ("{path: args.a, op: lt, value: 5}", "a number in quotes"),
        ("{path: args.a, op: eq, value: '5'}", "letter by letter"),
        ("{path: args.a, op: in, value: [[1]]}", "how they print"),
        (
            "{path: 'args.a[0]', op: eq, value: x}",
            "elements of a list",
        ),
    ] {
        let notes = condition(text);
        assert!(
            notes[0].starts_with("tools.t.rules[0].conditions[0]: "),
            "{notes:?}"
        );
        assert!(notes[0].contains(wanted), "{notes:?}");
    }
    assert_eq!(
        condition("{path: args.a, op: regex, value: ^feat/}"),
        [""; 0]
    );
}

#[test]
fn patterns_were_names() {
    let (_, notes) = import("version: '1'\nhide: ['db_*', '*']\ntools: {'get_*': {}}\n");
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(
        notes[1].contains("`get_*` was the name of one tool"),
        "{notes:?}"
    );
}

#[test]
fn an_imported_policy_decides_as_intercept_did() {
    let yaml = r#"
version: "1"
default: deny
hide: [wipe]
tools:
  pay:
    rules:
      - name: small
        conditions: [{path: args.amount, op: lte, value: 500}, {path: args.to, op: regex, value: '^\w+$'}]
        on_deny: only small payments
      - name: per day
        conditions: [{path: state.pay.spent, op: lt, value: 1000}]
        state: {counter: spent, window: day, increment_from: args.amount}
  big:
    rules:
      - {name: ask, action: require_approval, conditions: [{path: args.n, op: gte, value: 5}]}
  never:
    rules: [{name: no, action: deny, on_deny: not here}]
  "*":
    rules: [{name: all, rate_limit: 4/minute}]
"#;
    let cases = r"
suites:
  - cases:
      - {tool: wipe, expect: deny, rule: (hidden)}
      - {tool: other, expect: deny, rule: (default deny)}
      - {tool: never, expect: deny, message: not here}
      - {tool: pay, args: {amount: 501, to: ann}, expect: deny, message: only small payments}
      - {tool: pay, args: {amount: 5, to: änn}, expect: deny, message: only small payments}
      - {tool: pay, args: {to: ann}, expect: deny}
      - {tool: pay, args: {amount: -1, to: ann}, expect: deny}
      - {tool: big, args: {n: 4}, expect: allow}
      - {tool: big, args: {}, expect: allow}
      - {tool: big, args: {n: 5}, expect: ask}
      - {tool: pay, args: {amount: 500, to: ann}, grant: one, expect: allow}
      - {tool: pay, args: {amount: 500, to: ann}, grant: two, expect: deny, rule: /tools/pay/limits/pay_spent}
      - {tool: pay, args: {amount: 499, to: ann}, outcome: failed, expect: allow}
      - {tool: pay, args: {amount: 499, to: ann}, expect: allow}
      - {at: 59s, tool: big, args: {}, expect: deny, rule: /all_tools/limits/calls_per_minute, retry_after: 1s}
      - {at: 60s, tool: big, args: {}, times: 4, expect: allow}
      - {tool: big, args: {}, expect: deny}
      - {at: 1d, tool: pay, args: {amount: 500, to: ann}, expect: allow}
";
    let policy = Policy::parse(&intercept(yaml, Unclear::Fails).unwrap().policy_json).unwrap();
    let report = crate::cases::run(&policy, cases).unwrap();
    assert!(report.passed(), "{report}");
}
