//! The stages of the walk of a call, a file each. `path.rs` puts them in order.

pub(crate) mod ask;
pub(crate) mod clear;
pub(crate) mod judge;
pub(crate) mod limits;
pub(crate) mod record;
pub(crate) mod settle;

use provost_policy::RuleId;
use provost_policy::judge::Refusal;
use provost_store::Decision;

use crate::message::answer::Failure;

/// Why a call goes no further.
#[derive(Debug)]
pub(crate) enum Stop {
    /// A rule says no, or asks somebody who cannot be asked.
    Refused {
        decision: Decision,
        refusal: Refusal,
    },
    /// The record cannot be written.
    Unrecorded,
    /// The message makes no sense to the protocol: recorded as `(envelope)`.
    Malformed(Failure),
    /// Nothing is wrong with the message, but it cannot be taken now.
    Failed(Failure),
}

// === impl Stop ===

impl Stop {
    /// A rule says no that no policy says.
    pub(crate) fn denied(rule: RuleId, message: impl Into<String>) -> Self {
        Self::Refused {
            decision: Decision::Deny,
            refusal: Refusal::by(rule, message),
        }
    }

    /// What whoever sent it is told, as an error of the protocol.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Refused { refusal, .. } if refusal.rule == RuleId::REVOKED => {
                Failure::ended(&refusal)
            }
            Self::Refused { decision, refusal } => Failure::refused(decision.as_str(), &refusal),
            Self::Unrecorded => Failure::record_unavailable(),
            Self::Malformed(failure) | Self::Failed(failure) => failure,
        }
    }
}
