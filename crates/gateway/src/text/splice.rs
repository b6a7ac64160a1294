//! Replaces parts of a message's text and leaves every other byte alone.

use std::ops::Range;

use bytes::Bytes;

/// One replacement: the bytes of `at` become `with`.
#[derive(Debug, Clone)]
pub(crate) struct Splice {
    pub(crate) at: Range<usize>,
    pub(crate) with: String,
}

// === impl Splice ===

impl Splice {
    pub(crate) fn new(at: Range<usize>, with: impl Into<String>) -> Self {
        let with = with.into();
        Self { at, with }
    }
}

/// Applies replacements that do not overlap. Without any, the same buffer comes
/// back and nothing is copied.
pub(crate) fn apply(text: Bytes, mut splices: Vec<Splice>) -> Bytes {
    if splices.is_empty() {
        return text;
    }
    splices.sort_by_key(|splice| splice.at.start);
    let mut out = Vec::with_capacity(text.len() + 64);
    let mut from = 0;
    for splice in &splices {
        out.extend_from_slice(text.get(from..splice.at.start).unwrap_or_default());
        out.extend_from_slice(splice.with.as_bytes());
        from = splice.at.end;
    }
    out.extend_from_slice(text.get(from..).unwrap_or_default());
    Bytes::from(out)
}

/// Removes one member of an object from its text, with the comma that belongs
/// to it. `key` is where the member's key stands, `value` where its value ends.
pub(crate) fn without_member(text: &str, key: Range<usize>, value: Range<usize>) -> Splice {
    let bytes = text.as_bytes();
    let blank = |at: &usize| bytes.get(*at).is_some_and(u8::is_ascii_whitespace);
    let mut end = value.end;
    while blank(&end) {
        end += 1;
    }
    if bytes.get(end) == Some(&b',') {
        return Splice::new(key.start..end + 1, String::new());
    }
    // The last member: the comma before it goes, if it is not the only one.
    let mut start = key.start;
    while start > 0 && blank(&(start - 1)) {
        start -= 1;
    }
    if start > 0 && bytes.get(start - 1) == Some(&b',') {
        start -= 1;
    } else {
        start = key.start;
    }
    Splice::new(start..value.end, String::new())
}

/// Makes a message fit on one line: outside strings (where raw control
/// characters are refused anyway) CR and LF are only white space, and become
/// spaces, so that no part of a message can pass for a message of its own.
pub(crate) fn one_line(text: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &text).is_none() {
        return text;
    }
    let line: Vec<u8> = text
        .iter()
        .map(|byte| {
            if matches!(byte, b'\n' | b'\r') {
                b' '
            } else {
                *byte
            }
        })
        .collect();
    Bytes::from(line)
}

#[cfg(test)]
mod tests;
