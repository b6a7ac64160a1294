//! Carries lines between this process's stdin and stdout and the daemon.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::daemon::Signals;

/// How long answers may still come after stdin has ended, or after a signal.
const AFTER_STDIN: Duration = Duration::from_secs(30);
const AFTER_SIGNAL: Duration = Duration::from_secs(5);

/// Why the pump stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The agent closed stdin, and everything was answered.
    StdinEnded,
    /// The agent closed stdout.
    StdoutClosed,
    /// The daemon ended the session.
    DaemonEnded,
    /// A signal.
    Signal(i32),
}

/// What one direction came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copied {
    SourceEnded,
    SinkClosed,
}

/// Pumps until one side ends. Dropping the stream tells the daemon, which ends the upstream.
pub(crate) async fn pump(
    agent_in: impl AsyncRead + Unpin,
    agent_out: impl AsyncWrite + Unpin,
    daemon: impl AsyncRead + AsyncWrite,
    signals: &mut Signals,
) -> Ending {
    let (daemon_out, mut daemon_in) = tokio::io::split(daemon);
    let mut answers = std::pin::pin!(copy(daemon_out, agent_out));
    let ending = {
        let mut questions = std::pin::pin!(copy(agent_in, &mut daemon_in));
        tokio::select! {
            copied = &mut answers => return after_answers(copied),
            copied = &mut questions => match copied {
                Copied::SourceEnded => Ending::StdinEnded,
                Copied::SinkClosed => Ending::DaemonEnded,
            },
            signal = signals.next() => Ending::Signal(signal),
        }
    };
    // The daemon sees the end of the agent; answers on their way still come through.
    drop(daemon_in.shutdown().await);
    let patience = if ending == Ending::StdinEnded {
        AFTER_STDIN
    } else {
        AFTER_SIGNAL
    };
    tokio::select! {
        _ = tokio::time::timeout(patience, &mut answers) => ending,
        signal = signals.next() => Ending::Signal(signal),
    }
}

fn after_answers(copied: Copied) -> Ending {
    match copied {
        Copied::SourceEnded => Ending::DaemonEnded,
        Copied::SinkClosed => Ending::StdoutClosed,
    }
}

async fn copy(mut source: impl AsyncRead + Unpin, mut sink: impl AsyncWrite + Unpin) -> Copied {
    use tokio::io::AsyncReadExt;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match source.read(&mut buffer).await {
            Ok(0) | Err(_) => return Copied::SourceEnded,
            Ok(read) => read,
        };
        let Some(bytes) = buffer.get(..read) else {
            return Copied::SourceEnded;
        };
        if sink.write_all(bytes).await.is_err() || sink.flush().await.is_err() {
            return Copied::SinkClosed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn answers_still_come_after_stdin_has_ended() {
        let (ours, mut daemon) = tokio::io::duplex(64);
        let served = tokio::spawn(async move {
            let mut question = String::new();
            daemon.read_to_string(&mut question).await.unwrap();
            daemon.write_all(b"answer\n").await.unwrap();
            question
        });
        let mut out = Vec::new();
        let ending = pump(
            &b"question\n"[..],
            &mut out,
            ours,
            &mut Signals::listen().unwrap(),
        )
        .await;
        assert_eq!(ending, Ending::StdinEnded);
        assert_eq!(out, b"answer\n");
        assert_eq!(served.await.unwrap(), "question\n");
    }

    #[tokio::test]
    async fn a_daemon_that_ends_ends_the_bridge() {
        let (ours, daemon) = tokio::io::duplex(64);
        let (_open, stdin) = tokio::io::duplex(64);
        drop(daemon);
        let ending = pump(stdin, Vec::new(), ours, &mut Signals::listen().unwrap()).await;
        assert_eq!(ending, Ending::DaemonEnded);
    }
}
