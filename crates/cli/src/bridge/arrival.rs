//! Notices that somebody has started a daemon, without asking again and again.

use std::path::{Path, PathBuf};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::locations::Places;

/// Something happens where the sockets of a daemon stand.
pub(super) struct Arrival {
    events: Option<mpsc::Receiver<()>>,
    // Watches as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

// === impl Arrival ===

impl Arrival {
    /// Watches; where that is not possible nothing ever happens, and the agent's next word looks.
    pub(super) fn watch(places: &Places) -> Self {
        let (sender, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| event.kind.is_create() || event.kind.is_modify()) {
                // A full channel means that an event waits already.
                let _ = sender.try_send(());
            }
        });
        let Ok(mut watcher) = watcher else {
            return Self::never();
        };
        // A restore puts another directory in the place of this one, which shows in the one above.
        let sockets = places.agent_socket();
        for directory in [parent(&sockets), parent(&places.data)] {
            if watcher
                .watch(&directory, RecursiveMode::NonRecursive)
                .is_err()
            {
                return Self::never();
            }
        }
        Arrival {
            events: Some(events),
            _watcher: Some(watcher),
        }
    }

    fn never() -> Self {
        Arrival {
            events: None,
            _watcher: None,
        }
    }

    /// Waits for something to happen.
    pub(super) async fn happened(&mut self) {
        let happened = match &mut self.events {
            Some(events) => events.recv().await,
            None => None,
        };
        if happened.is_none() {
            std::future::pending().await
        }
    }
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}
