use super::*;
use crate::json::{Bounds, read};

#[test]
fn reads_paths() {
    let check = |text: &str, steps: &[Step]| {
        assert_eq!(Path::parse(text).unwrap().steps(), steps, "{text}")
    };
    let key = |text: &'static str| Step::Key(Text::fixed(text));
    check("args.a", &[key("a")]);
    check("args.a.b c.d-e", &[key("a"), key("b c"), key("d-e")]);
    check("args.items[0].x", &[key("items"), Step::Index(0), key("x")]);
    check("args.m[*][12]", &[key("m"), Step::Every, Step::Index(12)]);
}

#[test]
fn refuses_what_is_no_path() {
    for text in [
        "",
        "args",
        "args.",
        "a.b",
        "state.x",
        "Args.a",
        "args..a",
        "args.a.",
        "args.[0]",
        "args.a[",
        "args.a]",
        "args.a[]",
        "args.a[-1]",
        "args.a[01]",
        "args.a[1.5]",
        "args.a[x]",
        "args.a[*",
        "args.a[0]b",
        "args.a[0]]",
        "args.a[99999999999]",
        "args[0]",
        "$.a",
    ] {
        assert!(Path::parse(text).is_err(), "{text}");
    }
    assert!(Path::parse(&format!("args{}", ".a".repeat(65))).is_err());
}

/// Looks along a path for something greater than 5.
fn look(path: &str, over: Over, arguments: &str) -> &'static str {
    let document = read(arguments.as_bytes(), Bounds::default()).unwrap();
    let through = Outcome::CannotTell("through");
    let outcome = Path::parse(path).unwrap().look(
        Some(document.root()),
        over,
        &through,
        &mut Work::default(),
        &mut |value, _| match value.map(|value| value.raw().parse::<f64>()) {
            None => Outcome::Absent,
            Some(Ok(number)) if number > 5.0 => Outcome::Holds,
            Some(Ok(_)) => Outcome::Fails,
            Some(Err(_)) => Outcome::CannotTell("text"),
        },
    );
    match outcome {
        Outcome::Holds => "holds",
        Outcome::Fails => "fails",
        Outcome::Absent => "absent",
        Outcome::CannotTell(_) => "unsure",
    }
}

#[test]
fn puts_elements_together_by_list() {
    // path, arguments, under deny_if and approve_if, under require
    let table = [
        ("args.a", r#"{"a":9}"#, "holds", "holds"),
        ("args.a", "{}", "absent", "absent"),
        ("args.a.b", r#"{"a":{"b":1}}"#, "fails", "fails"),
        ("args.a.b", r#"{"a":null}"#, "absent", "absent"),
        ("args.a.b", r#"{"a":"b"}"#, "unsure", "unsure"),
        ("args.a.b", r#"{"a":[{"b":9}]}"#, "unsure", "unsure"),
        ("args.a[0]", r#"{"a":[9]}"#, "holds", "holds"),
        ("args.a[1]", r#"{"a":[9]}"#, "absent", "absent"),
        ("args.a[0]", r#"{"a":{"0":9}}"#, "unsure", "unsure"),
        ("args.a[*]", r#"{"a":[1,9]}"#, "holds", "fails"),
        ("args.a[*]", r#"{"a":[8,9]}"#, "holds", "holds"),
        ("args.a[*]", r#"{"a":[1,2]}"#, "fails", "fails"),
        ("args.a[*]", r#"{"a":[]}"#, "absent", "absent"),
        ("args.a[*]", r#"{"a":9}"#, "unsure", "unsure"),
        ("args.a[*]", r#"{"a":null}"#, "unsure", "unsure"),
        ("args.a[*]", r#"{"a":{"x":9}}"#, "unsure", "unsure"),
        ("args.a[*]", "{}", "absent", "absent"),
        ("args.a[*]", r#"{"a":[9,"x"]}"#, "unsure", "unsure"),
        ("args.a[*]", r#"{"a":["x",1]}"#, "unsure", "unsure"),
        ("args.a[*].b", r#"{"a":[{"b":9},{}]}"#, "holds", "absent"),
        ("args.a[*].b", r#"{"a":[{"b":1},{}]}"#, "absent", "fails"),
        ("args.a[*].b", r#"{"a":[{"b":9},7]}"#, "unsure", "unsure"),
        ("args.a[*][*]", r#"{"a":[[1],[9]]}"#, "holds", "fails"),
        ("args.a[*][*]", r#"{"a":[[9],[]]}"#, "holds", "absent"),
        ("args.a[*][*]", r#"{"a":[[9],9]}"#, "unsure", "unsure"),
    ];
    for (path, arguments, any, every) in table {
        assert_eq!(
            look(path, Over::Any, arguments),
            any,
            "{path} {arguments} any"
        );
        assert_eq!(
            look(path, Over::Every, arguments),
            every,
            "{path} {arguments} every"
        );
    }
}
