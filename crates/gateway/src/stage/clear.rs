//! Clear: the last steps before a message may go, all of them or none. What it is
//! charged is reserved, what it continues is used up, and its intent is recorded.

use std::sync::Arc;
use std::time::Instant;

use provost_policy::judge::Allowed;
use provost_policy::{Charge, Window};

use super::record::{self, Subject};
use super::{Stop, judge, limits, settle};
use crate::message::answer::Failure;
use crate::message::call::OpenCall;
use crate::message::cleared::Cleared;
use crate::message::continuation::{Continued, Spent, Unusable};
use crate::message::outgoing::Outgoing;
use crate::state::present::Present;
use crate::state::worker::GatewayState;

/// What is reserved for an allowed call, until its intent is recorded.
pub(crate) struct Reserved<'s, 'c> {
    shared: &'s Arc<GatewayState>,
    present: &'s Present<'s>,
    subject: &'s Subject<'c>,
    allowed: Allowed,
    seal: Option<Spent>,
}

/// Reserves what an allowed call is charged, and takes up the call it continues.
pub(crate) fn reserve<'s, 'c>(
    shared: &'s Arc<GatewayState>,
    present: &'s Present<'s>,
    subject: &'s mut Subject<'c>,
    mut allowed: Allowed,
    continued: Option<&Continued>,
) -> Result<Reserved<'s, 'c>, Stop> {
    let now = present.now;
    if continued.is_some() {
        // It was charged when it began; only what it holds it holds anew.
        let held = |charge: &Charge| charge.counter.window == Window::Concurrent;
        allowed.charges.retain(held);
    }
    limits::reserve(shared, &allowed.charges, now)?;
    // After whatever else may refuse it: then it can be used again.
    let seal = continued
        .map(|continued| take_up(shared, present, continued))
        .transpose()
        .inspect_err(|_| settle::give_back(shared, &allowed.charges, now))?;
    if let Some(said) = &mut subject.shadow {
        judge::reserve_shadow(shared, said, now);
    }
    Ok(Reserved {
        shared,
        present,
        subject,
        allowed,
        seal,
    })
}

/// Uses the seal of a call up, so that it is continued once.
fn take_up(
    shared: &GatewayState,
    present: &Present<'_>,
    continued: &Continued,
) -> Result<Spent, Stop> {
    let grant = &present.principal.grant.0;
    let spent = shared.seals.spend(continued, grant, present.now.wall);
    spent.map_err(|why| {
        let problem = match why {
            Unusable::Used => "`params.requestState` was used already",
            Unusable::TooMany => {
                "too many calls were continued recently; send this call again from the beginning"
            }
        };
        Stop::Malformed(Failure::invalid_params(problem))
    })
}

// === impl Reserved ===

impl Reserved<'_, '_> {
    /// Records the intent, which clears the message.
    pub(crate) fn record(self, message: Outgoing) -> Result<(Cleared<Outgoing>, OpenCall), Stop> {
        let (shared, subject) = (self.shared, self.subject);
        let cleared = record::intent(shared, subject, &self.allowed, self.present, message);
        let cleared = cleared.inspect_err(|_| self.give_back())?;
        Ok((cleared, self.begun()))
    }

    /// The same for a question of a server: nothing goes upstream for it.
    pub(crate) fn record_question(self) -> Result<OpenCall, Stop> {
        let (shared, subject) = (self.shared, self.subject);
        let recorded = record::question(shared, subject, &self.allowed, self.present.now);
        recorded.inspect_err(|_| self.give_back())?;
        Ok(self.begun())
    }

    /// Nothing was sent and nothing was recorded, so nothing was used.
    fn give_back(&self) {
        let now = self.present.now;
        settle::give_back(self.shared, &self.allowed.charges, now);
        if let Some(seal) = &self.seal {
            self.shared.seals.give_back(seal);
        }
        if let Some(said) = &self.subject.shadow {
            settle::give_back(self.shared, &said.charges, now);
        }
    }

    fn begun(self) -> OpenCall {
        let mut charges = self.allowed.charges;
        if let Some(said) = &self.subject.shadow {
            charges.extend_from_slice(&said.charges);
        }
        OpenCall {
            id: self.subject.call,
            charges,
            at: self.present.now,
            started: Instant::now(),
            counts: Arc::clone(&self.subject.principal.counts),
            seal: self.seal,
        }
    }
}
