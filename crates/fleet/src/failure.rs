//! Why a tool did nothing, and what whoever called it is told.

use provost_store::fleet::FleetError;

use crate::refusal::Refusal;

/// A tool did nothing.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// A rule refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
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
                | FleetError::Store(_) => {
                    "what the fleet knows cannot be read or written; ask your operator to look at the log".to_owned()
                }
            },
        }
    }
}

#[cfg(test)]
mod tests;
