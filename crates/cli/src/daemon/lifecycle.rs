//! The life of a daemon: open, serve, stop.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provost_store::{Act, Actor, Store, Trust};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::config::Limits;
use super::data_gone::DataGone;
use super::local_run::LocalRuns;
use super::serve::{Engine, Listen};
use super::signals::{Signals, end_at_once};
use super::start::{hold_start, own_program};
use super::{admin_socket, agent_socket, upkeep};
use crate::admin::{Control, DaemonStatus, Restoration, Restored, restore, store_failure};
use crate::failure::{Failure, Outcome};
use crate::locations::{Places, own_directory};
use crate::runtime::blocking;

/// How long a daemon that started itself waits for its first client, and after its last one.
const FIRST_CLIENT: Duration = Duration::from_secs(15);
const AFTER_LAST_CLIENT: Duration = Duration::from_millis(500);
/// How long open administration connections may hold up the end.
const ADMIN_DEADLINE: Duration = Duration::from_secs(2);

/// How a daemon begins.
pub(crate) struct Beginning {
    pub(crate) places: Places,
    /// Open: whoever has it is the daemon.
    pub(crate) store: Store,
    pub(crate) limits: Limits,
    /// The agents' listener; a daemon that started itself has none.
    pub(crate) listen: Option<Listen>,
    /// Called once, when both sockets answer.
    pub(crate) ready: Box<dyn FnOnce(&Daemon) + Send>,
}

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
    listener: Mutex<Option<(Listen, String)>>,
    /// The limits it was started with.
    limits: Limits,
    self_started: AtomicBool,
    /// Whether it was started without a listener.
    was_taken_over: bool,
    /// Whether to start again after the end.
    again: AtomicBool,
}

/// A restore that waits for the daemon to stop.
pub(crate) struct Restoring {
    pub(crate) archive: PathBuf,
    pub(crate) trust: Trust,
    pub(crate) told: oneshot::Sender<Outcome<Restored>>,
}

// === impl Daemon ===

impl Daemon {
    /// How the daemon is.
    pub(crate) fn status(&self) -> DaemonStatus {
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        DaemonStatus {
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            tls: listener
                .as_ref()
                .is_some_and(|(listen, _)| listen.tls.is_some()),
            listen: listener.as_ref().map(|(_, url)| url.clone()),
            self_started: self.self_started.load(Ordering::Relaxed),
            clients: *self.clients.borrow(),
            trouble: self.engine.ready().err(),
            load: Some(self.engine.load()),
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
            "the daemon that runs here (process {pid}) cannot take over `{}`",
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
    pub(crate) fn listen(&self, who: &Actor, listen: &Listen) -> Outcome<String> {
        let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, url)) = listener.as_ref() {
            return Err(already_up(&self.places, std::process::id(), url));
        }
        listen.check()?;
        let (address, detail) = (listen.address.to_string(), listen.describe());
        self.store
            .record_act(who, Act::DaemonListen, &address, Some(detail))
            .map_err(|error| store_failure(&error))?;
        let url = listen.url(self.engine.listen(listen)?);
        self.self_started.store(false, Ordering::Relaxed);
        if let Err(error) = self.places.keep_address(&url) {
            warn!(%error, "Where agents are served could not be noted; `grant mint` will not know it while no daemon runs");
        }
        *listener = Some((listen.clone(), url.clone()));
        // Wakes the watcher of clients, which has nothing to do any more.
        self.clients.send_modify(|_| {});
        info!(listen = %url, "Serving agents at {url}");
        Ok(url)
    }
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

/// Runs a daemon until a signal, a request or the leaving of its last client ends it.
pub(crate) async fn run(beginning: Beginning) -> Outcome<()> {
    let mut signals = Signals::listen()?;
    let Beginning {
        places,
        store,
        limits,
        listen,
        ready,
    } = beginning;
    own_directory(&places.data)?;
    places.prepare_sockets()?;
    allow_open_files();
    let daemon = Arc::new(Daemon {
        engine: Engine::start(store.clone(), &limits)?,
        self_started: AtomicBool::new(listen.is_none()),
        was_taken_over: listen.is_none(),
        again: AtomicBool::new(false),
        runs: LocalRuns::default(),
        clients: watch::Sender::new(0),
        tasks: TaskTracker::new(),
        stop: CancellationToken::new(),
        ended: CancellationToken::new(),
        restore: Mutex::new(None),
        listener: Mutex::new(None),
        limits: limits.clone(),
        places,
        store,
    });
    // Sockets first: when a port is taken, nobody has been told that the daemon is there.
    if let Some(listen) = &listen {
        daemon.listen(&Actor::new("admin"), listen)?;
    }
    let admin = bind(&daemon.places.admin_socket())?;
    let agents = bind(&daemon.places.agent_socket())?;
    let admin = tokio::spawn(admin_socket::serve(admin, Arc::clone(&daemon)));
    let agents = tokio::spawn(agent_socket::serve(agents, Arc::clone(&daemon)));
    let upkeep = tokio::spawn(upkeep::hourly(Arc::clone(&daemon), limits.retention));
    let mut data_gone = DataGone::watch(&daemon.places.data);
    ready(&daemon);
    release_start();

    tokio::select! {
        signal = signals.next() => {
            info!("Stopping on signal {signal}; a second one ends at once");
            daemon.record(&Actor::new("signal"), Act::DaemonEnd, Some(&format!("signal {signal}")));
        }
        // Recorded by whoever asked.
        () = daemon.stop.cancelled() => info!("Stopping as asked"),
        () = no_client_left(&daemon) => {
            info!("Stopping: the last client left");
            daemon.record(&Actor::new("provost"), Act::DaemonEnd, Some("the last client left"));
        }
        () = deserted(&daemon, &mut data_gone) => {
            error!("Stopping: the data directory was removed, and no client is left");
        }
    }
    // Whatever the reason: an agent that is greeted from here on must not be served by this engine.
    daemon.stop.cancel();
    upkeep.abort();
    // Nobody else may start a daemon between the end of this one and its restoration.
    let restores = lock_restore(&daemon).is_some();
    let starting = match restores {
        true => Some(hold_start(&daemon.places).await?),
        false => None,
    };
    tokio::select! {
        () = stop(&daemon, admin, agents) => {}
        signal = signals.next() => end_at_once(signal),
    }
    if daemon.again.load(Ordering::Relaxed) {
        return Err(start_again(&daemon, starting));
    }
    Ok(())
}

/// Lets others start a daemon again, after this one has been restored: see [`start_again`].
fn release_start() {
    match std::fs::File::open("/dev/null").map(rustix::stdio::dup2_stdin) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!("Standard input could not be closed: {error}"),
        Err(error) => warn!("Standard input could not be closed: {error}"),
    }
}

fn lock_restore(daemon: &Daemon) -> std::sync::MutexGuard<'_, Option<Restoring>> {
    daemon
        .restore
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Open files this process and those it starts get by with.
const OPEN_FILES: u64 = 65_536;

/// Takes as many open files as the system gives without asking: every connection is one, and the
/// usual limit of 1024 is meant for programs that serve nobody.
fn allow_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|now| now < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            warn!(%error, "The limit of open files cannot be raised");
        }
    }
}

/// Becomes a fresh daemon, with the same process id, after a restore. Returns only when that fails.
#[expect(
    clippy::disallowed_methods,
    reason = "`cli` starts its own daemon, with the arguments it was started with"
)]
fn start_again(daemon: &Daemon, starting: Option<std::fs::File>) -> Failure {
    use std::os::unix::process::CommandExt;
    // The lock goes on as the standard input, which is the one thing that needs no number to be
    // found again; the fresh daemon closes it once it can be reached.
    if let Some(Err(error)) = starting.map(rustix::stdio::dup2_stdin) {
        warn!("Others may start a daemon meanwhile: {error}");
    }
    let program = match own_program() {
        Ok(program) => program,
        Err(error) => {
            return Failure::unavailable("the daemon stopped and cannot start again")
                .because(error);
        }
    };
    let mut command = std::process::Command::new(program);
    let listener = daemon
        .listener
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    match listener.as_ref().filter(|_| daemon.was_taken_over) {
        // Started by `run`, taken over by `up`: nobody's arguments say where it listens.
        Some((listen, _)) => command
            .arg("--data")
            .arg(&daemon.places.data)
            .arg("--config-dir")
            .arg(&daemon.places.config)
            .arg("up")
            .args(listen.arguments())
            .envs(listen.variables()),
        None => command.args(std::env::args_os().skip(1)),
    };
    Failure::unavailable("the daemon stopped and cannot start again").because(command.exec())
}

async fn stop(
    daemon: &Daemon,
    admin: tokio::task::JoinHandle<()>,
    agents: tokio::task::JoinHandle<()>,
) {
    // The sockets go first: whoever comes now starts a daemon of its own and waits for the store.
    daemon.places.remove_sockets();
    agents.abort();
    // What was asked for is done before the store closes; who comes now is refused by it.
    daemon.tasks.close();
    if tokio::time::timeout(ADMIN_DEADLINE, daemon.tasks.wait())
        .await
        .is_err()
    {
        warn!("A request for administration takes longer than the daemon waits for it");
    }
    daemon.engine.stop().await;
    let store = daemon.store.clone();
    let closed = blocking(move || {
        store.close();
        Ok(())
    });
    if let Err(failure) = closed.await {
        warn!("Closing the store failed: {}", failure.message);
    }
    let wish = lock_restore(daemon).take();
    if let Some(Restoring {
        archive,
        trust,
        told,
    }) = wish
    {
        let places = daemon.places.clone();
        let how = Restoration {
            archive,
            replace: true,
            trust,
        };
        let result = blocking(move || restore(&places, &how)).await;
        daemon.again.store(true, Ordering::Relaxed);
        // The one who asked may have gone away; the log has it too.
        match &result {
            Ok(restored) => info!(head = %restored.head, "Restored; starting again"),
            Err(failure) => warn!("Nothing was restored: {}; starting again", failure.message),
        }
        drop(told.send(result));
    }
    daemon.ended.cancel();
    if tokio::time::timeout(ADMIN_DEADLINE, admin).await.is_err() {
        warn!("Somebody kept an administration connection open");
    }
    info!("Stopped");
}

/// Ends when the data directory is gone under a daemon that `run` or `connect` started, and no
/// client is left: nobody looks after it, and what it records is lost.
async fn deserted(daemon: &Daemon, data_gone: &mut DataGone) {
    if !daemon.was_taken_over {
        return std::future::pending().await;
    }
    data_gone.happened().await;
    let mut clients = daemon.clients.subscribe();
    while *clients.borrow_and_update() > 0 {
        // The sender lives in the daemon, so this cannot fail.
        drop(clients.changed().await);
    }
}

/// Ends when a daemon that started itself has had no client for a moment; never otherwise.
async fn no_client_left(daemon: &Daemon) {
    let mut clients = daemon.clients.subscribe();
    let mut patience = FIRST_CLIENT;
    loop {
        if !daemon.self_started.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        let some = *clients.borrow_and_update() > 0;
        if some {
            patience = AFTER_LAST_CLIENT;
            // The sender lives in the daemon, so this cannot fail.
            drop(clients.changed().await);
        } else if tokio::time::timeout(patience, clients.changed())
            .await
            .is_err()
        {
            return;
        }
    }
}

/// Binds a socket that only this user can open. The store's lock is held, so a socket that is
/// there already was left behind by a daemon that is gone.
fn bind(path: &std::path::Path) -> Outcome<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let fail = |error: std::io::Error| {
        Failure::unavailable(format!("cannot open socket `{}`", path.display())).because(error)
    };
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => {}
    }
    // The directory is private, so nobody can connect before the mode is set.
    let listener = UnixListener::bind(path).map_err(fail)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    Ok(listener)
}

/// The listener a control request describes.
pub(crate) fn wanted(control: Control) -> Outcome<Option<Listen>> {
    let Control::Listen {
        address,
        tls,
        behind_proxy,
        allowed_hosts,
        allowed_origins,
        limits: _,
    } = control
    else {
        return Ok(None);
    };
    let address = address.parse().map_err(|error| {
        Failure::usage(format!("`{address}` is not an address to listen on")).because(error)
    })?;
    Ok(Some(Listen {
        address,
        tls,
        behind_proxy,
        allowed_hosts,
        allowed_origins,
    }))
}
