//! A tmux process for one request: the way that is left when a control client cannot be had.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::command::Commands;
use super::control::Answer;
use super::place::TmuxPlace;
use crate::terminal::TerminalError;

/// A process that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has a process of its own do what a control client would do.
pub(super) async fn run(place: &TmuxPlace, commands: Commands) -> Answer {
    match tokio::time::timeout(PATIENCE, done(place, commands)).await {
        Ok(done) => done,
        Err(_) => Err(TerminalError::NoAnswer),
    }
}

async fn done(place: &TmuxPlace, commands: Commands) -> Answer {
    let unreachable = TerminalError::Unreachable;
    let mut command = place.command();
    // The same line in the same quotes, read from standard input: as arguments, words
    // could end commands, and would end at 128 KiB.
    command
        .args(["source-file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(unreachable)?;
    let Some(mut stdin) = child.stdin.take() else {
        return Err(unreachable(io::ErrorKind::BrokenPipe.into()));
    };
    let line = commands.into_line();
    let (written, ended) = tokio::join!(
        async move { stdin.write_all(&line).await },
        child.wait_with_output()
    );
    let output = ended.map_err(unreachable)?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(TerminalError::Refused(words));
    }
    written.map_err(unreachable)?;
    let lines = output.stdout.split(|byte| *byte == b'\n');
    let mut lines: Vec<Vec<u8>> = lines.map(<[u8]>::to_vec).collect();
    // What follows the last end of a line is no line.
    lines.pop();
    Ok(lines)
}
