//! `require`, `deny_if`, `approve_if`, `action`: what holds, in which order,
//! and what the agent is told.

use super::{check, policy, told, tools, verdict, words};

/// One predicate with one condition.
fn when(path: &str, op: &str, value: &str) -> String {
    format!(r#"[{{"conditions":[{{"path":"{path}","op":"{op}","value":{value}}}]}}]"#)
}

#[test]
fn each_list_has_its_answer_to_yes_no_absent_and_wrong_type() {
    let under = |list: &str| {
        tools(&format!(
            r#""t":{{"{list}":{}}}"#,
            when("args.n", "gt", "5")
        ))
    };
    let (require, deny, approve) = (under("require"), under("deny_if"), under("approve_if"));
    // arguments, under `require`, `deny_if`, `approve_if`; true means: let through
    let table = [
        (r#"{"n":6}"#, "allow", "deny", "ask"),
        (r#"{"n":5}"#, "deny", "allow", "allow"),
        ("{}", "deny", "allow", "ask"),
        (r#"{"n":"six"}"#, "deny", "deny", "deny"),
        (r#"{"n":null}"#, "deny", "deny", "deny"),
        (r#"{"n":[6]}"#, "deny", "deny", "deny"),
        (r#"{"n":{"n":6}}"#, "deny", "deny", "deny"),
    ];
    for (arguments, by_require, by_deny, by_approve) in table {
        for (list, text, expected) in [
            ("require", &require, by_require),
            ("deny_if", &deny, by_deny),
            ("approve_if", &approve, by_approve),
        ] {
            let expected = if expected == "allow" {
                expected.to_owned()
            } else {
                format!("{expected} /tools/t/{list}/args.n-gt")
            };
            check(text, "t", arguments, &expected);
        }
    }
}

#[test]
fn exists_is_answered_by_absence_in_every_list() {
    let given = |list: &str, wanted: &str| {
        tools(&format!(
            r#""t":{{"{list}":{}}}"#,
            when("args.a.b", "exists", wanted)
        ))
    };
    for (arguments, present) in [
        (r#"{"a":{"b":0}}"#, true),
        ("{}", false),
        (r#"{"a":{"b":null}}"#, false),
        (r#"{"a":"text"}"#, false),
    ] {
        let verdict = |deny: bool, list: &str| {
            if deny {
                format!("deny /tools/t/{list}/args.a.b-exists")
            } else {
                "allow".to_owned()
            }
        };
        check(
            &given("require", "true"),
            "t",
            arguments,
            &verdict(!present, "require"),
        );
        check(
            &given("require", "false"),
            "t",
            arguments,
            &verdict(present, "require"),
        );
        check(
            &given("deny_if", "true"),
            "t",
            arguments,
            &verdict(present, "deny_if"),
        );
        check(
            &given("deny_if", "false"),
            "t",
            arguments,
            &verdict(!present, "deny_if"),
        );
        let asks = if present {
            "ask /tools/t/approve_if/args.a.b-exists"
        } else {
            "allow"
        };
        check(&given("approve_if", "true"), "t", arguments, asks);
    }
}

#[test]
fn item_87_a_required_argument_cannot_be_left_out() {
    let text = tools(&format!(
        r#""t":{{"require":{}}}"#,
        when("args.dir", "under", r#"["/srv"]"#)
    ));
    check(&text, "t", "{}", "deny /tools/t/require/args.dir-under");
    check(
        &text,
        "t",
        r#"{"other":1}"#,
        "deny /tools/t/require/args.dir-under",
    );
    check(&text, "t", r#"{"dir":"/srv/x"}"#, "allow");
}

#[test]
fn item_86_another_type_never_slips_through() {
    let text = tools(&format!(
        r#""pay":{{"deny_if":{}}}"#,
        when("args.amount", "gt", "100")
    ));
    for amount in [
        r#""1e9""#,
        "[100]",
        r#"{"$gt":0}"#,
        "1E400",
        r#""much""#,
        "null",
        "true",
    ] {
        check(
            &text,
            "pay",
            &format!(r#"{{"amount":{amount}}}"#),
            "deny /tools/pay/deny_if/args.amount-gt",
        );
    }
    for amount in ["100", "-0", r#""99.5""#] {
        check(&text, "pay", &format!(r#"{{"amount":{amount}}}"#), "allow");
    }
}

#[test]
fn conditions_of_a_predicate_hold_together() {
    let two = r#"[{"conditions":[{"path":"args.a","op":"eq","value":1},{"path":"args.b","op":"eq","value":2}]}]"#;
    let deny = tools(&format!(r#""t":{{"deny_if":{two}}}"#));
    check(&deny, "t", r#"{"a":1,"b":2}"#, "deny /tools/t/deny_if/0");
    check(&deny, "t", r#"{"a":1,"b":3}"#, "allow");
    check(&deny, "t", r#"{"a":1}"#, "allow");
    // Every condition is looked at, also after one that does not hold.
    check(&deny, "t", r#"{"a":0,"b":[2]}"#, "deny /tools/t/deny_if/0");
    check(&deny, "t", r#"{"a":[1],"b":0}"#, "deny /tools/t/deny_if/0");
    let require = tools(&format!(r#""t":{{"require":{two}}}"#));
    check(&require, "t", r#"{"a":1,"b":2}"#, "allow");
    check(&require, "t", r#"{"a":1}"#, "deny /tools/t/require/0");
    let approve = tools(&format!(r#""t":{{"approve_if":{two}}}"#));
    check(&approve, "t", r#"{"a":1}"#, "ask /tools/t/approve_if/0");
    check(&approve, "t", r#"{"a":1,"b":3}"#, "allow");
    check(&approve, "t", "{}", "ask /tools/t/approve_if/0");
}

#[test]
fn no_conditions_always_hold() {
    check(
        &tools(r#""t":{"deny_if":[{"conditions":[]}]}"#),
        "t",
        "{}",
        "deny /tools/t/deny_if/0",
    );
    check(
        &tools(r#""t":{"require":[{"conditions":[]}]}"#),
        "t",
        "{}",
        "allow",
    );
    check(
        &tools(r#""t":{"approve_if":[{"conditions":[]}]}"#),
        "t",
        "{}",
        "ask /tools/t/approve_if/0",
    );
}

#[test]
fn every_element_or_any_element() {
    let price = |list: &str| {
        tools(&format!(
            r#""t":{{"{list}":{}}}"#,
            when("args.items[*].price", "lte", "10")
        ))
    };
    // arguments, under require, deny_if, approve_if
    let table = [
        (
            r#"{"items":[{"price":1},{"price":2}]}"#,
            "allow",
            "deny",
            "ask",
        ),
        (
            r#"{"items":[{"price":1},{"price":20}]}"#,
            "deny",
            "deny",
            "ask",
        ),
        (
            r#"{"items":[{"price":11},{"price":20}]}"#,
            "deny",
            "allow",
            "allow",
        ),
        (r#"{"items":[{"price":1},{}]}"#, "deny", "deny", "ask"),
        (r#"{"items":[{"price":11},{}]}"#, "deny", "allow", "ask"),
        (r#"{"items":[]}"#, "deny", "allow", "ask"),
        ("{}", "deny", "allow", "ask"),
        (r#"{"items":{"price":11}}"#, "deny", "deny", "deny"),
        (
            r#"{"items":[{"price":11},{"price":"x"}]}"#,
            "deny",
            "deny",
            "deny",
        ),
        (r#"{"items":[{"price":11},11]}"#, "deny", "deny", "deny"),
    ];
    for (arguments, require, deny, approve) in table {
        for (list, expected) in [
            ("require", require),
            ("deny_if", deny),
            ("approve_if", approve),
        ] {
            let got = words(&verdict(
                &[&policy(&price(list))],
                "tools/call",
                Some("t"),
                arguments,
            ));
            assert_eq!(
                got.split(' ').next().unwrap(),
                expected,
                "{list} {arguments}"
            );
        }
    }
}

#[test]
fn rules_are_named_by_pointers() {
    let one = |path: &str, op: &str, value: &str| {
        format!(r#"{{"conditions":[{{"path":"{path}","op":"{op}","value":{value}}}]}}"#)
    };
    let text = tools(&format!(
        r#""b~c":{{"deny_if":[{},{},{},{},{{"conditions":[]}}]}}"#,
        one("args.x/y", "eq", "1"),
        one("args.n", "eq", "2"),
        one("args.n", "eq", "3"),
        one("args.n", "gt", "9"),
    ));
    let rule = |arguments: &str, id: &str| {
        check(
            &text,
            "b~c",
            arguments,
            &format!("deny /tools/b~0c/deny_if/{id}"),
        )
    };
    rule(r#"{"x/y":1}"#, "args.x~1y-eq");
    rule(r#"{"n":2}"#, "1");
    rule(r#"{"n":3}"#, "2");
    rule(r#"{"n":10}"#, "args.n-gt");
    rule(r#"{"n":4}"#, "4");
    let everywhere = r#"{"version":"1","default":"allow","all_tools":{"deny_if":[{"conditions":[{"path":"args.x","op":"eq","value":1}]}]}}"#;
    check(
        everywhere,
        "any",
        r#"{"x":1}"#,
        "deny /all_tools/deny_if/args.x-eq",
    );
}

#[test]
fn the_first_stage_that_refuses_wins() {
    let text = |hide: &str, action: &str, tool: &str, all: &str| {
        format!(
            r#"{{"version":"1","default":"deny","hide":[{hide}],
            "all_tools":{{{all}}},"tools":{{"t":{{"action":"{action}",{tool}}}}}}}"#
        )
    };
    let no = |list: &str, n: &str| {
        format!(r#""{list}":[{{"conditions":[{{"path":"args.n","op":"neq","value":{n}}}]}}]"#)
    };
    let ask = r#""approve_if":[{"conditions":[]}]"#;
    let from =
        r#""limits":[{"counter":"c","window":"minute","max":1,"increment_from":"args.cost"}]"#;
    let tool = format!("{},{},{from},{ask}", no("require", "1"), no("deny_if", "2"));
    let all = format!("{},{},{ask}", no("require", "3"), no("deny_if", "4"));
    check(
        &text(r#""t""#, "deny", &tool, &all),
        "t",
        r#"{"n":1}"#,
        "deny (hidden)",
    );
    check(
        &text("", "deny", &tool, &all),
        "t",
        r#"{"n":1}"#,
        "deny /tools/t/action",
    );
    let text = text("", "require_approval", &tool, &all);
    // Lookalike keys before any rule.
    check(&text, "t", r#"{"n":1,"N":1}"#, "deny (envelope)");
    check(&text, "t", r#"{"n":1}"#, "deny /tools/t/require/args.n-neq");
    check(
        &text,
        "t",
        r#"{"n":3}"#,
        "deny /all_tools/require/args.n-neq",
    );
    // `deny_if … neq` holds for everything else.
    check(
        &text,
        "t",
        r#"{"n":2}"#,
        "deny /all_tools/deny_if/args.n-neq",
    );
    check(&text, "t", r#"{"n":9}"#, "deny /tools/t/deny_if/args.n-neq");

    let limits = tools(&format!(
        r#""t":{{"action":"require_approval",{from},{ask}}}"#
    ));
    check(&limits, "t", "{}", "deny /tools/t/limits/c");
    check(
        &limits,
        "t",
        r#"{"cost":1}"#,
        "ask /tools/t/action /tools/t/approve_if/0",
    );
    check(
        &tools(r#""t":{}"#),
        "u",
        r#"{"n":1,"N":1}"#,
        "deny (default deny)",
    );
}

#[test]
fn within_a_list_the_document_decides_the_order() {
    let one = |n: u8, text: &str| {
        format!(
            r#"{{"conditions":[{{"path":"args.n","op":"lt","value":{n}}}],"on_deny":"{text}"}}"#
        )
    };
    let text = tools(&format!(
        r#""t":{{"deny_if":[{},{}]}}"#,
        one(5, "first"),
        one(9, "second")
    ));
    assert_eq!(told(&text, "t", r#"{"n":1}"#), "first");
    assert_eq!(told(&text, "t", r#"{"n":7}"#), "second");
}

#[test]
fn keys_that_could_be_taken_for_another_are_refused() {
    let text = tools(&format!(
        r#""t":{{"require":{}}},"free":{{}}"#,
        r#"[{"conditions":[{"path":"args.user.path","op":"exists","value":true},{"path":"args.list[*].id","op":"exists","value":false},{"path":"args.one[1].id","op":"exists","value":false}]}]"#
    ));
    let fine =
        r#"{"user":{"path":"/x","other":{"A":1,"a":2}},"list":[{"x":1}],"free":{"B":1,"b":2}}"#;
    check(&text, "t", fine, "allow");
    for arguments in [
        r#"{"user":{"path":"/x"},"User":{}}"#,
        r#"{"u\u017fer":{"path":"/x"},"user":{"path":"/x"}}"#,
        r#"{"user":{"path":"/x","Path":"/y"}}"#,
        r#"{"user":{"path":"/x"},"list":[{},{"ID":1}]}"#,
        r#"{"user":{"path":"/x"},"one":[{"ID":1},{"Id":1}]}"#,
        r#"{"user":{"path":"/x","a":1,"A":2}}"#,
        r#"{"User":{"path":"/x"}}"#,
        r#"{"user":{"path":"/x"},"a":1,"A":2}"#,
    ] {
        check(&text, "t", arguments, "deny (envelope)");
    }
    check(
        &text,
        "t",
        r#"{"user":{"path":"/x"},"one":[{"ID":1},{}]}"#,
        "allow",
    );
    // At the top of the arguments also where no rule names anything.
    check(&text, "free", r#"{"a":1,"A":2}"#, "deny (envelope)");
    check(&text, "free", r#"{"a":{"a":1,"A":2}}"#, "allow");
    let policy = policy(&text);
    assert!(policy.names_key("t", "user") && policy.names_key("t", "list"));
    assert!(!policy.names_key("t", "path") && !policy.names_key("free", "user"));
}

#[test]
fn the_agent_is_told_what_it_may_do_instead() {
    let said = |tool: &str, arguments: &str, expected: &str| {
        assert_eq!(
            told(&tools(&format!(r#""t":{tool}"#)), "t", arguments),
            expected
        )
    };
    let list = |list: &str, path: &str, op: &str, value: &str| {
        format!(r#"{{"{list}":{}}}"#, when(path, op, value))
    };
    said(
        &list("require", "args.role", "in", r#"["manager","specialist"]"#),
        "{}",
        "`args.role` must be one of: manager, specialist, but it is missing",
    );
    said(
        &list("require", "args.role", "in", r#"["manager"]"#),
        r#"{"role":"x"}"#,
        "`args.role` must be one of: manager",
    );
    said(
        &list("require", "args.dir", "under", r#"["/srv/work"]"#),
        r#"{"dir":"/etc"}"#,
        "`args.dir` must be a path inside: /srv/work",
    );
    said(
        &list("require", "args.dir", "under", r#"["/srv/work"]"#),
        r#"{"dir":"../etc"}"#,
        "`args.dir` is not an absolute path, so `under` cannot be checked",
    );
    said(
        &list("require", "args.cmd", "argv_in", r#"[["git","log"],"ls"]"#),
        r#"{"cmd":"rm x"}"#,
        "`args.cmd` must be a command that begins with: git log, ls",
    );
    said(
        &list("require", "args.why", "exists", "true"),
        "{}",
        "`args.why` must be given",
    );
    said(
        &list("deny_if", "args.text", "contains", r#""rm -rf /""#),
        r#"{"text":"rm -rf /"}"#,
        "`args.text` must not contain `rm -rf /`",
    );
    said(
        &list("deny_if", "args.n", "gt", "100"),
        r#"{"n":101}"#,
        "`args.n` must not be more than 100",
    );
    said(
        &list("deny_if", "args.n", "gt", "100"),
        r#"{"n":"x"}"#,
        "`args.n` is not a number, so `gt` cannot be checked",
    );
    said(
        r#"{"deny_if":[{"conditions":[]}]}"#,
        "{}",
        "the policy denies this tool",
    );
    said(
        r#"{"action":"deny"}"#,
        "{}",
        "the policy denies the tool `t`",
    );
    said(r#"{"action":"deny","reason":"ask Ann"}"#, "{}", "ask Ann");
    said(
        r#"{"action":"require_approval"}"#,
        "{}",
        "calling `t` needs a person's approval",
    );
    said(
        r#"{"action":"require_approval","reason":"costs money","approve_if":[{"conditions":[],"on_deny":"twice"}]}"#,
        "{}",
        "costs money; twice",
    );
    said(
        r#"{"deny_if":[{"conditions":[],"on_deny":"Requires human approval."}]}"#,
        "{}",
        "Requires human approval.",
    );
    assert_eq!(
        told(&tools(""), "x\u{1b}[2Jy", "{}"),
        r"`x\u{1b}[2Jy` is not the name of a tool"
    );
    assert!(told(&tools(""), &"x".repeat(10_000), "{}").len() < 300);
}

#[test]
fn wrong_types_name_the_policys_reason_and_the_fault() {
    let text = tools(
        r#""t":{"deny_if":[{"conditions":[{"path":"args.n","op":"gt","value":5}],"on_deny":"at most 5"}]}"#,
    );
    assert_eq!(
        told(&text, "t", r#"{"n":"x"}"#),
        "at most 5 (`args.n` is not a number, so `gt` cannot be checked)"
    );
}
