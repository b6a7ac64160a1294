//! Whose history it is: the node, and which of its timelines.
//!
//! A node has one chain. When a backup is restored, entries after it may exist
//! elsewhere, with the same numbers: what is written from then on belongs to
//! another timeline, the next epoch, and the journal says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::OpenError;
use crate::private::{remove, write_private};

/// The part of an entry's key that its number does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timeline {
    pub(crate) node: Arc<str>,
    /// From 1.
    pub(crate) epoch: u32,
}

/// What a restore leaves for the next start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restored {
    /// Who restored.
    pub(crate) who: String,
    /// From which archive.
    pub(crate) archive: String,
    /// What is worth keeping about it.
    pub(crate) detail: Option<String>,
}

// === impl Restored ===

impl Restored {
    /// Where it stands until the journal says it.
    fn path(data: &Path) -> PathBuf {
        data.join("restored")
    }

    pub(crate) fn leave(&self, data: &Path) -> std::io::Result<()> {
        write_private(&Self::path(data), &serde_json::to_vec(self)?)
    }

    pub(crate) fn find(data: &Path) -> Result<Option<Self>, OpenError> {
        let path = Self::path(data);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .map_err(|error| OpenError::io(&path, "understood")(error.into())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(OpenError::io(&path, "read")(source)),
        }
    }

    /// The journal says it now.
    pub(crate) fn forget(data: &Path) -> std::io::Result<()> {
        remove(&Self::path(data))?;
        std::fs::File::open(data)?.sync_all()
    }
}
