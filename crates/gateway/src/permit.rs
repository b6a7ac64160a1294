//! A yes is a value: nothing reaches an upstream without a [`Permit`].
//!
//! The kinds are closed and their constructors say who may make them; for a
//! governed call that is only the stage which recorded the intent.

use std::fmt;

use provost_policy::RuleId;

use crate::protocol::Housekeeping;

/// Proof that a message may be sent to an upstream.
#[derive(Debug, Clone)]
pub(crate) struct Permit(Kind);

/// Why a message may be sent. For logs; the decision is long made.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// A policy allowed it and the intent is recorded.
    Policy(Option<RuleId>),
    /// Housekeeping or a notification that the protocol era knows.
    Protocol,
    /// The agent's answer to a request of the upstream that was let through.
    Answer,
    /// A message of our own: a probe, a re-opened session, a refusal to an upstream.
    Own(&'static str),
}

impl Permit {
    /// For `stage::record` alone, after the intent is in the journal.
    pub(crate) fn recorded(rule: Option<RuleId>) -> Self {
        Self(Kind::Policy(rule))
    }

    /// For housekeeping: the type is the proof.
    pub(crate) fn housekeeping(_: Housekeeping) -> Self {
        Self(Kind::Protocol)
    }

    /// For a notification that the era knows in that direction.
    pub(crate) fn notification(_: crate::protocol::KnownNotification) -> Self {
        Self(Kind::Protocol)
    }

    /// For an answer whose question was taken from the session's open questions.
    pub(crate) fn answer(_: &crate::session::Question) -> Self {
        Self(Kind::Answer)
    }

    /// For a message that Provost itself wants to send; `reason` is a constant.
    pub(crate) fn own(reason: &'static str) -> Self {
        Self(Kind::Own(reason))
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Policy(Some(rule)) => write!(f, "rule `{rule}`"),
            Kind::Policy(None) => f.write_str("a policy without objections"),
            Kind::Protocol => f.write_str("the protocol"),
            Kind::Answer => f.write_str("an open question"),
            Kind::Own(reason) => f.write_str(reason),
        }
    }
}
