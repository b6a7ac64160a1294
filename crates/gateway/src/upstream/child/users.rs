//! Who uses one process. Joining and leaving cost the same however many there are.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use provost_policy::Text;

use crate::agent::session::Session;

/// The sessions that use one process.
#[derive(Default)]
pub(super) struct Users {
    by_id: HashMap<Text, User>,
}

struct User {
    session: Weak<Session>,
    /// What it does with the process at the moment.
    busy: usize,
    /// Whether it uses the process between its messages too.
    stays: bool,
}

// === impl Users ===

impl Users {
    /// A session begins to do something with the process.
    pub(super) fn begin(&mut self, session: &Arc<Session>) {
        self.user(session).busy += 1;
    }

    /// From now on the session uses the process until it leaves.
    pub(super) fn keep(&mut self, session: &Arc<Session>) {
        self.user(session).stays = true;
    }

    fn user(&mut self, session: &Arc<Session>) -> &mut User {
        self.by_id
            .entry(session.id.clone())
            .or_insert_with(|| User {
                session: Arc::downgrade(session),
                busy: 0,
                stays: false,
            })
    }

    /// It is done; who does not stay, and does nothing else, has left.
    pub(super) fn end(&mut self, session: &Session) {
        let Some(user) = self.by_id.get_mut(&session.id) else {
            return;
        };
        user.busy = user.busy.saturating_sub(1);
        if user.busy == 0 && !user.stays {
            self.by_id.remove(&session.id);
        }
    }

    /// The session has no use for the process any more.
    pub(super) fn remove(&mut self, session: &Session) {
        self.by_id.remove(&session.id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether anybody besides this session uses the process.
    pub(super) fn others_than(&self, session: &Session) -> bool {
        self.by_id.keys().any(|id| *id != session.id)
    }

    pub(super) fn any_busy(&self) -> bool {
        self.by_id.values().any(|user| user.busy > 0)
    }

    pub(super) fn all(&self) -> Vec<Arc<Session>> {
        self.by_id
            .values()
            .filter_map(|user| user.session.upgrade())
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }
}
