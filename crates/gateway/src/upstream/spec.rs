//! Which program is a server, whose process of it is meant, and what bounds them.

use std::time::Duration;

use provost_policy::Text;
use provost_store::Processes;

use super::process::Program;
use crate::host::machine;
use crate::host::settings::{Settings, Wrapper};
use crate::text::era::Era;

/// A server that is a program.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChildSpec {
    pub(crate) server: Text,
    pub(crate) name: Text,
    pub(crate) program: Program,
    /// Who shares a process of it.
    pub(crate) processes: Processes,
}

/// Which process is meant. It speaks one era: one that was asked in both might mix
/// them up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ProcessKey {
    pub(crate) server: Text,
    pub(crate) holder: Holder,
    pub(crate) era: Era,
}

/// Who uses one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Everybody: the operator said it is safe.
    Shared,
    /// All sessions, or modern requests, of one grant.
    Grant(Text),
    /// One session.
    Session {
        /// Whose session it is.
        grant: Text,
        session: Text,
    },
    /// One agent of `provost run`, with its own directory and environment.
    Agent(u64),
}

/// What bounds child processes.
#[derive(Debug, Clone)]
pub(crate) struct ChildBounds {
    /// Processes at a time.
    pub(crate) most: usize,
    /// Processes of one grant at a time.
    pub(crate) most_of_grant: usize,
    /// What programs run under.
    pub(crate) wrapper: Option<Wrapper>,
    /// How long a process is kept that nobody uses.
    pub(crate) idle: Duration,
    /// Longest line a process may write.
    pub(crate) line: usize,
    /// How long a process may take to answer `initialize`.
    pub(crate) start: Duration,
    /// How long a request waits until a process reads it.
    pub(crate) write_timeout: Duration,
}

// === impl ChildBounds ===

impl ChildBounds {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            most: machine::files(settings.max_children).children,
            most_of_grant: settings.max_children_per_grant,
            wrapper: settings.wrapper.clone(),
            idle: settings.idle_child,
            line: settings.result_limit,
            start: settings.call_timeout.min(Duration::from_secs(60)),
            write_timeout: settings.call_timeout,
        }
    }
}

// === impl Holder ===

impl Holder {
    /// The grant whose process it is. An agent of `provost run` has the one it
    /// brought along, whatever its grant has.
    pub(crate) fn grant(&self) -> Option<&Text> {
        match self {
            Self::Grant(grant) | Self::Session { grant, .. } => Some(grant),
            Self::Shared | Self::Agent(_) => None,
        }
    }
}
