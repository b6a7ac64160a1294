//! Starts and ends a child process that speaks MCP over its standard streams.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use provost_policy::Text;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{Witness, stderr};
use crate::host::settings::Wrapper;
use crate::message::cleared::{Cleared, Permit};
use crate::message::fault::Fault;
use crate::text::lines::write_line;

/// What to start, and in which surroundings.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) command: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) directory: Option<PathBuf>,
    /// The whole environment; nothing else is inherited.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

// === impl Program ===

impl Program {
    /// Whether there is a program to start, where the system looks for one.
    fn exists(&self) -> bool {
        let here = self.directory.as_deref().unwrap_or(Path::new(""));
        let runs = |path: &Path| {
            let path = here.join(path);
            !path.is_dir() && rustix::fs::access(&path, rustix::fs::Access::EXEC_OK).is_ok()
        };
        let own = Path::new(&self.command);
        if own.components().count() != 1 || own.is_absolute() {
            return runs(own);
        }
        let path = self.environment.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or(OsStr::new(USUAL_PATH), |(_, path)| path);
        std::env::split_paths(path).any(|folder| runs(&folder.join(own)))
    }
}

/// A running process and the ways to it.
pub(crate) struct Running {
    /// Whole lines for its standard input, without their ends.
    pub(crate) input: mpsc::Sender<Line>,
    /// Cancelled when the process has to go.
    pub(crate) stop: CancellationToken,
    /// Cancelled when it is gone, with everything it started.
    pub(crate) gone: CancellationToken,
    /// How it ended, if it did so by itself; known before it is gone.
    pub(crate) status: Arc<OnceLock<ExitStatus>>,
}

/// A line for a process, which waits until those before it are written.
pub(crate) struct Line {
    cleared: Cleared<Bytes>,
    what: What,
}

/// What a line is, and so when it is not written after all.
enum What {
    /// Said by us: written in any case.
    Ours,
    /// What else a session says, which this ends.
    Said(CancellationToken),
    Request(Request),
}

/// A request that waits for its turn to be written.
struct Request {
    /// Ends the session whose request it is.
    ended: CancellationToken,
    begun: Arc<AtomicBool>,
    /// Nobody is there any more when the request was called off.
    write_start: oneshot::Sender<Result<(), Fault>>,
}

/// Says when a request begins to be written.
pub(crate) struct WriteStart(oneshot::Receiver<Result<(), Fault>>);

/// Grace given to a process at each step of being ended.
const GRACE: Duration = Duration::from_secs(2);

/// A wrapper that was asked to end leaves its program a grace of its own, and
/// takes down what is left; one that takes longer is beyond help.
const WRAPPED_END: Duration = Duration::from_secs(5);

/// After this long a process that was stopped is gone, whatever it does.
pub(crate) const LONGEST_END: Duration = Duration::from_secs(8);

/// How long the standard error of a program that ended is read before that is told.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where programs are looked for when nothing is said.
const USUAL_PATH: &str = "/bin:/usr/bin";

// === impl Line ===

impl Line {
    /// What is written whatever happens meanwhile.
    pub(crate) fn ours(cleared: Cleared<Bytes>) -> Self {
        let what = What::Ours;
        Self { cleared, what }
    }

    /// What a session says that is no request, unless it has `ended`.
    pub(crate) fn said(cleared: Cleared<Bytes>, ended: CancellationToken) -> Self {
        let what = What::Said(ended);
        Self { cleared, what }
    }

    /// A request, which is skipped if it was called off, its session has ended or
    /// its permit does not stand any more when its turn comes. `begun` is set
    /// before its first byte is written.
    pub(crate) fn request(
        cleared: Cleared<Bytes>,
        ended: CancellationToken,
        begun: Arc<AtomicBool>,
    ) -> (Self, WriteStart) {
        let (write_start, come) = oneshot::channel();
        let what = What::Request(Request {
            ended,
            begun,
            write_start,
        });
        (Self { cleared, what }, WriteStart(come))
    }

    /// Why it may be written.
    pub(crate) fn permit(&self) -> &Permit {
        self.cleared.permit()
    }

    /// The text, if it is to be written now that its turn has come.
    fn taken(self) -> Option<Bytes> {
        match self.what {
            What::Said(ended) if ended.is_cancelled() => None,
            What::Ours | What::Said(_) => self.cleared.into_bytes().ok(),
            What::Request(request) => request.begin(self.cleared),
        }
    }

    /// The same after the process was told to stop: a request would find nobody to
    /// answer it.
    fn taken_last(self) -> Option<Bytes> {
        match self.what {
            What::Request(_) => None,
            What::Ours | What::Said(_) => self.taken(),
        }
    }
}

// === impl Request ===

impl Request {
    /// Its text, if it begins to be written now.
    fn begin(self, cleared: Cleared<Bytes>) -> Option<Bytes> {
        // First of all: whoever ends the session meanwhile either finds it begun,
        // and cancels it, or is found here.
        self.begun.store(true, Ordering::SeqCst);
        let text = match self.ended.is_cancelled() {
            true => Err(Fault::outdated()),
            false => cleared.into_bytes(),
        };
        let told = self
            .write_start
            .send(text.as_ref().map(drop).map_err(|fault| *fault));
        let text = text.ok().filter(|_| told.is_ok());
        self.begun.store(text.is_some(), Ordering::SeqCst);
        text
    }
}

// === impl Turn ===

impl WriteStart {
    /// Waits for it; says so when it comes too late, or never.
    pub(crate) async fn wait(self) -> Result<(), Fault> {
        self.0.await.unwrap_or_else(|_| Err(Fault::not_sent()))
    }
}

/// Starts `program`, and the tasks that feed it, drain its standard error, and
/// end it with everything it started: by its wrapper, or else as far as that
/// stayed in its process group. Its output is for the caller to read.
pub(crate) fn start(
    name: &Text,
    program: &Program,
    wrapper: Option<&Wrapper>,
    witness: &Arc<Witness>,
) -> std::io::Result<(Running, ChildStdout)> {
    let mut command = command(program, wrapper)?;
    command
        .env_clear()
        .envs(program.environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        // A wrapper hears of the end of the thread that started it, and ends in
        // order; killed, it would leave everything behind.
        .kill_on_drop(wrapper.is_none());
    if let Some(directory) = &program.directory {
        command.current_dir(directory);
    }
    let mut child = command.spawn()?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("the child has no standard streams"));
    };
    let stop = CancellationToken::new();
    let (input, lines) = mpsc::channel(64);
    tokio::spawn(feed(stdin, lines, stop.clone()));
    let draining = tokio::spawn(stderr::drain(name.clone(), stderr, Arc::clone(witness)));
    let gone = CancellationToken::new();
    let last = if wrapper.is_some() {
        WRAPPED_END
    } else {
        GRACE
    };
    let status = Arc::<OnceLock<ExitStatus>>::default();
    let ways = Running {
        input,
        stop: stop.clone(),
        gone: gone.clone(),
        status: Arc::clone(&status),
    };
    let (name, witness) = (name.clone(), Arc::clone(witness));
    tokio::spawn(async move {
        reap(child, last, stop, gone, &status).await;
        if let Some(status) = status.get() {
            // Its last lines belong to its end.
            drop(tokio::time::timeout(LAST_LINES, draining).await);
            let words = witness.ended(*status);
            info!(server.name = %name, "Server `{name}`: {words}");
        }
    });
    Ok((ways, stdout))
}

/// The command that starts a program.
#[expect(
    clippy::disallowed_methods,
    reason = "the stdio upstream starts processes"
)]
fn command(program: &Program, wrapper: Option<&Wrapper>) -> std::io::Result<Command> {
    let Some(wrapper) = wrapper else {
        let mut command = Command::new(&program.command);
        command.args(&program.args);
        return Ok(command);
    };
    // The wrapper would start, and only then find that there is nothing to wrap.
    if !program.exists() {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    let mut command = Command::new(&wrapper.program);
    command
        .args(&wrapper.args)
        .arg(std::process::id().to_string())
        .arg(&program.command)
        .args(&program.args);
    Ok(command)
}

/// Writes lines until the process is stopped; dropping its standard input is
/// the first, polite request to leave.
async fn feed(mut stdin: ChildStdin, mut lines: mpsc::Receiver<Line>, stop: CancellationToken) {
    loop {
        let line = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            line = lines.recv() => line,
        };
        let Some(line) = line else { return };
        let Some(line) = line.taken() else { continue };
        let mut writing = std::pin::pin!(write_line(&mut stdin, &line));
        let written = tokio::select! {
            biased;
            written = writing.as_mut() => written,
            // A line that was taken is still written, and so is what follows it.
            () = stop.cancelled() => match tokio::time::timeout(GRACE, writing).await {
                Ok(written) => written,
                Err(_) => return,
            },
        };
        if written.is_err() {
            drop(lines);
            // One that just ended says how; one that cannot be talked to is replaced.
            drop(tokio::time::timeout(GRACE, stop.cancelled()).await);
            stop.cancel();
            return;
        }
    }
    // What was said before the stop is still delivered, cancellations above all.
    let last = async {
        while let Ok(line) = lines.try_recv() {
            if let Some(line) = line.taken_last() {
                write_line(&mut stdin, &line).await?;
            }
        }
        Ok::<(), std::io::Error>(())
    };
    // A process that does not read hears no last words.
    drop(tokio::time::timeout(GRACE, last).await);
}

/// Waits for the end of the process, or brings it about, and takes its whole
/// group down: a server may have started others. Under a wrapper the group is
/// the wrapper's, and it has taken everything down when it ends. Notes how one
/// ended that did so by itself.
async fn reap(
    mut child: Child,
    last: Duration,
    stop: CancellationToken,
    gone: CancellationToken,
    ended: &OnceLock<ExitStatus>,
) {
    let group = child
        .id()
        .and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let signal = |signal| {
        if let Some(group) = group {
            // Gone already is as good as gone now.
            let _ = kill_process_group(group, signal);
        }
    };
    tokio::select! {
        status = child.wait() => {
            if let Ok(status) = status {
                ended.get_or_init(|| status);
            }
        }
        () = stop.cancelled() => {
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                signal(Signal::TERM);
                if tokio::time::timeout(last, child.wait()).await.is_err() {
                    signal(Signal::KILL);
                    let _ = child.wait().await;
                }
            }
        }
    }
    signal(Signal::KILL);
    stop.cancel();
    gone.cancel();
}
