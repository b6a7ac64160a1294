//! A yes is a value: nothing reaches an upstream without a [`Permit`].
//!
//! The kinds are closed and their constructors say who may make them; for a
//! governed call that is only the stage which recorded the intent.

use std::fmt;
use std::sync::Arc;

use provost_policy::{RuleId, Text};

use super::fault::Fault;
use super::principal::Principal;
use crate::text::protocol::Housekeeping;

/// Proof that a message may be sent to an upstream.
///
/// INVARIANT: between judging and the first byte there are waits (a process is
/// started, a connection is made, others are before it), so whoever writes that
/// byte asks right before it whether the permit still [`stands`](Self::stands).
#[derive(Debug, Clone)]
pub(crate) struct Permit(Kind);

/// Knows what is in force at this moment.
pub(crate) trait InForce: Send + Sync {
    /// The edition of what this grant may do; none when it has ended.
    fn edition(&self, grant: &Text) -> Option<u64>;
}

/// What a call was judged on. It opens nothing, and may be kept for as long as the
/// call waits: it only knows whether the same still holds.
#[derive(Clone)]
pub(crate) struct Grounds {
    in_force: Arc<dyn InForce>,
    principal: Arc<Principal>,
    edition: u64,
}

/// Why a message may be sent. For logs; the decision is long made.
#[derive(Debug, Clone)]
enum Kind {
    /// A policy allowed it and the intent is recorded.
    Policy(Option<RuleId>, Grounds),
    /// Housekeeping or a notification that the protocol era knows.
    Protocol,
    /// The agent's answer to a request of the upstream that was let through.
    Answer,
    /// A message of our own: a probe, a re-opened session, a refusal to an upstream.
    Own(&'static str),
}

impl Permit {
    /// For `stage::record` alone, after the intent is in the journal.
    pub(crate) fn recorded(rule: Option<RuleId>, grounds: Grounds) -> Self {
        Self(Kind::Policy(rule, grounds))
    }

    /// For housekeeping: the type is the proof.
    pub(crate) fn housekeeping(_: Housekeeping) -> Self {
        Self(Kind::Protocol)
    }

    /// For a notification that the era knows in that direction.
    pub(crate) fn notification(_: crate::text::protocol::KnownNotification) -> Self {
        Self(Kind::Protocol)
    }

    /// For an answer whose question was taken from the session's open questions.
    pub(crate) fn answer(_: &super::call::Question) -> Self {
        Self(Kind::Answer)
    }

    /// For a message that Provost itself wants to send; `reason` is a constant.
    pub(crate) fn own(reason: &'static str) -> Self {
        Self(Kind::Own(reason))
    }

    /// Whether what it was given on still holds. For whoever is about to write the
    /// first byte.
    pub(crate) fn stands(&self) -> Result<(), Fault> {
        match &self.0 {
            Kind::Policy(_, grounds) if !grounds.hold() => Err(Fault::outdated()),
            Kind::Policy(..) | Kind::Protocol | Kind::Answer | Kind::Own(_) => Ok(()),
        }
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Policy(Some(rule), _) => write!(f, "rule `{rule}`"),
            Kind::Policy(None, _) => f.write_str("a policy without objections"),
            Kind::Protocol => f.write_str("the protocol"),
            Kind::Answer => f.write_str("an open question"),
            Kind::Own(reason) => f.write_str(reason),
        }
    }
}

// === impl Grounds ===

impl Grounds {
    pub(crate) fn new(in_force: Arc<dyn InForce>, principal: Arc<Principal>, edition: u64) -> Self {
        Self {
            in_force,
            principal,
            edition,
        }
    }

    /// Whether the grant is live with the same token, and the rules and the server
    /// are those in force.
    fn hold(&self) -> bool {
        let grant = &self.principal.grant.0;
        !self.principal.ended.is_cancelled() && self.in_force.edition(grant) == Some(self.edition)
    }
}

impl fmt::Debug for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = &self.principal.grant;
        write!(f, "grant `{grant}`, edition {}", self.edition)
    }
}
