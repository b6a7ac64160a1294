//! What an import tells.

use std::fmt;

use serde::Serialize;

use crate::yaml::Place;

/// Something to tell about a place in the imported file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// The line, from 1; 0 when it is about no line.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// Where in the document, such as `tools.send.rules[0]`.
    pub path: String,
    /// What happened.
    pub message: String,
}

// === impl Note ===

impl Note {
    pub(super) fn at(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            line: place.line,
            column: place.column,
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, ", self.line)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
