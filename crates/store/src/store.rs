//! The store: one data directory, open in one process.

use std::sync::Arc;

use crate::{Clock, Directory, Journal, OpenReport, StoreError};

/// One open data directory. Cheap to clone; the last clone that goes away
/// closes it. Blocks: nothing here but [`Store::journal`] and
/// [`Store::clock`] belongs on the path of a call.
#[derive(Debug, Clone)]
pub struct Store(#[expect(dead_code, reason = "filled in with the body")] Arc<()>);

// === impl Store ===

impl Store {
    /// The clock whose steady line goes through restarts.
    pub fn clock(&self) -> Clock {
        todo!()
    }

    /// The writing end of the journal.
    pub fn journal(&self) -> Journal {
        todo!()
    }

    /// What opening found.
    pub fn report(&self) -> &OpenReport {
        todo!()
    }

    /// A consistent snapshot of servers, grants and policies.
    pub fn directory(&self) -> Result<Directory, StoreError> {
        todo!()
    }

    /// How many changes the control plane has seen.
    pub fn revision(&self) -> u64 {
        todo!()
    }

    /// Calls `told` after each change of the control plane, on the thread
    /// that made it. Keep it short: wake somebody.
    pub fn on_change(&self, told: Box<dyn Fn() + Send + Sync>) {
        let _ = told;
        todo!()
    }

    /// Closes the store: folds, writes a last entry, syncs. Appends fail
    /// from here on. Dropping the last clone does the same.
    pub fn close(&self) {
        todo!()
    }
}
