//! How an exchange with a server fails, and how that is recorded and told.

use provost_store::Status;

use super::answer::Failure;
use crate::host::budget::Full;

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
    /// A part that this daemon was started without.
    Absent,
    /// Not reachable, or it broke the exchange off.
    Down,
    /// No answer in time.
    Slow,
    /// An answer that is too large or cannot be read.
    BadAnswer,
    /// An HTTP status that is no answer to a message.
    Status(u16),
    /// The upstream does not know the session any more.
    SessionLost,
    /// No process is started: as many as may run do, for the grant or in all.
    NoProcess(Full),
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

// === impl Fault ===

impl Fault {
    /// Nothing was sent, and this is why.
    pub(crate) const fn unsent(kind: FaultKind) -> Self {
        Self { kind, sent: false }
    }

    /// Something may have been sent before this happened.
    const fn after(kind: FaultKind) -> Self {
        Self { kind, sent: true }
    }

    /// Nothing was sent: quota comes back, and a retry is harmless.
    pub(crate) fn not_sent() -> Self {
        Self::unsent(FaultKind::Down)
    }

    /// The message waited for its turn, and what it was judged on changed meanwhile.
    pub(crate) fn outdated() -> Self {
        Self::unsent(FaultKind::Outdated)
    }

    /// The message waited for others before it for too long.
    pub(crate) fn queue_timeout() -> Self {
        Self::unsent(FaultKind::Slow)
    }

    /// The exchange broke off after something may have been sent.
    pub(crate) fn broken() -> Self {
        Self::after(FaultKind::Down)
    }

    /// Sent, but not answered in time.
    pub(crate) fn slow() -> Self {
        Self::after(FaultKind::Slow)
    }

    /// Answered with something that cannot be read, or with more than is accepted.
    pub(crate) fn bad_answer() -> Self {
        Self::after(FaultKind::BadAnswer)
    }

    /// Answered with more than there is room for now.
    pub(crate) fn no_room(full: Full) -> Self {
        Self::after(FaultKind::NoRoom(full))
    }

    /// Answered with an HTTP status instead of a message.
    pub(crate) fn status(status: u16) -> Self {
        Self::after(FaultKind::Status(status))
    }

    /// The upstream forgot the session.
    pub(crate) fn session_lost() -> Self {
        Self::after(FaultKind::SessionLost)
    }

    /// The same fault of something else than the agent's own message, which was not sent.
    pub(crate) fn before_sending(self) -> Self {
        Self::unsent(self.kind)
    }

    /// Whether it says something about the server.
    pub(crate) fn is_of_the_server(self) -> bool {
        self.kind != FaultKind::Outdated
    }

    /// How a call ends that its upstream failed, in the record and for the agent.
    pub(crate) fn ending(self, server: &str) -> (Status, Failure) {
        let down = Failure::upstream_down(server);
        match self.kind {
            FaultKind::Unusable => (Status::NotSent, Failure::upstream_unusable(server)),
            FaultKind::Absent => (Status::NotSent, Failure::absent(server)),
            FaultKind::NoProcess(room) => (Status::NotSent, Failure::no_process(server, room)),
            FaultKind::OpenedOtherwise => (Status::NotSent, Failure::opened_otherwise(server)),
            FaultKind::Pausing => (Status::NotSent, Failure::pausing(server)),
            FaultKind::Outdated if self.sent => (Status::UpstreamDown, Failure::outdated(server)),
            FaultKind::Outdated => (Status::NotSent, Failure::outdated(server)),
            _ if !self.sent => (Status::NotSent, down),
            FaultKind::Down | FaultKind::SessionLost => (Status::UpstreamDown, down),
            FaultKind::Slow => (Status::Timeout, Failure::upstream_slow(server)),
            FaultKind::NoRoom(full) => (Status::BadAnswer, Failure::no_memory(full)),
            FaultKind::BadAnswer => (Status::BadAnswer, Failure::upstream_bad_answer(server)),
            FaultKind::Status(status) => (Status::Http(status), down),
        }
    }
}
