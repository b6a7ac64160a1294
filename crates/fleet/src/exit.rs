//! How an agent ended, as its wrapper leaves it in a file: it is known even when nobody
//! was there to see it.

use std::error::Error;
use std::io;
use std::path::Path;

use crate::place;

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
    /// It never began, for this reason.
    NotStarted(String),
}

// === impl Exit ===

impl Exit {
    /// What never began because of an error, in its words and those of what caused it.
    #[must_use]
    pub fn not_started(error: &dyn Error) -> Self {
        let mut words = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            words = format!("{words}: {error}");
            cause = error.source();
        }
        Self::NotStarted(words.replace(char::is_control, " "))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = match self {
            Self::Code(code) => format!("code {code}\n"),
            Self::Signal(signal) => format!("signal {signal}\n"),
            Self::NotStarted(reason) => format!("not started {reason}\n"),
        };
        place::write_file(path, text.as_bytes())
    }

    /// Reads what was written; `None` when there is nothing, or nothing of ours.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let text = text.strip_suffix('\n')?;
        let number = |word| text.strip_prefix(word)?.parse().ok();
        if let Some(reason) = text.strip_prefix("not started ") {
            return Some(Self::NotStarted(reason.to_owned()));
        }
        let code = number("code ").map(Self::Code);
        code.or_else(|| number("signal ").map(Self::Signal))
    }
}
