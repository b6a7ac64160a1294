//! Advice for command lines that are nearly right: a `--` that was forgotten before the command of a server, and what
//! other programs call a command of ours.

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

/// What other programs call it, and what it is called here; both below `provost policy`.
const OTHER_WORDS: [(&[&str], &str); 4] = [
    (&["lint", "validate", "verify"], "check"),
    (&["new", "create", "generate", "scaffold"], "init"),
    (&["set", "add", "apply", "update"], "put"),
    (&["get", "cat"], "show"),
];

/// The command that was probably meant.
pub(crate) fn other_word(words: &[OsString], unknown: &str) -> Option<String> {
    let at = words.iter().position(|word| word == unknown)?;
    let below = words.get(at.checked_sub(1)?)?;
    let known = OTHER_WORDS
        .iter()
        .find(|(others, _)| others.contains(&unknown));
    let (_, meant) = known.filter(|_| below == "policy")?;
    Some(format!("that is `provost policy {meant}` here"))
}

/// Prints it like the hint of a failure.
pub(crate) fn print(out: &mut dyn Write, advice: &str) -> io::Result<()> {
    let (hint, reset) = (style::HINT, anstyle::Reset);
    writeln!(out, "\n  {hint}hint{reset}: {}", escape(advice))
}

/// A word as a shell takes it.
pub(crate) fn quoted(word: &OsString) -> String {
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

    #[test]
    fn words_of_other_programs_are_known() {
        let advised = |line: &str, unknown: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            other_word(&words, unknown)
        };
        for (line, unknown, meant) in [
            ("policy lint p.json", "lint", "check"),
            ("--json policy validate p.json", "validate", "check"),
            ("policy new", "new", "init"),
        ] {
            let told = format!("that is `provost policy {meant}` here");
            assert_eq!(advised(line, unknown), Some(told), "{line}");
        }
        assert_eq!(advised("server lint", "lint"), None);
        assert_eq!(advised("lint", "lint"), None);
    }
}
