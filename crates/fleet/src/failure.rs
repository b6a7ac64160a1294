//! Why a tool did nothing, and what whoever called it is told.

use provost_store::fleet::{FleetError, InstanceId};

use crate::refusal::Refusal;
use crate::tools::BadArguments;

/// What is told of what is nobody else's business.
const INSIDE: &str =
    "what the fleet knows cannot be read or written; ask your operator to look at the log";

/// A tool did nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The arguments of the call cannot be used.
    #[error(transparent)]
    Arguments(#[from] BadArguments),
    /// An agent was not started.
    #[error("`{id}` was not started: {why}")]
    NotStarted {
        /// Which instance.
        id: InstanceId,
        /// Why not, in words.
        why: String,
    },
    /// A text did not get to an instance.
    #[error("the text did not get to `{id}`: {why}")]
    NotDelivered {
        /// To which instance.
        id: InstanceId,
        /// Why not, in words.
        why: String,
    },
    /// The window of an instance was not closed.
    #[error("`{id}` was not ended: {why}")]
    NotEnded {
        /// Which instance.
        id: InstanceId,
        /// Why not, in words.
        why: String,
    },
    /// Something of the house failed; the words are for the log.
    #[error("{0}")]
    Inside(String),
    /// The rows could not be asked or changed.
    #[error(transparent)]
    Rows(#[from] FleetError),
}

// === impl Failure ===

impl Failure {
    /// What the caller is told: what happened, and what may be done instead. Of what is
    /// wrong inside it tells nothing; that is for the log.
    pub fn words(&self) -> String {
        match self {
            Self::Refused(refused) => format!("{refused}; {}", refused.hint()),
            Self::Arguments(bad) => bad.to_string(),
            Self::NotStarted { .. } => {
                format!("{self}; ask your operator whether the agent is configured well")
            }
            Self::NotDelivered { .. } => {
                format!("{self}; `list` shows the states, `restart` starts what has ended")
            }
            Self::NotEnded { .. } => format!("{self}; try again"),
            Self::Inside(_) => INSIDE.to_owned(),
            Self::Rows(error) => match error {
                FleetError::NoInstance { .. } => format!("{error}; `list` shows the instances"),
                FleetError::NoMessage { .. } | FleetError::NoTask { .. } => error.to_string(),
                FleetError::OtherState { .. } => {
                    format!("{error}; `list` shows the states, `restart` starts what has ended")
                }
                FleetError::MailboxFull { .. } => {
                    format!("{error}; wait until it has worked some of them off")
                }
                FleetError::TooMany { .. } => format!("{error}; end some first"),
                FleetError::Damaged(_)
                | FleetError::File(_)
                | FleetError::Newer { .. }
                | FleetError::Store(_) => INSIDE.to_owned(),
            },
        }
    }
}

#[cfg(test)]
mod tests;
