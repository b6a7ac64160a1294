//! Intercept's YAML policies, turned into policy documents of version 1.
//!
//! What a policy allows and refuses is kept; what this language cannot say is
//! told in notes, each with the place it stood at. Nothing is left out in
//! silence. A file that Intercept would refuse is refused, with all errors.

mod go_regex;
mod limits;
mod read;
mod write;

use std::fmt;

use serde::Serialize;

use crate::document::{Diagnostic, Policy};
use crate::yaml::Place;

/// A policy that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The policy document, version 1.
    pub policy_json: String,
    /// What changed its meaning or was left out, in the order of the file.
    pub notes: Vec<Note>,
}

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

/// Turns a policy of Intercept into a policy document.
///
/// # Errors
///
/// Everything that Intercept itself would refuse, all at once, or what this
/// language cannot take; the latter with pointers into the document.
pub fn intercept(yaml: &str) -> Result<Imported, Vec<Note>> {
    let mut notes = Vec::new();
    let policy = read::policy(yaml, &mut notes)?;
    let policy_json = write::policy(&policy, &mut notes);
    // What Intercept takes and this language does not, such as a path with an empty part.
    Policy::parse(&policy_json).map_err(|problems| {
        let told = |problem: Diagnostic| Note {
            line: 0,
            column: 0,
            path: problem.pointer,
            message: format!("cannot be imported: {}", problem.message),
        };
        problems.into_iter().map(told).collect::<Vec<_>>()
    })?;
    notes.sort();
    Ok(Imported { policy_json, notes })
}

// === impl Note ===

impl Note {
    fn at(place: Place, path: impl Into<String>, message: impl Into<String>) -> Self {
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

#[cfg(test)]
mod tests;
