//! Files: how long they are, what they are called, and that each says what it is for.

use crate::finding::Finding;
use crate::tree::Tree;

/// From here on one should talk about it.
const LONG: usize = 500;
/// From here on it must be split.
const TOO_LONG: usize = 800;

/// Names that say nothing; whatever is put there belongs somewhere else.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "core", "helpers", "misc"];

pub(crate) fn check_sizes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let lines = file.text.lines().count();
        let hint = "split it by what changes together";
        if lines > TOO_LONG {
            findings.push(Finding::error(
                &file.path,
                lines,
                format!("{lines} lines, at most {TOO_LONG}"),
                hint,
            ));
        } else if lines > LONG {
            findings.push(Finding::warning(
                &file.path,
                lines,
                format!("{lines} lines, better under {LONG}"),
                hint,
            ));
        }
    }
    findings
}

pub(crate) fn check_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        let bad = file
            .path
            .split('/')
            .map(|part| part.trim_end_matches(".rs"))
            .find(|part| EMPTY_NAMES.contains(part));
        if let Some(name) = bad {
            let problem = format!("`{name}` says nothing about what is inside");
            findings.push(Finding::error(
                &file.path,
                0,
                problem,
                "name the file after its main type or verb",
            ));
        }
    }
    findings
}

pub(crate) fn check_docs(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        // `x/tests.rs` and `x/tests/…` need no introduction: they are about `x`.
        let about_something_else =
            file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        if !about_something_else && !file.text.lines().any(|line| line.starts_with("//!")) {
            let hint = "start with `//!` and one line that says what the file is for";
            findings.push(Finding::error(&file.path, 1, "no module doc", hint));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use serde_json::Value;

    #[test]
    fn long_files_are_talked_about_and_then_refused() {
        let lines = |count: usize| "\n".repeat(count);
        let (fine, long, too_long) = (lines(500), lines(501), lines(801));
        let tree = Tree::of(
            &[
                ("a.rs", &fine),
                ("b.rs", &long),
                ("c.rs", &too_long),
                ("d.md", &too_long),
            ],
            Value::Null,
        );
        let findings = check_sizes(&tree);
        let short: Vec<_> = findings
            .iter()
            .map(|f| (f.severity, f.file.as_str()))
            .collect();
        assert_eq!(
            short,
            [(Severity::Warning, "b.rs"), (Severity::Error, "c.rs")]
        );
    }

    #[test]
    fn names_and_docs_must_say_something() {
        let tree = Tree::of(
            &[
                ("src/utils.rs", "//! x"),
                ("src/x/tests.rs", ""),
                ("src/y.rs", "use x;"),
            ],
            Value::Null,
        );
        assert_eq!(check_names(&tree)[0].file, "src/utils.rs");
        let missing: Vec<_> = check_docs(&tree).into_iter().map(|f| f.file).collect();
        assert_eq!(missing, ["src/y.rs"]);
    }
}
