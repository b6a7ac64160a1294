//! Regular expressions as Go reads them, written for this language's engine.
//!
//! Both run in linear time and share most of their syntax. Where the same
//! text means something else, it is rewritten: in Go `\d`, `\s`, `\w` and `\b`
//! know ASCII only, `\Q…\E` quotes, and inside a class `[`, `&&`, `--` and `~~`
//! are plain characters.

use std::iter::Peekable;
use std::str::Chars;

/// The same pattern for our engine; not checked yet.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\\' => escape(&mut rest, &mut out),
            '[' => class(&mut rest, &mut out),
            _ => out.push(character),
        }
    }
    out
}

fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let Some(letter) = rest.next() else {
        out.push('\\');
        return;
    };
    match letter {
        'd' => out.push_str("[0-9]"),
        'D' => out.push_str("[^0-9]"),
        's' => out.push_str(r"[\t\n\f\r ]"),
        'S' => out.push_str(r"[^\t\n\f\r ]"),
        'w' => out.push_str("[0-9A-Za-z_]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        'b' => out.push_str(r"(?-u:\b)"),
        'B' => out.push_str(r"(?-u:\B)"),
        'Q' => quoted(rest, out),
        _ => out.extend(['\\', letter]),
    }
}

/// Everything up to `\E` as it stands.
fn quoted(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut text = String::new();
    while let Some(character) = rest.next() {
        if character == '\\' && rest.next_if_eq(&'E').is_some() {
            break;
        }
        text.push(character);
    }
    out.push_str(&regex::escape(&text));
}

/// The rest of a class whose `[` was read.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    // A `]` that comes first is a member.
    if rest.next_if_eq(&']').is_some() {
        out.push_str(r"\]");
    }
    while let Some(character) = rest.next() {
        match character {
            ']' => {
                out.push(']');
                return;
            }
            '[' if rest.peek() == Some(&':') => named_class(rest, out),
            '[' | '&' | '~' => out.extend(['\\', character]),
            '\\' => class_escape(rest, out),
            // As a last character it is a member, not a range.
            '-' if rest.peek() == Some(&'-') => out.push_str(r"\-"),
            _ => out.push(character),
        }
    }
}

fn class_escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let Some(letter) = rest.next() else {
        out.push('\\');
        return;
    };
    match letter {
        'd' => out.push_str("0-9"),
        's' => out.push_str(r"\t\n\f\r "),
        'w' => out.push_str("0-9A-Za-z_"),
        'D' => out.push_str("[^0-9]"),
        'S' => out.push_str(r"[^\t\n\f\r ]"),
        'W' => out.push_str("[^0-9A-Za-z_]"),
        _ => out.extend(['\\', letter]),
    }
}

const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// `[:alpha:]` and its like mean the same in both.
fn named_class(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let ahead: String = rest
        .clone()
        .take_while(|character| *character != ']')
        .collect();
    if !ahead.ends_with(':') || ahead.len() < 2 {
        out.push_str(r"\[");
        return;
    }
    if NAMED.contains(&ahead.trim_matches(':').trim_start_matches('^')) {
        out.push('[');
        out.push_str(&ahead);
        out.push(']');
    } else {
        // Go refuses it; our engine would read a class of these letters.
        out.push_str(r"\p{:}");
    }
    for _ in 0..=ahead.chars().count() {
        rest.next();
    }
}

#[cfg(test)]
mod tests;
