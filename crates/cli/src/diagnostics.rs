//! Shows what is wrong with a policy the way compilers do: place, line, caret, hint.

use std::io::{self, Write};

use provost_policy::document::{Diagnostic, Severity};

use crate::terminal::{escape, style};

/// Prints every diagnostic with an excerpt of `text`, which was read from `file`.
pub(crate) fn print(
    out: &mut dyn Write,
    file: &str,
    text: &str,
    diagnostics: &[Diagnostic],
) -> io::Result<()> {
    diagnostics
        .iter()
        .try_for_each(|diagnostic| print_one(out, file, text, diagnostic))
}

fn print_one(
    out: &mut dyn Write,
    file: &str,
    text: &str,
    diagnostic: &Diagnostic,
) -> io::Result<()> {
    let (colour, word) = match diagnostic.severity {
        Severity::Error => (style::ERROR, "error"),
        Severity::Warning => (style::WARNING, "warning"),
    };
    let (strong, faint, reset) = (style::STRONG, style::FAINT, anstyle::Reset);
    let number = diagnostic.line.to_string();
    let margin = " ".repeat(number.len());
    writeln!(
        out,
        "{colour}{word}{reset}{strong}: {}{reset}",
        escape(&diagnostic.message)
    )?;
    write!(
        out,
        "{margin}{faint}-->{reset} {}:{}:{}",
        escape(file),
        diagnostic.line,
        diagnostic.column
    )?;
    if diagnostic.pointer.is_empty() {
        writeln!(out)?;
    } else {
        writeln!(out, " at {}", escape(&diagnostic.pointer))?;
    }
    let line = usize::try_from(diagnostic.line)
        .ok()
        .and_then(|line| text.lines().nth(line.checked_sub(1)?));
    if let Some(line) = line {
        let column = usize::try_from(diagnostic.column)
            .unwrap_or(1)
            .saturating_sub(1);
        let (excerpt, before, length) = excerpt(line, column);
        writeln!(out, "{margin} {faint}|{reset}")?;
        writeln!(out, "{faint}{number} |{reset} {excerpt}")?;
        writeln!(
            out,
            "{margin} {faint}|{reset} {}{colour}{}{reset}",
            " ".repeat(before),
            "^".repeat(length)
        )?;
    }
    if let Some(hint) = &diagnostic.hint {
        writeln!(
            out,
            "{margin} {faint}={reset} {}hint{reset}: {}",
            style::HINT,
            escape(hint)
        )?;
    }
    writeln!(out)
}

/// The longest piece of a line that is shown.
const WIDTH: usize = 100;

/// A window of the line around a column (both in characters), where the caret begins in it, and
/// how long the token there is.
fn excerpt(line: &str, column: usize) -> (String, usize, usize) {
    let characters: Vec<char> = line
        .chars()
        .map(|c| if c == '\t' { ' ' } else { c })
        .collect();
    let column = column.min(characters.len());
    let start = if characters.len() <= WIDTH {
        0
    } else {
        column.saturating_sub(WIDTH / 2)
    };
    let shown: Vec<char> = characters.iter().skip(start).take(WIDTH).copied().collect();
    let before: String = shown.iter().take(column - start).collect();
    let length = token(characters.get(column..).unwrap_or_default())
        .min(WIDTH.saturating_sub(column - start))
        .max(1);
    let text: String = shown.iter().collect();
    // Escaping can widen what stands before the caret.
    (
        escape(&text).into_owned(),
        escape(&before).chars().count(),
        length,
    )
}

/// How long the JSON token at the start is.
fn token(rest: &[char]) -> usize {
    match rest.first() {
        Some('"') => {
            let mut escaped = false;
            let end = rest.iter().skip(1).position(|c| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(1, |end| end + 2)
        }
        Some(c) if c.is_alphanumeric() || *c == '-' => rest
            .iter()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '+' | '.' | '_'))
            .count(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(line: u32, column: u32, message: &str) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            pointer: "/tools/spawn/limits/0/window".into(),
            line,
            column,
            message: message.into(),
            hint: Some("windows are `minute`, `hour`, `day`, or a length such as `90s`".into()),
        }
    }

    fn printed(text: &str, diagnostic: Diagnostic) -> String {
        let mut bytes = Vec::new();
        print(&mut bytes, "team.json", text, &[diagnostic]).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(bytes).unwrap()).to_string()
    }

    #[test]
    fn points_at_the_token() {
        let text = "{\n  \"window\": \"fortnight\"\n}\n";
        insta::assert_snapshot!(printed(text, diagnostic(2, 13, "unknown window `fortnight`")), @r#"
        error: unknown window `fortnight`
         --> team.json:2:13 at /tools/spawn/limits/0/window
          |
        2 |   "window": "fortnight"
          |             ^^^^^^^^^^^
          = hint: windows are `minute`, `hour`, `day`, or a length such as `90s`
        "#);
    }

    #[test]
    fn places_outside_the_text_and_long_lines_do_no_harm() {
        printed("", diagnostic(9, 9, "x"));
        printed("{}", diagnostic(1, 90, "x"));
        let long = printed(&"a".repeat(100_000), diagnostic(1, 50_000, "x"));
        assert!(long.len() < 2_000);
    }

    #[test]
    fn what_stands_in_the_file_cannot_steer_the_terminal() {
        let text = printed("\"\u{1b}[2J\" x", diagnostic(1, 8, "\u{202e}"));
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(text.contains("\\x1b[2J"));
    }
}
