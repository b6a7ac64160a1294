//! Where a store keeps its things.

use std::path::{Path, PathBuf};

/// Where a store keeps its things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations {
    /// The data directory: journal and database. Created with mode 0700.
    pub data: PathBuf,
    /// The configuration directory: the key file. Not beside the data.
    pub config: PathBuf,
}

/// Where the segments of a data directory are.
pub(crate) fn journal_directory(data: &Path) -> PathBuf {
    data.join("journal")
}

/// Where the id of a data directory is: it names the key file.
pub(crate) fn id_path(data: &Path) -> PathBuf {
    data.join("id")
}

/// Where the database of a data directory is.
pub(crate) fn database_path(data: &Path) -> PathBuf {
    data.join("provost.db")
}

/// Where the rows of the fleet are.
pub(crate) fn fleet_path(data: &Path) -> PathBuf {
    data.join("fleet.db")
}

/// Where the key file of the data directory `id` is.
pub(crate) fn key_path(config: &Path, id: &str) -> PathBuf {
    config.join(format!("key-{id}"))
}
