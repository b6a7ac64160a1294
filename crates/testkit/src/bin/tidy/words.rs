//! Words that have no business in the project: places of one machine, hosts of one registry, work without an owner.

use crate::finding::Finding;
use crate::tree::{TextFile, Tree};

/// A word, and what to write instead. The words are put together here, so that this file does not contain them.
const FORBIDDEN: [(&str, &str); 9] = [
    (
        concat!("/wo", "rk/"),
        "use a path relative to the checkout, or an example under `/srv`",
    ),
    (
        concat!("/ro", "ot/"),
        "use a path relative to the checkout, or an example under `/home`",
    ),
    (
        concat!("registry.npm", "js.org"),
        "let npm use whatever registry it is configured for",
    ),
    (
        concat!("registry.yarn", "pkg.com"),
        "let npm use whatever registry it is configured for",
    ),
    (
        concat!("files.python", "hosted.org"),
        "let pip use whatever index it is configured for",
    ),
    (
        concat!("pypi.org/", "simple"),
        "let pip use whatever index it is configured for",
    ),
    (
        concat!("index.crates", ".io"),
        "let Cargo use whatever registry it is configured for",
    ),
    (
        concat!("static.crates", ".io"),
        "let Cargo use whatever registry it is configured for",
    ),
    (
        concat!("../sha", "red/"),
        "say what the other file says; it is not part of the project",
    ),
];

/// Marks of unfinished work.
const MARKS: [&str; 3] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];

pub(crate) fn check_forbidden(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, number, line) in lines(tree) {
        for (word, hint) in FORBIDDEN {
            if contains(line, word) {
                findings.push(Finding::error(
                    &file.path,
                    number,
                    format!("`{word}` does not belong here"),
                    hint,
                ));
            }
        }
    }
    findings
}

pub(crate) fn check_todos(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, number, line) in lines(tree) {
        for mark in MARKS {
            let bare = line.match_indices(mark).any(|(at, _)| {
                let whole =
                    !line[..at].ends_with(is_word) && !line[at + mark.len()..].starts_with(is_word);
                whole && !line[at + mark.len()..].starts_with("(#")
            });
            if bare {
                let hint = format!("write `{mark}(#123): …`, or do it now");
                findings.push(Finding::error(
                    &file.path,
                    number,
                    format!("a {mark} that nobody owns"),
                    hint,
                ));
            }
        }
    }
    findings
}

fn lines(tree: &Tree) -> impl Iterator<Item = (&TextFile, usize, &str)> {
    tree.files.iter().flat_map(|file| {
        file.text
            .lines()
            .enumerate()
            .map(move |(index, line)| (file, index + 1, line))
    })
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether the line has the word; one that starts with a slash must be a path of its own, not the middle of another.
fn contains(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let inside_a_path = line[..at].ends_with(|c: char| {
            is_word(c) || matches!(c, '.' | '-' | '>' | '}' | '~' | '/' | '*')
        });
        !word.starts_with('/') || !inside_a_path
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_path_of_this_machine_is_found_but_not_inside_another_path() {
        let word = FORBIDDEN[0].0;
        assert!(contains(&format!("see {word}main"), word));
        assert!(contains(&format!("\"{word}main\""), word));
        assert!(!contains(&format!("/srv{word}main"), word));
        assert!(!contains(&format!("<scratch>{word}main"), word));
    }

    #[test]
    fn findings_name_the_line() {
        let text = format!("fine\nsee {}\n", FORBIDDEN[2].0);
        let findings = check_forbidden(&Tree::of(&[("a.md", &text)], Value::Null));
        assert_eq!(findings.iter().map(|f| f.line).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn unfinished_work_needs_an_owner() {
        let mark = MARKS[0];
        let text = format!("// {mark}: later\n// {mark}(#12): later\nlet {mark}S = 1;\n");
        let findings = check_todos(&Tree::of(&[("a.rs", &text)], Value::Null));
        assert_eq!(findings.iter().map(|f| f.line).collect::<Vec<_>>(), [1]);
    }
}
