//! The life of a daemon: open, serve, stop.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use provost_admin::{Actor, Failure, Limits, Listener, Outcome, Restoration, restore};
use provost_store::{Act, Actor as Author, Store};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::config::FleetTable;
use super::data_gone::DataGone;
use super::local_run::LocalRuns;
use super::running::{Daemon, Restoring};
use super::serve::Engine;
use super::signals::{Signals, end_at_once};
use super::start::{hold_start, own_program};
use super::{admin_socket, agent_socket, fleet, upkeep};
use crate::locations::{Places, own_directory};
use crate::runtime::blocking;
use crate::when;

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
    /// The fleet, where there is to be one.
    pub(crate) fleet: Option<FleetTable>,
    /// The agents' listener; a daemon that started itself has none.
    pub(crate) listen: Option<Listener>,
    /// Called once, when both sockets answer.
    pub(crate) ready: Box<dyn FnOnce(&Daemon) + Send>,
}

/// Runs a daemon until a signal, a request or the leaving of its last client ends it.
pub(crate) async fn run(beginning: Beginning) -> Outcome<()> {
    let mut signals = Signals::listen()?;
    let Beginning {
        places,
        store,
        limits,
        fleet,
        listen,
        ready,
    } = beginning;
    own_directory(&places.data)?;
    places.prepare_sockets()?;
    allow_open_files();
    let fleet = match fleet {
        Some(wanted) => Some(fleet::start(&places, store.clone(), wanted).await?),
        None => None,
    };
    let daemon = Arc::new(Daemon {
        fleet: fleet.is_some(),
        engine: Engine::start(store.clone(), &limits, fleet)?,
        self_started: AtomicBool::new(listen.is_none()),
        was_taken_over: listen.is_none(),
        started: when::now(),
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
        daemon.open_listener(&Author::new("admin"), listen)?;
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
            daemon.record(&Author::new("signal"), Act::DaemonEnd, Some(&format!("signal {signal}")));
        }
        // Recorded by whoever asked.
        () = daemon.stop.cancelled() => info!("Stopping as asked"),
        () = no_client_left(&daemon) => {
            info!("Stopping: the last client left");
            daemon.record(&Author::new("provost"), Act::DaemonEnd, Some("the last client left"));
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
        warn!("The start of other daemons cannot be prevented meanwhile: {error}");
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
            .args(arguments(listen))
            .envs(variables(listen)),
        None => command.args(std::env::args_os().skip(1)),
    };
    Failure::unavailable("the daemon stopped and cannot start again").because(command.exec())
}

/// The arguments of `up` that open this listener.
fn arguments(listener: &Listener) -> Vec<OsString> {
    let mut arguments = vec!["--listen".into(), listener.address.to_string().into()];
    if let Some((cert, key)) = &listener.tls {
        arguments.extend([
            "--tls-cert".into(),
            cert.into(),
            "--tls-key".into(),
            key.into(),
        ]);
    }
    if listener.behind_proxy {
        arguments.push("--behind-proxy".into());
    }
    arguments
}

/// What no argument of `up` says, as variables.
fn variables(listener: &Listener) -> [(&'static str, String); 2] {
    [
        ("PROVOST_ALLOWED_HOSTS", listener.allowed_hosts.join(",")),
        (
            "PROVOST_ALLOWED_ORIGINS",
            listener.allowed_origins.join(","),
        ),
    ]
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
        warn!("A command was still being carried out when the daemon ended");
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
        restore: what,
        told,
    }) = wish
    {
        let locations = daemon.places.store();
        let how = Restoration {
            restore: what,
            replace: true,
            now: when::now(),
        };
        let result = blocking(move || restore(&Actor::local(), &locations, &how)).await;
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
        warn!("A connection to the administration socket was still open and is closed");
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
