//! The fleet: rows of instances, their windows, and what an operator decided. What its
//! tools do stands in the files above this one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use provost_store::Store;
use provost_store::fleet::{FleetDatabase, InstanceId};
use tokio::sync::watch;

use crate::failure::Failure;
use crate::place::Place;
use crate::settings::Settings;
use crate::terminal::Terminal;
use crate::windows::Windows;

/// The server that the fleet stands behind.
pub const SERVER: &str = "fleet";

/// Agents in the windows of a terminal, and what is known of them.
pub struct Fleet<T> {
    pub(crate) store: Store,
    pub(crate) windows: Windows<T>,
    pub(crate) place: Place,
    pub(crate) settings: Settings,
    /// Told after every change that somebody may wait for.
    pub(crate) changed: watch::Sender<()>,
    /// One text at a time goes into a window. A std mutex: held for a look, never across
    /// an await.
    turns: Mutex<HashMap<InstanceId, Arc<tokio::sync::Mutex<()>>>>,
}

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// Puts together what there is. `windows` are those of `place`.
    pub fn new(store: Store, windows: Windows<T>, place: Place, settings: Settings) -> Self {
        Self {
            store,
            windows,
            place,
            settings,
            changed: watch::Sender::new(()),
            turns: Mutex::default(),
        }
    }

    pub(crate) fn rows(&self) -> &FleetDatabase {
        self.store.fleet()
    }

    /// Unix time in microseconds.
    pub(crate) fn now(&self) -> u64 {
        self.store.clock().now().wall
    }

    /// Tells those who wait that something is other than before.
    pub(crate) fn tell(&self) {
        self.changed.send_replace(());
    }

    /// Whoever holds it may type into the instance's window; others wait in order.
    pub(crate) fn turn(&self, id: &InstanceId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(id.clone()).or_default())
    }

    /// Nobody will type into the instance's window again.
    pub(crate) fn forget(&self, id: &InstanceId) {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.remove(id);
    }
}

/// Does something to the store that waits for the disk.
pub(crate) async fn apart<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, Failure> + Send + 'static,
) -> Result<R, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Failure::Inside(error.to_string())),
    }
}
