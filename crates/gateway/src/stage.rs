//! The stages of the walk of a call, a file each. `path.rs` puts them in order.

pub(crate) mod ask;
pub(crate) mod clear;
pub(crate) mod judge;
pub(crate) mod limits;
pub(crate) mod record;
pub(crate) mod settle;

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
