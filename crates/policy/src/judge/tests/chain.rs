//! Down the tree: a call is judged by its own policy and every ancestor's.

use super::*;

fn under(chain: &[&str], tool: &str, arguments: &str) -> Verdict {
    let policies: Vec<_> = chain.iter().map(|text| policy(text)).collect();
    verdict(
        &policies.iter().collect::<Vec<_>>(),
        "tools/call",
        Some(tool),
        arguments,
    )
}

#[test]
fn all_must_allow_and_the_first_refusal_names_its_grant() {
    let (wide, narrow) = (
        r#"{"version":"1","default":"allow"}"#.to_owned(),
        tools(r#""a":{}"#),
    );
    let who = |chain: &[&str], tool: &str| match under(chain, tool, "{}") {
        Verdict::Deny(refusal) => refusal.policy.unwrap().grant.to_string(),
        other => words(&other),
    };
    assert_eq!(who(&[&wide, &wide, &wide], "b"), "allow");
    assert_eq!(who(&[&narrow, &wide], "b"), "own");
    assert_eq!(who(&[&wide, &narrow], "b"), "parent");
    assert_eq!(who(&[&wide, &wide, &narrow], "b"), "grand");
    assert_eq!(who(&[&narrow, &narrow], "b"), "own");
    assert_eq!(who(&[&wide, &narrow], "a"), "allow");
}

#[test]
fn methods_and_lookalikes_bind_down_the_tree() {
    let (wide, narrow) = (
        policy(r#"{"version":"1","default":"allow"}"#),
        policy(&tools("")),
    );
    assert_eq!(
        words(&verdict(&[&wide, &narrow], "resources/read", None, "{}")),
        "deny (method)"
    );
    assert_eq!(
        words(&verdict(&[&wide, &wide], "resources/read", None, "{}")),
        "allow"
    );
    let hidden = r#"{"version":"1","default":"allow","hide":["x"]}"#;
    assert_eq!(
        words(&under(
            &[r#"{"version":"1","default":"allow"}"#, hidden],
            "X",
            "{}"
        )),
        "deny (envelope)"
    );
}

#[test]
fn several_questions_become_one() {
    let ask = |reason: &str| {
        tools(&format!(
            r#""t":{{"action":"require_approval","reason":"{reason}"}}"#
        ))
    };
    let Verdict::Ask(asked) = under(&[&ask("costs"), &ask("risky"), &ask("costs")], "t", "{}")
    else {
        panic!()
    };
    let grants: Vec<_> = asked
        .rules
        .iter()
        .map(|(rule, policy)| format!("{rule}@{}", policy.grant))
        .collect();
    assert_eq!(
        grants,
        [
            "/tools/t/action@own",
            "/tools/t/action@parent",
            "/tools/t/action@grand"
        ]
    );
    assert_eq!(asked.message, "costs; risky");
}

#[test]
fn a_refusal_above_is_stronger_than_a_question_below() {
    let ask = tools(r#""t":{"action":"require_approval"}"#);
    assert_eq!(
        words(&under(&[&ask, &tools("")], "t", "{}")),
        "deny (default deny)"
    );
}

#[test]
fn a_grants_limit_charges_the_grant_whose_policy_contains_it() {
    let limit = |scope: &str| {
        tools(&format!(
            r#""t":{{"limits":[{{"counter":"c","window":"minute","max":5,"scope":"{scope}"}}]}}"#
        ))
    };
    let scopes = |chain: &[&str]| {
        let Verdict::Allow(allowed) = under(chain, "t", "{}") else {
            panic!()
        };
        let all: Vec<_> = allowed
            .charges
            .iter()
            .map(|c| format!("{}@{}", c.counter.scope, c.policy.grant))
            .collect();
        all.join(" ")
    };
    assert_eq!(
        scopes(&[&limit("grant"), &limit("grant")]),
        "own@own parent@parent"
    );
    assert_eq!(
        scopes(&[&tools(r#""t":{}"#), &limit("grant")]),
        "parent@parent"
    );
    assert_eq!(
        scopes(&[&limit("server"), &limit("server")]),
        "srv@own srv@parent"
    );
    assert_eq!(
        scopes(&[&limit("session"), &limit("session")]),
        "own@own parent@parent"
    );
}
