//! What is wrong with a document, where, and what to do about it.

use std::fmt;

use serde::Serialize;

/// One finding about a policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Whether the document is refused for it.
    pub severity: Severity,
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// Where, as a line counted from one.
    pub line: u32,
    /// Where, as a column counted from one, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The document is refused.
    Error,
    /// The document works, but perhaps not as meant.
    Warning,
}

// === impl Diagnostic ===

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: line {}, column {}", self.line, self.column)?;
        if !self.pointer.is_empty() {
            write!(f, ", {}", self.pointer)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The name among `known` that was probably meant.
pub fn did_you_mean<'k>(written: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    known
        .map(|name| {
            (
                distance(&written.to_lowercase(), &name.to_lowercase(), allowed),
                name,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters must be changed, added, dropped or swapped; anything
/// above `allowed` counts as one more than that.
fn distance(left: &str, right: &str, allowed: usize) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    if left.len().abs_diff(right.len()) > allowed {
        return allowed + 1;
    }
    let mut above: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut last_left = None;
    for (i, &l) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        let mut last_right = None;
        for (j, &r) in right.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let change = at(&row, j) + usize::from(l != r);
            let mut best = change.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && last_left == Some(r) && last_right == Some(l) {
                best = best.min(at(&above, j - 1) + 1);
            }
            next.push(best);
            last_right = Some(r);
        }
        above = std::mem::replace(&mut row, next);
        last_left = Some(l);
    }
    row.last().copied().unwrap_or_default()
}
