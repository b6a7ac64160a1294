use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

fn accept(text: &str) -> Document<'_> {
    read(text.as_bytes(), Bounds::default()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refuse(text: impl AsRef<[u8]>) -> JsonError {
    let text = text.as_ref();
    match read(text, Bounds::default()) {
        Err(error) => error,
        Ok(_) => panic!("accepted {}", String::from_utf8_lossy(text)),
    }
}

/// What a value means, for comparing with another reader.
fn meaning(value: Value<'_>) -> serde_json::Value {
    match value.kind() {
        Kind::Null => serde_json::Value::Null,
        Kind::Bool => value.as_bool().unwrap().into(),
        Kind::Number => serde_json::from_str(value.as_number().unwrap()).unwrap(),
        Kind::String => value.as_str().unwrap().into_owned().into(),
        Kind::Array => value.elements().map(meaning).collect(),
        Kind::Object => {
            let members = value
                .members()
                .map(|m| (m.name().into_owned(), meaning(m.value)));
            serde_json::Value::Object(members.collect())
        }
    }
}

#[test]
fn reads_every_kind() {
    let text =
        r#" { "a" : [1, -2.5e+3, "x\n\"\u00e9\ud83d\ude00", true, false, null, {}, []], "": "" } "#;
    let document = accept(text);
    let root = document.root();
    assert_eq!(root.kind(), Kind::Object);
    assert_eq!(root.len(), 2);
    assert_eq!(root.raw(), text.trim());
    let list = root.get("a").unwrap();
    assert_eq!(list.len(), 8);
    let elements: Vec<_> = list.elements().collect();
    assert_eq!(elements[0].as_number(), Some("1"));
    assert_eq!(elements[1].as_number(), Some("-2.5e+3"));
    assert_eq!(elements[2].as_str().unwrap(), "x\n\"é😀");
    assert_eq!(elements[3].as_bool(), Some(true));
    assert_eq!(elements[4].as_bool(), Some(false));
    assert!(elements[5].is_null());
    assert!(elements[6].is_empty() && elements[6].kind() == Kind::Object);
    assert!(elements[7].is_empty() && elements[7].kind() == Kind::Array);
    assert_eq!(root.get("").unwrap().as_str().unwrap(), "");
    assert!(root.get("b").is_none());
    assert!(list.get("a").is_none());
    assert_eq!(list.members().count(), 0);
    assert_eq!(elements[0].elements().count(), 0);
}

#[test]
fn borrows_strings_without_escapes() {
    let document = accept(r#"["plain é", "esc\u0061ped"]"#);
    let strings: Vec<_> = document
        .root()
        .elements()
        .map(|e| e.as_str().unwrap())
        .collect();
    assert!(matches!(strings[0], Cow::Borrowed("plain é")));
    assert!(matches!(&strings[1], Cow::Owned(text) if text == "escaped"));
    assert!(document.root().elements().nth(1).unwrap().is_str("escaped"));
}

#[test]
fn finds_escaped_keys() {
    let document = accept(r#"{"\u006dethod": 1}"#);
    assert_eq!(
        document.root().get("method").unwrap().as_number(),
        Some("1")
    );
}

#[test]
fn keeps_big_numbers_as_text() {
    for number in [
        "9007199254740993",
        "123456789012345678901234567890",
        "1E400",
        "-0",
        "0.10",
    ] {
        assert_eq!(accept(number).root().as_number(), Some(number));
    }
}

#[test]
fn refuses_what_the_grammar_does_not_know() {
    let table: &[(&str, Problem)] = &[
        ("", Problem::End),
        ("  ", Problem::End),
        (
            "NaN",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (
            "Infinity",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        ("-Infinity", Problem::Number),
        (
            "nan",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (
            "True",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        ("tru", Problem::End),
        (
            "trux",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        ("truex", Problem::Trailing),
        ("01", Problem::Number),
        ("-01", Problem::Number),
        ("1.", Problem::End),
        ("1.x", Problem::Number),
        ("[1.]", Problem::Number),
        (
            ".5",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        ("-", Problem::End),
        ("[-]", Problem::Number),
        (
            "+1",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        ("1e", Problem::End),
        ("[1e+]", Problem::Number),
        ("0x10", Problem::Number),
        ("1.2.3", Problem::Number),
        ("{} {}", Problem::Trailing),
        ("1 2", Problem::Trailing),
        ("{},", Problem::Trailing),
        ("\"a\" \u{0}", Problem::Trailing),
        (
            "[1,]",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (
            "[,1]",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (
            "[1 2]",
            Problem::Syntax {
                expected: "`,` or `]`",
            },
        ),
        (
            "[1}",
            Problem::Syntax {
                expected: "`,` or `]`",
            },
        ),
        (
            r#"{"a":1]"#,
            Problem::Syntax {
                expected: "`,` or `}`",
            },
        ),
        (
            r#"{"a":1,}"#,
            Problem::Syntax {
                expected: "a key in quotes",
            },
        ),
        (
            r#"{a:1}"#,
            Problem::Syntax {
                expected: "a key in quotes",
            },
        ),
        (
            r#"{1:1}"#,
            Problem::Syntax {
                expected: "a key in quotes",
            },
        ),
        (r#"{"a" 1}"#, Problem::Syntax { expected: "`:`" }),
        (r#"{"a"}"#, Problem::Syntax { expected: "`:`" }),
        (
            "{'a':1}",
            Problem::Syntax {
                expected: "a key in quotes",
            },
        ),
        (
            "// x\n1",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (
            "\u{a0}1",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (
            "\u{c}1",
            Problem::Syntax {
                expected: "a value",
            },
        ),
        (r#""\x""#, Problem::Escape),
        (r#""\u12g4""#, Problem::Escape),
        (r#""\u+123""#, Problem::Escape),
        (r#""\U0041""#, Problem::Escape),
        ("\u{feff}{}", Problem::Bom),
    ];
    for (text, problem) in table {
        assert_eq!(&refuse(text).problem, problem, "{text:?}");
    }
}

#[test]
fn item_22_to_24_refuses_duplicate_keys_plain_and_escaped_at_each_depth() {
    let spellings = [
        r#""a":1,"a":2"#,
        r#""a":1,"\u0061":2"#,
        r#""\u0061":1,"a":2"#,
        r#""\u0061":1,"\u0061":1"#,
    ];
    for inner in spellings {
        let mut text = format!("{{{inner}}}");
        for depth in 0..20 {
            let error = refuse(&text);
            assert_eq!(
                error.problem,
                Problem::DuplicateKey { key: "a".into() },
                "{text}"
            );
            assert!(
                text[error.offset..].starts_with(&inner[inner.find(',').unwrap() + 1..]),
                "{text}"
            );
            text = if depth % 2 == 0 {
                format!(r#"{{"x":{text},"a":0}}"#)
            } else {
                format!("[0,{text}]")
            };
        }
    }
}

#[test]
fn refuses_a_duplicate_among_many_keys() {
    for count in [2, 15, 16, 17, 500] {
        let keys: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        accept(&format!("{{{}}}", keys.join(",")));
        let error = refuse(format!("{{{},\"\\u006b{}\":0}}", keys.join(","), count - 1));
        assert_eq!(
            error.problem,
            Problem::DuplicateKey {
                key: format!("k{}", count - 1)
            }
        );
    }
}

#[test]
fn the_same_key_in_different_objects_is_no_duplicate() {
    accept(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#);
}

#[test]
fn item_33_refuses_invalid_utf8_and_surrogates_and_control_characters_and_bom() {
    for bad in [
        &b"\"\xff\""[..],
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"\"\xc3\"",
        b"\xfe\xff",
        b"{\"\xff\":1}",
    ] {
        assert_eq!(refuse(bad).problem, Problem::Utf8, "{bad:?}");
    }
    for bad in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\n1234""#,
        r#""\ud800\ud800""#,
        r#""\ud800\u0041""#,
        r#"{"\udfff":1}"#,
    ] {
        assert_eq!(refuse(bad).problem, Problem::Surrogate, "{bad}");
    }
    for control in 0..0x20_u8 {
        let text = format!("\"12345678{}\"", char::from(control));
        let error = refuse(&text);
        assert_eq!(
            (error.problem, error.offset),
            (Problem::Control, 9),
            "{control}"
        );
    }
    accept("\"\u{7f}\u{80}\u{2028}\u{feff}\"");
    assert_eq!(accept(r#""\u0000""#).root().as_str().unwrap(), "\0");
    assert_eq!(refuse("\u{feff}1").problem, Problem::Bom);
}

#[test]
fn item_32_refuses_depth_and_key_bombs_quickly() {
    let many_keys: String = (0..1_000_000).map(|n| format!("\"{n}\":0,")).collect();
    let escaped_keys: String = (0..100_000).map(|n| format!("\"\\u0061{n}\":0,")).collect();
    let bombs = [
        ("[".repeat(10_000), Problem::TooDeep { limit: 127 }),
        (r#"{"a":"#.repeat(10_000), Problem::TooDeep { limit: 127 }),
        ("[".repeat(10_000_000), Problem::TooDeep { limit: 127 }),
        (
            format!("{{{many_keys}\"x\":0}}"),
            Problem::TooMany { limit: 100_000 },
        ),
        (
            format!("{{{escaped_keys}\"x\":0}}"),
            Problem::TooMany { limit: 100_000 },
        ),
        (
            format!("[{}0]", "0,".repeat(1_000_000)),
            Problem::TooMany { limit: 100_000 },
        ),
    ];
    // Far above what it takes, far below what quadratic time would.
    let start = Instant::now();
    for (text, problem) in bombs {
        assert_eq!(refuse(text).problem, problem);
    }
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn many_different_keys_take_linear_time() {
    let keys: Vec<_> = (0..200_000).map(|n| format!("\"k{n}\":0")).collect();
    let text = format!("{{{}}}", keys.join(","));
    let start = Instant::now();
    let bounds = Bounds {
        nodes: 1_000_000,
        ..Bounds::default()
    };
    assert_eq!(read(text.as_bytes(), bounds).unwrap().root().len(), 200_000);
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn depth_is_counted_exactly() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    accept(&nested(127));
    assert_eq!(refuse(nested(128)).problem, Problem::TooDeep { limit: 127 });
    assert!(serde_json::from_str::<serde_json::Value>(&nested(127)).is_ok());
    // Depth goes down again when something closes.
    accept(&format!("[{}[]]", "[[]],".repeat(1_000)));
}

#[test]
fn refuses_every_prefix_of_a_message() {
    let text = r#"{"jsonrpc":"2.0","id":12,"method":"tools/call","params":{"name":"x\u00e9\ud83d\ude00","arguments":{"a":[1.5e3,true,null,"\\"],"b":{}}}}"#;
    accept(text);
    for end in 0..text.len() {
        assert_eq!(
            refuse(&text.as_bytes()[..end]).problem,
            Problem::End,
            "{}",
            &text[..end]
        );
    }
}

#[test]
fn says_where() {
    let text = "{\n  \"é\": 1,\n  \"x\" 2\n}";
    let error = refuse(text);
    assert_eq!(error.line_column(text.as_bytes()), (3, 7));
    assert_eq!(error.to_string(), "expected `:` at byte 19");
    assert_eq!(line_column(text.as_bytes(), 8), (2, 6));
    assert_eq!(line_column(b"", 5), (1, 1));
}

#[test]
fn folds_what_only_looks_different() {
    let check = |text: &str, folded: &str| assert_eq!(fold(text), folded, "{text}");
    check("name", "name");
    check("Name", "name");
    check("ｎａｍｅ", "name");
    check("paramſ", "params");
    check("STRASSE", "strasse");
    check("straße", "strasse");
    check("\u{212a}ey", "key");
    check("na\u{200b}me", "name");
    check("ﬁle", "file");
    check("E\u{301}", "é");
    assert!(matches!(fold("plain_1"), Cow::Borrowed(_)));
}

#[test]
fn finds_keys_that_fold_to_each_other() {
    let check = |text: &str, expected: Option<&str>| {
        let found = Folder::default().distinct_keys(accept(text).root());
        let expected = expected.map(|key| KeyProblem::Duplicate(key.to_owned()));
        assert_eq!(found.err(), expected, "{text}");
    };
    check(r#"{"a":1,"b":2}"#, None);
    check(r#"{"a":1,"A":2}"#, Some("A"));
    check(r#"{"params":1,"param\u017f":2}"#, Some("paramſ"));
    let many: String = (0..40).map(|n| format!("\"k{n}\":0,")).collect();
    check(&format!("{{{many}\"x\":0}}"), None);
    check(&format!("{{{many}\"K39\":0}}"), Some("K39"));
}

#[test]
fn finds_lookalikes_of_names() {
    let check = |text: &str, expected: Option<&str>| {
        let found = Folder::default().exact_keys(accept(text).root(), &["name", "arguments"]);
        let expected = expected.map(|key| KeyProblem::Lookalike(key.to_owned()));
        assert_eq!(found.err(), expected, "{text}");
    };
    check(r#"{"name":1,"other":2}"#, None);
    check(r#"{"Name":1}"#, Some("Name"));
    check(r#"{"ｎame":1}"#, Some("ｎame"));
    check(r#"{"argument\u017f":{}}"#, Some("argumentſ"));
    check(r#"{"\u006eame":1}"#, None);
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
        "[ -~]{0,20}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(".{0,6}", inner, 0..8)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Whether `serde_json` takes the text; its own range of numbers aside.
fn serde_takes(text: &[u8]) -> Option<serde_json::Value> {
    serde_json::from_slice(text).ok()
}

proptest! {
    #[test]
    fn reads_what_serde_json_wrote(value in json_value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        // Read back, because `serde_json` rounds floats when it reads.
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(meaning(accept(&text).root()), value);
    }

    #[test]
    fn accepts_nothing_that_serde_json_refuses(
        value in json_value(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>(), 0..16_usize), 1..4),
    ) {
        const SPICE: &[u8; 16] = b"{}[]\",:\\u0-.eE \n";
        let mut text = serde_json::to_vec(&value).unwrap();
        for (place, how, byte, spice) in edits {
            let at = place.index(text.len() + 1);
            match how {
                0 if at < text.len() => { text.remove(at); }
                1 if at < text.len() => text[at] = byte,
                _ => text.insert(at, SPICE[spice]),
            }
        }
        if let Ok(document) = read(&text, Bounds::default()) {
            let numbers_fit = !String::from_utf8_lossy(&text).contains(['e', 'E']);
            match serde_takes(&text) {
                Some(expected) => prop_assert_eq!(meaning(document.root()), expected),
                None => prop_assert!(!numbers_fit, "{}", String::from_utf8_lossy(&text)),
            }
        }
    }

    #[test]
    fn never_panics_on_bytes(text in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(document) = read(&text, Bounds::default()) {
            prop_assert_eq!(serde_takes(&text), Some(meaning(document.root())));
        }
    }

    #[test]
    fn never_panics_on_json_like_text(text in "[\\[\\]{}\",:\\\\u0-9a-f.eE+ \\-]{0,40}") {
        let _ = read(text.as_bytes(), Bounds::default());
    }
}
