//! What judging one call may cost: counted, never timed.

use std::ops::Deref;
use std::sync::Arc;

use crate::json::{Folder, Kind, Value};

/// What one call may still cost, over all conditions of all policies that it
/// is judged by. A unit is about the reading of one byte.
#[derive(Debug, Clone)]
pub struct Work {
    left: u64,
    pub(crate) names: Folder,
    /// The text whose escapes were undone last, and where it stands: several
    /// conditions often ask about one.
    undone: Option<(usize, Arc<str>)>,
}

/// The text of a string, without its escapes.
pub(crate) enum Words<'d> {
    Written(&'d str),
    Undone(Arc<str>),
}

/// The budget of a call is used up, so what was asked cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// Why a condition was not looked at, in words that follow its path.
pub(crate) const TOO_MUCH: &str = "would take more work to check than one call is allowed";

/// Undoing an escape is slower than reading a byte.
const UNDO: usize = 2;

// === impl Work ===

impl Work {
    /// What one call may cost: five plain patterns over four megabytes of text,
    /// and some room.
    pub const OF_A_CALL: u64 = 24 << 20;

    /// A budget of so many units.
    pub fn with_budget(units: u64) -> Self {
        Self {
            left: units,
            names: Folder::default(),
            undone: None,
        }
    }

    /// What is left of the budget.
    pub fn left(&self) -> u64 {
        self.left
    }

    /// Another call is judged: what was found out of the one before is not its.
    pub(crate) fn next_call(&mut self) {
        self.undone = None;
    }

    /// The text of a string; `None` for anything else.
    pub(crate) fn words<'d>(&mut self, value: Value<'d>) -> Result<Option<Words<'d>>, Exhausted> {
        if value.kind() != Kind::String {
            return Ok(None);
        }
        if let Some(written) = value.as_written() {
            return Ok(Some(Words::Written(written)));
        }
        let place = value.span().start;
        if let Some((at, text)) = &self.undone
            && *at == place
        {
            return Ok(Some(Words::Undone(Arc::clone(text))));
        }
        self.spend(value.raw().len().saturating_mul(UNDO))?;
        let text: Arc<str> = value.as_str().unwrap_or_default().into();
        self.undone = Some((place, Arc::clone(&text)));
        Ok(Some(Words::Undone(text)))
    }

    /// For work that is bounded by itself. When it was too much, whoever spends
    /// next is told.
    pub(crate) fn use_up(&mut self, units: usize) {
        let _ = self.spend(units);
    }

    /// To be called before the work is done.
    pub(crate) fn spend(&mut self, units: usize) -> Result<(), Exhausted> {
        let units = u64::try_from(units).unwrap_or(u64::MAX);
        match self.left.checked_sub(units) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            // Nothing smaller comes through afterwards: the answer would
            // depend on the order of rules.
            None => {
                self.left = 0;
                Err(Exhausted)
            }
        }
    }
}

impl Default for Work {
    fn default() -> Self {
        Self::with_budget(Self::OF_A_CALL)
    }
}

// === impl Words ===

impl Deref for Words<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Written(text) => text,
            Self::Undone(text) => text,
        }
    }
}
