//! One program from its start to the end of everything it started.

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process_group, set_child_subreaper,
    set_parent_process_death_signal, wait,
};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::tree;
use crate::{WrapError, Wrapped};

/// What a program that was asked to end is left for it.
const GRACE: Duration = Duration::from_secs(2);
/// A tree that cannot be taken down within this is left; only one that waits in
/// the kernel, or forks faster than it can be looked at, takes so long.
const LONGEST: Duration = Duration::from_secs(2);
/// What lost its parent in the meantime is looked for this often.
const LOOK: Duration = Duration::from_millis(20);

/// Signals that go on to the program.
const PASSED_ON: [(SignalKind, Signal); 7] = [
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
    (SignalKind::window_change(), Signal::WINCH),
];

/// Runs the program and returns its exit code (128 and the number of the signal
/// that ended it) once nothing is left of what it started.
///
/// SIGTERM, and the end of the parent, ask the program to end; when it has not
/// after two seconds, it is killed. Other signals go on to its process group.
///
/// # Errors
/// When the program, or the wrapper itself, cannot be started.
pub fn run(wrapped: &Wrapped) -> Result<u8, WrapError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WrapError::Wrapper)?;
    runtime.block_on(whole(wrapped))
}

async fn whole(wrapped: &Wrapped) -> Result<u8, WrapError> {
    let system = WrapError::Wrapper;
    // Before there is a program, so that no signal about it is lost.
    let mut signals = listen().map_err(system)?;
    let mut deaths = unix::signal(SignalKind::child()).map_err(system)?;
    set_child_subreaper(Some(getpid())).map_err(|error| system(error.into()))?;
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| system(error.into()))?;
    // It may have gone before it could be heard of.
    let parent = getppid().map(|parent| parent.as_raw_nonzero().get());
    if parent.and_then(|parent| u32::try_from(parent).ok()) != Some(wrapped.parent) {
        return Ok(0);
    }
    let program = start(wrapped).map_err(|source| WrapError::Program {
        program: wrapped.program.clone(),
        source,
    })?;
    let mut until: Option<Instant> = None;
    let code = loop {
        tokio::select! {
            biased;
            _ = deaths.recv() => {
                if let Reaped::Program(code) = reap(program) {
                    break code;
                }
            }
            Some(signal) = signals.recv() => {
                // A group without members has ended, and is about to be reaped.
                let _ = kill_process_group(program, signal);
                if signal == Signal::TERM {
                    until.get_or_insert_with(|| Instant::now() + GRACE);
                }
            }
            () = at(until) => break 128 + number(Signal::KILL),
        }
    };
    take_down(&mut deaths, program).await;
    Ok(code)
}

/// All signals that go on, as they come.
fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    let (sender, signals) = mpsc::channel(PASSED_ON.len());
    for (kind, signal) in PASSED_ON {
        let mut heard = unix::signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while heard.recv().await.is_some() && sender.send(signal).await.is_ok() {}
        });
    }
    Ok(signals)
}

/// Starts the program in a process group of its own, and leaves the standard
/// streams to it: whoever reads or writes them meets nobody else.
fn start(wrapped: &Wrapped) -> io::Result<Pid> {
    use std::os::unix::process::CommandExt;
    #[expect(
        clippy::disallowed_methods,
        reason = "this is what the stdio upstream starts its programs with"
    )]
    let mut command = Command::new(&wrapped.program);
    command
        .args(&wrapped.args)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit())
        .process_group(0);
    // `reap` waits for it, and for everything else that ends below.
    let child = command.spawn()?;
    let nothing = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::other("the program has no process id"))
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// What ended, as far as it matters.
enum Reaped {
    /// The program, with this exit code.
    Program(u8),
    /// Others, and some are left.
    Others,
    /// There is no process below this one any more.
    Nobody,
}

/// Takes note of everything that ended.
fn reap(program: Pid) -> Reaped {
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => {
                let code = status.exit_status().or_else(|| {
                    let signal = status.terminating_signal()?;
                    Some(128 + signal)
                });
                ended = code.map(|code| u8::try_from(code).unwrap_or(u8::MAX));
            }
            Ok(Some(_)) => {}
            Ok(None) => return ended.map_or(Reaped::Others, Reaped::Program),
            Err(_) => return ended.map_or(Reaped::Nobody, Reaped::Program),
        }
    }
}

fn number(signal: Signal) -> u8 {
    u8::try_from(signal.as_raw()).unwrap_or_default()
}

/// Kills what is left below. What loses its parent here becomes a child of this
/// process, so looking at children again and again finds everything.
async fn take_down(deaths: &mut unix::Signal, program: Pid) {
    let until = Instant::now() + LONGEST;
    while Instant::now() < until {
        if matches!(reap(program), Reaped::Nobody) {
            return;
        }
        tree::kill_children();
        drop(tokio::time::timeout(LOOK, deaths.recv()).await);
    }
}
