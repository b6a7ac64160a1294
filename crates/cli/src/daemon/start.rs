//! Finding the daemon, or starting one: safe when several processes do it at once.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use provost_admin::{Failure, FailureKind, Outcome};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::Command;

use super::log_file;
use crate::admin::connect;
use crate::environment::Environment;
use crate::locations::{Places, own_directory};
use crate::runtime::blocking;
use crate::watched::Arrival;

/// Between two attempts while another process holds the store without a socket: a command
/// without a daemon, or a daemon that is starting or leaving.
const BREATH: Duration = Duration::from_millis(30);
/// How often an agent of the fleet looks for a daemon where no event tells of one.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a starting daemon says on stdout, once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Started {
    /// Both sockets answer.
    Ready,
    /// It could not start.
    Failed(Failure),
}

/// Connects to the agent socket; starts a daemon when there is none. One that an agent of the
/// fleet started would know nothing of the fleet, so there it is waited for.
pub(crate) async fn connect_or_start(places: &Places, deadline: Instant) -> Outcome<UnixStream> {
    if Environment::setting(provost_fleet::INSTANCE)?.is_some() {
        return awaited(places, deadline).await;
    }
    let mut ended = false;
    loop {
        if let Some(stream) = connect(&places.agent_socket()).await? {
            return Ok(stream);
        }
        own_directory(&places.data)?;
        // Whoever has the lock starts the daemon; everybody else finds it running afterwards.
        let lock = hold_start(places).await?;
        if let Some(stream) = connect(&places.agent_socket()).await? {
            return Ok(stream);
        }
        match start(places).await? {
            Some(Started::Ready) => {}
            Some(Started::Failed(failure))
                if failure.kind == FailureKind::Conflict && Instant::now() < deadline =>
            {
                tokio::time::sleep(BREATH).await
            }
            Some(Started::Failed(failure)) => return Err(failure),
            // Somebody has killed it; one that ends by itself does so again.
            None if !std::mem::replace(&mut ended, true) => {}
            None => {
                return Err(Failure::unavailable("the daemon ended while it started")
                    .hint(format!("its log is `{}`", places.daemon_log().display())));
            }
        }
        drop(lock);
        if Instant::now() >= deadline {
            return Err(Failure::unavailable("no daemon could be started in time")
                .hint(format!("its log is `{}`", places.daemon_log().display())));
        }
    }
}

/// Connects to the agent socket as soon as somebody has started a daemon.
async fn awaited(places: &Places, deadline: Instant) -> Outcome<UnixStream> {
    loop {
        // Watched before it looks: what comes in between is not missed.
        let mut arrival = Arrival::watch(places);
        if let Some(stream) = connect(&places.agent_socket()).await? {
            return Ok(stream);
        }
        if Instant::now() >= deadline {
            return Err(Failure::unavailable("no daemon runs here")
                .hint("an agent of the fleet starts none: its operator has to"));
        }
        // A socket is seen a moment before it takes anybody.
        let again = deadline.min(Instant::now() + LOOK_AGAIN);
        drop(tokio::time::timeout_at(again.into(), arrival.happened()).await);
    }
}

/// Waits until nobody else starts a daemon, and keeps others from it.
pub(super) async fn hold_start(places: &Places) -> Outcome<File> {
    let path = places.start_lock();
    blocking(move || lock(&path)).await
}

/// The program of this process. After an upgrade that is what was put in its place: the file that
/// runs here is gone, which Linux says at the end of its name.
pub(crate) fn own_program() -> std::io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    let replaced = program
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"));
    Ok(replaced.map_or(program.clone(), PathBuf::from))
}

fn lock(path: &std::path::Path) -> Outcome<File> {
    let fail =
        |error| Failure::unavailable(format!("cannot lock `{}`", path.display())).because(error);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(fail)?;
    file.lock().map_err(fail)?;
    Ok(file)
}

/// Starts a daemon in a session of its own and waits until it is ready or has failed. `None` when it
/// ended without saying either.
#[expect(clippy::disallowed_methods, reason = "`cli` starts its own daemon")]
async fn start(places: &Places) -> Outcome<Option<Started>> {
    let fail = |error: std::io::Error| Failure::unavailable("cannot start a daemon").because(error);
    let log = log_file::open(&places.daemon_log()).map_err(fail)?;
    let program = own_program().map_err(fail)?;
    let mut child = Command::new(program)
        .arg("--data")
        .arg(&places.data)
        .arg("--config-dir")
        .arg(&places.config)
        .arg("daemon")
        // The daemon outlives this process and serves others: it gets nothing of what this agent
        // was started with but the basics and Provost's own settings.
        .env_clear()
        .envs(Environment::for_own_daemon())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(fail)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .await
            .map_err(fail)?;
    }
    // Waited for as long as this process lives, so that it never becomes a zombie.
    tokio::spawn(async move { child.wait().await });
    Ok(serde_json::from_str(&line).ok())
}
