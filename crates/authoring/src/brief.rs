//! Foreign text in a policy that people read: one line, cut, without what steers or hides.

use provost_policy::invisible::is_hidden;

/// A text on one line, with at most so many characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let visible: String = text
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|c| !is_hidden(*c))
        .collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    let line = words.join(" ");
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
        None => line,
    }
}

/// The first sentence of a text, or of what fits.
pub(crate) fn sentence(text: &str, most: usize) -> String {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let end = first.find(". ").map_or(first.len(), |at| at + 1);
    let line = line(first.get(..end).unwrap_or_default(), most);
    match line.ends_with(['.', '!', '?', '…']) || line.is_empty() {
        true => line,
        false => format!("{line}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_and_cleaned() {
        let cases = [
            ("", ""),
            ("Reads a file", "Reads a file."),
            ("  Reads a file. Only within roots.", "Reads a file."),
            ("Reads\ta\nfile. More", "Reads a."),
            ("Uses v1.2 of it! And more", "Uses v1.2 of it! And more."),
            ("a\u{202e}b\u{1b}[2Jc\u{200b}", "ab[2Jc."),
            (
                "123456789012345678901234567890X",
                "123456789012345678901234567890…",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(sentence(text, 30), expected, "{text:?}");
        }
    }
}
