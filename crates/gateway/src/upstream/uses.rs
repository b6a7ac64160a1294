//! The use somebody makes of a process: it is counted from the moment the
//! process was looked up until this value is dropped, so that nobody takes a
//! process away that is about to be used, and nobody stays among its users.

use std::ops::Deref;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::child::Child;
use super::{Children, Fault, answer_in};
use crate::agent::session::Session;

/// One use of a process.
pub(crate) struct Use {
    children: Arc<Children>,
    child: Arc<Child>,
    session: Arc<Session>,
}

/// What a process writes for one request, until its answer.
pub(crate) struct ChildLines {
    lines: mpsc::Receiver<Bytes>,
    number: u64,
    of: Use,
}

// === impl Use ===

impl Use {
    pub(super) fn new(children: Arc<Children>, child: Arc<Child>, session: Arc<Session>) -> Self {
        Self {
            children,
            child,
            session,
        }
    }

    /// Keeps the process for the lines of a request.
    pub(crate) fn lines(self, (number, lines): (u64, mpsc::Receiver<Bytes>)) -> ChildLines {
        ChildLines {
            lines,
            number,
            of: self,
        }
    }
}

impl Deref for Use {
    type Target = Arc<Child>;

    fn deref(&self) -> &Self::Target {
        &self.child
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.children.release(&self.child, &self.session);
    }
}

// === impl ChildLines ===

impl ChildLines {
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
        if !self.of.session.ended.is_cancelled() {
            self.of.child.forget(self.number);
        }
    }
}
