//! Numbers of things, as people write them.

use std::fmt::Display;

/// `1 error`, `2 errors`, `2 entries`: any whole number and a regular word.
pub(crate) fn counted(count: impl Display, word: &str) -> String {
    let count = count.to_string();
    match (count.as_str(), word.strip_suffix('y')) {
        ("1", _) => format!("{count} {word}"),
        (_, Some(stem)) => format!("{count} {stem}ies"),
        (_, None) => format!("{count} {word}s"),
    }
}
