//! One program from its start to the end of everything it started.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group,
    set_child_subreaper, set_parent_process_death_signal, wait,
};
use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::tree;
use crate::{Ended, Surroundings, WrapError, Wrapped};

/// What a program that was asked to end is left for it.
const GRACE: Duration = Duration::from_secs(2);
/// A tree that cannot be taken down within this is left; only one that waits in
/// the kernel, or forks faster than it can be looked at, takes so long.
const LONGEST: Duration = Duration::from_secs(2);
/// A terminal that reads so slowly that it has not heard the last words by now
/// will not show them.
const PARTING: Duration = Duration::from_secs(3);
/// What lost its parent in the meantime is looked for this often.
const LOOK: Duration = Duration::from_millis(20);

/// Signals that are heard.
const HEARD: [(SignalKind, Signal); 7] = [
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
    (SignalKind::window_change(), Signal::WINCH),
];

/// Runs the program, calls `ended` when it has ended, and returns how once
/// nothing is left of what it started.
///
/// SIGTERM, and the end of the parent or of the terminal, ask the program to
/// end; when it has not after two seconds, it is killed. Other signals go on to
/// the process group of a server; an agent has them from its terminal.
///
/// # Errors
/// When the program, or the wrapper itself, cannot be started.
pub fn run(wrapped: &Wrapped, ended: impl FnOnce(Ended)) -> Result<Ended, WrapError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WrapError::Wrapper)?;
    runtime.block_on(whole(wrapped, ended))
}

async fn whole(wrapped: &Wrapped, tell: impl FnOnce(Ended)) -> Result<Ended, WrapError> {
    let system = WrapError::Wrapper;
    // Before there is a program, so that no signal about it is lost.
    let mut signals = listen().map_err(system)?;
    let mut deaths = unix::signal(SignalKind::child()).map_err(system)?;
    set_child_subreaper(Some(getpid())).map_err(|error| system(error.into()))?;
    if let Surroundings::Streams { parent } = &wrapped.surroundings
        && !is_wanted(*parent).map_err(system)?
    {
        return Ok(Ended::Code(0));
    }
    let program = start(wrapped)?;
    let mut until: Option<Instant> = None;
    let ended = loop {
        tokio::select! {
            biased;
            _ = deaths.recv() => {
                if let Reaped::Program(ended) = reap(program) {
                    break ended;
                }
            }
            Some(signal) = signals.recv() => {
                if hand_on(wrapped, program, signal) {
                    until.get_or_insert_with(|| Instant::now() + GRACE);
                }
            }
            () = at(until) => break Ended::Signal(number(Signal::KILL)),
        }
    };
    tell(ended);
    take_down(&mut deaths, program).await;
    if let Surroundings::Terminal { farewell, .. } = &wrapped.surroundings {
        let parted = part(farewell.clone(), &mut signals);
        drop(tokio::time::timeout(PARTING, parted).await);
    }
    Ok(ended)
}

/// Says farewell to the terminal and waits for its end.
async fn part(farewell: Vec<u8>, signals: &mut mpsc::Receiver<Signal>) {
    // A thread of its own, which ends with the process: where a key has stopped
    // all output, writing has no end.
    std::thread::spawn(move || {
        let mut rest = farewell.as_slice();
        while let Ok(written @ 1..) = rustix::io::write(std::io::stdout(), rest) {
            rest = rest.get(written..).unwrap_or_default();
        }
    });
    while let Some(signal) = signals.recv().await {
        if signal == Signal::HUP {
            return;
        }
    }
}

/// Has the end of the parent heard of; false when it has gone already.
fn is_wanted(parent: u32) -> io::Result<bool> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    // It may have gone before it could be heard of.
    let own = getppid().map(|parent| parent.as_raw_nonzero().get());
    Ok(own.and_then(|own| u32::try_from(own).ok()) == Some(parent))
}

/// Hands a signal on as far as the program has not had it; true when it has to
/// end.
fn hand_on(wrapped: &Wrapped, program: Pid, signal: Signal) -> bool {
    match wrapped.surroundings {
        Surroundings::Streams { .. } => {
            // A group without members has ended, and is about to be reaped.
            let _ = kill_process_group(program, signal);
            signal == Signal::TERM
        }
        Surroundings::Terminal { .. } => {
            // It is in our process group, and so had the signals of keys. That the
            // terminal is gone it may have missed, in the background.
            let ends = signal == Signal::TERM || signal == Signal::HUP;
            if ends {
                let _ = kill_process(program, signal);
            }
            ends
        }
    }
}

/// All signals that are heard, as they come.
fn listen() -> io::Result<mpsc::Receiver<Signal>> {
    let (sender, signals) = mpsc::channel(HEARD.len());
    for (kind, signal) in HEARD {
        let mut heard = unix::signal(kind)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            while heard.recv().await.is_some() && sender.send(signal).await.is_ok() {}
        });
    }
    Ok(signals)
}

fn start(wrapped: &Wrapped) -> Result<Pid, WrapError> {
    let failed = |source| WrapError::Program {
        program: wrapped.program.clone(),
        source,
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "this is what servers and agents are started with"
    )]
    let mut command = Command::new(&wrapped.program);
    command
        .args(&wrapped.args)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(Stdio::inherit());
    let started = match &wrapped.surroundings {
        Surroundings::Streams { .. } => with_streams(command),
        Surroundings::Terminal {
            environment,
            directory,
            ..
        } => {
            if !directory.is_dir() {
                return Err(WrapError::Directory(directory.clone()));
            }
            let environment = environment.iter().map(|(name, value)| (name, value));
            command.env_clear().envs(environment).current_dir(directory);
            // In our process group: it is the one that the terminal listens to.
            command.spawn()
        }
    };
    // `reap` waits for it, and for everything else that ends below.
    let child = started.map_err(failed)?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| failed(io::Error::other("the program has no process id")))
}

/// Starts the program in a process group of its own, and leaves the standard
/// streams to it: whoever reads or writes them meets nobody else.
fn with_streams(mut command: Command) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    let child = command.process_group(0).spawn()?;
    let nothing = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(&nothing)?;
    rustix::stdio::dup2_stderr(&nothing)?;
    Ok(child)
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// What ended, as far as it matters.
enum Reaped {
    /// The program, and how it ended.
    Program(Ended),
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
                let number = |number| u8::try_from(number).unwrap_or(u8::MAX);
                let code = status.exit_status().map(number).map(Ended::Code);
                let signal = || status.terminating_signal().map(number).map(Ended::Signal);
                ended = code.or_else(signal);
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
