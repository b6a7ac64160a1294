use super::*;
use provost_policy::json::{Bounds, read};
use provost_policy::{Policy, Text};

fn explained(texts: &[&str], tool: &str, arguments: &str) -> Explanation {
    let policies: Vec<_> = texts
        .iter()
        .map(|text| Policy::parse(text).unwrap())
        .collect();
    let document = read(arguments.as_bytes(), Bounds::default()).unwrap();
    let (name, server) = (Text::fixed("team"), Text::fixed("fleet"));
    let grants = [Text::fixed("child"), Text::fixed("parent")];
    let chain: Vec<_> = policies
        .iter()
        .zip(&grants)
        .map(|(policy, grant)| Enforced {
            policy,
            name: &name,
            version: 3,
            grant,
            server: &server,
        })
        .collect();
    let call = Call {
        method: "tools/call",
        tool: Some(tool),
        arguments: Some(document.root()),
    };
    let caller = Caller {
        grant: grants[0].clone(),
        server: server.clone(),
        session: None,
    };
    let explanation = explain(&chain, &call, &caller);
    // The same code decides, so it cannot say anything else.
    let decided = match provost_policy::judge::judge(&chain, &call, &caller) {
        Verdict::Allow(_) => Decision::Allow,
        Verdict::Ask(_) => Decision::Ask,
        Verdict::Deny(_) => Decision::Deny,
    };
    assert_eq!(explanation.decision, decided);
    explanation
}

const TEAM: &str = r#"{"version":"1","default":"deny",
    "all_tools":{"limits":[{"counter":"calls","window":"minute","max":60}]},
    "tools":{
        "spawn*":{
            "require":[{"conditions":[{"path":"args.role","op":"in","value":["manager","specialist"]}]}],
            "deny_if":[{"conditions":[{"path":"args.tasks[*].risk","op":"gt","value":5}]}],
            "approve_if":[{"conditions":[{"path":"args.role","op":"eq","value":"manager"}]}],
            "limits":[{"counter":"money","window":"day","max":9,"increment_from":"args.cost"}]
        }
    }}"#;

#[test]
fn shows_what_was_seen_and_why() {
    let text = explained(
        &[TEAM, TEAM],
        "spawn_it",
        r#"{"role":"manager","tasks":[{"risk":1},{}],"cost":2.5}"#,
    );
    insta::assert_snapshot!(text, @r#"
    ask: calling `spawn_it` needs a person's approval
      by /tools/spawn*/approve_if/args.role-eq of policy `team` version 3 for grant `child`
      by /tools/spawn*/approve_if/args.role-eq of policy `team` version 3 for grant `parent`

    policy `team` version 3 for grant `child`
      `spawn_it` is listed by `spawn*`
      passed       /tools/spawn*/require/args.role-in
                   args.role in ["manager", "specialist"]: saw "manager", holds
      passed       /tools/spawn*/deny_if/args.tasks[*].risk-gt
                   args.tasks[*].risk gt 5: saw 1, nothing, is absent
      charges      /tools/spawn*/limits/money
                   `money` up to 9, by `args.cost`: saw 2.5, is charged if there is room
      charges      /all_tools/limits/calls
                   `calls` up to 60: saw 1, is charged if there is room
      asks         /tools/spawn*/approve_if/args.role-eq
                   args.role eq "manager": saw "manager", holds

    policy `team` version 3 for grant `parent`
      `spawn_it` is listed by `spawn*`
      passed       /tools/spawn*/require/args.role-in
                   args.role in ["manager", "specialist"]: saw "manager", holds
      passed       /tools/spawn*/deny_if/args.tasks[*].risk-gt
                   args.tasks[*].risk gt 5: saw 1, nothing, is absent
      charges      /tools/spawn*/limits/money
                   `money` up to 9, by `args.cost`: saw 2.5, is charged if there is room
      charges      /all_tools/limits/calls
                   `calls` up to 60: saw 1, is charged if there is room
      asks         /tools/spawn*/approve_if/args.role-eq
                   args.role eq "manager": saw "manager", holds
    "#);
}

#[test]
fn stops_where_the_call_was_refused() {
    let text = explained(
        &[TEAM],
        "spawn",
        r#"{"role":"specialist","tasks":[{"risk":"high"}]}"#,
    );
    insta::assert_snapshot!(text, @r#"
    deny: `args.tasks[*].risk` is not a number, so `gt` cannot be checked
      by /tools/spawn*/deny_if/args.tasks[*].risk-gt of policy `team` version 3 for grant `child`

    policy `team` version 3 for grant `child`
      `spawn` is listed by `spawn*`
      passed       /tools/spawn*/require/args.role-in
                   args.role in ["manager", "specialist"]: saw "specialist", holds
      cannot tell  /tools/spawn*/deny_if/args.tasks[*].risk-gt
                   args.tasks[*].risk gt 5: saw "high", is not a number
    "#);
}

#[test]
fn names_how_the_policy_stands_to_the_tool() {
    let standing = |text: &str, tool: &str| {
        let explanation = explained(&[text], tool, "{}");
        (
            explanation.policies[0].standing.clone().unwrap(),
            explanation.rules[0].rule.to_string(),
        )
    };
    assert_eq!(
        standing(TEAM, "send"),
        (
            "`send` is not listed and the default is deny".into(),
            "(default deny)".into()
        )
    );
    let hidden = r#"{"version":"1","default":"allow","hide":["x"]}"#;
    assert_eq!(
        standing(hidden, "x"),
        ("`x` is hidden".into(), "(hidden)".into())
    );
    assert_eq!(
        standing(hidden, "X"),
        (
            "`X` only looks like a known name".into(),
            "(envelope)".into()
        )
    );
}

#[test]
fn explains_methods_and_the_lack_of_a_policy() {
    let policy = Policy::parse(TEAM).unwrap();
    let (name, grant) = (Text::fixed("p"), Text::fixed("g"));
    let enforced = Enforced {
        policy: &policy,
        name: &name,
        version: 1,
        grant: &grant,
        server: &grant,
    };
    let call = Call {
        method: "resources/read",
        tool: None,
        arguments: None,
    };
    let caller = Caller {
        grant: grant.clone(),
        server: grant.clone(),
        session: None,
    };
    insta::assert_snapshot!(explain(&[enforced], &call, &caller), @r#"
    deny: the policy does not allow the method `resources/read`
      by (method) of policy `p` version 1 for grant `g`

    policy `p` version 1 for grant `g`
      refused      (method)
    "#);
    insta::assert_snapshot!(explain(&[], &call, &caller), @r#"
    deny: this grant has no policy, so every call is refused
      by (no policy)
    "#);
}

#[test]
fn can_be_serialised_and_shortens_values() {
    let long = format!(r#"{{"role":"{}"}}"#, "x".repeat(500));
    let report = serde_json::to_value(explained(&[TEAM], "spawn", &long)).unwrap();
    assert_eq!(report["decision"], "deny");
    assert_eq!(
        report["rules"][0]["rule"],
        "/tools/spawn*/require/args.role-in"
    );
    let seen = report["policies"][0]["steps"][0]["conditions"][0]["seen"]
        .as_str()
        .unwrap();
    assert_eq!(seen.chars().count(), 81);
}
