use super::*;
use provost_policy::Policy;

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn three_a_minute() -> Policy {
    policy(
        r#"{"version": "1", "default": "deny", "tools": {
            "send": {"limits": [{"counter": "c", "window": "minute", "max": 3}]},
            "pay": {"approve_if": [{"conditions": [], "on_deny": "costs money"}],
                    "limits": [{"counter": "pay", "window": "minute", "max": 1, "refund": "failed"}]},
            "slow": {"limits": [{"counter": "slow", "concurrent": 1}]},
            "each": {"limits": [{"counter": "each", "window": "hour", "max": 1, "scope": "session"}]}}}"#,
    )
}

fn report(cases: &str) -> String {
    let report = run(&three_a_minute(), cases).unwrap_or_else(|errors| panic!("{errors:?}"));
    report.to_string()
}

fn passes(cases: &str) {
    let report = report(cases);
    assert!(report.ends_with(" 0 failed"), "{report}");
}

fn errors(cases: &str) -> Vec<String> {
    let errors = run(&three_a_minute(), cases).unwrap_err();
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn every_example_passes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/policies");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Some(stem) = path.to_str().unwrap().strip_suffix(".cases.yaml") else {
            continue;
        };
        let policy = policy(&std::fs::read_to_string(format!("{stem}.json")).unwrap());
        let report = run(&policy, &std::fs::read_to_string(&path).unwrap()).unwrap();
        assert!(report.passed(), "{}\n{report}", path.display());
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn a_report_says_what_was_expected_and_what_came() {
    let cases = "
cases:
  - {tool: send, times: 4, expect: allow}
  - {tool: send, expect: deny, rule: /tools/send/limits/d}
  - {tool: send, expect: deny, message: come back}
  - {tool: send, expect: deny, retry_after: 61s}
  - {name: unknown tools, tool: other, expect: ask}
  - {tool: send, expect: deny, retry_after: 60s}
";
    insta::assert_snapshot!(report(cases), @r#"
FAIL line 3: allow `send` ×4
       call 4: expected allow, got deny by `/tools/send/limits/c`: the limit `c` of 3 per minute is reached; try again in 60 seconds
FAIL line 4: deny `send`
       expected rule `/tools/send/limits/d`, got `/tools/send/limits/c`
FAIL line 5: deny `send`
       expected a message with `come back`, got `the limit `c` of 3 per minute is reached; try again in 60 seconds`
FAIL line 6: deny `send`
       expected `retry_after: 1m1s`, got 1m
FAIL line 7: unknown tools
       expected ask, got deny by `(default deny)`: the policy does not allow the tool `other`; see tools/list for those it does
ok   line 8: deny `send`
6 cases, 5 failed
"#);
}

#[test]
fn time_moves_by_at_and_every() {
    passes(
        "
cases:
  - {tool: send, times: 3, every: 20s, expect: allow}
  - {tool: send, expect: deny, retry_after: 20s}
  - {at: 60s, tool: send, times: 5, every: 20s, expect: allow}
",
    );
}

#[test]
fn suites_begin_with_empty_counters() {
    let suite = "{cases: [{tool: send, times: 3, expect: allow}, {tool: send, expect: deny}]}";
    passes(&format!("suites: [{suite}, {suite}]"));
}

#[test]
fn a_question_charges_nothing_until_it_is_approved() {
    passes(
        "
cases:
  - {tool: pay, times: 5, expect: ask, message: costs money}
  - {tool: pay, expect: ask, approved: true}
  - {tool: pay, expect: deny, rule: /tools/pay/limits/pay}
",
    );
}

#[test]
fn outcomes_give_back_what_is_due() {
    passes(
        "
suites:
  - cases:
      - {tool: pay, times: 5, expect: ask, approved: true, outcome: failed}
      - {tool: send, times: 5, expect: allow, outcome: not_sent}
      - {tool: send, times: 3, expect: allow, outcome: failed}
      - {tool: send, expect: deny}
",
    );
}

#[test]
fn calls_in_flight_end_after_what_they_last() {
    passes(
        "
cases:
  - {tool: slow, lasts: 10s, expect: allow}
  - {tool: slow, expect: deny}
  - {at: 10s, tool: slow, times: 5, expect: allow}
",
    );
}

#[test]
fn grants_and_sessions_have_counters_of_their_own() {
    passes(
        "
cases:
  - {tool: send, times: 3, grant: a, expect: allow}
  - {tool: send, grant: a, expect: deny}
  - {tool: send, grant: b, expect: allow}
  - {tool: each, session: x, expect: allow}
  - {tool: each, session: y, expect: allow}
  - {tool: each, session: x, expect: deny}
",
    );
}

#[test]
fn mistakes_come_all_at_once_with_their_lines() {
    let cases = "
cases:
  - {tool: send, expext: allow}
  - {tool: send, method: ping, expect: allow}
  - {method: tools/call, expect: maybe}
  - tool: send
    args: [1]
    times: 0
    at: 5
    expect: deny
    approved: true
  - {at: 10s, tool: send, expect: allow}
  - {at: 9s, tool: {a: 1}, expect: allow}
  - 7
";
    insta::assert_snapshot!(errors(cases).join("\n"), @r#"
line 3: `expect` is missing
line 3: unknown key `expext` (known ones are name, at, tool, method, args, times, every, grant, session, lasts, outcome, approved, expect, rule, message, retry_after)
line 4: a case needs either `tool` or `method`
line 5: `tools/call` needs a tool (write `tool: name`)
line 5: unknown `expect: maybe` (one of `allow`, `deny`, `ask`)
line 7: `args` must be a map, not a list
line 8: `times` must be a whole number from 1 to 100000
line 9: `at: 5` is not a length of time (such as `0s`, `61s`, `2m30s`, `1h` or `500ms`)
line 11: `approved` stands only beside `expect: ask`
line 13: a case needs either `tool` or `method`
line 13: `at` goes back: the case before is at `10s`
line 13: `tool` must be text, not a map
line 14: must be a map, not a number
line 14: a case needs either `tool` or `method`
line 14: `expect` is missing
"#);
    assert_eq!(
        errors("cases: []"),
        ["line 1: there must be at least one case"]
    );
    assert_eq!(errors("a: 1").len(), 2);
    assert_eq!(errors("cases: [").len(), 1);
}
