//! Keeps the standard error of a process flowing, so that a chatty one never
//! blocks, and into the log, as far as that has room for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use provost_policy::Text;
use tokio::io::{AsyncRead, AsyncReadExt};
use tracing::{info, warn};

use super::Witness;
use super::allowance::Allowance;
use crate::host::deadline;

/// What is read at once.
const PIECE: usize = 64 * 1024;
/// A process that fills a piece waits this long for the next one to be read:
/// nobody reads that much, and the thread has others to serve.
const PACE: Duration = Duration::from_millis(1);
/// Longest line that reaches the log, in bytes of it; the rest of it is dropped.
const LINE: usize = 2048;

/// Logs what is written to `stderr` until its end.
pub(super) async fn drain<R: AsyncRead + Unpin>(name: Text, mut stderr: R, witness: Arc<Witness>) {
    let mut piece = vec![0; PIECE];
    let mut lines = Lines {
        name,
        allowance: Allowance::default(),
        held: Vec::new(),
        witness,
    };
    loop {
        let read = tokio::select! {
            read = stderr.read(&mut piece) => read.unwrap_or_default(),
            () = deadline::at(lines.allowance.told_at()) => {
                lines.tell();
                continue;
            }
        };
        if read == 0 {
            return lines.end();
        }
        lines.feed(piece.get(..read).unwrap_or_default(), Instant::now());
        if read == PIECE {
            tokio::time::sleep(PACE).await;
        }
    }
}

/// What was written, cut into lines.
struct Lines {
    name: Text,
    allowance: Allowance,
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
    /// Who keeps the last of them.
    witness: Arc<Witness>,
}

// === impl Lines ===

impl Lines {
    fn feed(&mut self, mut piece: &[u8], now: Instant) {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let (line, rest) = piece.split_at(end);
            self.hold(line);
            piece = rest.get(1..).unwrap_or_default();
            match self.allowance.take(now) {
                Some(dropped) => {
                    self.dropped(dropped);
                    self.log();
                }
                // The rest is counted and not looked at.
                None => {
                    let lines = memchr::memchr_iter(b'\n', piece).count();
                    self.allowance.drop_lines(lines as u64);
                    let last = memchr::memrchr(b'\n', piece).map_or(0, |last| last + 1);
                    piece = piece.get(last..).unwrap_or_default();
                }
            }
            self.held.clear();
        }
        self.hold(piece);
    }

    fn hold(&mut self, more: &[u8]) {
        let room = LINE.saturating_sub(self.held.len()).min(more.len());
        self.held
            .extend_from_slice(more.get(..room).unwrap_or_default());
    }

    fn log(&self) {
        let text = String::from_utf8_lossy(&self.held);
        let text = text.trim_end_matches('\r').escape_debug();
        let shown: String = text.take(LINE).collect();
        let name = &self.name;
        info!(server.name = %name, "Server `{name}` says: {shown}");
        self.witness.says(&self.held);
    }

    fn tell(&mut self) {
        let dropped = self.allowance.tell();
        self.dropped(dropped);
    }

    fn dropped(&self, lines: u64) {
        if lines > 0 {
            let name = &self.name;
            warn!(server.name = %name, lines.dropped = lines,
                "Server `{name}` wrote more to its standard error than is logged: {lines} lines dropped");
        }
    }

    fn end(mut self) {
        if !self.held.is_empty()
            && let Some(dropped) = self.allowance.take(Instant::now())
        {
            self.dropped(dropped);
            self.log();
        }
        self.tell();
    }
}

#[cfg(test)]
mod tests;
