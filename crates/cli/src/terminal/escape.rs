//! Makes foreign text harmless on a terminal.
//!
//! Names, messages, labels and paths come from people, agents and servers. Printed raw, they
//! could move the cursor, rewrite the title, or reorder what a person reads.

use std::borrow::Cow;
use std::fmt::Write;

use provost_policy::invisible::{is_hidden, push_escaped};

/// Escapes everything that is not plain visible text on one line.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    rewrite(text, is_hidden)
}

/// Like [`escape`], but keeps line feeds and tabs: for text that is printed as a block.
pub(crate) fn escape_block(text: &str) -> Cow<'_, str> {
    rewrite(text, |c| c != '\n' && c != '\t' && is_hidden(c))
}

fn rewrite(text: &str, dangerous: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&dangerous) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !dangerous(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            // Writing to a String cannot fail.
            c if u32::from(c) < 0x80 => drop(write!(safe, "\\x{:02x}", u32::from(c))),
            c => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(safe)
}

/// JSON as it may be printed: what a string in it hides is escaped, and it stays the same JSON.
/// Outside of strings there is nothing to escape but the line feeds of its form.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    let dangerous = |c: char| c != '\n' && is_hidden(c);
    if !json.chars().any(dangerous) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if dangerous(c) {
            push_escaped(&mut safe, c);
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_left_alone_without_allocation() {
        for text in ["", "abc", "größe, 日本語, 🎉", "a\\b"] {
            assert!(
                matches!(escape(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_that_could_steer_a_terminal_is_made_visible() {
        let cases = [
            ("\u{1b}[31mred", "\\x1b[31mred"),
            ("\u{1b}]0;title\u{7}", "\\x1b]0;title\\x07"),
            ("\u{1b}]8;;http://x\u{1b}\\", "\\x1b]8;;http://x\\x1b\\"),
            ("\u{9b}2J", "\\u{9b}2J"),
            ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{8}\u{7f}\0", "\\x08\\x7f\\x00"),
            ("\u{202e}gnp.exe", "\\u{202e}gnp.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("\u{e0041}", "\\u{e0041}"),
        ];
        for (foreign, safe) in cases {
            assert_eq!(escape(foreign), safe);
        }
    }

    #[test]
    fn d91_json_shows_what_its_strings_hide_and_stays_the_same_json() {
        let foreign = serde_json::json!({
            "tool\u{9b}2J": "a\u{202e}b\u{200b}\u{e0041}\u{7f}\u{1b}\n",
            "plain": "größe 🎉",
        });
        for json in [
            serde_json::to_string(&foreign).unwrap(),
            serde_json::to_string_pretty(&foreign).unwrap(),
        ] {
            let shown = escape_json(&json);
            assert!(
                !shown.chars().any(|c| c != '\n' && is_hidden(c)),
                "{shown:?}"
            );
            assert!(shown.contains("größe 🎉") && shown.contains("\\udb40\\udc41"));
            let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(read, foreign);
        }
    }

    #[test]
    fn blocks_keep_lines_and_tabs_only() {
        assert_eq!(escape_block("a\n\tb\r\u{1b}"), "a\n\tb\\r\\x1b");
    }
}
