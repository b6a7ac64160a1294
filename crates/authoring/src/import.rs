//! Intercept's YAML policies, turned into policy documents of version 1.
//!
//! What a policy allows and refuses is kept; where this language says it
//! otherwise, notes tell, each with the place it stood at. A restriction is
//! never lost: what is not understood, or cannot be kept, fails with every
//! place of it, or (when that is asked for) refuses the calls it is about.

mod go_regex;
mod limits;
mod note;
mod read;
mod write;

use serde::Serialize;

use provost_policy::{Diagnostic, Policy};

pub use note::Note;

/// What happens when a part of a policy is not understood, or cannot be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclear {
    /// Nothing is imported.
    Fails,
    /// The rest is imported, and every call that the part is about is refused.
    Refuses,
}

/// A policy that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The policy document, version 1.
    pub policy_json: String,
    /// What means something else than it did, in the order of the file.
    pub notes: Vec<Note>,
    /// What was not understood or not kept, in the order of the file. The
    /// calls it was about are refused.
    pub dropped: Vec<Note>,
}

/// Why a policy was not imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotImported {
    /// Every place, in the order of the file.
    pub problems: Vec<Note>,
    /// Whether [`Unclear::Refuses`] would import the rest.
    pub has_a_rest: bool,
}

/// Turns a policy of Intercept into a policy document.
///
/// # Errors
///
/// Everything that is not understood or cannot be kept, all at once; and what
/// this language cannot take, with pointers into the document.
pub fn intercept(yaml: &str, unclear: Unclear) -> Result<Imported, NotImported> {
    let mut notes = Vec::new();
    let fails = |mut problems: Vec<Note>, has_a_rest| {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        NotImported {
            problems,
            has_a_rest,
        }
    };
    let read = read::policy(yaml, &mut notes).map_err(|problems| fails(problems, false))?;
    let (policy, mut dropped) = read;
    if unclear == Unclear::Fails && !dropped.is_empty() {
        return Err(fails(dropped, true));
    }
    let policy_json = write::policy(&policy, &mut notes, &mut dropped);
    if unclear == Unclear::Fails && !dropped.is_empty() {
        return Err(fails(dropped, true));
    }
    // What Intercept takes and this language does not, such as globs that tie.
    Policy::parse(&policy_json).map_err(|problems| {
        let told = |problem: Diagnostic| Note {
            line: 0,
            column: 0,
            path: problem.pointer,
            message: format!("cannot be imported: {}", problem.message),
        };
        fails(problems.into_iter().map(told).collect(), false)
    })?;
    notes.sort();
    dropped.sort();
    Ok(Imported {
        policy_json,
        notes,
        dropped,
    })
}

#[cfg(test)]
mod tests;
