//! Group fsync, and the waiting of the threads that follow the journal.
//!
//! What this bounds is a power cut or a kernel crash: at most what was
//! appended in the last interval. A killed process loses nothing.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Journal;
use crate::JournalError;
use crate::guard::lock;

/// How long an entry may be in the kernel alone.
const INTERVAL: Duration = Duration::from_millis(50);

/// The thread that syncs. It ends when the journal is closed.
#[derive(Debug)]
pub(crate) struct Syncer(Option<JoinHandle<()>>);

// === impl Syncer ===

impl Syncer {
    pub(crate) fn start(journal: &Journal) -> std::io::Result<Self> {
        let journal = journal.clone();
        let thread = std::thread::Builder::new()
            .name("journal-sync".to_owned())
            .spawn(move || {
                while journal.wait_for_sync() {
                    journal.sync_quietly();
                }
            })?;
        Ok(Self(Some(thread)))
    }

    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            // It cannot be told anything any more if it panicked.
            thread.join().ok();
        }
    }
}

// === impl Journal ===

impl Journal {
    /// Brings everything that was appended to the disk.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        // What another thread is bringing there is not there yet: without
        // this, nothing left to sync would look like everything synced.
        let _alone = lock(&self.0.syncing);
        let (file, rolled) = {
            let mut state = lock(&self.0.state);
            if !state.unsynced && state.sync_failed.is_none() {
                return Ok(());
            }
            state.unsynced = false;
            (Arc::clone(&state.file), std::mem::take(&mut state.rolled))
        };
        let synced = rolled
            .iter()
            .try_for_each(|file| file.sync_all())
            .and_then(|()| file.sync_data());
        let mut state = lock(&self.0.state);
        match synced {
            Ok(()) => {
                state.sync_failed = None;
                Ok(())
            }
            Err(error) => {
                let error = Arc::new(error);
                // Nothing is accepted that the disk does not keep; the next
                // round tries again.
                state.sync_failed = Some(Arc::clone(&error));
                state.unsynced = true;
                state.rolled.extend(rolled);
                Err(JournalError::Unavailable(error))
            }
        }
    }

    /// Waits until something was appended, or until `longest` is over, then
    /// lets more come for `gather`. False when the journal is closed.
    pub(crate) fn wait_for_fold(&self, gather: Duration) -> bool {
        let mut state = lock(&self.0.state);
        while !state.unfolded && !state.closed {
            state = self
                .0
                .to_fold
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !state.closed {
            (state, _) = self
                .0
                .to_fold
                .wait_timeout_while(state, gather, |state| !state.closed)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.unfolded = false;
        !state.closed
    }

    fn wait_for_sync(&self) -> bool {
        let mut state = lock(&self.0.state);
        while !state.unsynced && !state.closed {
            state = self
                .0
                .to_sync
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (state, _) = self
            .0
            .to_sync
            .wait_timeout_while(state, INTERVAL, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn sync_quietly(&self) {
        let failed_before = lock(&self.0.state).sync_failed.is_some();
        match self.sync() {
            Ok(()) if failed_before => tracing::warn!("the journal reaches the disk again"),
            Err(error) if !failed_before => {
                tracing::error!(error = %error, "the journal does not reach the disk; calls are refused until it does");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
