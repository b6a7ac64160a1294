//! Notices that the data directory of a running daemon was removed or replaced: what is recorded
//! there from then on is lost with the last open file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use notify::{RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::warn;

/// Watches one directory from its parent. An event, not a look every few seconds: the directory
/// is there for months.
pub(super) struct DataGone {
    path: PathBuf,
    /// Which directory it was when the daemon started.
    was: Option<(u64, u64)>,
    events: mpsc::Receiver<()>,
    // Watches as long as it lives; none where the system gives no watch.
    _watcher: Option<notify::RecommendedWatcher>,
}

// === impl DataGone ===

impl DataGone {
    pub(super) fn watch(path: &Path) -> Self {
        // One waiting event is enough: the directory is looked at after it anyway.
        let (sender, events) = mpsc::channel(1);
        // As it is, not as it was called: a link stays when what it leads to is removed.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let watcher = watcher(&path, sender)
            .inspect_err(|error| warn!("The data directory cannot be watched: {error}"))
            .ok();
        DataGone {
            was: identity(&path),
            path,
            events,
            _watcher: watcher,
        }
    }

    /// Waits until the directory is not there any more, or another one is.
    pub(super) async fn happened(&mut self) {
        while self.was.is_some() && identity(&self.path) == self.was {
            if self.events.recv().await.is_none() {
                // Nobody watches.
                return std::future::pending().await;
            }
        }
    }
}

fn watcher(path: &Path, sender: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let watched = path.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = |event: notify::Event| {
            let kind = event.kind;
            (kind.is_remove() || kind.is_modify() || kind.is_create())
                && event.paths.iter().any(|path| watched.starts_with(path))
        };
        // What cannot be told apart is looked at.
        if event.is_ok_and(|event| !concerns(event)) {
            return;
        }
        // A full channel means that an event waits already.
        let _ = sender.try_send(());
    })?;
    watcher.watch(path.parent().unwrap_or(path), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Which directory a path leads to.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}
