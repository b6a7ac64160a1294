//! Values as a policy writes them.

use std::fmt::Write;

use crate::json::{Kind, Value};

/// A JSON value that owns its text. Numbers stay as they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// Text.
    String(String),
    /// A list.
    Array(Vec<Literal>),
    /// An object, its members in order.
    Object(Vec<(String, Literal)>),
}

// === impl Literal ===

impl Literal {
    /// Text.
    pub fn text(text: &str) -> Self {
        Self::String(text.to_owned())
    }

    /// Text as people read it: in two-space indentation, empty lists on a line.
    pub fn to_pretty(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, Some(0));
        out
    }

    /// Text on one line.
    pub fn to_line(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, None);
        out
    }

    fn write(&self, out: &mut String, indent: Option<usize>) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(text) => out.push_str(text),
            Self::String(text) => quote(text, out),
            Self::Array(elements) => {
                write_all(out, indent, ['[', ']'], elements, |element, out, indent| {
                    element.write(out, indent);
                });
            }
            Self::Object(members) => {
                write_all(
                    out,
                    indent,
                    ['{', '}'],
                    members,
                    |(key, value), out, indent| {
                        quote(key, out);
                        out.push_str(": ");
                        value.write(out, indent);
                    },
                );
            }
        }
    }
}

impl From<Value<'_>> for Literal {
    fn from(value: Value<'_>) -> Self {
        match value.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(value.as_bool().unwrap_or_default()),
            Kind::Number => Self::Number(value.raw().to_owned()),
            Kind::String => Self::String(value.as_str().unwrap_or_default().into_owned()),
            Kind::Array => Self::Array(value.elements().map(Self::from).collect()),
            Kind::Object => Self::Object(
                value
                    .members()
                    .map(|m| (m.name().into_owned(), Self::from(m.value)))
                    .collect(),
            ),
        }
    }
}

fn write_all<T>(
    out: &mut String,
    indent: Option<usize>,
    [open, close]: [char; 2],
    items: &[T],
    write: impl Fn(&T, &mut String, Option<usize>),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        match indent {
            Some(depth) => new_line(out, depth + 1),
            None if index > 0 => out.push(' '),
            None => {}
        }
        write(item, out, indent.map(|depth| depth + 1));
    }
    if let (Some(depth), false) = (indent, items.is_empty()) {
        new_line(out, depth);
    }
    out.push(close);
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < '\u{20}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}
