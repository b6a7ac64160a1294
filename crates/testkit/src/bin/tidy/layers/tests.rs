use super::*;
use serde_json::Value;

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let findings = check(&Tree::of(files, Value::Null));
    findings.iter().map(ToString::to_string).collect()
}

const LIB: &str = "mod face;\nmod text;\npub use face::http::Served;\n";

#[test]
fn an_arrow_back_is_refused_and_says_what_to_do() {
    let problems = problems(&[
        ("crates/gateway/src/lib.rs", LIB),
        ("crates/gateway/src/face.rs", "pub(crate) mod http;\n"),
        ("crates/gateway/src/face/http.rs", "pub struct Served;\n"),
        ("crates/gateway/src/text.rs", "pub(crate) mod splice;\n"),
        (
            "crates/gateway/src/text/splice.rs",
            "//! Splices.\n\nfn served() -> crate::face::http::Served {}\n",
        ),
    ]);
    let expected = "error: crates/gateway/src/text/splice.rs:3: `text` is below `face` and must not import \
                    crates/gateway/src/face/http.rs\n  hint: files import downwards only: move the type down, or \
                    pass in what is called";
    assert_eq!(problems, [expected]);
}

#[test]
fn what_wires_the_layers_together_is_above_them() {
    let problems = problems(&[
        ("crates/gateway/src/lib.rs", "mod text;\npub struct Top;\n"),
        ("crates/gateway/src/text.rs", "use crate::Top;\n"),
    ]);
    assert_eq!(problems.len(), 1);
    assert!(
        problems[0].contains("`text` is below `lib`"),
        "{problems:?}"
    );
}

#[test]
fn a_circle_is_refused_with_the_way_round() {
    let problems = problems(&[
        ("crates/x/src/lib.rs", "mod a;\nmod b;\nmod c;\n"),
        (
            "crates/x/src/a.rs",
            "use crate::b::B;\npub(crate) struct A;\n",
        ),
        (
            "crates/x/src/b.rs",
            "use super::c;\npub(crate) struct B(c::C);\n",
        ),
        (
            "crates/x/src/c.rs",
            "pub(crate) struct C;\nfn c(_: crate::a::A) {}\n",
        ),
    ]);
    let expected = "error: crates/x/src/a.rs:1: files import each other in a circle: crates/x/src/a.rs:1 → \
                    crates/x/src/b.rs, crates/x/src/b.rs:2 → crates/x/src/c.rs, crates/x/src/c.rs:2 → \
                    crates/x/src/a.rs\n  hint: move what both need into a file below them, or pass in what is called";
    assert_eq!(problems, [expected]);
}

#[test]
fn a_parent_and_its_child_are_a_circle_too() {
    let child = "use super::Parent;\npub(super) struct Child(Parent);\n";
    let parent = "mod child;\nuse child::Child;\npub(crate) struct Parent(Option<Box<Child>>);\n";
    let problems = problems(&[
        ("crates/x/src/lib.rs", "mod parent;\n"),
        ("crates/x/src/parent.rs", parent),
        ("crates/x/src/parent/child.rs", child),
    ]);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn handing_on_is_no_arrow_and_leads_to_who_defines_it() {
    let problems = problems(&[
        ("crates/x/src/lib.rs", "mod a;\nmod b;\n"),
        // Both hand on what the other's child needs: neither defines it.
        ("crates/x/src/a.rs", "mod one;\npub(crate) use one::One;\n"),
        ("crates/x/src/a/one.rs", "pub(crate) struct One;\n"),
        (
            "crates/x/src/b.rs",
            "mod two;\npub(crate) use two::{Two as Second};\n",
        ),
        (
            "crates/x/src/b/two.rs",
            "use crate::a::{self, One};\npub(crate) struct Two(a::One, One);\n",
        ),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn tests_texts_and_comments_import_nothing() {
    let quiet = "//! See crate::b::B.\n/* crate::b /* crate::b */ */\nconst A: &str = \"crate::b::B\";\n\
                 const R: &str = r#\"crate::b::B \" \"#;\nfn f<'a>(c: &'a char) -> bool { *c == '\\'' || *c == '\"' }\n\
                 #[cfg(test)]\nmod tests {\n    use crate::b::B;\n}\n#[cfg(test)]\nuse crate::b::{B};\n";
    let problems = problems(&[
        ("crates/x/src/lib.rs", "mod a;\nmod b;\n"),
        ("crates/x/src/a.rs", quiet),
        ("crates/x/src/a/tests.rs", "use crate::b::B;\n"),
        (
            "crates/x/src/b.rs",
            "use crate::a;\npub(crate) struct B;\nconst C: &str = a::A;\n",
        ),
    ]);
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn the_layers_are_shown_lowest_first() {
    let tree = Tree::of(
        &[
            ("crates/gateway/src/lib.rs", LIB),
            ("crates/gateway/src/face.rs", "a\nb\n"),
            ("crates/gateway/src/face/http.rs", "a\n"),
        ],
        Value::Null,
    );
    let shown = shown(&tree);
    let face = shown.lines().last().unwrap();
    assert_eq!(
        face.split_whitespace().collect::<Vec<_>>(),
        ["face", "2", "files", "3", "lines"]
    );
    assert!(
        shown
            .lines()
            .nth(1)
            .unwrap()
            .trim_start()
            .starts_with("host")
    );
}
