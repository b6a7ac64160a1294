//! Text of others, cut to a length that fits into a record, a log or a refusal:
//! what somebody sends must not come back, or stay, many times over.

use std::borrow::Cow;

/// Longest name (of a method, a tool, an argument) in records and logs, in bytes.
pub(crate) const NAME: usize = 256;
/// Longest sentence about what went wrong, in bytes.
pub(crate) const SENTENCE: usize = 2048;

/// The text, or its beginning and an ellipsis.
pub(crate) fn brief(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let cut = text.floor_char_boundary(most);
    Cow::Owned(format!("{}…", text.get(..cut).unwrap_or_default()))
}

#[cfg(test)]
mod tests;
