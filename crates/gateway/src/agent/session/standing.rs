//! What an agent arranges for as long as its session lives, to be asked for again
//! where the upstream forgot it. Only what had a good answer stands.

use std::collections::HashMap;

use super::{Pending, Session, State};
use crate::host::budget::Held;
use crate::message::outgoing::Outgoing;
use crate::text::asking::is_part;
use crate::text::envelope::IdKey;

/// What keeping a request costs beside its text.
const KEPT: usize = 512;

/// Subscriptions remembered for a session; enough for any honest agent.
const MOST_SUBSCRIPTIONS: usize = 10_000;

/// What a request arranges, once it has a good answer.
#[derive(Clone)]
pub(crate) enum Arrangement {
    /// The log level.
    Level(Outgoing),
    /// To hear of changes of a resource.
    Subscribe { uri: String, message: Outgoing },
    /// To hear of them no more.
    Unsubscribe { uri: String },
}

/// What stands.
#[derive(Default)]
pub(super) struct Standing {
    level: Option<Outgoing>,
    subscriptions: HashMap<String, Subscription>,
}

/// Its text counts by itself.
struct Subscription {
    message: Outgoing,
    /// Whether the upstream agreed. Until it has, changes that it tells of already
    /// are for the agent.
    stands: bool,
    _held: Held,
}

// === impl Session ===

impl Session {
    /// Notes what a request in flight arranges.
    pub(crate) fn arrange(&self, key: &IdKey, arrangement: Arrangement) {
        let mut state = self.state();
        let State {
            in_flight,
            standing,
            ..
        } = &mut *state;
        let Some(pending) = in_flight.get_mut(key) else {
            return;
        };
        if let Arrangement::Subscribe { uri, message } = &arrangement {
            if standing.subscriptions.len() >= MOST_SUBSCRIPTIONS {
                return;
            }
            let known = standing.subscriptions.entry(uri.clone());
            known.or_insert_with(|| Subscription {
                message: message.clone(),
                stands: false,
                _held: self.account().count(uri.len() + KEPT),
            });
        }
        pending.arranges = Some(arrangement);
    }

    /// A request had a good answer: what it arranges stands.
    pub(crate) fn arranged(&self, pending: &Pending) {
        let Some(arrangement) = &pending.arranges else {
            return;
        };
        let standing = &mut self.state().standing;
        match arrangement {
            Arrangement::Level(message) => standing.level = Some(message.clone()),
            Arrangement::Subscribe { uri, .. } => {
                if let Some(subscription) = standing.subscriptions.get_mut(uri) {
                    subscription.stands = true;
                }
            }
            Arrangement::Unsubscribe { uri } => drop(standing.subscriptions.remove(uri)),
        }
    }

    /// A request ended in another way: nothing is arranged.
    pub(crate) fn not_arranged(&self, pending: &Pending) {
        if let Some(Arrangement::Subscribe { uri, .. }) = &pending.arranges {
            let subscriptions = &mut self.state().standing.subscriptions;
            if subscriptions.get(uri).is_some_and(|known| !known.stands) {
                subscriptions.remove(uri);
            }
        }
    }

    /// The log level that stands: to be asked for again where the upstream forgot it.
    pub(crate) fn standing_level(&self) -> Option<Outgoing> {
        self.state().standing.level.clone()
    }

    /// The same for subscriptions, which are governed: each is judged and recorded
    /// again.
    pub(crate) fn standing_subscriptions(&self) -> Vec<Outgoing> {
        let state = self.state();
        let all = state.standing.subscriptions.values();
        let standing = all.filter(|subscription| subscription.stands);
        standing.map(|kept| kept.message.clone()).collect()
    }

    /// Whether a change of this resource is for the agent. Servers may name a part
    /// of what was subscribed to.
    pub(crate) fn hears_of(&self, uri: &str) -> bool {
        let state = self.state();
        let mut known = state.standing.subscriptions.keys();
        known.any(|known| is_part(uri, known))
    }
}
