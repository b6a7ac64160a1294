//! Backup of a running store into one file, and restore from it.

use std::path::{Path, PathBuf};

use crate::{Head, Locations, Store, StoreError};

/// Whether a backup carries the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithKey {
    /// It does not: whoever has the file cannot read the secrets in it, and
    /// restoring needs the key file.
    No,
    /// It does: the file is as secret as everything in it.
    Yes,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The archive's size.
    pub bytes: u64,
    /// The end of the journal in it.
    pub head: Head,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The end of the journal.
    pub head: Head,
    /// Whether the key came from the archive.
    pub key_restored: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file could not be written or read back.
    #[error("`{}` could not be {action}: {source}", path.display())]
    Io {
        /// The archive.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What was written is not what was read back.
    #[error("the archive `{}` is not what was written: {reason}", path.display())]
    Unsound {
        /// The archive.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something in the data directory.
    #[error("data directory `{}` is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The file is not a whole backup.
    #[error("`{}` is not a sound backup: {reason}", path.display())]
    Unsound {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Neither the archive nor the configuration directory has the key.
    #[error("the backup carries no key, and `{}` is missing", path.display())]
    KeyMissing {
        /// Where the key file should be.
        path: PathBuf,
    },
    /// The configuration directory has another key for the same data.
    #[error("`{}` holds another key than the backup", path.display())]
    OtherKey {
        /// The key file.
        path: PathBuf,
    },
    /// A file could not be used.
    #[error("`{}` could not be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Restores a backup into an empty data directory.
pub fn restore(archive: &Path, locations: &Locations) -> Result<RestoreReport, RestoreError> {
    let _ = (archive, locations);
    todo!()
}

// === impl Store ===

impl Store {
    /// Writes the whole store into one new file, while it runs.
    pub fn backup(&self, archive: &Path, key: WithKey) -> Result<BackupReport, BackupError> {
        let _ = (archive, key);
        todo!()
    }
}
