//! Taking over what changed in the store, and what a start did not wait for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use provost_store::{StoreError, Touched};
use tracing::error;

use crate::exchange::inbox;
use crate::state::backend::Means;
use crate::state::directory::Directory;
use crate::{Gateway, ReloadError};

/// How often a store that cannot be read is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

// === impl Gateway ===

impl Gateway {
    /// Makes sure that what the store holds now is in force. It is already, as
    /// every change is taken over on the thread that makes it; asked is whether
    /// that went well.
    ///
    /// # Errors
    /// When the store cannot be read; nobody is let through until it can.
    pub fn reload(&self) -> Result<(), ReloadError> {
        self.catch_up().map_err(ReloadError)
    }

    /// Takes over every change of the store, whoever makes it and whoever is
    /// listening: when the change has been made, it holds for the next message.
    /// So does what verification finds.
    pub(super) fn follow_store(&self) {
        // Weak: the store must not keep alive what keeps the store.
        let gateway = Arc::downgrade(&self.0);
        self.0.shared.store.on_change(Box::new(move || {
            let Some(inner) = gateway.upgrade() else {
                return;
            };
            // A failure is logged and looked at again; whoever made the change
            // may ask with `reload`.
            drop(Self(inner).catch_up());
        }));
    }

    /// Loads the directory unless it is that of the store's generation.
    fn catch_up(&self) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        let in_force = shared.directory.read(Directory::generation);
        if in_force >= Some(shared.store.generation()) {
            return Ok(());
        }
        self.load()
    }

    /// Tries something again and again until it is done, at once for the first
    /// time; not on a thread that others wait for.
    fn try_until(&self, done: impl Fn(&Self) -> bool + Clone + Send + 'static) {
        let gateway = Arc::downgrade(&self.0);
        self.0.threads.background().spawn(async move {
            loop {
                let Some(inner) = gateway.upgrade() else {
                    return;
                };
                let done = done.clone();
                let tried = tokio::task::spawn_blocking(move || done(&Self(inner)));
                if tried.await.unwrap_or(true) {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
    }

    pub(super) fn load(&self) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        let _reloading = self
            .0
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Whoever made a change may have no runtime of their own.
        let _background = shared.background.enter();
        let own_roots = shared.settings.upstream_ca.as_deref();
        let means = Means {
            settings: &shared.settings,
            metrics: &shared.metrics,
            budget: &shared.budget,
            tls: &|| self.0.tls.get(own_roots),
            builtins: &self.0.builtins,
        };
        let in_force = shared.directory.read(Directory::generation);
        let read = shared.store.directory_since(in_force);
        let was_closed = self.0.closed.swap(read.is_err(), Ordering::AcqRel);
        if let (Err(error), false) = (&read, was_closed) {
            error!(%error, "Servers, grants and policies cannot be read; every call is refused until they can");
            self.try_until(|gateway| gateway.catch_up().is_ok());
        }
        let (source, touched, result) = match read {
            Ok((source, touched)) => (Some(source), touched, Ok(())),
            Err(error) => (None, Touched::All, Err(error)),
        };
        shared.directory.replace(
            |before| match source {
                Some(source) => Directory::compile(source, &touched, before, &means),
                // What is not known opens nothing: with what was in force
                // before, a grant that was just revoked would go on.
                None => before.closed(),
            },
            |before, after| inbox::after_reload(shared, before, after, &touched),
        );
        result
    }

    /// Looks for the calls that were continued before this process, unless that is
    /// done. Until then nothing is continued.
    pub(super) fn learn_seals(&self) {
        if self.0.shared.seals.are_known() {
            return;
        }
        self.try_until(|gateway| {
            let shared = &gateway.0.shared;
            let learned = shared.seals.learn(&shared.store);
            if let Err(error) = &learned {
                error!(%error, "The list of calls that were continued cannot be read; until it can, no call is continued");
            }
            learned.is_ok()
        });
    }
}
