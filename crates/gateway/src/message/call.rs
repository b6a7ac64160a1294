//! What is recorded as begun, until its end is recorded too.

use std::sync::Arc;
use std::time::Instant;

use provost_policy::{Charge, Moment};
use provost_store::CallId;

use super::continuation::Spent;
use crate::host::metrics::Counts;

/// A governed call whose intent is recorded: what its end must settle.
#[derive(Debug, Clone)]
pub(crate) struct OpenCall {
    pub(crate) id: CallId,
    pub(crate) charges: Vec<Charge>,
    /// When the limits were charged.
    pub(crate) at: Moment,
    pub(crate) started: Instant,
    /// Where its end is counted.
    pub(crate) counts: Arc<Counts>,
    /// What it used up in order to continue.
    pub(crate) seal: Option<Spent>,
}

/// A request of the upstream that was let through to the agent.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The recorded call it belongs to; none for `ping`.
    pub(crate) open_call: Option<OpenCall>,
}
