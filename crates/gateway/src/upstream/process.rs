//! Starts and ends a child process that speaks MCP over its standard streams.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::line::{End, Lines};

/// What to start, and in which surroundings.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) command: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) directory: Option<PathBuf>,
    /// The whole environment; nothing else is inherited.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// A running process and the ways to it.
pub(crate) struct Running {
    /// Whole lines for its standard input, without their ends.
    pub(crate) input: mpsc::Sender<Bytes>,
    /// Cancelled when the process has to go.
    pub(crate) stop: CancellationToken,
    /// Cancelled when it is gone, with everything it started.
    pub(crate) gone: CancellationToken,
}

/// Grace given to a process at each step of being ended.
const GRACE: Duration = Duration::from_secs(2);

/// After this long a process that was stopped is gone, whatever it does.
pub(crate) const LONGEST_END: Duration = Duration::from_secs(5);

/// Longest line of a child's standard error that reaches the log.
const LOG_LINE: usize = 2048;

/// Starts `program` in a process group of its own, and the tasks that feed it,
/// drain its standard error, and end it with everything it started. Its output
/// is for the caller to read.
pub(crate) fn start(name: &str, program: &Program) -> std::io::Result<(Running, ChildStdout)> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the stdio upstream starts processes"
    )]
    let mut command = Command::new(&program.command);
    command
        .args(&program.args)
        .env_clear()
        .envs(program.environment.iter().map(|(k, v)| (k, v)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
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
    tokio::spawn(drain(name.to_owned(), stderr));
    let gone = CancellationToken::new();
    tokio::spawn(reap(name.to_owned(), child, stop.clone(), gone.clone()));
    Ok((Running { input, stop, gone }, stdout))
}

/// Writes lines until the process is stopped; dropping its standard input is
/// the first, polite request to leave.
async fn feed(mut stdin: ChildStdin, mut lines: mpsc::Receiver<Bytes>, stop: CancellationToken) {
    loop {
        let line = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            line = lines.recv() => line,
        };
        let Some(line) = line else { return };
        let written = tokio::select! {
            () = stop.cancelled() => return,
            written = write_line(&mut stdin, &line) => written,
        };
        if written.is_err() {
            // One that cannot be talked to is replaced.
            stop.cancel();
            return;
        }
    }
    // What was said before the stop is still delivered, cancellations above all.
    let last = async {
        while let Ok(line) = lines.try_recv() {
            write_line(&mut stdin, &line).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    // A process that does not read hears no last words.
    drop(tokio::time::timeout(GRACE, last).await);
}

async fn write_line(stdin: &mut ChildStdin, line: &[u8]) -> std::io::Result<()> {
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    stdin.write_all(&whole).await
}

/// Keeps standard error flowing into the log, so that a chatty child never blocks.
async fn drain(name: String, stderr: ChildStderr) {
    let mut lines = Lines::new(stderr, 64 * 1024);
    loop {
        match lines.next().await {
            Ok(line) => {
                let line = line.get(..LOG_LINE).unwrap_or(&line);
                let text = String::from_utf8_lossy(line);
                info!(server.name = %name, "Server `{name}` says: {}", text.escape_debug());
            }
            Err(End::Closed) => return,
            // Too long for a line of a log: the part that was read is dropped.
            Err(End::TooLong) => lines.forget(),
        }
    }
}

/// Waits for the end of the process, or brings it about, and takes its whole
/// group down: a server may have started others.
async fn reap(name: String, mut child: Child, stop: CancellationToken, gone: CancellationToken) {
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
        status = child.wait() => debug!(server.name = %name, ?status, "A server process ended"),
        () = stop.cancelled() => {
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                signal(Signal::TERM);
                if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
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
