//! Group fsync, and the waiting of the threads that follow the journal.
//!
//! What this bounds is a power cut or a kernel crash: at most what was
//! appended in the last interval. A killed process loses nothing.
//!
//! A sync that failed is never tried again on the same file: the kernel may
//! have dropped what it could not write, and would say yes the second time.
//! What is not known to be on the disk is written again, into new files that
//! take the place of the old ones; until that is done, nothing is accepted.
//! So it is with a file that is not where it was any more: what it takes is
//! lost with it.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Journal, segment};
use crate::JournalError;
use crate::guard::lock;

/// How long an entry may be in the kernel alone.
const INTERVAL: Duration = Duration::from_millis(50);

/// How long entries may gather before they are folded.
const GATHER: Duration = Duration::from_secs(2);

/// The same when somebody follows.
const FOLLOWED: Duration = Duration::from_millis(50);

/// How long a disk is left alone after what it refused was refused again.
const PAUSE: Duration = Duration::from_secs(1);

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
        let (file, rolled, segment) = {
            let mut state = lock(&self.0.state);
            if let Some(error) = &state.sync_failed {
                return Err(JournalError::Unavailable(Arc::clone(error)));
            }
            if !state.unsynced {
                return Ok(());
            }
            state.unsynced = false;
            let rolled = std::mem::take(&mut state.rolled);
            (Arc::clone(&state.file), rolled, state.end.segment)
        };
        let disk = &self.0.disk;
        let synced = rolled
            .iter()
            .try_for_each(|file| disk.sync_all(file))
            .and_then(|()| disk.sync_data(&file))
            .and_then(|()| segment::is_in_place(&self.0.directory, segment, &file));
        match synced {
            Ok(()) => {
                lock(&self.0.state).unsynced_from = segment;
                Ok(())
            }
            Err(error) => {
                let mut state = lock(&self.0.state);
                state.sync_failed = Some(Arc::new(error));
                drop(state);
                self.write_again()
            }
        }
    }

    /// Writes what may not be on the disk again, into new files.
    fn write_again(&self) -> Result<(), JournalError> {
        let from = lock(&self.0.state).unsynced_from;
        // From here on nobody writes.
        let mut writer = self.take_writer();
        let written = writer.write_again(from, &self.0.disk).map_err(Arc::new);
        let mut state = lock(&self.0.state);
        match &written {
            Ok(()) => {
                state.file = writer.file();
                state.rolled.clear();
                state.unsynced = false;
                state.unsynced_from = writer.end().segment;
                state.sync_failed = None;
            }
            Err(error) => state.sync_failed = Some(Arc::clone(error)),
        }
        drop(state);
        self.give_back(writer);
        written.map_err(JournalError::Unavailable)
    }

    /// [`Journal::sync`], and one more attempt where the last one failed.
    pub(super) fn sync_or_mend(&self) -> Result<(), JournalError> {
        let mended = {
            let _alone = lock(&self.0.syncing);
            let failed = lock(&self.0.state).sync_failed.is_some();
            failed.then(|| self.write_again())
        };
        mended.unwrap_or_else(|| self.sync())?;
        self.pay()
    }

    /// Why entries are refused at the moment, as far as the last one and the
    /// last sync tell.
    pub fn trouble(&self) -> Option<JournalError> {
        let state = lock(&self.0.state);
        let failed = state.sync_failed.as_ref().or(state.write_failed.as_ref());
        failed.map(|error| JournalError::Unavailable(Arc::clone(error)))
    }

    /// Waits until something was appended, then lets more come; not for long
    /// when somebody follows. False when the journal is closed.
    pub(crate) fn wait_for_fold(&self) -> bool {
        let to_fold = &self.0.to_fold;
        let mut state = lock(&self.0.state);
        while !state.unfolded && !state.closed {
            state = to_fold.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let begun = Instant::now();
        while !state.closed {
            let gather = match state.followers {
                0 => GATHER,
                _ => FOLLOWED,
            };
            let Some(left) = gather.checked_sub(begun.elapsed()) else {
                break;
            };
            // Woken early when somebody begins to follow.
            (state, _) = to_fold
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.unfolded = false;
        !state.closed
    }

    /// Somebody follows from here on.
    pub(crate) fn be_followed(&self) {
        lock(&self.0.state).followers += 1;
        self.0.to_fold.notify_all();
    }

    /// Somebody follows no longer.
    pub(crate) fn be_left(&self) {
        let followers = &mut lock(&self.0.state).followers;
        *followers = followers.saturating_sub(1);
    }

    fn wait_for_sync(&self) -> bool {
        let mut state = lock(&self.0.state);
        while !state.unsynced && state.sync_failed.is_none() && !state.closed {
            state = self
                .0
                .to_sync
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let gather = match state.sync_failed {
            None => INTERVAL,
            Some(_) => PAUSE,
        };
        let (state, _) = self
            .0
            .to_sync
            .wait_timeout_while(state, gather, |state| !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    fn sync_quietly(&self) {
        let failed_before = lock(&self.0.state).sync_failed.is_some();
        match self.sync_or_mend() {
            Ok(()) if failed_before => {
                tracing::warn!("the journal can be synced to the disk again")
            }
            Err(error) if !failed_before => {
                tracing::error!(error = %error, "the journal cannot be synced to the disk; calls are refused until it can");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
