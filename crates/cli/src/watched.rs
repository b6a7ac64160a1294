//! What happens in directories, as the system tells it: nobody looks again and again.

use std::path::{Path, PathBuf};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

use crate::locations::Places;

/// Tells when something has happened in directories; what lies deeper is not seen.
pub(crate) struct Watched {
    events: mpsc::Receiver<()>,
    // Watches as long as it lives.
    _watcher: RecommendedWatcher,
}

/// Notices that somebody has started a daemon.
pub(crate) struct Arrival(Option<Watched>);

// === impl Watched ===

impl Watched {
    /// Watches for what `concerns`.
    pub(crate) fn begin(
        directories: &[PathBuf],
        concerns: impl Fn(&Event) -> bool + Send + 'static,
    ) -> notify::Result<Self> {
        // One waiting event is enough: whoever hears of it looks.
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // What cannot be told apart is looked at.
            if event.as_ref().map_or(true, &concerns) {
                let _ = sender.try_send(());
            }
        })?;
        for directory in directories {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
        }
        Ok(Watched {
            events,
            _watcher: watcher,
        })
    }

    /// Waits for something to happen.
    pub(crate) async fn happened(&mut self) {
        if self.events.recv().await.is_none() {
            // Nobody watches any more.
            std::future::pending().await
        }
    }
}

// === impl Arrival ===

impl Arrival {
    /// Watches where the sockets of a daemon stand, or come to stand; where that is not possible
    /// nothing ever happens.
    pub(crate) fn watch(places: &Places) -> Self {
        // A restore puts another directory in the place of this one, which shows in the one above.
        let directories = [places.admin_socket(), places.data.clone()].map(|path| above(&path));
        let watched = Watched::begin(&directories, |event| {
            event.kind.is_create() || event.kind.is_modify()
        });
        Arrival(watched.ok())
    }

    /// Waits for something to happen there.
    pub(crate) async fn happened(&mut self) {
        match &mut self.0 {
            Some(watched) => watched.happened().await,
            None => std::future::pending().await,
        }
    }
}

/// The nearest directory above that is there.
fn above(path: &Path) -> PathBuf {
    let above = path.ancestors().skip(1).find(|above| above.is_dir());
    above.unwrap_or(path).to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::environment::Environment;

    async fn happens(arrival: &mut Arrival) {
        let happened = tokio::time::timeout(Duration::from_secs(10), arrival.happened());
        happened.await.expect("it is noticed");
    }

    #[tokio::test]
    async fn a_daemon_is_noticed_where_there_was_no_directory_yet() {
        let scratch = tempfile::tempdir().unwrap();
        let data = scratch.path().join("new/data");
        let config = scratch.path().join("config");
        let decided = Places::decide(&Environment::default(), Some(&data), Some(&config));
        let places = decided.unwrap();
        let mut arrival = Arrival::watch(&places);
        std::fs::create_dir_all(&data).unwrap();
        happens(&mut arrival).await;
        // Whoever has looked then watches from nearer.
        let mut arrival = Arrival::watch(&places);
        std::fs::write(places.admin_socket(), "").unwrap();
        happens(&mut arrival).await;
    }
}
