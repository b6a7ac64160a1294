//! The store: one data directory, open in one process.

use std::fmt;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock};

use provost_policy::ledger::Ledger;

use crate::clock::Clock;
use crate::control::{Distrust, Expected};
use crate::database::Database;
use crate::directory::Kept;
use crate::fold::{FoldThread, Folder};
use crate::follow::Following;
use crate::guard::{lock, read, write};
use crate::journal::{Journal, Syncer, segment_path, segments};
use crate::keys::Keyring;
use crate::{Damage, JournalError, Locations, StoreError};

/// One open data directory. Cheap to clone; the last clone that goes away
/// closes it. Blocks: nothing here but [`Store::journal`] and
/// [`Store::clock`] belongs on the path of a call.
#[derive(Debug, Clone)]
pub struct Store(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) locations: Locations,
    pub(crate) id: String,
    pub(crate) keys: Keyring,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) database: Arc<Database>,
    pub(crate) folder: Arc<Folder>,
    pub(crate) report: OpenReport,
    pub(crate) revision: AtomicU64,
    pub(crate) generation: AtomicU64,
    /// Held while a change is made, and while the database is held against the
    /// journal: a change that is half made would look like a difference.
    pub(crate) changing: Mutex<()>,
    /// One at a time: backup, retention, verification, key rotation.
    pub(crate) maintenance: Arc<Mutex<()>>,
    /// What the database holds and the journal does not say.
    pub(crate) distrust: RwLock<Distrust>,
    /// What the rows of the control plane have to be, the last change included.
    /// Taken after `changing`.
    pub(crate) expected: Mutex<Expected>,
    /// What is in force. Taken after `changing`.
    pub(crate) kept: Mutex<Kept>,
    pub(crate) listeners: RwLock<Vec<Listener>>,
    pub(crate) running: Mutex<Option<Running>>,
    /// The journal's end when it was opened only to look; 0: for more than that.
    pub(crate) looked_at: AtomicU64,
}

/// What opening found.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// Bytes of an unfinished last entry that were cut off: the process or
    /// the machine stopped while writing it, nobody was told it was written.
    pub torn_bytes: u64,
    /// Damaged places in what was read; what is intact around them is used.
    pub damage: Vec<Damage>,
    /// Entries read to bring the counters up to date.
    pub replayed: u64,
}

pub(crate) type Listener = Box<dyn Fn() + Send + Sync>;

/// What ends when the store is closed.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) syncer: Syncer,
    pub(crate) fold_thread: FoldThread,
    /// Dropped last: from then on another process may open the directory.
    pub(crate) lock: File,
}

// === impl Store ===

impl Store {
    /// The clock whose steady line goes through restarts.
    pub fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    /// The writing end of the journal.
    pub fn journal(&self) -> Journal {
        self.0.journal.clone()
    }

    /// The counters as of the journal's end: the snapshot and what came
    /// after it. Asked once, at start; nothing is in flight in it.
    pub fn ledger(&self) -> Result<Ledger, StoreError> {
        self.0.folder.ledger()
    }

    /// What opening found.
    pub fn report(&self) -> &OpenReport {
        &self.0.report
    }

    /// Grants, servers and policies that are not in force, because their rows
    /// are not what the journal says.
    pub fn refused(&self) -> Vec<String> {
        read(&self.0.distrust).named().map(str::to_owned).collect()
    }

    /// How much room the journal's segments take, in bytes.
    pub fn journal_bytes(&self) -> Result<u64, StoreError> {
        let directory = self.0.journal.directory();
        let mut bytes = 0;
        for segment in segments(directory).map_err(StoreError::read)? {
            match std::fs::metadata(segment_path(directory, segment)) {
                Ok(found) => bytes += found.len(),
                // Retention removed it just now.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::read(error)),
            }
        }
        Ok(bytes)
    }

    /// Where the store keeps its things.
    pub fn locations(&self) -> &Locations {
        &self.0.locations
    }

    /// How many changes the control plane has seen.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// How often what is in force has become something else since the store was
    /// opened: with each change, and with what [`Store::audit_verify`] finds. It
    /// stands nowhere on the disk, so nobody can set it back.
    pub fn generation(&self) -> u64 {
        self.0.generation.load(Ordering::Acquire)
    }

    /// Calls `told` after each new generation, on the thread that made it and
    /// before whoever made it hears of it. It must not hold a [`Store`], or the
    /// store is never closed, and must not make changes.
    pub fn on_change(&self, told: Box<dyn Fn() + Send + Sync>) {
        write(&self.0.listeners).push(told);
    }

    /// Follows the records from here on.
    pub fn follow(&self) -> Following {
        let progress = Arc::clone(self.0.folder.progress());
        Following::begin(progress, self.journal())
    }

    /// Closes the store: folds, writes a last entry, syncs, lets go of the
    /// directory. Appends fail from here on. Dropping the last clone does the
    /// same.
    pub fn close(&self) {
        self.0.close();
    }

    /// Begins maintenance, alone; refused once the store is closed.
    pub(crate) fn alone(&self) -> Result<MutexGuard<'_, ()>, StoreError> {
        let alone = lock(&self.0.maintenance);
        if lock(&self.0.running).is_none() {
            return Err(JournalError::Closed.into());
        }
        Ok(alone)
    }

    pub(crate) fn tell_change(&self) {
        for told in read(&self.0.listeners).iter() {
            told();
        }
    }
}

// === impl Inner ===

impl Inner {
    fn close(&self) {
        let Some(mut running) = lock(&self.running).take() else {
            return;
        };
        // Each step is tried whatever became of the one before; there is
        // nobody left to tell but the log.
        if let Err(error) = self.journal.pay() {
            tracing::warn!(error = %error, "the journal could not be told that a change was not made; the next start does it");
        }
        // Who only looked has begun nothing that could end.
        if self.looked_at.load(Ordering::Acquire) != self.journal.end().number {
            // The next start has little to read then.
            if let Err(error) = self.folder.checkpoint_at_the_end() {
                tracing::warn!(error = %error, "the checkpoint at the end was not written; the next start reads the entries instead");
            }
            if let Err(error) = self
                .journal
                .append_stop(&self.clock, self.revision.load(Ordering::Acquire))
            {
                tracing::warn!(error = %error, "the journal's last entry was not written");
            }
        }
        self.journal.close();
        if let Err(error) = self.journal.sync() {
            tracing::error!(error = %error, "the end of the journal could not be synced to the disk");
        }
        running.syncer.join();
        running.fold_thread.join();
        if let Err(error) = self.folder.fold() {
            tracing::warn!(error = %error, "the last entries of the journal were not copied into the database; the next start does it");
        }
        self.folder.progress().close();
        // Whoever still holds a clone keeps the connections open; what they
        // wrote is in the file all the same.
        if let Err(error) = self.database.gather() {
            tracing::warn!(error = %error, "SQLite's write-ahead log was not merged into the database; the next start does it");
        }
        // What retention, backup or a key's rotation has begun is finished
        // while the directory is still ours; what comes later is refused.
        let _alone = lock(&self.maintenance);
        drop(running.lock);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("locations", &self.locations)
            .finish_non_exhaustive()
    }
}
