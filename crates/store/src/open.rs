//! Opening a data directory: lock, key, schema, replay.

use std::path::PathBuf;

use crate::{Damage, Store};

/// Where a store keeps its things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    /// The data directory: journal and database. Created with mode 0700.
    pub data: PathBuf,
    /// The configuration directory: the key file. Not beside the data.
    pub config: PathBuf,
}

/// What opening found.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// Bytes of an unfinished last entry that were cut off: the process or
    /// the machine stopped while writing it, nobody was told it was written.
    pub torn_bytes: u64,
    /// Damaged places; what is intact around them is used.
    pub damage: Vec<Damage>,
    /// Entries read to bring the counters up to date.
    pub replayed: u64,
    /// Intended calls whose end nobody knows, because the last process
    /// stopped before it wrote one.
    pub unknown: u64,
}

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("data directory `{}` is locked by {}", path.display(), holder.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}")))]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// The other process, if it wrote its id.
        holder: Option<u32>,
    },
    /// The database is newer than this program.
    #[error("data directory `{}` has schema {found}, this program knows {known}", path.display())]
    Newer {
        /// The data directory.
        path: PathBuf,
        /// The schema found.
        found: u32,
        /// The newest schema this program knows.
        known: u32,
    },
    /// The key file can be read by others.
    #[error("key file `{}` has mode {mode:04o}", path.display())]
    KeyMode {
        /// The key file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The key file belongs to another user.
    #[error("key file `{}` belongs to user {owner}, not to {us}", path.display())]
    KeyOwner {
        /// The key file.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// The user of this process.
        us: u32,
    },
    /// There is sealed data and no key for it.
    #[error("key file `{}` is missing", path.display())]
    KeyMissing {
        /// The key file.
        path: PathBuf,
    },
    /// The key file does not hold keys.
    #[error("key file `{}` cannot be understood: {reason}", path.display())]
    KeyFormat {
        /// The key file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file or directory could not be used.
    #[error("`{}` could not be {action}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was tried, such as `opened`.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The database could not be used.
    #[error("the database of `{}` could not be used: {source}", path.display())]
    Database {
        /// The data directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rusqlite::Error,
    },
    /// Something else about the store.
    #[error(transparent)]
    Store(#[from] crate::StoreError),
}

// === impl OpenError ===

impl OpenError {
    /// What the user may do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { .. } => Some(
                "one daemon serves a data directory; stop the other, or use another directory".to_owned(),
            ),
            Self::Newer { .. } => Some("use a newer `provost`".to_owned()),
            Self::KeyMode { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::KeyOwner { .. } => Some("run as the user who owns the data directory".to_owned()),
            Self::KeyMissing { .. } => Some(
                "put the key file back; without it the sealed secrets and the journal's chain cannot be read".to_owned(),
            ),
            Self::KeyFormat { .. } => Some("put the key file back from a copy".to_owned()),
            Self::Io { .. } | Self::Database { .. } | Self::Store(_) => None,
        }
    }
}

// === impl Store ===

impl Store {
    /// Opens the store of a data directory for this process alone.
    ///
    /// Creates what does not exist, brings the schema up to date, checks the
    /// end of the journal and replays what was not yet folded.
    pub fn open(locations: &Locations) -> Result<Store, OpenError> {
        let _ = locations;
        todo!()
    }
}
