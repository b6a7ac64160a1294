//! What an upstream says on one request, until its answer.

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::child::answer_in;
use super::children::Use;
use crate::message::fault::Fault;

/// What a process or a part of the daemon says on one request, until its answer. What
/// says it stays for as long.
pub(crate) struct Lines {
    lines: mpsc::Receiver<Bytes>,
    from: Source,
}

enum Source {
    /// A process, and the number it knows the request by.
    Child { of: Use, number: u64 },
    /// A call to something built in, which ends with this.
    Task { _call: AbortOnDropHandle<()> },
}

// === impl Lines ===

impl Lines {
    /// The lines of the request with this number.
    pub(crate) fn of_child(of: Use, number: u64, lines: mpsc::Receiver<Bytes>) -> Self {
        let from = Source::Child { of, number };
        Self { lines, from }
    }

    /// What a call to something built in says.
    pub(super) fn of_task(call: AbortOnDropHandle<()>, lines: mpsc::Receiver<Bytes>) -> Self {
        let from = Source::Task { _call: call };
        Self { lines, from }
    }

    /// The next line; none when the process ended.
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        self.lines.recv().await
    }

    /// The answer among them; what belongs to it is not for us.
    pub(super) async fn answer(&mut self) -> Result<Bytes, Fault> {
        answer_in(&mut self.lines).await
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        match &self.from {
            // Whether it was answered or not, nobody reads any more of it. Whoever ended
            // the session still has to tell the process that it is cancelled.
            Source::Child { of, number } if !of.session().ended.is_cancelled() => {
                of.forget(*number);
            }
            Source::Child { .. } | Source::Task { .. } => {}
        }
    }
}
