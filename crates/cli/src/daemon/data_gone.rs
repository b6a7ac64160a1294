//! Notices that the data directory of a running daemon was removed or replaced: what is recorded
//! there from then on is lost with the last open file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::watched::Watched;

/// Watches one directory from its parent. An event, not a look every few seconds: the directory
/// is there for months.
pub(super) struct DataGone {
    path: PathBuf,
    /// Which directory it was when the daemon started.
    was: Option<(u64, u64)>,
    /// None where the system gives no watch.
    watched: Option<Watched>,
}

// === impl DataGone ===

impl DataGone {
    pub(super) fn watch(path: &Path) -> Self {
        // As it is, not as it was called: a link stays when what it leads to is removed.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let above = path.parent().unwrap_or(&path).to_owned();
        let concerned = path.clone();
        let watched = Watched::begin(&[above], move |event| {
            let kind = event.kind;
            (kind.is_remove() || kind.is_modify() || kind.is_create())
                && event.paths.iter().any(|path| concerned.starts_with(path))
        });
        let watched = watched
            .inspect_err(|error| warn!("The data directory cannot be watched: {error}"))
            .ok();
        DataGone {
            was: identity(&path),
            path,
            watched,
        }
    }

    /// Waits until the directory is not there any more, or another one is.
    pub(super) async fn happened(&mut self) {
        while self.was.is_some() && identity(&self.path) == self.was {
            match &mut self.watched {
                Some(watched) => watched.happened().await,
                None => std::future::pending().await,
            }
        }
    }
}

/// Which directory a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}
