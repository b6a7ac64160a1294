//! Why something was not done, as a person or a script sees it.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

/// Why a command did not do what it was asked: kind, what happened, why, and one hint.
///
/// It crosses the admin socket unchanged, so a command fails with the same words
/// whether a daemon runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Decides the exit code of a command.
    pub kind: FailureKind,
    /// What happened, in the user's words.
    pub message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// True when everything worth saying was printed already (a report with its own layout).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub quiet: bool,
}

/// The result of everything a command does.
pub type Outcome<T = ()> = Result<T, Failure>;

/// What kind of failure it is; scripts see it as the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request was understood and refused, or a check failed.
    Refused,
    /// The command line or the configuration is wrong.
    Usage,
    /// A thing that was named does not exist.
    NotFound,
    /// It exists already, or somebody else holds it.
    Conflict,
    /// A daemon, a server, a disk or a file cannot be reached.
    Unavailable,
    /// Stored data is damaged.
    Damaged,
    /// A defect of Provost itself.
    Internal,
}

// === impl Failure ===

impl Failure {
    /// A failure of the given kind.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            quiet: false,
        }
    }

    /// The request was understood and refused, or a check failed.
    pub fn refused(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Refused, message)
    }

    /// The command line or configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Usage, message)
    }

    /// A thing that was named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::NotFound, message)
    }

    /// It exists already, or somebody else holds it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Conflict, message)
    }

    /// Something outside cannot be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Unavailable, message)
    }

    /// A defect of Provost itself.
    pub fn internal(message: impl Into<String>) -> Self {
        Failure::new(FailureKind::Internal, message)
    }

    /// A check failed and its report is on the screen already.
    pub fn reported() -> Self {
        Failure {
            quiet: true,
            ..Failure::refused("the check failed")
        }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a cause.
    pub fn because(mut self, cause: impl Display) -> Self {
        self.causes.push(plain(&cause.to_string()));
        self
    }

    /// Adds an error and everything below it as causes.
    pub fn because_of(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = plain(&error.to_string());
            // Some errors repeat their source in their own text; saying it once is enough.
            if !self.causes.iter().any(|said| said.ends_with(&text)) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }
}

/// The system's errors without their number, begun like our own.
fn plain(text: &str) -> String {
    let without = text
        .rsplit_once(" (os error ")
        .filter(|(_, number)| number.ends_with(')'));
    let Some((words, _)) = without else {
        return text.to_owned();
    };
    let (before, last) = words
        .rsplit_once(": ")
        .map_or(("", words), |(before, last)| (before, last));
    let mut letters = last.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_lowercase().to_string())
        .unwrap_or_default();
    let separator = if before.is_empty() { "" } else { ": " };
    format!("{before}{separator}{first}{}", letters.as_str())
}

#[cfg(test)]
mod tests;
