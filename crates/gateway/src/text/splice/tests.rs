use super::*;

fn cut(text: &str, key: &str, value: &str) -> String {
    let key_at = text.find(key).unwrap();
    let value_at = text.find(value).unwrap();
    let splice = without_member(
        text,
        key_at..key_at + key.len(),
        value_at..value_at + value.len(),
    );
    String::from_utf8(apply(Bytes::from(text.to_owned()), vec![splice]).to_vec()).unwrap()
}

#[test]
fn a_member_leaves_with_its_comma() {
    assert_eq!(
        cut(r#"{"a":1,"b":2,"c":3}"#, r#""a""#, "1"),
        r#"{"b":2,"c":3}"#
    );
    assert_eq!(
        cut(r#"{"a":1,"b":2,"c":3}"#, r#""b""#, "2"),
        r#"{"a":1,"c":3}"#
    );
    assert_eq!(cut(r#"{"a":1, "b":2 }"#, r#""b""#, "2"), r#"{"a":1 }"#);
    assert_eq!(cut(r#"{ "a":1 }"#, r#""a""#, "1"), r#"{  }"#);
}

#[test]
fn nothing_to_replace_copies_nothing() {
    let text = Bytes::from_static(b"{}");
    assert_eq!(apply(text.clone(), vec![]).as_ptr(), text.as_ptr());
    assert_eq!(one_line(text.clone()).as_ptr(), text.as_ptr());
}

#[test]
fn line_ends_between_tokens_become_spaces() {
    assert_eq!(
        one_line(Bytes::from_static(b"{\r\n\"a\":\n1}")),
        Bytes::from_static(b"{  \"a\": 1}")
    );
}

#[test]
fn replacements_apply_in_any_order() {
    let splices = vec![Splice::new(4..5, "EE"), Splice::new(0..1, String::new())];
    assert_eq!(
        apply(Bytes::from_static(b"abcde"), splices),
        Bytes::from_static(b"bcdEE")
    );
}
