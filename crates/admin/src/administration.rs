//! What is administered, and by whom it is open.

use provost_store::Store;

use crate::refusal::no_daemon;
use crate::{Daemon, Outcome};

/// Administration of one store, with the daemon that has it open, if one does.
#[derive(Clone, Copy)]
pub struct Administration<'a> {
    /// What is administered.
    pub store: &'a Store,
    /// Who answers what the store cannot.
    pub daemon: Option<&'a dyn Daemon>,
}

// === impl Administration ===

impl<'a> Administration<'a> {
    /// Administration of a store that no daemon has open.
    #[must_use]
    pub fn of(store: &'a Store) -> Self {
        Administration {
            store,
            daemon: None,
        }
    }

    /// The daemon.
    ///
    /// # Errors
    ///
    /// None runs.
    pub(crate) fn daemon(&self) -> Outcome<&'a dyn Daemon> {
        self.daemon
            .ok_or_else(|| no_daemon(&self.store.locations().data))
    }
}
