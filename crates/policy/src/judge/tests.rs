mod chain;
mod limits;
mod rules;

use super::*;
use crate::document::Policy;
use crate::json::{Bounds, Folder, read};

/// Reads a policy whose text is known to be right.
fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|found| panic!("{text}: {found:?}"))
}

/// A policy with default deny and these tools.
fn tools(tools: &str) -> String {
    format!(r#"{{"version":"1","default":"deny","tools":{{{tools}}}}}"#)
}

/// Judges a call under a chain of policies, enforced for the grants `own`,
/// `parent` and `grand`.
fn verdict(chain: &[&Policy], method: &str, tool: Option<&str>, arguments: &str) -> Verdict {
    let document = read(arguments.as_bytes(), Bounds::default()).unwrap();
    let (name, server) = (Text::fixed("p"), Text::fixed("srv"));
    let grants = [
        Text::fixed("own"),
        Text::fixed("parent"),
        Text::fixed("grand"),
    ];
    let chain: Vec<_> = chain
        .iter()
        .zip(&grants)
        .map(|(&policy, grant)| Enforced {
            policy,
            name: &name,
            version: 3,
            grant,
            server: &server,
        })
        .collect();
    let call = Call {
        method,
        tool,
        arguments: Some(document.root()),
    };
    let caller = Caller {
        grant: grants[0].clone(),
        server: server.clone(),
        session: None,
    };
    judge(&chain, &call, &caller)
}

/// `allow`, `ask <rules>` or `deny <rule>`.
fn words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Ask(asked) => {
            let rules: Vec<_> = asked
                .rules
                .iter()
                .map(|(rule, _)| rule.to_string())
                .collect();
            format!("ask {}", rules.join(" "))
        }
        Verdict::Deny(refusal) => format!("deny {}", refusal.rule),
    }
}

#[track_caller]
fn check(text: &str, tool: &str, arguments: &str, expected: &str) {
    let got = words(&verdict(
        &[&policy(text)],
        "tools/call",
        Some(tool),
        arguments,
    ));
    assert_eq!(got, expected, "{tool} {arguments} under {text}");
}

/// What the agent is told.
fn told(text: &str, tool: &str, arguments: &str) -> String {
    match verdict(&[&policy(text)], "tools/call", Some(tool), arguments) {
        Verdict::Allow(_) => "allowed".to_owned(),
        Verdict::Ask(asked) => asked.message,
        Verdict::Deny(refusal) => refusal.message,
    }
}

#[test]
fn no_policy_denies() {
    assert_eq!(
        words(&verdict(&[], "tools/call", Some("x"), "{}")),
        "deny (no policy)"
    );
    assert_eq!(
        words(&verdict(&[], "resources/read", None, "{}")),
        "deny (no policy)"
    );
}

#[test]
fn a_policy_with_one_tool_caps_it_and_denies_the_rest() {
    let spawn = include_str!("../../../../examples/policies/spawn.json");
    check(spawn, "spawn", "{}", "allow");
    check(spawn, "send", "{}", "deny (default deny)");
    let Verdict::Allow(allowed) = verdict(&[&policy(spawn)], "tools/call", Some("spawn"), "{}")
    else {
        panic!("refused");
    };
    let charge = &allowed.charges[0];
    assert_eq!(charge.counter.counter, "spawn_rate");
    assert_eq!(charge.counter.scope, "own");
    assert_eq!(
        (charge.max, charge.amount),
        (Amount::whole(10), Amount::ONE)
    );
    assert_eq!(charge.rule.as_str(), "/tools/spawn/limits/spawn_rate");
}

#[test]
fn a_name_stands_hidden_listed_open_or_unlisted() {
    let deny = r#"{"version":"1","default":"deny","hide":["vm_*","drop"],
        "tools":{"list":{},"git_*":{},"git_push*":{"action":"deny"},"git_push_ok":{},"drop":{},"vm_list":{}}}"#;
    check(deny, "list", "{}", "allow");
    check(deny, "git_log", "{}", "allow");
    check(deny, "git_push", "{}", "deny /tools/git_push*/action");
    check(deny, "git_push_all", "{}", "deny /tools/git_push*/action");
    check(deny, "git_push_ok", "{}", "allow");
    check(deny, "git", "{}", "deny (default deny)");
    check(deny, "drop", "{}", "deny (hidden)");
    check(deny, "vm_list", "{}", "deny (hidden)");
    check(deny, "vm_anything", "{}", "deny (hidden)");

    let allow = r#"{"version":"1","default":"allow","hide":["vm_*","drop"],"tools":{"send":{"action":"deny"}}}"#;
    check(allow, "anything", "{}", "allow");
    check(allow, "send", "{}", "deny /tools/send/action");
    check(allow, "drop", "{}", "deny (hidden)");

    for all in [r#""*""#, r#"["*"]"#] {
        let text =
            format!(r#"{{"version":"1","default":"allow","hide":{all},"tools":{{"list":{{}}}}}}"#);
        check(&text, "list", "{}", "deny (hidden)");
        check(&text, "x", "{}", "deny (hidden)");
    }
}

#[test]
fn a_name_that_no_tool_has_is_refused() {
    let text = r#"{"version":"1","default":"allow","tools":{"files*":{}}}"#;
    for name in ["", "files/read", "/", "..", "files..read", "files\u{7}"] {
        check(text, name, "{}", "deny (envelope)");
        assert!(!policy(text).tool_listed(name, &mut Folder::default()));
    }
    check(text, "files.read~raw", "{}", "allow");
}

#[test]
fn item_72_a_name_that_only_looks_known_is_refused() {
    let allow = r#"{"version":"1","default":"allow","hide":["delete_all","vm_*"],"tools":{"send":{},"Both":{},"both":{},"Git_*":{}}}"#;
    for name in [
        "Delete_All",
        "DELETE_ALL",
        "ｄelete_all",
        "delete\u{200b}_all",
        "delete_al\u{217c}",
        "VM_start",
        "ｖm_x",
        "Send",
        "\u{17f}end",
        "git_push",
    ] {
        check(allow, name, "{}", "deny (envelope)");
    }
    check(allow, "both", "{}", "allow");
    check(allow, "Both", "{}", "allow");
    check(allow, "BOTH", "{}", "deny (envelope)");
    check(allow, "Git_push", "{}", "allow");
    check(allow, "sender", "{}", "allow");
    // A Cyrillic letter is another letter: under `default: deny` it matches
    // nothing.
    let deny = tools(r#""send":{}"#);
    for name in [
        "s\u{435}nd",
        "send\u{200b}",
        "send ",
        " send",
        "Send",
        "SEND",
        "ｓｅｎｄ",
    ] {
        let got = words(&verdict(&[&policy(&deny)], "tools/call", Some(name), "{}"));
        assert!(got.starts_with("deny ("), "{name}: {got}");
    }
}

#[test]
fn d08_a_stronger_glob_that_covers_only_the_folded_name_is_not_overtaken() {
    let text = tools(r#""delete_*":{"action":"deny"},"*_file":{},"Reads_*":{}"#);
    for (name, expected) in [
        ("delete_file", "deny /tools/delete_*/action"),
        ("Delete_file", "deny (envelope)"),
        ("delete\u{200b}_file", "deny (envelope)"),
        ("DELETE_FILE", "deny (envelope)"),
        ("copy_file", "allow"),
        // The stronger one covers the name as it is written.
        ("Reads_File", "allow"),
        ("reads_x", "deny (envelope)"),
    ] {
        check(&text, name, "{}", expected);
    }
    // Equally strong and meant as they are written.
    for text in [
        r#""ab*":{"action":"deny"},"aB*":{}"#,
        r#""aB*":{},"ab*":{"action":"deny"}"#,
    ] {
        check(&tools(text), "abc", "{}", "deny /tools/ab*/action");
        check(&tools(text), "aBc", "{}", "allow");
        check(&tools(text), "ABc", "{}", "deny (envelope)");
    }
}

#[test]
fn d82_the_name_of_a_tool_is_measured_before_it_is_compared() {
    let globs: Vec<_> = (0..20)
        .map(|n| format!(r#""{}{n:03}":{{}}"#, "_*".repeat(12)))
        .collect();
    let text = format!(
        r#"{{"version":"1","default":"allow","tools":{{{}}}}}"#,
        globs.join(",")
    );
    check(&text, &"_".repeat(128), "{}", "allow");
    check(&text, &"_".repeat(129), "{}", "deny (envelope)");
    check(&text, &"_".repeat(4_000_000), "{}", "deny (envelope)");
    check(&text, &"é".repeat(128), "{}", "allow");
    check(&text, &"é".repeat(129), "{}", "deny (envelope)");
    // 128 characters that would fold to more than two thousand.
    check(&text, &"\u{fdfa}".repeat(128), "{}", "deny (envelope)");
    let policy = policy(&text);
    let mut folder = Folder::default();
    assert!(!policy.tool_listed(&"_".repeat(129), &mut folder));
    assert_eq!(folder.left(), lengths::FOLDED);
}

#[test]
fn d82_names_of_arguments_are_folded_once_for_all_policies() {
    let named = r#"{"conditions":[{"path":"args.who","op":"exists","value":true}]}"#;
    let text = tools(&format!(r#""t":{{"require":[{named}],"approve_if":[]}}"#));
    let policy = policy(&text);
    let arguments = |keys: usize| {
        let keys = (0..keys).map(|n| format!("\"{}{n:06}\":0,", "é".repeat(21)));
        format!("{{{}\"who\":1}}", keys.collect::<String>())
    };
    let most = lengths::FOLDED / 48;
    for (keys, expected) in [(most, "allow"), (most + 1, "deny (envelope)")] {
        let chain = [&policy, &policy, &policy];
        let got = verdict(&chain, "tools/call", Some("t"), &arguments(keys));
        assert_eq!(words(&got), expected, "{keys}");
    }
    let long = format!(r#"{{"who":1,"{}":2}}"#, "k".repeat(257));
    check(&text, "t", &long, "deny (envelope)");
}

#[test]
fn d84_one_budget_for_all_conditions_of_all_policies() {
    let conditions = |pattern: &str| {
        format!(r#"{{"conditions":[{{"path":"args.v","op":"regex","value":"{pattern}"}}]}}"#)
    };
    let three = ["rm -rf", "(?i)drop\\\\s+table", "secret"]
        .map(conditions)
        .join(",");
    let text = tools(&format!(r#""t":{{"deny_if":[{three}]}}"#));
    let policy = policy(&text);
    let arguments = |length: usize| format!(r#"{{"v":"{}"}}"#, "a".repeat(length));
    let judged = |links: usize, arguments: &str| {
        verdict(&vec![&policy; links], "tools/call", Some("t"), arguments)
    };
    // Four megabytes are read by three patterns, and not by nine.
    let whole = arguments(lengths::BODY - 100);
    assert_eq!(words(&judged(1, &whole)), "allow");
    let Verdict::Deny(no) = judged(3, &whole) else {
        panic!("allowed");
    };
    assert_eq!(
        no.message,
        "`args.v` would take more work to check than one call is allowed, so `regex` cannot be checked"
    );
    assert!(no.rule.as_str().starts_with("/tools/t/deny_if/"));
    assert_eq!(words(&judged(3, &arguments(400_000))), "allow");
}

#[test]
fn item_36_a_call_without_a_tool_or_an_object_is_refused() {
    let open = policy(r#"{"version":"1","default":"allow"}"#);
    assert_eq!(
        words(&verdict(&[&open], "tools/call", None, "{}")),
        "deny (envelope)"
    );
    for arguments in ["[]", "null", "1", r#""{}""#] {
        let got = words(&verdict(&[&open], "tools/call", Some("t"), arguments));
        assert_eq!(got, "deny (envelope)", "{arguments}");
    }
}

#[test]
fn lists_show_what_is_not_refused_by_name() {
    let policy = policy(
        r#"{"version":"1","default":"deny","hide":["secret"],"tools":{"a":{},"no":{"action":"deny"},
        "block":{"deny_if":[{"conditions":[]}]},"secret":{},"g_*":{}}}"#,
    );
    for (tool, listed) in [
        ("a", true),
        ("no", true),
        ("block", true),
        ("g_x", true),
        ("secret", false),
        ("other", false),
        ("A", false),
    ] {
        assert_eq!(
            policy.tool_listed(tool, &mut Folder::default()),
            listed,
            "{tool}"
        );
    }
}

#[test]
fn methods_need_what_the_default_says() {
    let deny = r#"{"version":"1","default":"deny"}"#;
    let some = r#"{"version":"1","default":"deny","methods":{"allow":["resources/*","vendor/x"],"deny":["resources/subscribe"]}}"#;
    let allow = r#"{"version":"1","default":"allow"}"#;
    let less = r#"{"version":"1","default":"allow","methods":{"deny":["sampling/*","tasks/cancel","ping"],"allow":["vendor/*"]}}"#;
    // method, under each of them
    let table = [
        ("ping", [true, true, true, true]),
        ("initialize", [true, true, true, true]),
        ("tools/list", [true, true, true, true]),
        ("resources/read", [false, true, true, true]),
        ("resources/subscribe", [false, false, true, true]),
        ("resources/unsubscribe", [true, true, true, true]),
        ("prompts/get", [false, false, true, true]),
        ("completion/complete", [false, false, true, true]),
        ("sampling/createMessage", [false, false, true, false]),
        ("elicitation/create", [false, false, true, true]),
        ("roots/list", [false, false, true, true]),
        ("tasks/get", [true, true, true, true]),
        ("tasks/cancel", [true, true, true, false]),
        ("vendor/x", [false, true, false, true]),
        ("vendor/y", [false, false, false, true]),
        ("Resources/Read", [false, false, false, false]),
        ("resources/read ", [false, true, false, false]),
        ("", [false, false, false, false]),
    ];
    for (method, expected) in table {
        for (text, allowed) in [deny, some, allow, less].into_iter().zip(expected) {
            let got = words(&verdict(&[&policy(text)], method, None, "{}"));
            assert_eq!(
                got,
                if allowed { "allow" } else { "deny (method)" },
                "{method} under {text}"
            );
        }
    }
    let listed = |text: &str, method: &str| policy(text).method_listed(method);
    assert!(!listed(deny, "resources/list") && !listed(deny, "prompts/list"));
    assert!(listed(some, "resources/templates/list") && !listed(some, "prompts/list"));
    assert!(listed(allow, "resources/list") && listed(deny, "tools/list"));
}
