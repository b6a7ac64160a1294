//! Why there is no backup, or nothing was restored.

use std::path::PathBuf;

use crate::{OpenError, StoreError};

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
    #[error("the archive `{}` was not written correctly: {reason}", path.display())]
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
    /// Nothing vouches for the archive.
    #[error("`{}` cannot be verified: {reason}", path.display())]
    Unverified {
        /// The archive.
        path: PathBuf,
        /// Why not.
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
    /// The key file cannot be used.
    #[error(transparent)]
    Key(#[from] Box<OpenError>),
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
