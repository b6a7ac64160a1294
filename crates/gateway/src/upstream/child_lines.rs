//! What a process writes for one request, until its answer.

use bytes::Bytes;
use tokio::sync::mpsc;

use super::child::answer_in;
use super::children::Use;
use crate::message::fault::Fault;

/// What a process writes for one request, until its answer; the process stays for
/// as long.
pub(crate) struct ChildLines {
    lines: mpsc::Receiver<Bytes>,
    number: u64,
    of: Use,
}

// === impl ChildLines ===

impl ChildLines {
    /// The lines of the request with this number.
    pub(crate) fn new(of: Use, number: u64, lines: mpsc::Receiver<Bytes>) -> Self {
        Self { lines, number, of }
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

impl Drop for ChildLines {
    fn drop(&mut self) {
        // Whether it was answered or not, nobody reads any more of it. Whoever ended
        // the session still has to tell the process that it is cancelled.
        if !self.of.session().ended.is_cancelled() {
            self.of.forget(self.number);
        }
    }
}
