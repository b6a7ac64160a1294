//! What an agent arranges for as long as its session lives, to be asked for again
//! where the upstream forgot it. Only what had a good answer stands.

use std::collections::HashMap;
use std::sync::Arc;

use crate::host::budget::{Account, Held};
use crate::message::outgoing::Outgoing;
use crate::text::asking::is_part;

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

/// What is arranged.
#[derive(Default)]
pub(crate) struct Arrangements {
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

// === impl Arrangements ===

impl Arrangements {
    /// Notes what a request asks for; `false` when there is too much already.
    pub(super) fn note(&mut self, arrangement: &Arrangement, account: &Arc<Account>) -> bool {
        let Arrangement::Subscribe { uri, message } = arrangement else {
            return true;
        };
        if self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
            return false;
        }
        let known = self.subscriptions.entry(uri.clone());
        known.or_insert_with(|| Subscription {
            message: message.clone(),
            stands: false,
            _held: account.count(uri.len() + KEPT),
        });
        true
    }

    /// Its request had a good answer: it stands.
    pub(super) fn stands(&mut self, arrangement: &Arrangement) {
        match arrangement {
            Arrangement::Level(message) => self.level = Some(message.clone()),
            Arrangement::Subscribe { uri, .. } => {
                if let Some(subscription) = self.subscriptions.get_mut(uri) {
                    subscription.stands = true;
                }
            }
            Arrangement::Unsubscribe { uri } => drop(self.subscriptions.remove(uri)),
        }
    }

    /// Its request ended in another way: nothing is arranged.
    pub(super) fn falls(&mut self, arrangement: &Arrangement) {
        if let Arrangement::Subscribe { uri, .. } = arrangement
            && self
                .subscriptions
                .get(uri)
                .is_some_and(|known| !known.stands)
        {
            self.subscriptions.remove(uri);
        }
    }

    /// The log level that stands: to be asked for again where the upstream forgot it.
    pub(crate) fn level(&self) -> Option<Outgoing> {
        self.level.clone()
    }

    /// The same for subscriptions, which are governed: each is judged and recorded
    /// again.
    pub(crate) fn subscriptions(&self) -> Vec<Outgoing> {
        let all = self.subscriptions.values();
        let standing = all.filter(|subscription| subscription.stands);
        standing.map(|kept| kept.message.clone()).collect()
    }

    /// Whether a change of this resource is for the agent. Servers may name a part
    /// of what was subscribed to.
    pub(crate) fn hears_of(&self, uri: &str) -> bool {
        self.subscriptions.keys().any(|known| is_part(uri, known))
    }
}
