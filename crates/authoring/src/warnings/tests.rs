use provost_policy::Severity;

use super::*;

/// Every warning as `line:column pointer: message`.
fn warned(text: &str, tools: Option<&[&str]>) -> Vec<String> {
    let offer = tools.map(|tools| Offer::read(&serde_json::json!(tools)).unwrap());
    let policy = Policy::parse(text).unwrap_or_else(|found| panic!("{text}: {found:?}"));
    let found = warnings(&policy, offer.as_ref());
    assert!(
        found
            .iter()
            .all(|warning| warning.severity == Severity::Warning)
    );
    found
        .iter()
        .map(|w| format!("{}:{} {}: {}", w.line, w.column, w.pointer, w.message))
        .collect()
}

/// Warnings about one tool `t`, without places.
#[track_caller]
fn check(tool: &str, expected: &[&str]) {
    let text = format!(r#"{{"version":"1","default":"deny","tools":{{"t":{tool}}}}}"#);
    let policy = Policy::parse(&text).unwrap_or_else(|found| panic!("{text}: {found:?}"));
    let found: Vec<_> = warnings(&policy, None)
        .iter()
        .map(|w| {
            format!(
                "{}: {}",
                w.pointer.strip_prefix("/tools/t").unwrap(),
                w.message
            )
        })
        .collect();
    assert_eq!(found, expected, "{tool}");
}

const GT: &str = r#"{"path":"args.n","op":"gt","value":5}"#;

#[test]
fn a_deny_that_an_absent_argument_gets_past() {
    let deny =
        |require: &str| format!(r#"{{"require":[{require}],"deny_if":[{{"conditions":[{GT}]}}]}}"#);
    let dodged = ["/deny_if/0/conditions/0: a call without `args.n` is not refused by this rule"];
    let require = |path: &str, op: &str, value: &str| {
        format!(r#"{{"conditions":[{{"path":"{path}","op":"{op}","value":{value}}}]}}"#)
    };
    check(&deny(""), &dodged);
    check(&deny(&require("args.m", "exists", "true")), &dodged);
    check(&deny(&require("args.n", "exists", "false")), &dodged);
    check(&deny(&require("args.n", "exists", "true")), &[]);
    check(&deny(&require("args.n", "lt", "9")), &[]);
    check(
        r#"{"deny_if":[{"conditions":[{"path":"args.n","op":"exists","value":true}]}]}"#,
        &[],
    );
    let elsewhere = format!(
        r#"{{"version":"1","default":"allow","all_tools":{{"require":[{}],"deny_if":[{{"conditions":[{GT}]}}]}},
        "tools":{{"t":{{"deny_if":[{{"conditions":[{GT}]}}]}}}}}}"#,
        require("args.n", "exists", "true")
    );
    assert_eq!(warned(&elsewhere, None), [""; 0]);
}

#[test]
fn rules_that_are_never_reached() {
    check(
        &format!(
            r#"{{"deny_if":[{{"conditions":[]}},{{"conditions":[{GT}]}}],"require":[{{"conditions":[{GT}]}}],
        "approve_if":[{{"conditions":[]}}],"limits":[{{"counter":"c","concurrent":1}}]}}"#
        ),
        &[
            "/deny_if/1: never reached: /tools/t/deny_if/0 refuses every call",
            "/approve_if/0: never reached: /tools/t/deny_if/0 refuses every call",
            "/limits/0: never reached: /tools/t/deny_if/0 refuses every call",
        ],
    );
    check(
        r#"{"action":"deny","rate_limit":{"max":1,"window":1}}"#,
        &[": the action denies every call, so the rules beside it are never reached"],
    );
    check(r#"{"action":"deny","reason":"no"}"#, &[]);
    check(
        r#"{"action":"require_approval","approve_if":[{"conditions":[]}]}"#,
        &["/approve_if: every call is asked about anyway because of the action"],
    );
    check(
        r#"{"reason":"because"}"#,
        &["/reason: the reason is never shown"],
    );
    check(
        r#"{"approve_if":[{"conditions":[]},{"conditions":[],"on_deny":"x"}]}"#,
        &["/approve_if/1: the same as /tools/t/approve_if/0"],
    );
}

const THERE: &str = r#"{"conditions":[{"path":"args.n","op":"exists","value":true}]}"#;

#[test]
fn d95_a_number_that_other_spellings_get_past() {
    let past = r#"a call with the number as text, such as `" 5"` or `"+5"`, counts as unequal here, and many servers read such text as the number"#;
    let block = |list: &str, op: &str, value: &str, more: &str| {
        format!(
            r#"{{"{list}":[{{"conditions":[{{"path":"args.n","op":"{op}","value":{value}}}]}}{}],"require":[{}]}}"#,
            "",
            if more.is_empty() {
                THERE.to_owned()
            } else {
                format!("{THERE},{more}")
            }
        )
    };
    let at = |list: &str| format!("/{list}/0/conditions/0: {past}");
    for (op, value) in [("eq", "5"), ("in", r#"["a", 5]"#), ("contains", "5")] {
        check(&block("deny_if", op, value, ""), &[&at("deny_if")]);
        check(&block("approve_if", op, value, ""), &[&at("approve_if")]);
    }
    let required = |op: &str, value: &str| {
        format!(
            r#"{{"require":[{{"conditions":[{{"path":"args.n","op":"{op}","value":{value}}}]}}]}}"#
        )
    };
    check(&required("neq", "5"), &[&at("require")]);
    check(&required("not_in", "[5]"), &[&at("require")]);
    check(&required("eq", "5"), &[]);
    // Text is meant as text, and a comparison takes numbers only.
    check(&block("deny_if", "eq", r#""5""#, ""), &[]);
    check(&block("deny_if", "neq", "5", ""), &[]);
    let gte = r#"{"conditions":[{"path":"args.n","op":"gte","value":0}]}"#;
    check(&block("deny_if", "eq", "5", gte), &[]);
}

#[test]
fn d07_contains_that_reads_like_a_part_of_an_element() {
    let block = |value: &str, require: &str| {
        format!(
            r#"{{"deny_if":[{{"conditions":[{{"path":"args.n","op":"contains","value":{value}}}]}}],"require":[{THERE}{require}]}}"#
        )
    };
    for value in [r#""rm -rf""#, r#"".ssh""#, r#""/etc/""#, r#""; ""#] {
        let warned = format!(
            "/deny_if/0/conditions/0: in a list, `contains` finds whole elements only, not {value} inside one"
        );
        check(&block(value, ""), &[&warned]);
        let text = r#",{"conditions":[{"path":"args.n","op":"regex","value":"^"}]}"#;
        check(&block(value, text), &[]);
    }
    check(&block(r#""--force""#, ""), &[]);
    check(&block(r#""secrets""#, ""), &[]);
}

#[test]
fn d84_patterns_that_can_cost_too_much_are_named() {
    let block = |pattern: &str| {
        format!(
            r#"{{"require":[{{"conditions":[{{"path":"args.n","op":"regex","value":"{pattern}"}}]}}]}}"#
        )
    };
    check(&block("^[a-z]+$"), &[]);
    check(
        &block("(a|b)*a(a|b){20}c"),
        &[
            "/require/0/conditions/0: there are texts of 4 MiB in which \"(a|b)*a(a|b){20}c\" takes too much work to check; such a call is refused",
        ],
    );
    check(
        &block(r"\\bid\\b"),
        &[
            r#"/require/0/conditions/0: "\\bid\\b" takes too much work to check in a text of more than 81 KiB with characters beyond ASCII; such a call is refused"#,
        ],
    );
}

#[test]
fn rules_for_nothing_and_against_everything() {
    check(
        r#"{"require":[{"conditions":[]}]}"#,
        &["/require/0: this requires nothing"],
    );
    check(
        r#"{"require":[{"conditions":[{"path":"args.a","op":"in","value":[]}]}]}"#,
        &["/require/0/conditions/0/value: an empty list matches nothing, so every call is denied"],
    );
    check(
        r#"{"approve_if":[{"conditions":[{"path":"args.a","op":"under","value":[]}]}]}"#,
        &["/approve_if/0/conditions/0/value: an empty list matches nothing, so nobody is asked"],
    );
    check(
        r#"{"require":[{"conditions":[{"path":"args.a","op":"exists","value":true}]}],
        "deny_if":[{"conditions":[{"path":"args.a","op":"argv_in","value":["rm"]}]}]}"#,
        &[
            "/deny_if/0/conditions/0: the same command in another spelling, such as `/bin/rm` for `rm`, is not refused by this rule",
        ],
    );
}

#[test]
fn limits_that_never_fire_or_always_do() {
    let limit = |fields: &str| format!(r#"{{"limits":[{{"counter":"c",{fields}}}]}}"#);
    check(
        &limit(r#""window":"minute","max":5,"increment":0"#),
        &["/limits/0: the limit can never be reached: each call adds zero"],
    );
    check(
        &limit(r#""window":"minute","max":0"#),
        &["/limits/0: the limit refuses every call"],
    );
    check(
        &limit(r#""window":"minute","max":1,"increment":1.5"#),
        &["/limits/0: the limit refuses every call"],
    );
    check(
        &limit(r#""concurrent":0"#),
        &["/limits/0: the limit refuses every call"],
    );
    check(
        &limit(r#""window":"minute","max":0,"increment_from":"args.n""#),
        &[],
    );
    check(
        &limit(r#""concurrent":1,"scope":"session""#),
        &["/limits/0/scope: when an agent reconnects, this counter starts from zero"],
    );
    check(
        r#"{"rate_limit":{"max":0,"window":1}}"#,
        &["/rate_limit: the limit refuses every call"],
    );
}

#[test]
fn whole_policies() {
    let one = |text: &str| warned(text, None).join("|");
    assert_eq!(
        one("{\n  \"version\": \"1\",\n  \"default\": \"deny\"\n}"),
        "3:3 /default: no tool is allowed: nothing is listed and the default is deny"
    );
    assert_eq!(
        one(r#"{"version":"1","default":"allow","hide":"*"}"#),
        "1:34 /hide: every tool is hidden and refused"
    );
    assert_eq!(
        one(r#"{"version":"1","default":"allow","hide":["a*"],"tools":{"a/b":{}}}"#),
        "1:57 /tools/a~1b: no tool is called `a/b`: calls of it are refused\
        |1:57 /tools/a~1b: `a/b` is hidden, so the rules here are never reached"
    );
    assert_eq!(
        one(
            r#"{"version":"1","default":"allow","all_tools":{"limits":[{"counter":"c","window":"day","max":1,"increment_from":"args.n"}]}}"#
        ),
        "1:95 /all_tools/limits/0/increment_from: every tool without a number at `args.n` is denied"
    );
    assert_eq!(
        one(
            r#"{"version":"1","default":"allow","methods":{"allow":["ping","resource/read","sampling/x","vendor/x"],"deny":["sampling/*"]}}"#
        ),
        "1:54 /methods/allow/0: `ping` always passes, whatever a policy says\
        |1:61 /methods/allow/1: the protocol does not know `resource/read`\
        |1:77 /methods/allow/2: `sampling/x` is denied by `methods.deny`"
    );
}

#[test]
fn names_that_no_tool_has() {
    let named = |key: &str| {
        let text = format!(r#"{{"version":"1","default":"deny","tools":{{"{key}":{{}}}}}}"#);
        warned(&text, None).join("|")
    };
    for key in ["files/read", "..read", "files/*", "*..*", "a\\u0007"] {
        let warned = named(key);
        assert!(warned.contains(": no tool is called `"), "{key}: {warned}");
    }
    let long = "x".repeat(129);
    assert!(named(&long).contains(": no tool is called `"));
    for key in ["files_read~raw", "files.read", "a.*.b", "ü"] {
        assert_eq!(named(key), "");
    }
}

#[test]
fn names_the_server_does_not_offer() {
    let text = r#"{"version":"1","default":"deny","hide":["vm_terminate","nothing_*"],"tools":{"distributeWrok":{},"git_*":{},"zzz":{},"spawn":{}}}"#;
    let tools = ["distributeWork", "spawn", "vm_terminate"];
    assert_eq!(
        warned(text, Some(&tools)),
        [
            "1:56 /hide/1: `nothing_*` covers no tool of the server",
            "1:78 /tools/distributeWrok: the server has no tool `distributeWrok`",
            "1:98 /tools/git_*: `git_*` covers no tool of the server",
            "1:109 /tools/zzz: the server has no tool `zzz`",
        ]
    );
    let policy = Policy::parse(text).unwrap();
    let offer = Offer::read(&serde_json::json!(tools)).unwrap();
    let hints: Vec<_> = warnings(&policy, Some(&offer))
        .into_iter()
        .filter_map(|w| w.hint)
        .collect();
    assert_eq!(hints, ["did you mean `distributeWork`?"]);
}

#[test]
fn d43_arguments_the_tools_do_not_have() {
    let offer = Offer::read(&serde_json::json!([
        {"name": "checkout", "inputSchema": {"properties": {"repo_path": {}, "branch_name": {}}}},
        {"name": "diff_a", "inputSchema": {"properties": {"repo_path": {}}}},
        {"name": "diff_b", "inputSchema": {"properties": {"lines": {}}}},
        {"name": "secret", "inputSchema": {"properties": {}}},
        {"name": "free", "inputSchema": {"type": "object"}},
    ]))
    .unwrap();
    let condition = |path: &str| {
        format!(r#"{{"conditions":[{{"path":"args.{path}","op":"exists","value":true}}]}}"#)
    };
    let words = |tools: &str, all_tools: &str| {
        let text = format!(
            r#"{{"version":"1","default":"deny","hide":["secret"],"tools":{tools},"all_tools":{{"require":[{all_tools}]}}}}"#
        );
        let found = warnings(&Policy::parse(&text).unwrap(), Some(&offer));
        let told = |w: &Diagnostic| {
            let hint = w.hint.clone().unwrap_or_default();
            format!("{}: {} ({hint})", w.pointer, w.message)
        };
        found.iter().map(told).collect::<Vec<_>>()
    };
    let lists = format!(
        r#"{{"checkout":{{"require":[{}],"deny_if":[{},{}],"approve_if":[{}],
            "limits":[{{"counter":"c","window":"day","max":1,"increment_from":"args.n"}}]}}}}"#,
        condition("branch"),
        condition("repo_path"),
        condition("branch_name"),
        condition("banana.split"),
    );
    assert_eq!(
        words(&lists, &condition("repo_path")),
        [
            "/tools/checkout/require/0/conditions/0/path: `checkout` of the server has no argument `args.branch` (`args` has `branch_name` and `repo_path`)",
            "/tools/checkout/approve_if/0/conditions/0/path: `checkout` of the server has no argument `args.banana` (`args` has `branch_name` and `repo_path`)",
            "/tools/checkout/limits/0/increment_from: `checkout` of the server has no argument `args.n` (`args` has `branch_name` and `repo_path`)",
        ]
    );
    let glob = |path: &str| format!(r#"{{"diff_*":{{"require":[{}]}}}}"#, condition(path));
    assert_eq!(words(&glob("lines"), ""), [""; 0]);
    assert_eq!(
        words(&glob("repo_pth"), ""),
        [
            "/tools/diff_*/require/0/conditions/0/path: no tool that `diff_*` decides about has an argument `args.repo_pth` (did you mean `args.repo_path`?)"
        ]
    );
    // A tool of that name is decided about by the exact key, so the glob is about the other alone.
    let both = format!(
        r#"{{"diff_*":{{"require":[{}]}},"diff_b":{{}}}}"#,
        condition("lines")
    );
    assert_eq!(
        words(&both, ""),
        [
            "/tools/diff_*/require/0/conditions/0/path: no tool that `diff_*` decides about has an argument `args.lines` (`args` has `repo_path`)"
        ]
    );
    // What says nothing of its arguments may have any.
    let free = format!(r#"{{"free":{{"require":[{}]}}}}"#, condition("x"));
    assert_eq!(words(&free, &condition("x")), [""; 0]);
}

#[test]
fn a_plain_policy_has_nothing_to_warn_about() {
    assert_eq!(
        warned(
            include_str!("../../../../examples/policies/spawn.json"),
            Some(&["spawn"])
        ),
        [""; 0]
    );
}
