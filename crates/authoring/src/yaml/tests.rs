use super::*;

fn json(text: &str) -> String {
    read(text).unwrap().to_literal().to_line()
}

#[test]
fn values_keep_their_kind_and_numbers_their_text() {
    let text = "a: 12345678901234567890.12345678901\nb: [1, -2.50, 0x10, '1', yes, true, ~]\nc: {d: \"x\\ny\"}\n";
    assert_eq!(
        json(text),
        r#"{"a": 12345678901234567890.12345678901, "b": [1, -2.50, 16, "1", "yes", true, null], "c": {"d": "x\ny"}}"#
    );
}

#[test]
fn big_numbers_are_exact() {
    assert_eq!(
        json("[123456789012345678901234567890]"),
        "[123456789012345678901234567890]"
    );
}

#[test]
fn every_value_and_key_knows_its_place() {
    let Content::Map(members) = read("one: 1\ntwo:\n  - three\n").unwrap().content else {
        panic!()
    };
    let (key, value) = &members[1];
    assert_eq!(key.place, Place { line: 2, column: 1 });
    let Content::List(elements) = &value.content else {
        panic!()
    };
    assert_eq!(elements[0].place, Place { line: 3, column: 5 });
}

#[test]
fn anchors_and_merges_are_read() {
    assert_eq!(
        json("a: &x {p: 1}\nb: *x\nc: {<<: *x, q: 2}\n"),
        r#"{"a": {"p": 1}, "b": {"p": 1}, "c": {"q": 2, "p": 1}}"#
    );
}

#[test]
fn what_is_not_yaml_is_refused_with_its_line() {
    for (text, line) in [
        ("a: 1\na: 2\n", 2),
        ("a: [1\nb: 2\n", 2),
        ("a: .inf\n", 1),
        ("--- 1\n--- 2\n", 2),
    ] {
        let error = read(text).unwrap_err();
        assert_eq!(error.place.line, line, "{text}: {}", error.message);
    }
    let deep = "[".repeat(5_000);
    assert!(read(&deep).is_err());
}
