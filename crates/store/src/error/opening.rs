//! Why a store is not opened.

use std::path::{Path, PathBuf};

use super::damage_in;
use crate::Damage;
use crate::locations::database_path;

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
    /// The journal holds what this program cannot know the meaning of.
    #[error("the journal of data directory `{}` cannot be read by this program: {place}", path.display())]
    UnknownEntry {
        /// The data directory.
        path: PathBuf,
        /// Which segment, which line, and what is there.
        place: Damage,
    },
    /// What entries before a place amount to is not known any more.
    #[error("the journal of data directory `{}` is incomplete: {what}", path.display())]
    HistoryMissing {
        /// The data directory.
        path: PathBuf,
        /// What is missing.
        what: String,
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
    /// The database is not what this program wrote.
    #[error("the database `{}` is damaged: {what}", path.display())]
    DatabaseDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, in words.
        what: String,
    },
    /// Something else about the store.
    #[error(transparent)]
    Store(#[from] crate::StoreError),
}

// === impl OpenError ===

impl OpenError {
    /// What SQLite said of the database of a data directory.
    pub(crate) fn database(data: &Path, source: rusqlite::Error) -> Self {
        match damage_in(&source) {
            Some(what) => Self::DatabaseDamaged {
                path: database_path(data),
                what,
            },
            None => Self::Database {
                path: data.to_owned(),
                source,
            },
        }
    }

    /// What could not be done to a file or directory.
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }

    /// What the user may do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { .. } => Some(
                "one daemon serves a data directory; stop the other, or use another directory".to_owned(),
            ),
            Self::Newer { .. } => Some("use a newer `provost`".to_owned()),
            Self::UnknownEntry { .. } => Some(
                "the journal was left as it is; use the `provost` that wrote it, or a newer one".to_owned(),
            ),
            Self::KeyMode { path, .. } => Some(format!("chmod 600 {}", path.display())),
            Self::KeyOwner { .. } => Some("run as the user who owns the data directory".to_owned()),
            Self::KeyMissing { .. } => Some(
                "put the key file back; without it the sealed secrets and the journal's chain cannot be read".to_owned(),
            ),
            Self::HistoryMissing { .. } => Some(
                "put the file back, or restore a backup; without it limits would start from zero".to_owned(),
            ),
            Self::KeyFormat { .. } => Some("put the key file back from a copy".to_owned()),
            Self::DatabaseDamaged { .. } => Some(
                "somebody or something other than `provost` changed the file; restore a backup with `provost restore`".to_owned(),
            ),
            Self::Io { .. } | Self::Database { .. } | Self::Store(_) => None,
        }
    }
}
