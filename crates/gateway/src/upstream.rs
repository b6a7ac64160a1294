//! The servers behind the gateway. A closed set: HTTP, and child processes.

mod allowance;
pub(crate) mod child;
pub(crate) mod children;
mod connections;
pub(crate) mod http;
pub(crate) mod process;
mod starts;
mod stderr;
mod uses;
mod witness;

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::host::budget::{Account, Full};
use crate::text::envelope::{self, Answer, Message};
use crate::text::sse;

pub(crate) use child::ChildSpec;
pub(crate) use children::Children;
pub(crate) use http::HttpUpstream;
pub(crate) use starts::LONGEST_PAUSE;
pub(crate) use uses::{ChildLines, Use};
pub(crate) use witness::Witness;

/// How one server is reached.
#[derive(Clone)]
pub(crate) enum Upstream {
    /// Streamable HTTP.
    Http(Arc<HttpUpstream>),
    /// A child process that speaks over its standard input and output.
    Stdio(Arc<ChildSpec>),
}

/// What an upstream does with a request, before anybody has looked into it.
pub(crate) enum Exchange {
    /// The whole answer.
    Message(Bytes),
    /// Messages one by one; the answer is one of them.
    Lines(ChildLines),
    /// Events over HTTP; the answer is in one of them.
    Events(http::Answer),
}

// === impl Exchange ===

impl Exchange {
    /// The answer in it, whatever else is; what belongs to it is not for us.
    pub(crate) async fn answer(self, limit: usize, account: &Arc<Account>) -> Result<Bytes, Fault> {
        match self {
            Self::Message(text) => Ok(text),
            Self::Lines(mut lines) => lines.answer().await,
            Self::Events(mut answer) => {
                let mut reader = sse::Reader::new(limit, account);
                while let Some(chunk) = answer.next().await? {
                    reader.make_room(&chunk).await.map_err(Fault::no_room)?;
                    let events = reader.feed(&chunk).map_err(|_| Fault::too_large())?;
                    let mut messages = events.into_iter().filter_map(|event| event.message);
                    if let Some(message) = messages.find(is_answer) {
                        return Ok(message);
                    }
                }
                Err(Fault::broken())
            }
        }
    }
}

/// The answer among the lines of one request.
async fn answer_in(lines: &mut mpsc::Receiver<Bytes>) -> Result<Bytes, Fault> {
    while let Some(line) = lines.recv().await {
        if is_answer(&line) {
            return Ok(line);
        }
    }
    Err(Fault::broken())
}

fn is_answer(message: &Bytes) -> bool {
    envelope::parse_upstream(message)
        .is_ok_and(|parsed| matches!(envelope::read(&parsed), Ok(Message::Response { .. })))
}

/// Whether a message is an answer that is no error.
pub(crate) fn is_result(message: &Bytes) -> bool {
    envelope::parse_upstream(message).is_ok_and(|parsed| {
        let read = envelope::read(&parsed);
        matches!(
            read,
            Ok(Message::Response {
                answer: Answer::Result(_),
                ..
            })
        )
    })
}

/// An exchange with an upstream failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// Whether any byte of the message may have reached the upstream.
    pub(crate) sent: bool,
}

/// In which way an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// Its settings cannot be used: the operator has to mend them.
    Unusable,
    /// Not reachable, or it broke the exchange off.
    Down,
    /// No answer in time.
    Slow,
    /// An answer that is too large or cannot be read.
    Lies,
    /// An HTTP status that is no answer to a message.
    Status(u16),
    /// The upstream does not know the session any more.
    SessionLost,
    /// No process is started: as many as may run do.
    NoProcess(Room),
    /// The process that runs was opened with another version or other
    /// capabilities, and others use it.
    OpenedOtherwise,
    /// The program keeps ending, and is given a pause.
    Pausing,
    /// What the call was judged on does not hold any more.
    Outdated,
    /// An answer for which there is no room here.
    NoRoom(Full),
}

/// Whose processes are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Those of the grant.
    Grant,
    /// Those of everybody.
    All,
}

// === impl Fault ===

impl Fault {
    /// There is no way to the server until its settings are mended.
    pub(crate) fn unusable() -> Self {
        Self {
            kind: FaultKind::Unusable,
            sent: false,
        }
    }

    /// Nothing was sent: quota comes back, and a retry is harmless.
    pub(crate) fn not_sent() -> Self {
        Self {
            kind: FaultKind::Down,
            sent: false,
        }
    }

    /// No process was there for it, and this is why.
    pub(crate) fn not_started(kind: FaultKind) -> Self {
        Self { kind, sent: false }
    }

    /// The message waited for its turn, and what it was judged on changed meanwhile.
    pub(crate) fn outdated() -> Self {
        Self {
            kind: FaultKind::Outdated,
            sent: false,
        }
    }

    /// Whether it says something about the server.
    pub(crate) fn is_of_the_server(self) -> bool {
        self.kind != FaultKind::Outdated
    }

    /// The exchange broke off after something may have been sent.
    pub(crate) fn broken() -> Self {
        Self {
            kind: FaultKind::Down,
            sent: true,
        }
    }

    /// Sent, but not answered in time.
    pub(crate) fn slow() -> Self {
        Self {
            kind: FaultKind::Slow,
            sent: true,
        }
    }

    /// Answered with more than is accepted.
    pub(crate) fn too_large() -> Self {
        Self {
            kind: FaultKind::Lies,
            sent: true,
        }
    }

    /// Answered with more than there is room for now.
    pub(crate) fn no_room(full: Full) -> Self {
        Self {
            kind: FaultKind::NoRoom(full),
            sent: true,
        }
    }

    /// Answered with something that cannot be read.
    pub(crate) fn lies() -> Self {
        Self {
            kind: FaultKind::Lies,
            sent: true,
        }
    }

    /// Answered with an HTTP status instead of a message.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            kind: FaultKind::Status(status),
            sent: true,
        }
    }

    /// The upstream forgot the session.
    pub(crate) fn session_lost() -> Self {
        Self {
            kind: FaultKind::SessionLost,
            sent: true,
        }
    }
}
