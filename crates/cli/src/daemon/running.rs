//! A daemon as its sockets and its upkeep know it, and what administration asks of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use provost_admin::{
    Administration, DaemonStatus, Failure, Limits, Listen, Listener, Micros, Outcome, Restore,
    Restored, Time, Upstream,
};
use provost_store::{Act, Actor, Store};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::local_run::LocalRuns;
use super::serve::Engine;
use crate::locations::Places;
use crate::runtime::blocking;

/// One running daemon.
pub(crate) struct Daemon {
    pub(crate) places: Places,
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    /// Agents on the agent socket.
    pub(crate) clients: watch::Sender<usize>,
    /// The runs that may send a new policy.
    pub(crate) runs: LocalRuns,
    /// What was asked over the administration socket and is being done, whoever still listens.
    pub(crate) tasks: TaskTracker,
    /// Cancelled when the daemon begins to stop.
    pub(crate) stop: CancellationToken,
    /// Cancelled when it has stopped and everything is on disk: followers end with it.
    pub(crate) ended: CancellationToken,
    /// An archive that replaces everything once the daemon has stopped, and who waits for that.
    pub(crate) restore: Mutex<Option<Restoring>>,
    /// The open listener and its URL. A std mutex: never held across an await.
    pub(super) listener: Mutex<Option<(Listener, String)>>,
    /// The limits it was started with.
    pub(super) limits: Limits,
    /// Whether it has a fleet.
    pub(super) fleet: bool,
    pub(super) self_started: AtomicBool,
    /// Whether it was started without a listener.
    pub(super) was_taken_over: bool,
    /// When it was.
    pub(super) started: Micros,
    /// Whether to start again after the end.
    pub(super) again: AtomicBool,
}

/// A restore that waits for the daemon to stop.
pub(crate) struct Restoring {
    pub(crate) restore: Restore,
    pub(crate) told: oneshot::Sender<Outcome<Restored>>,
}

/// Somebody who counts as a client while this lives: an agent, or a person who waits for a server.
pub(super) struct Client(watch::Sender<usize>);

// === impl Daemon ===

impl Daemon {
    /// Administration of what this daemon has open.
    pub(crate) fn administration(&self) -> Administration<'_> {
        Administration {
            store: &self.store,
            daemon: Some(self),
        }
    }

    /// Refuses limits that this daemon was not started with: it cannot change them any more.
    pub(crate) fn check_limits(&self, wish: &Limits) -> Outcome {
        let missing = wish.missing_in(&self.limits);
        if missing.is_empty() {
            return Ok(());
        }
        let pid = std::process::id();
        Err(Failure::conflict(format!(
            "the daemon that runs here (process {pid}) cannot change `{}` while it runs",
            missing.join("`, `")
        ))
        .because("it started itself for `provost run` or `provost connect`; limits are set when a daemon starts")
        .hint(format!(
            "end process {pid} and start `up` before its agents come back, or leave these settings out"
        )))
    }

    /// Records what somebody does to the daemon itself. One that cannot be recorded is not refused:
    /// it must be possible to stop a daemon whose disk is full.
    pub(crate) fn record(&self, who: &Actor, act: Act, detail: Option<&str>) {
        let target = format!("process {}", std::process::id());
        if let Err(error) = self.store.record_act(who, act, &target, detail) {
            warn!("`{}` could not be recorded: {error}", act.name());
        }
    }

    /// Opens the agents' listener; from here on the daemon stays without clients. Recorded before
    /// anybody can connect: what cannot be recorded is not opened.
    pub(super) fn open_listener(&self, who: &Actor, wish: &Listener) -> Outcome {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = listener.as_ref() {
            return Err(already_up(&self.places, std::process::id(), url));
        }
        wish.check()?;
        let (address, detail) = (wish.address.to_string(), wish.describe());
        self.store
            .record_act(who, Act::DaemonListen, &address, Some(detail))?;
        let url = wish.url(self.engine.listen(wish)?);
        self.self_started.store(false, Ordering::Relaxed);
        if let Err(error) = self.places.keep_address(&url) {
            warn!(%error, "The address for agents could not be saved; `provost grant mint` cannot show it while no daemon runs");
        }
        info!(listen = %url, "Serving agents at {url}");
        *listener = Some((wish.clone(), url));
        // Wakes the watcher of clients, which has nothing to do any more.
        self.clients.send_modify(|_| {});
        Ok(())
    }
}

impl provost_admin::Daemon for Daemon {
    fn status(&self) -> DaemonStatus {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        DaemonStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tls: listener
                .as_ref()
                .is_some_and(|(listen, _)| listen.tls.is_some()),
            listen: listener.as_ref().map(|(_, url)| url.clone()),
            fleet: self.fleet,
            self_started: self.self_started.load(Ordering::Relaxed),
            clients: *self.clients.borrow(),
            trouble: self.engine.ready().err(),
            troubles: self.runs.troubles(),
            load: Some(self.engine.load()),
            without_grant: self.engine.without_grant(),
            started: Some(Time(self.started)),
        }
    }

    fn eras(&self) -> Vec<(String, Vec<&'static str>)> {
        self.engine.eras()
    }

    fn metrics(&self) -> String {
        self.engine.metrics()
    }

    fn take_over_changes(&self) -> Outcome {
        self.engine.reload()
    }

    fn test_server(&self, name: &str) -> Outcome<Upstream> {
        // A daemon that started itself does not leave while somebody waits for a server.
        let _client = Client::new(&self.clients);
        // On a thread that may wait; the runtime goes on beside it.
        Handle::current().block_on(self.engine.test_server(name))
    }

    fn listen(&self, who: &Actor, wish: &Listen) -> Outcome {
        self.check_limits(&wish.limits)?;
        self.open_listener(who, &wish.listener)
    }

    fn stop(&self, who: &Actor, why: &str) {
        self.record(who, Act::DaemonEnd, Some(why));
        self.stop.cancel();
    }

    fn restore(&self, who: &Actor, how: &Restore) -> Outcome<Restored> {
        let archive = how.archive.display();
        if !how.archive.is_file() {
            return Err(Failure::not_found(format!(
                "there is no archive `{archive}`"
            )));
        }
        let (told, result) = oneshot::channel();
        let wish = Restoring {
            restore: how.clone(),
            told,
        };
        *self.restore.lock().unwrap_or_else(PoisonError::into_inner) = Some(wish);
        provost_admin::Daemon::stop(self, who, &format!("to restore {archive}"));
        let answer = result.blocking_recv();
        answer.map_err(|_| Failure::conflict("the daemon is stopping already"))?
    }
}

/// Makes sure that what the store holds is in force.
pub(super) async fn reload(daemon: &Daemon) -> Outcome {
    let engine = daemon.engine.clone();
    blocking(move || engine.reload()).await
}

/// The failure of a second `up`.
pub(crate) fn already_up(places: &Places, pid: u32, url: &str) -> Failure {
    Failure::conflict(format!(
        "a daemon already serves `{}`",
        places.data.display()
    ))
    .because(format!("process {pid} listens on {url}"))
    .hint("stop it first, or use another data directory with `--data`")
}

// === impl Client ===

impl Client {
    pub(super) fn new(clients: &watch::Sender<usize>) -> Self {
        clients.send_modify(|count| *count += 1);
        Client(clients.clone())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}
