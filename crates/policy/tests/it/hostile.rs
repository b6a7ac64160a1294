//! The search for the call that costs most: whatever is found, it is counted,
//! and what is counted ends with the budget.

use proptest::prelude::*;
use provost_policy::json::{self, Bounds};
use provost_policy::operator::Operator;
use provost_policy::words::names;
use provost_policy::{Call, Caller, Enforced, Policy, Text, Verdict, Work, judge_within};

/// Conditions that cost more the longer the value is.
const CONDITIONS: [(&str, &str); 20] = [
    ("regex", r#""rm -rf""#),
    ("regex", r#""(?i)password\\s*[:=]\\s*\\w+""#),
    ("regex", r#""(a|b)*a(a|b){20}c""#),
    ("regex", r#""[ab]{0,50}[bc]{0,50}[abd]{0,90}!""#),
    ("regex", r#""\\b\\w+\\s\\w{1,30}\\b!""#),
    ("contains", r#""aaaaaaaaaaaaaaab""#),
    ("contains", "1.5"),
    ("eq", r#""x""#),
    ("eq", "123456789.5"),
    ("neq", "1.50"),
    ("in", r#"["a","b",1,2,3,[1],{"a":1}]"#),
    ("not_in", r#"["a","b",1e9]"#),
    ("lt", "-1.5"),
    ("lte", "100"),
    ("gt", "1e9"),
    ("gte", "0"),
    ("under", r#"["/srv/a","/srv/b/c"]"#),
    ("host_in", r#"["example.com","10.0.0.1"]"#),
    ("argv_in", r#"["git status",["rm"],"cargo test -p x"]"#),
    ("exists", "true"),
];

const PATHS: [&str; 4] = ["args.v", "args.list[*]", "args.list[*].v", "args.list[7].v"];

/// A policy of so many of these conditions in each list.
fn policy(chosen: &[(usize, usize)]) -> Policy {
    let one = |(condition, path): &(usize, usize)| {
        let (operator, value) = CONDITIONS[condition % CONDITIONS.len()];
        let path = PATHS[path % PATHS.len()];
        format!(r#"{{"conditions":[{{"path":"{path}","op":"{operator}","value":{value}}}]}}"#)
    };
    let rules: Vec<_> = chosen.iter().map(one).collect();
    let text = format!(
        r#"{{"version":"1","default":"allow","all_tools":{{"deny_if":[{0}]}},"tools":{{"t":{{"approve_if":[{0}]}}}}}}"#,
        rules.join(",")
    );
    Policy::parse(&text).unwrap()
}

/// Texts that are bad for something.
const PARTS: [&str; 12] = [
    "a",
    "ab",
    "abbabaaabab",
    "漢",
    "\u{fdfa}",
    "é",
    "\\n",
    "\\u0061",
    "/a",
    "rm ",
    "1",
    "https://a.b.c/",
];

fn text(part: usize, length: usize) -> String {
    let part = PARTS[part % PARTS.len()];
    format!("\"{}\"", part.repeat(length / part.len()))
}

/// Arguments of about so many bytes.
fn arguments(part: usize, shape: usize, length: usize) -> String {
    let value = text(part, length);
    let few = text(part, 40);
    let list = |element: &str| vec![element; length / (element.len() + 1)].join(",");
    match shape % 5 {
        0 => format!(r#"{{"v":{value},"list":[]}}"#),
        1 => format!(r#"{{"v":"","list":[{}]}}"#, list(&few)),
        2 => format!(
            r#"{{"v":"","list":[{}]}}"#,
            list(&format!(r#"{{"v":{few}}}"#))
        ),
        3 => format!(r#"{{"v":{},"list":[]}}"#, "1".repeat(length)),
        _ => format!(r#"{{"v":"","list":[{}]}}"#, list("1.5")),
    }
}

/// What judging costs, and whether it was told.
fn cost(chain: &[&Policy], arguments: &str) -> (u64, Verdict) {
    let bounds = Bounds {
        depth: 20,
        nodes: 200_000,
    };
    let name = Text::fixed("x");
    let Ok(document) = json::read(arguments.as_bytes(), bounds) else {
        return (
            0,
            judge_within(&[], &nothing(), &caller(), &mut Work::default()),
        );
    };
    let chain: Vec<_> = chain
        .iter()
        .map(|&policy| Enforced {
            policy,
            name: &name,
            version: 1,
            grant: &name,
            server: &name,
        })
        .collect();
    let call = Call {
        arguments: Some(document.root()),
        ..nothing()
    };
    let mut work = Work::default();
    let verdict = judge_within(&chain, &call, &caller(), &mut work);
    (Work::OF_A_CALL - work.left(), verdict)
}

fn nothing() -> Call<'static> {
    Call {
        method: "tools/call",
        tool: Some("t"),
        arguments: None,
    }
}

fn caller() -> Caller {
    Caller {
        grant: Text::fixed("x"),
        server: Text::fixed("x"),
        session: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// A call that uses its budget up is refused, in words that say so, by a
    /// rule; and one that is twice as long never costs less.
    #[test]
    fn d84_no_call_costs_more_than_its_budget(
        chosen in prop::collection::vec((0..16_usize, 0..4_usize), 1..12),
        part in 0..12_usize,
        shape in 0..5_usize,
        length in 1_000..60_000_usize,
        links in 1..4_usize,
    ) {
        let policy = policy(&chosen);
        let chain = vec![&policy; links];
        let (cost, verdict) = cost(&chain, &arguments(part, shape, length));
        prop_assert!(cost <= Work::OF_A_CALL);
        if cost == Work::OF_A_CALL {
            let Verdict::Deny(no) = verdict else { panic!("{verdict:?}") };
            prop_assert!(no.message.contains("more work to check than one call is allowed"), "{}", no.message);
            prop_assert!(no.rule.as_str().starts_with('/'), "{}", no.rule.as_str());
        }
    }
}

/// The worst text for each condition, by units for a byte. What folds names or
/// simulates a pattern costs most; nothing grows faster than the text.
#[test]
fn d84_the_worst_of_each_condition() {
    let length = 4_000;
    for (index, (operator, value)) in CONDITIONS.iter().enumerate() {
        let mut worst = (0, String::new());
        for shape in 0..5 {
            let path = [0, 1, 2, 0, 1][shape];
            let policy = policy(&[(index, path)]);
            for (part, shown) in PARTS.iter().enumerate() {
                let (cost, _) = cost(&[&policy], &arguments(part, shape, length));
                let found = format!("{shown} in shape {shape}");
                worst = worst.max((cost, found));
            }
        }
        let (cost, found) = worst;
        println!(
            "{operator} {value}: {} units a byte, for {found}",
            cost / 4_000
        );
        assert!(
            cost > 0 && cost < Work::OF_A_CALL,
            "{operator} {value}: {cost}"
        );
    }
}

#[test]
fn d76_every_operator_is_tried_with_what_costs_most() {
    for operator in names::<Operator>() {
        let tried = CONDITIONS.iter().any(|(name, _)| *name == operator);
        assert!(tried, "`{operator}` is not in `CONDITIONS`");
    }
}
