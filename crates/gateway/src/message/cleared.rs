//! A yes is a value: nothing reaches an upstream but a message that was [`Cleared`].
//!
//! What was cleared cannot be changed any more, and cannot be copied. The kinds are
//! closed and their constructors say who may make them; for a governed call there is
//! one, and it writes the intent into the journal.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use provost_policy::{RuleId, Text};
use provost_store::{Entry, Intent, Journal, JournalError};

use super::call::Question;
use super::fault::Fault;
use super::outgoing::Outgoing;
use super::principal::Principal;
use crate::host::budget::Account;
use crate::text::protocol::{Housekeeping, KnownNotification};
use crate::text::splice;

/// A message that may be sent to an upstream: once, and whoever forwards it consumes
/// it. Only an upstream that says that it does not know the session any more gets the
/// same message again.
///
/// INVARIANT: between judging and the first byte there are waits (a process is
/// started, a connection is made, others are before it). So the bytes are handed
/// out to whoever is about to write the first of them, and only while the permit
/// [`stands`](Permit::stands): [`Cleared::into_bytes`], [`Sending::body`].
#[derive(Debug)]
pub(crate) struct Cleared<M> {
    permit: Permit,
    message: M,
}

/// Why a message may be sent.
#[derive(Debug)]
pub(crate) struct Permit(Origin);

/// The kinds of reasons. For logs; the decision is long made.
#[derive(Debug)]
enum Origin {
    /// A policy allowed it and the intent is recorded.
    Policy(Option<RuleId>, JudgedOn),
    /// Housekeeping or a notification that the protocol era knows.
    Protocol,
    /// The agent's answer to a request of the upstream that was let through.
    Answer,
    /// A message of our own: a probe, a re-opened session, a refusal to an upstream.
    Own(&'static str),
}

/// A cleared message as it goes over a connection.
#[derive(Debug)]
pub(crate) struct Sending<'c> {
    permit: &'c Permit,
    body: Bytes,
}

/// Knows what is in force at this moment.
pub(crate) trait InForce: Send + Sync {
    /// The edition of what this grant may do; none when it has ended.
    fn edition(&self, grant: &Text) -> Option<u64>;
}

/// What a call was judged on. It opens nothing, and may be kept for as long as the
/// call waits: it only knows whether the same still holds.
pub(crate) struct JudgedOn {
    in_force: Arc<dyn InForce>,
    principal: Arc<Principal>,
    edition: u64,
}

// === impl Cleared ===

impl Cleared<Outgoing> {
    /// Clears a governed call by recording its intent: when this returns, the intent
    /// is in the journal.
    pub(crate) fn by_intent(
        journal: &Journal,
        intent: Intent<'_>,
        rule: Option<RuleId>,
        judged_on: JudgedOn,
        message: Outgoing,
    ) -> Result<Self, JournalError> {
        journal.append(&Entry::Intent(intent))?;
        let permit = Permit(Origin::Policy(rule, judged_on));
        Ok(Self { permit, message })
    }

    /// For housekeeping: the type is the proof.
    pub(crate) fn housekeeping(_: Housekeeping, message: Outgoing) -> Self {
        let permit = Permit(Origin::Protocol);
        Self { permit, message }
    }

    /// What is to be sent.
    pub(crate) fn message(&self) -> &Outgoing {
        &self.message
    }

    /// The message for an upstream session that is this agent's alone.
    pub(crate) fn sending(&self, account: &Arc<Account>) -> Sending<'_> {
        Sending {
            permit: &self.permit,
            body: self.message.verbatim(account),
        }
    }

    /// The message for a process that several sessions may share, see
    /// [`Outgoing::numbered`].
    pub(crate) fn numbered(self, number: u64, account: &Arc<Account>) -> Cleared<Bytes> {
        Cleared {
            message: self.message.numbered(number, account),
            permit: self.permit,
        }
    }
}

impl Cleared<Bytes> {
    /// For a notification that the era knows in that direction.
    pub(crate) fn notification(_: KnownNotification, message: Bytes) -> Self {
        let permit = Permit(Origin::Protocol);
        Self { permit, message }
    }

    /// For an answer whose question was taken from the session's open questions.
    pub(crate) fn answer(_: &Question, message: Bytes) -> Self {
        let permit = Permit(Origin::Answer);
        Self { permit, message }
    }

    /// The message as it is.
    pub(crate) fn sending(&self) -> Sending<'_> {
        Sending {
            permit: &self.permit,
            body: self.message.clone(),
        }
    }

    /// The message on one line, for a process.
    pub(crate) fn one_line(self) -> Self {
        Self {
            message: splice::one_line(self.message),
            permit: self.permit,
        }
    }

    /// The bytes, for whoever writes them now, while they may be written.
    pub(crate) fn into_bytes(self) -> Result<Bytes, Fault> {
        self.permit.stands()?;
        Ok(self.message)
    }
}

impl Cleared<()> {
    /// For a request that carries no message.
    pub(crate) fn sending(&self) -> Sending<'_> {
        Sending {
            permit: &self.permit,
            body: Bytes::new(),
        }
    }
}

impl<M> Cleared<M> {
    /// For a message that Provost itself wants to send; `reason` is a constant.
    pub(crate) fn own(reason: &'static str, message: M) -> Self {
        let permit = Permit(Origin::Own(reason));
        Self { permit, message }
    }

    /// Why it may be sent.
    pub(crate) fn permit(&self) -> &Permit {
        &self.permit
    }
}

// === impl Sending ===

impl Sending<'_> {
    /// Why it may be sent.
    pub(crate) fn permit(&self) -> &Permit {
        self.permit
    }

    /// The bytes, for whoever writes them now, while they may be written.
    pub(crate) fn body(&self) -> Result<Bytes, Fault> {
        self.permit.stands()?;
        Ok(self.body.clone())
    }
}

// === impl Permit ===

impl Permit {
    /// Whether what it was given on still holds.
    fn stands(&self) -> Result<(), Fault> {
        match &self.0 {
            Origin::Policy(_, judged_on) if !judged_on.holds() => Err(Fault::outdated()),
            Origin::Policy(..) | Origin::Protocol | Origin::Answer | Origin::Own(_) => Ok(()),
        }
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Policy(Some(rule), _) => write!(f, "rule `{rule}`"),
            Origin::Policy(None, _) => f.write_str("a policy without objections"),
            Origin::Protocol => f.write_str("the protocol"),
            Origin::Answer => f.write_str("an open question"),
            Origin::Own(reason) => f.write_str(reason),
        }
    }
}

// === impl JudgedOn ===

impl JudgedOn {
    pub(crate) fn new(in_force: Arc<dyn InForce>, principal: Arc<Principal>, edition: u64) -> Self {
        Self {
            in_force,
            principal,
            edition,
        }
    }

    /// Whether the grant is live with the same token, and the rules and the server
    /// are those in force.
    fn holds(&self) -> bool {
        let grant = &self.principal.grant.0;
        !self.principal.ended.is_cancelled() && self.in_force.edition(grant) == Some(self.edition)
    }
}

impl fmt::Debug for JudgedOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = &self.principal.grant;
        write!(f, "grant `{grant}`, edition {}", self.edition)
    }
}

#[cfg(test)]
mod tests;
