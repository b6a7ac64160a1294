use crate::json::{Bounds, Document, KnownNames, read};

use super::*;

/// Three bytes that become thirty-three.
const GROWS: &str = "\u{fdfa}";

fn accept(text: &str) -> Document<'_> {
    read(text.as_bytes(), Bounds::default()).unwrap()
}

/// An object with these keys.
fn object(keys: impl IntoIterator<Item = String>) -> String {
    let members: Vec<_> = keys.into_iter().map(|key| format!("\"{key}\":0")).collect();
    format!("{{{}}}", members.join(","))
}

/// Different names of 48 bytes.
fn growing(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|n| format!("{}{n:06}", GROWS.repeat(14)))
}

#[test]
fn d25_ascii_is_never_folded() {
    let text = object((0..lengths::KEYS).map(|n| format!("camelCase{n}")));
    let document = accept(&text);
    let mut folder = Folder::default();
    assert_eq!(folder.distinct_keys(document.root()), Ok(()));
    assert_eq!(folder.exact_keys(document.root(), &["name"]), Ok(()));
    assert_eq!(folder.same("NAME", "name"), Ok(true));
    assert_eq!(folder.left(), lengths::FOLDED);
}

#[test]
fn d25_each_name_is_folded_once() {
    let text = object(growing(100));
    let document = accept(&text);
    let mut folder = Folder::default();
    for _ in 0..1000 {
        assert_eq!(folder.distinct_keys(document.root()), Ok(()));
        assert_eq!(folder.exact_keys(document.root(), &["name"]), Ok(()));
    }
    assert_eq!(folder.left(), lengths::FOLDED - 100 * 48);
}

#[test]
fn d82_names_beyond_the_budget_are_refused() {
    let fitting = lengths::FOLDED / 48;
    let text = object(growing(fitting));
    let mut folder = Folder::default();
    assert_eq!(folder.distinct_keys(accept(&text).root()), Ok(()));
    assert!(folder.left() < 48);

    let text = object(growing(fitting + 1));
    let document = accept(&text);
    let distinct = Folder::default().distinct_keys(document.root());
    assert_eq!(distinct, Err(KeyProblem::TooMuch(TooMuchToFold)));
    let exact = Folder::default().exact_keys(document.root(), &["name"]);
    assert_eq!(exact, Err(KeyProblem::TooMuch(TooMuchToFold)));
    assert_eq!(
        format!("`params` {}", distinct.unwrap_err()),
        "`params` has more than 32 KiB of names that are not plain ASCII"
    );
}

#[test]
fn d82_a_key_that_is_too_long_is_not_looked_at() {
    for key in [
        "k".repeat(257),
        GROWS.repeat(86),
        "\u{200b}".repeat(3000) + "name",
    ] {
        let text = object([key, "other".to_owned()]);
        let document = accept(&text);
        let mut folder = Folder::default();
        let distinct = folder.distinct_keys(document.root());
        assert_eq!(distinct, Err(KeyProblem::TooLong));
        let exact = folder.exact_keys(document.root(), &["name"]);
        assert_eq!(exact, Err(KeyProblem::TooLong));
        assert_eq!(folder.left(), lengths::FOLDED);
    }
    let longest = object(["k".repeat(256)]);
    assert_eq!(
        Folder::default().distinct_keys(accept(&longest).root()),
        Ok(())
    );
}

#[test]
fn d82_more_keys_than_anybody_means_are_not_looked_at() {
    let keys = |count: usize| object((0..count).map(|n| format!("Key{n}")));
    let (most, beyond) = (keys(lengths::KEYS), keys(lengths::KEYS + 1));
    let (most, beyond) = (accept(&most), accept(&beyond));
    let mut folder = Folder::default();
    assert_eq!(folder.distinct_keys(most.root()), Ok(()));
    assert_eq!(folder.exact_keys(most.root(), &["name"]), Ok(()));
    assert_eq!(
        folder.distinct_keys(beyond.root()),
        Err(KeyProblem::TooMany)
    );
    assert_eq!(
        folder.exact_keys(beyond.root(), &["name"]),
        Err(KeyProblem::TooMany)
    );
}

/// `amount` and a NUL is `amount` to readers whose texts end there.
#[test]
fn a_key_with_a_control_character_is_refused() {
    for hidden in ["\\u0000", "\\u000a", "\\u007f", "\u{85}"] {
        let key = format!("name{hidden}");
        let text = object([key.clone(), "other".to_owned()]);
        let document = accept(&text);
        let mut folder = Folder::default();
        let distinct = folder.distinct_keys(document.root());
        assert!(matches!(distinct, Err(KeyProblem::Control(_))), "{key}");
        let exact = folder.exact_keys(document.root(), &["other"]);
        assert!(matches!(exact, Err(KeyProblem::Control(_))), "{key}");
    }
}

#[test]
fn d82_known_names_are_folded_when_they_are_added() {
    let mut names = KnownNames::default();
    let mut folder = Folder::with_budget(48_000);
    for name in growing(1000) {
        names.insert(&name, &mut folder).unwrap();
    }
    assert_eq!(folder.left(), 0);
    assert_eq!(names.insert("ｐay", &mut folder), Err(TooMuchToFold));
    names.insert("Pay", &mut folder).unwrap();
    names.insert("PAY", &mut folder).unwrap();
    assert_eq!(names.len(), 1002);

    let mut asked = Folder::with_budget(8);
    assert_eq!(names.twin("pay", &mut asked), Ok(Some("Pay")));
    assert_eq!(names.twin("PAY", &mut asked), Ok(None));
    assert_eq!(names.twin("p\u{200b}ay", &mut asked), Ok(Some("Pay")));
    assert_eq!(asked.left(), 2);
    assert_eq!(names.twin("nothing", &mut asked), Ok(None));
}
