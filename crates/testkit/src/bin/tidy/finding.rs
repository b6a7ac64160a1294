//! What a check finds.

use std::fmt;

/// Whether a finding stops the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    Warning,
    Error,
}

/// Something that is not tidy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The file, relative to the top of the checkout.
    pub(crate) file: String,
    /// Counted from one; zero is the file as a whole.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) problem: String,
    /// What to do about it.
    pub(crate) hint: String,
}

impl Finding {
    pub(crate) fn error(
        file: &str,
        line: usize,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        let (problem, hint) = (problem.into(), hint.into());
        Finding {
            severity: Severity::Error,
            file: file.to_owned(),
            line,
            problem,
            hint,
        }
    }

    pub(crate) fn warning(
        file: &str,
        line: usize,
        problem: impl Into<String>,
        hint: impl Into<String>,
    ) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(file, line, problem, hint)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{word}: {}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}\n  hint: {}", self.problem, self.hint)
    }
}
