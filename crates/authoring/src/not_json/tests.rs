use super::*;

fn found(text: &str) -> Vec<Diagnostic> {
    parse(text).unwrap_err()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let words = |d: &Diagnostic| {
        let hint = d.hint.as_ref().map(|hint| format!(" ({hint})"));
        format!("{}: {}{}", d.pointer, d.message, hint.unwrap_or_default())
    };
    let words: Vec<_> = found(text).iter().map(words).collect();
    assert_eq!(words, expected, "{text}");
}

#[test]
fn what_is_json_is_read_like_everywhere() {
    let text = r#"{"version":"1","default":"deny"}"#;
    assert_eq!(parse(text), Policy::parse(text));
    assert_eq!(parse("{}"), Policy::parse("{}"));
}

#[test]
fn a_byte_order_mark_is_named() {
    check(
        "\u{feff}{}",
        &[
            ": byte order mark (save it as UTF-8 without a byte order mark: readers disagree about what one means)",
        ],
    );
}

#[test]
fn d51_slips_of_the_hand_get_a_hint_and_their_place() {
    let at = |text: &str| {
        let found = found(text);
        assert_eq!(found.len(), 1, "{found:?}");
        (found[0].line, found[0].column, found[0].message.clone())
    };
    let comma = "a comma with nothing after it";
    assert_eq!(
        at("{\"version\": \"1\",\n \"tools\": {},\n}"),
        (2, 13, comma.to_owned())
    );
    assert_eq!(at("{\"hide\": [\"a\", \n ]}"), (1, 14, comma.to_owned()));
    let comma = ": a comma with nothing after it (take it out: JSON has no comma before a closing `}` or `]`)";
    check("{\"a\":1,}", &[comma]);
    // Two commas are no such slip.
    check("[1,,2]", &[": expected a value"]);
    let comment = ": a comment (take it out: JSON has no comments. `description` at the top of a policy is text for people)";
    for text in [
        "// x\n{}",
        "{ // x\n}",
        "{\"version\": \"1\", /* x */ \"default\": \"deny\"}",
        "{\"version\": \"1\" # x\n}",
    ] {
        check(text, &[comment]);
    }
    // Inside of text they mean nothing.
    check("{\"version\": \"// x, }\" ]", &[": expected `,` or `}`"]);
    let quotes = ": a quotation mark that JSON does not know (text and names stand in straight double quotes: `\"deny\"`)";
    check("{'version': '1'}", &[quotes]);
    check("{“version”: 1}", &[quotes]);
}

#[test]
fn d51_yaml_is_told_from_broken_json() {
    let hint = |text: &str| {
        let found = found(text);
        found[0].hint.clone().unwrap_or_default()
    };
    assert_eq!(
        hint("# ours\nversion: \"1\"\ndefault: deny\n"),
        "policies are JSON, and this is YAML: `yq -o=json . FILE > policy.json` converts it"
    );
    assert!(hint("---\nversion: '1'\ntools:\n  a:\n    rules: []\n").contains("policy import"));
    assert!(hint("suites:\n  - cases: []\n").contains("policy test POLICY CASES"));
    for text in ["", "hello", "{", "{\"a\": b}", "[a]", "- a\n- b\n"] {
        assert_eq!(hint(text), "", "{text}");
    }
}
