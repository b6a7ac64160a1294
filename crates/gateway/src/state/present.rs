//! Who may do what, at this moment and no other.
//!
//! A message carries names of its sender, which open nothing. What they may do
//! is looked up right where it matters and lent to a closure that cannot wait,
//! so that nothing is decided with what was true before something was awaited.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use provost_policy::judge::Refusal;
use provost_policy::{Moment, RuleId, Text};
use provost_store::TokenHash;

use crate::agent::session::Session;
use crate::exchange::route::Route;
use crate::message::principal::Principal;
use crate::state::directory::Holding;
use crate::state::worker::Shared;

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
    holding: &'d Holding,
    /// The moment it is.
    pub(crate) now: Moment,
}

/// What a call was judged on. It opens nothing, and may be kept for as long as the
/// call waits: it only knows whether the same still holds.
#[derive(Clone)]
pub(crate) struct Grounds {
    shared: Arc<Shared>,
    principal: Arc<Principal>,
    edition: u64,
}

/// The grant was revoked, got another token, or has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended;

/// What its agent is told of it.
pub(crate) fn ended() -> Refusal {
    Refusal {
        rule: RuleId::REVOKED,
        policy: None,
        message: "the grant was revoked, got another token, or has expired".to_owned(),
        retry_after_ms: None,
    }
}

// === impl Present ===

impl Present<'_> {
    /// What a call is judged on at this moment.
    pub(crate) fn grounds(&self, shared: &Arc<Shared>) -> Grounds {
        Grounds {
            shared: Arc::clone(shared),
            principal: Arc::clone(&self.principal),
            edition: self.edition,
        }
    }

    /// The way to its server for one of its sessions.
    pub(crate) fn route(&self, session: &Arc<Session>) -> Route {
        Route {
            site: Arc::clone(&self.holding.site),
            session: Arc::clone(session),
        }
    }
}

impl Deref for Present<'_> {
    type Target = Holding;

    fn deref(&self) -> &Holding {
        self.holding
    }
}

// === impl Grounds ===

impl Grounds {
    /// Whether the grant is live with the same token, and the rules and the server
    /// are those in force.
    pub(crate) fn hold(&self) -> bool {
        let grant = &self.principal.grant.0;
        let same = |present: &Present<'_>| present.edition == self.edition;
        !self.principal.ended.is_cancelled() && self.shared.present(grant, same) == Ok(true)
    }
}

impl fmt::Debug for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grant = &self.principal.grant;
        write!(f, "grant `{grant}`, edition {}", self.edition)
    }
}

// === impl Shared ===

impl Shared {
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
            let holding = directory.holding(grant, now.wall).ok_or(Ended)?;
            Ok(decide(&Present { holding, now }))
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
            let holding = directory.opened_by(token, now.wall).ok_or(Ended)?;
            Ok(decide(&Present { holding, now }))
        })
    }
}
