//! Who may do what, at this moment and no other.
//!
//! A message carries names of its sender, which open nothing. What they may do
//! is looked up right where it matters and lent to a closure that cannot wait,
//! so that nothing is decided with what was true before something was awaited.

use std::ops::Deref;
use std::sync::Arc;

use provost_policy::judge::Refusal;
use provost_policy::{Caller, Moment, RuleId, Text};
use provost_store::TokenHash;

use crate::agent::session::Session;
use crate::message::cleared::{InForce, JudgedOn};
use crate::message::principal::Principal;
use crate::state::rights::Rights;
use crate::state::route::Route;
use crate::state::worker::GatewayState;

/// What a message claims to come from. Kept while something is awaited; to be
/// presented again before anything is decided.
#[derive(Clone)]
pub(crate) struct Claim {
    pub(crate) principal: Arc<Principal>,
    /// What it came with over HTTP: after a rotation, the old token opens nothing.
    pub(crate) token: Option<TokenHash>,
}

/// A grant that is live, with what it may do at this moment.
///
/// Only [`Shared::present`] and [`Shared::judging`] make one, and they only lend it.
pub(crate) struct Present<'d> {
    rights: &'d Rights,
    /// The moment it is.
    pub(crate) now: Moment,
}

/// The grant was revoked, got another token, or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

/// What its agent is told of it.
pub(crate) fn ended() -> Refusal {
    let message = "the grant was revoked, got another token, or has expired";
    Refusal::by(RuleId::REVOKED, message)
}

// === impl Present ===

impl Present<'_> {
    /// What a call is judged on at this moment.
    pub(crate) fn judged_on(&self, shared: &Arc<GatewayState>) -> JudgedOn {
        let in_force: Arc<dyn InForce> = shared.clone();
        JudgedOn::new(in_force, Arc::clone(&self.principal), self.edition)
    }

    /// Who calls, as policies and limits know them.
    pub(crate) fn caller(&self, session: &Session) -> Caller {
        Caller {
            grant: self.principal.grant.0.clone(),
            server: self.principal.server.0.clone(),
            session: session.counts_apart(),
        }
    }

    /// The way to its server for one of its sessions.
    pub(crate) fn route(&self, session: &Arc<Session>) -> Route {
        Route {
            backend: Arc::clone(&self.rights.backend),
            session: Arc::clone(session),
        }
    }
}

impl Deref for Present<'_> {
    type Target = Rights;

    fn deref(&self) -> &Rights {
        self.rights
    }
}

// === impl Shared ===

impl InForce for GatewayState {
    fn edition(&self, grant: &Text) -> Option<u64> {
        self.present(grant, |present| present.edition).ok()
    }
}

impl GatewayState {
    /// Decides something about a message, if who sent it still is who it was.
    pub(crate) fn judging<R>(
        &self,
        claim: &Claim,
        decide: impl FnOnce(&Present<'_>) -> R,
    ) -> Result<R, Ended> {
        match &claim.token {
            None => self.present(&claim.principal.grant.0, decide),
            Some(token) => self.presented(token, decide),
        }
    }

    /// The same for the grant of a session.
    pub(crate) fn present<R>(
        &self,
        grant: &Text,
        decide: impl FnOnce(&Present<'_>) -> R,
    ) -> Result<R, Ended> {
        let now = self.clock.now();
        self.directory.read(|directory| {
            let rights = directory.rights(grant, now.wall).ok_or(Ended)?;
            Ok(decide(&Present { rights, now }))
        })
    }

    /// The same for whoever comes with a token.
    pub(crate) fn presented<R>(
        &self,
        token: &TokenHash,
        decide: impl FnOnce(&Present<'_>) -> R,
    ) -> Result<R, Ended> {
        let now = self.clock.now();
        self.directory.read(|directory| {
            let rights = directory.opened_by(token, now.wall).ok_or(Ended)?;
            Ok(decide(&Present { rights, now }))
        })
    }
}
