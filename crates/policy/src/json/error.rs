//! What can be wrong with a text, in words for people.

use std::fmt;

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// The byte at which it was noticed.
    pub offset: usize,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// Something else was needed here.
    Syntax {
        /// What was needed.
        expected: &'static str,
    },
    /// The text ends too early.
    End,
    /// Something follows the value.
    Trailing,
    /// A number the grammar does not know, such as `01`.
    Number,
    /// An escape the grammar does not know.
    Escape,
    /// Half of a surrogate pair.
    Surrogate,
    /// A control character that is not escaped.
    Control,
    /// A byte order mark.
    Bom,
    /// Bytes that are not UTF-8.
    Utf8,
    /// Two keys of one object are the same after unescaping.
    DuplicateKey {
        /// The key.
        key: String,
    },
    /// Too many arrays and objects inside each other.
    TooDeep {
        /// How many may be.
        limit: u32,
    },
    /// Too many values and keys.
    TooMany {
        /// How many may be.
        limit: u32,
    },
    /// More than four gigabytes.
    TooLong,
}

// === impl JsonError ===

impl JsonError {
    /// Line and column, both counted from one, the column in characters.
    pub fn line_column(&self, text: &[u8]) -> (u32, u32) {
        line_column(text, self.offset)
    }
}

impl std::error::Error for JsonError {}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.offset)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { expected } => write!(f, "expected {expected}"),
            Self::End => f.write_str("unexpected end of the text"),
            Self::Trailing => f.write_str("unexpected text after the value"),
            Self::Number => f.write_str("invalid number"),
            Self::Escape => f.write_str("invalid escape in a string"),
            Self::Surrogate => f.write_str("half of a surrogate pair in a string"),
            Self::Control => f.write_str("control character in a string"),
            Self::Bom => f.write_str("byte order mark"),
            Self::Utf8 => f.write_str("bytes that are not UTF-8"),
            Self::DuplicateKey { key } => write!(f, "duplicate key `{}`", key.escape_debug()),
            Self::TooDeep { limit } => write!(f, "nested deeper than {limit} levels"),
            Self::TooMany { limit } => write!(f, "more than {limit} values and keys"),
            Self::TooLong => f.write_str("larger than 4 GiB"),
        }
    }
}

/// Line and column of a byte, both counted from one, the column in characters.
pub fn line_column(text: &[u8], offset: usize) -> (u32, u32) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let column = before
        .iter()
        .rev()
        .take_while(|&&byte| byte != b'\n')
        // Continuation bytes of UTF-8 do not begin a character.
        .filter(|&&byte| byte & 0b1100_0000 != 0b1000_0000)
        .count()
        + 1;
    (
        u32::try_from(line).unwrap_or(u32::MAX),
        u32::try_from(column).unwrap_or(u32::MAX),
    )
}
