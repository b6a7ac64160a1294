//! Advice for a `--` that was forgotten before the command of a server.

use std::ffi::OsString;
use std::io::{self, Write};

use crate::terminal::{escape, style};

/// Commands that take the command of a server, as the words before it.
const TAKING: [&[&str]; 4] = [
    &["run"],
    &["server", "add"],
    &["server", "set"],
    &["policy", "init"],
];

/// How the command line was probably meant; nothing when it has its `--`, or takes none.
pub(crate) fn advice(words: &[OsString], unknown: &str) -> Option<String> {
    if unknown.starts_with('-') || words.iter().any(|word| word == "--") {
        return None;
    }
    let at = words.iter().position(|word| word == unknown)?;
    let (before, command) = words.split_at(at);
    let takes = |taking: &[&str]| before.windows(taking.len()).any(|some| *some == *taking);
    if !TAKING.iter().any(|taking| takes(taking)) {
        return None;
    }
    let text = |words: &[OsString]| words.iter().map(quoted).collect::<Vec<_>>().join(" ");
    Some(format!(
        "the command of the server comes after `--`: `provost {} -- {}`",
        text(before),
        text(command)
    ))
}

/// Prints it like the hint of a failure.
pub(crate) fn print(out: &mut dyn Write, advice: &str) -> io::Result<()> {
    let (hint, reset) = (style::HINT, anstyle::Reset);
    writeln!(out, "\n  {hint}hint{reset}: {}", escape(advice))
}

/// A word as a shell takes it.
fn quoted(word: &OsString) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "-_./:@=+,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(line: &str, unknown: &str) -> Option<String> {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        advice(&words, unknown)
    }

    #[test]
    fn d51_a_forgotten_separator_is_put_where_the_command_begins() {
        assert_eq!(
            advised("run --policy p.json npx -y it's", "npx").unwrap(),
            r"the command of the server comes after `--`: `provost run --policy p.json -- npx -y 'it'\''s'`"
        );
        assert_eq!(
            advised("--json server add files npx", "npx").unwrap(),
            "the command of the server comes after `--`: `provost --json server add files -- npx`"
        );
        for (line, unknown) in [
            ("run --polcy p -- npx", "--polcy"),
            ("run extra -- npx", "extra"),
            ("grant list files npx", "npx"),
            ("server show files npx", "npx"),
        ] {
            assert_eq!(advised(line, unknown), None, "{line}");
        }
    }
}
