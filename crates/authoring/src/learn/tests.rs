use proptest::prelude::*;

use super::*;
use crate::warnings;

const MINUTE: u64 = Unit::Minute.micros();

fn see(learner: &mut Learner, at: u64, tool: &str, keys: &[&str], end: End<'_>) {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    learner.see(&Observed {
        at,
        method: "tools/call",
        tool: Some(tool),
        keys: &keys,
        end,
    });
}

fn method(learner: &mut Learner, method: &str, end: End<'_>) {
    learner.see(&Observed {
        at: 0,
        method,
        tool: None,
        keys: &[],
        end,
    });
}

#[test]
fn d53_the_smallest_policy_that_allows_what_was_done() {
    let mut learner = Learner::default();
    for second in 0..7 {
        see(
            &mut learner,
            second * 1_000_000,
            "read",
            &["head", "path"],
            End::Passed,
        );
    }
    see(
        &mut learner,
        30 * MINUTE,
        "read",
        &["path", "odd.key"],
        End::Passed,
    );
    see(&mut learner, 31 * MINUTE, "read", &["path"], End::Failed);
    see(&mut learner, 32 * MINUTE, "list", &[], End::Passed);
    see(&mut learner, 33 * MINUTE, "typo", &[], End::Failed);
    see(
        &mut learner,
        34 * MINUTE,
        "write",
        &["path"],
        End::Refused("(default deny)"),
    );
    see(
        &mut learner,
        35 * MINUTE,
        "write",
        &["path"],
        End::Refused("(default deny)"),
    );
    see(&mut learner, 36 * MINUTE, "wild*", &[], End::Passed);
    method(&mut learner, "resources/read", End::Passed);
    method(&mut learner, "tasks/get", End::Passed);
    method(&mut learner, "vendor/x", End::Refused("(method)"));
    let learnt = learner.finish("grant `alice` on `files`", |at| {
        format!("minute {}", at / MINUTE)
    });
    insta::assert_snapshot!(learnt.policy_json);
    let left_out: Vec<_> = learnt
        .left_out
        .iter()
        .map(|left| format!("{} {}: {}", left.what, left.calls, left.why))
        .collect();
    assert_eq!(
        left_out,
        [
            "typo 1: every call of it failed at the server",
            "wild* 1: a policy cannot name such a tool",
            "vendor/x 1: it was refused, by (method)",
            "write 2: it was refused, by (default deny)",
        ]
    );
    let policy = Policy::parse(&learnt.policy_json).unwrap();
    assert_eq!(warnings(&policy, None), []);
}

#[test]
fn limits_are_round_and_leave_room() {
    for (most, limit) in [
        (0, 5),
        (1, 5),
        (2, 5),
        (3, 10),
        (10, 20),
        (26, 100),
        (600, 2_000),
    ] {
        assert_eq!(head_room(most), limit, "{most}");
    }
    assert!(head_room(u64::MAX) > 1_000_000);
}

#[test]
fn what_an_agent_makes_up_is_not_remembered_for_ever() {
    let mut learner = Learner::default();
    for number in 0..MOST_NAMES * 2 {
        let name = format!("t{number}");
        see(&mut learner, 0, &name, &[&name], End::Passed);
        see(&mut learner, 0, "one", &[&name], End::Passed);
        see(&mut learner, 0, &name, &[], End::Refused(&name));
    }
    assert_eq!(learner.tools.len(), MOST_NAMES);
    assert_eq!(learner.refused.len(), MOST_NAMES);
    assert_eq!(learner.tools["one"].ever.len(), MOST_KEYS);
}

proptest! {
    #[test]
    fn a_peak_is_never_too_low(gaps in prop::collection::vec(0_u64..40, 1..60)) {
        let mut peak = Peak::new(MINUTE);
        let mut at = 0;
        let mut times = Vec::new();
        for gap in gaps {
            at += gap * 500_000;
            times.push(at);
            peak.add(at);
        }
        let within = |end: &u64| times.iter().filter(|at| **at <= *end && **at + MINUTE > *end).count() as u64;
        let most = times.iter().map(within).max().unwrap();
        prop_assert!(peak.most >= most, "{} of {most}", peak.most);
    }
}
