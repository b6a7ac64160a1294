//! A failure as a person or a script sees it, and the one place that prints it.

use std::fmt::Display;
use std::io::Write;

use serde::{Deserialize, Serialize};

use crate::exit::Kind;
use crate::terminal::{escape, escape_json, style};

/// Why a command did not do what it was asked: kind, what happened, why, and one hint.
///
/// It crosses the admin socket unchanged, so a command fails with the same words
/// whether a daemon runs or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// Decides the exit code.
    pub(crate) kind: Kind,
    /// What happened, in the user's words.
    pub(crate) message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
    /// True when everything worth saying was printed already (a report with its own layout).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) quiet: bool,
}

/// The result of everything a command does.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

// === impl Failure ===

impl Failure {
    /// A failure of the given kind.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure {
            kind,
            message: message.into(),
            causes: Vec::new(),
            hint: None,
            quiet: false,
        }
    }

    /// The request was understood and refused, or a check failed.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Failure::new(Kind::Refused, message)
    }

    /// The command line or configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Kind::Usage, message)
    }

    /// A thing that was named does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Failure::new(Kind::NotFound, message)
    }

    /// It exists already, or somebody else holds it.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Failure::new(Kind::Conflict, message)
    }

    /// Something outside cannot be reached.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Failure::new(Kind::Unavailable, message)
    }

    /// A defect of Provost itself.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Failure::new(Kind::Internal, message)
    }

    /// A check failed and its report is on the screen already.
    pub(crate) fn reported() -> Self {
        Failure {
            quiet: true,
            ..Failure::refused("the check failed")
        }
    }

    /// Adds a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a cause.
    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        self.causes.push(plain(&cause.to_string()));
        self
    }

    /// Adds an error and everything below it as causes.
    pub(crate) fn because_of(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
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

    /// Prints the failure to `stream`, as text or as one JSON line.
    pub(crate) fn print(&self, stream: &mut dyn Write, json: bool) -> std::io::Result<()> {
        if self.quiet {
            return Ok(());
        }
        if json {
            let body = serde_json::json!({ "error": {
                "kind": self.kind.word(), "code": self.kind.code(), "message": self.message,
                "causes": self.causes, "hint": self.hint,
            }});
            return writeln!(stream, "{}", escape_json(&body.to_string()));
        }
        let (error, note, reset) = (style::ERROR, style::FAINT, anstyle::Reset);
        writeln!(stream, "{error}error{reset}: {}", escape(&self.message))?;
        for cause in &self.causes {
            writeln!(stream, "  {note}caused by{reset}: {}", escape(cause))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(stream, "  {}hint{reset}: {}", style::HINT, escape(hint))?;
        }
        stream.flush()
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
