//! What is refused, where, and with which hint.

use super::*;

fn found(text: &str) -> Vec<Diagnostic> {
    match Policy::parse(text) {
        Err(found) => {
            assert!(
                found
                    .iter()
                    .all(|diagnostic| diagnostic.severity == Severity::Error)
            );
            found
        }
        Ok(_) => panic!("accepted {text}"),
    }
}

/// All errors as `pointer: message (hint)`.
fn words(text: &str) -> Vec<String> {
    let words = |d: &Diagnostic| {
        let hint = d
            .hint
            .as_ref()
            .map(|hint| format!(" ({hint})"))
            .unwrap_or_default();
        format!("{}: {}{hint}", d.pointer, d.message)
    };
    found(text).iter().map(words).collect()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(words(text), expected, "{text}");
}

/// Errors in one tool `t`, with pointers from there.
#[track_caller]
fn check_tool(tool: &str, expected: &[&str]) {
    let text = format!(r#"{{"version":"1","default":"deny","tools":{{"t":{tool}}}}}"#);
    let words: Vec<_> = words(&text)
        .iter()
        .map(|w| w.strip_prefix("/tools/t").unwrap().to_owned())
        .collect();
    assert_eq!(words, expected, "{text}");
}

#[test]
fn texts_that_are_no_json() {
    check("", &[": unexpected end of the text"]);
    check("{", &[": unexpected end of the text"]);
    check("\u{feff}{}", &[": byte order mark"]);
    check("{} x", &[": unexpected text after the value"]);
    let diagnostic = &found("{\n  \"version\": \"1\",\n  \"default\": deny\n}")[0];
    assert_eq!((diagnostic.line, diagnostic.column), (3, 14));
    assert_eq!(
        diagnostic.to_string(),
        "error: line 3, column 14: expected a value"
    );
}

#[test]
fn whole_documents() {
    check("[]", &[": expected an object, found a list"]);
    check("{}", &[": `version` is missing", ": `default` is missing"]);
    check(
        r#"{"version":1,"default":"Deny"}"#,
        &[
            "/version: unknown version `1` (the version is `\"1\"`, as text)",
            "/default: unknown default `Deny` (did you mean `deny`?)",
        ],
    );
    check(
        r#"{"version":"2","default":"ask","tool":{},"xyz":1}"#,
        &[
            "/version: unknown version `\"2\"` (the version is `\"1\"`, as text)",
            "/default: unknown default `ask` (known ones are `allow` and `deny`)",
            "/tool: unknown field `tool` (did you mean `tools`?)",
            "/xyz: unknown field `xyz` (known ones are `version`, `default`, `description`, `hide`, `methods`, `all_tools`, `tools` and `$schema`)",
        ],
    );
    check(
        r#"{"version":"1","default":"deny","description":1,"hide":"x","methods":[],"all_tools":{"tools":{}},"tools":[]}"#,
        &[
            "/description: expected text, found a number",
            "/hide: expected a list, found text (only `\"*\"` may stand alone; names stand in a list)",
            "/methods: expected an object, found a list",
            "/all_tools/tools: unknown field `tools` (known ones are `require`, `deny_if`, `approve_if` and `limits`)",
            "/tools: expected an object, found a list",
        ],
    );
    check(
        r#"{"version":"1","default":"deny","hide":["a","",1,"a"],"methods":{"allow":["tools/call"]}}"#,
        &[
            "/hide/1: the name is empty",
            "/hide/2: expected text, found a number",
            "/hide/3: `a` is listed twice",
            "/methods/allow/0: `tools/call` is not governed by `methods` (tool calls are governed by `default`, `tools` and `all_tools`)",
        ],
    );
}

#[test]
fn every_error_at_once_with_its_place() {
    let text = r#"{
  "version": "1",
  "default": "deny",
  "tools": {
    "spawn": {
      "limits": [
        { "counter": "é", "window": "fortnight", "max": -1 }
      ],
      "deny_iff": []
    }
  }
}"#;
    let places: Vec<_> = found(text)
        .iter()
        .map(|d| (d.line, d.column, d.message.clone()))
        .collect();
    assert_eq!(
        places,
        [
            (7, 37, "unknown window `fortnight`".into()),
            (7, 57, "`-1` is a negative number".into()),
            (9, 7, "unknown field `deny_iff`".into()),
        ]
    );
    insta::assert_snapshot!(found(text)[0], @r##"
    error: line 7, column 37, /tools/spawn/limits/0/window: unknown window `fortnight`
      hint: windows are `minute`, `hour`, `day`, or a length such as `90s`, up to 31 days
    "##);
}

#[test]
fn duplicate_keys_are_all_reported() {
    check(
        r#"{"version":"1","default":"deny","tools":{"a":{"limits":[],"limits":[]},"b":{},"\u0062":{}},"version":"1"}"#,
        &[
            "/tools/a/limits: duplicate key `limits` (only one of the two would count)",
            "/tools/b: duplicate key `b` (only one of the two would count)",
            "/version: duplicate key `version` (only one of the two would count)",
        ],
    );
    check(
        r#"{"version":"1","default":"deny","tools":{"a":{"deny_if":[{"conditions":[{"path":"args.x","op":"eq","value":{"k":1,"k":2}}]}]}}}"#,
        &[
            "/tools/a/deny_if/0/conditions/0/value/k: duplicate key `k` (only one of the two would count)",
        ],
    );
}

#[test]
fn tools() {
    let all = |tools: &str| {
        words(&format!(
            r#"{{"version":"1","default":"deny","tools":{{{tools}}}}}"#
        ))
    };
    let bare = "rules for every call stand in `all_tools`; `default` says what happens to the rest";
    assert_eq!(
        all(r#""*":{}"#),
        [format!(
            "/tools/*: a bare `*` cannot be the name of a tool ({bare})"
        )]
    );
    assert_eq!(
        all(r#""**":{}"#),
        [format!(
            "/tools/**: a bare `**` cannot be the name of a tool ({bare})"
        )]
    );
    assert_eq!(all(r#""":{}"#), ["/tools/: the name of a tool is empty"]);
    assert_eq!(
        all(r#""a*":{},"*b":{},"a*b":{},"*aa":{}"#),
        [
            "/tools/*b: `*b` and `a*` cover the same names and neither wins (the glob with the most literal characters wins: make one longer)",
        ]
    );
    let many: Vec<_> = (0..257).map(|n| format!(r#""{n}_*":{{}}"#)).collect();
    assert_eq!(all(&many.join(",")), ["/tools: more than 256 globs"]);
    check_tool("[]", &[": expected an object, found a list"]);
    check_tool(
        r#"{"action":"block","reason":1,"rate_limits":{}}"#,
        &[
            "/action: unknown action `block` (known ones are `allow`, `deny` and `require_approval`)",
            "/reason: expected text, found a number",
            "/rate_limits: unknown field `rate_limits` (did you mean `rate_limit`?)",
        ],
    );
}

#[test]
fn predicates_and_conditions() {
    check_tool(
        r#"{"require":{}}"#,
        &["/require: expected a list, found an object"],
    );
    check_tool(
        r#"{"require":[1,{},{"conditions":{}},{"conditions":[],"on_deny":1,"when":1}]}"#,
        &[
            "/require/0: expected an object, found a number",
            "/require/1: `conditions` is missing",
            "/require/2/conditions: expected a list, found an object",
            "/require/3/on_deny: expected text, found a number",
            "/require/3/when: unknown field `when` (known ones are `conditions` and `on_deny`)",
        ],
    );
    let condition = |text: &str| format!(r#"{{"deny_if":[{{"conditions":[{text}]}}]}}"#);
    let at = "/deny_if/0/conditions/0";
    let check = |text: &str, expected: &[&str]| {
        let expected: Vec<_> = expected.iter().map(|e| format!("{at}{e}")).collect();
        check_tool(
            &condition(text),
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    check("1", &[": expected an object, found a number"]);
    check(
        "{}",
        &[
            ": `path` is missing",
            ": `op` is missing",
            ": `value` is missing",
        ],
    );
    let paths = "paths look like `args.user.name`, `args.items[0]` or `args.items[*].id`";
    check(
        r#"{"path":"a.b","op":"equals","value":1}"#,
        &[
            &format!("/path: invalid path `a.b`: a path begins with `args.` ({paths})"),
            "/op: unknown operator `equals` (known ones are `eq`, `neq`, `in`, `not_in`, `lt`, `lte`, `gt`, `gte`, `regex`, `contains`, `exists`, `under`, `host_in` and `argv_in`)",
        ],
    );
    check(
        r#"{"path":"args.x","op":"greater","value":1,"args":1}"#,
        &[
            "/op: unknown operator `greater` (known ones are `eq`, `neq`, `in`, `not_in`, `lt`, `lte`, `gt`, `gte`, `regex`, `contains`, `exists`, `under`, `host_in` and `argv_in`)",
            "/args: unknown field `args` (known ones are `path`, `op` and `value`)",
        ],
    );
    check(
        r#"{"path":"args.x","op":"notin","value":[]}"#,
        &["/op: unknown operator `notin` (did you mean `not_in`?)"],
    );
    check(
        r#"{"path":"args.x","op":"regex","value":"a("}"#,
        &[
            "/value: invalid pattern `a(`: unclosed group (patterns run in linear time: no look-around, no back-references)",
        ],
    );
    check(
        r#"{"path":"args.x","op":"gt","value":"5"}"#,
        &["/value: `gt` needs a number (write the number without quotes)"],
    );
    check(
        r#"{"path":"args.x","op":"exists"}"#,
        &[": `value` is missing"],
    );
}

#[test]
fn limits() {
    let check = |limit: &str, expected: &[&str]| {
        let expected: Vec<_> = expected.iter().map(|e| format!("/limits/0{e}")).collect();
        check_tool(
            &format!(r#"{{"limits":[{limit}]}}"#),
            &expected.iter().map(String::as_str).collect::<Vec<_>>(),
        );
    };
    check(
        "{}",
        &[
            ": `counter` is missing",
            ": `window` is missing",
            ": `max` is missing",
        ],
    );
    let windows = "windows are `minute`, `hour`, `day`, or a length such as `90s`, up to 31 days";
    for window in [
        "week",
        "0s",
        "32d",
        "745h",
        "1.5h",
        "-1s",
        "s",
        "01s",
        "60",
        "1M",
        "90 s",
        "99999999999999999999s",
        "",
    ] {
        check(
            &format!(r#"{{"counter":"c","window":"{window}","max":1}}"#),
            &[&format!("/window: unknown window `{window}` ({windows})")],
        );
    }
    check(
        r#"{"counter":"c","window":60,"max":1}"#,
        &[&format!("/window: unknown window `60` ({windows})")],
    );
    check(
        r#"{"counter":"","window":"day","max":"10","scope":"user","increment":0.0000000001,"refund":"always"}"#,
        &[
            "/counter: the name is empty",
            "/max: expected a number, found text",
            "/scope: unknown scope `user` (known ones are `grant`, `server` and `session`)",
            "/increment: `0.0000000001` is more than 9 decimals (numbers of a limit have at most 9 decimals)",
            "/refund: unknown refund `always` (known ones are `not_sent` and `failed`)",
        ],
    );
    check(
        r#"{"counter":"c","window":"day","max":1e19}"#,
        &["/max: `1e19` is more than 10^18 (numbers of a limit are at most 10^18)"],
    );
    check(
        r#"{"counter":"c","window":"day","max":1,"increment":1,"increment_from":"args.n"}"#,
        &["/increment_from: a limit has either `increment` or `increment_from`"],
    );
    check(
        r#"{"counter":"c","window":"day","max":1,"increment_from":"args.n[*]"}"#,
        &[
            "/increment_from: `increment_from` needs one value, not `[*]` (name one value, such as `args.amount`)",
        ],
    );
    check(
        r#"{"counter":"c","window":"90s","max":1,"alignment":"calendar"}"#,
        &[
            "/alignment: a window of `90s` has no calendar (`calendar` goes with `minute`, `hour` and `day`)",
        ],
    );
    check(
        r#"{"counter":"c","concurrent":1,"window":"day"}"#,
        &[
            ": a limit has either `window` or `concurrent` (write two limits with different counters)",
        ],
    );
    check(
        r#"{"counter":"c","concurrent":1.5,"max":1}"#,
        &[
            "/concurrent: `concurrent` is a whole number of calls",
            "/max: unknown field `max` (known ones are `counter`, `concurrent` and `scope`)",
        ],
    );
    check_tool(
        r#"{"rate_limit":{"max":"10","window":"minute"}}"#,
        &[
            "/rate_limit/max: expected a number, found text",
            "/rate_limit/window: `window` is a number of seconds, at most 31 days (such as 60; `limits` takes `minute` and lengths such as `90s`)",
        ],
    );
    for window in ["0", "2678401", "1.5", "-1"] {
        assert_eq!(words(&format!(r#"{{"version":"1","default":"deny","tools":{{"t":{{"rate_limit":{{"max":1,"window":{window}}}}}}}}}"#)).len(), 1);
    }
    Policy::parse(r#"{"version":"1","default":"deny","tools":{"t":{"rate_limit":{"max":1,"window":2678400},"limits":[{"counter":"c","window":"31d","max":0},{"counter":"d","window":"24h","max":1,"alignment":"calendar"}]}}}"#).unwrap();
}

#[test]
fn one_counter_has_one_shape() {
    let hint = "give it the same window, alignment and refund everywhere, or another name here";
    let two = |first: &str, second: &str| {
        format!(
            r#"{{"version":"1","default":"deny","all_tools":{{"limits":[{{"counter":"c",{first}}}]}},
            "tools":{{"t":{{"limits":[{{"counter":"c",{second}}}]}}}}}}"#
        )
    };
    let minute = r#""window":"minute","max":1"#;
    for other in [
        r#""window":"hour","max":1"#,
        r#""concurrent":1"#,
        r#""window":"minute","max":1,"alignment":"calendar""#,
        r#""window":"minute","max":1,"refund":"failed""#,
    ] {
        check(
            &two(minute, other),
            &[&format!(
                "/tools/t/limits/0: counter `c` has another window, alignment or refund at /all_tools/limits/0 ({hint})"
            )],
        );
    }
    for same in [
        r#""window":"60s","max":9"#,
        r#""window":"1m","max":1,"increment":2,"scope":"server""#,
        r#""window":"minute","max":1,"alignment":"sliding","refund":"not_sent""#,
    ] {
        Policy::parse(&two(minute, same)).unwrap();
    }
    check(
        r#"{"version":"1","default":"deny","tools":{"A":{"rate_limit":{"max":1,"window":60}},"b":{"limits":[{"counter":"a_rate","window":"day","max":1}]}}}"#,
        &[&format!(
            "/tools/b/limits/0: counter `a_rate` has another window, alignment or refund at /tools/A/rate_limit ({hint})"
        )],
    );
    check_tool(
        r#"{"rate_limit":{"max":1,"window":60},"limits":[{"counter":"t_rate","window":"minute","max":1}]}"#,
        &[
            "/rate_limit: counter `t_rate` is limited twice here (`rate_limit` counts as `t_rate`; write one of the two)",
        ],
    );
    check_tool(
        r#"{"limits":[{"counter":"c","concurrent":1},{"counter":"c","concurrent":2}]}"#,
        &["/limits/1: counter `c` is limited twice here (only the smaller `max` would count)"],
    );
}

/// A document with everything in it that a document may have.
const EVERYTHING: &str = r#"{
  "$schema": "x", "version": "1", "default": "allow", "description": "x", "hide": ["h"],
  "methods": {"allow": ["a"], "deny": ["b"]},
  "all_tools": {
    "require": [{"conditions": [{"path": "args.a", "op": "eq", "value": 1}], "on_deny": "x"}],
    "deny_if": [{"conditions": []}], "approve_if": [{"conditions": []}],
    "limits": [{"counter": "c", "concurrent": 1, "scope": "grant"}]
  },
  "tools": {"t": {
    "description": "x", "action": "allow", "reason": "x",
    "require": [{"conditions": []}], "deny_if": [{"conditions": []}], "approve_if": [{"conditions": []}],
    "rate_limit": {"max": 1, "window": 60},
    "limits": [
      {"counter": "d", "window": "day", "max": 1, "scope": "grant", "increment": 1, "alignment": "sliding", "refund": "failed"},
      {"counter": "e", "window": "day", "max": 1, "increment_from": "args.a"}
    ]
  }}
}"#;

#[test]
fn no_object_of_a_document_takes_a_member_that_nobody_knows() {
    use crate::document::parts::{
        AllTools, Body, ConcurrentLimit, Condition, Methods, Predicate, RateLimit, Tool,
        WindowLimit,
    };
    Policy::parse(EVERYTHING).unwrap();
    let parts = [
        Body::FIELDS,
        Methods::FIELDS,
        AllTools::FIELDS,
        Tool::FIELDS,
        Predicate::FIELDS,
        Condition::FIELDS,
        WindowLimit::FIELDS,
        ConcurrentLimit::FIELDS,
        RateLimit::FIELDS,
    ];
    for field in parts.concat() {
        assert!(EVERYTHING.contains(&format!("{field:?}:")), "`{field}`");
    }
    let mut objects = 0;
    for (at, _) in EVERYTHING.match_indices('{') {
        // The one object whose members have any name.
        if EVERYTHING[..at].ends_with("\"tools\": ") {
            continue;
        }
        objects += 1;
        let (before, after) = EVERYTHING.split_at(at + 1);
        let strange = format!(r#"{before}"strange": 1, {after}"#);
        let found = found(&strange);
        let [only] = found.as_slice() else {
            panic!("{strange}: {found:?}");
        };
        assert_eq!(only.message, "unknown field `strange`", "{strange}");
    }
    assert_eq!(objects, 15);
}

#[test]
fn a_flood_of_errors_is_cut_off() {
    let many: Vec<_> = (0..5_000).map(|n| format!(r#""t{n}":1"#)).collect();
    let text = format!(
        r#"{{"version":"1","default":"deny","tools":{{{}}}}}"#,
        many.join(",")
    );
    assert_eq!(found(&text).len(), 100);
}
