//! All sessions of the HTTP face.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provost_policy::Text;

use super::session::Session;

/// All sessions of the HTTP face.
#[derive(Default)]
pub(crate) struct Sessions {
    // A std mutex: look-ups and inserts only.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_id: HashMap<Text, Arc<Session>>,
    /// The ids of each grant's, so that one grant's crowd is nobody else's.
    of_grant: HashMap<Text, HashSet<Text>>,
}

/// Sessions one grant may have at a time; the one idle longest makes room.
const PER_GRANT: usize = 1024;

impl Open {
    fn remove(&mut self, id: &str) -> Option<Arc<Session>> {
        let session = self.by_id.remove(id)?;
        if let Some(siblings) = self.of_grant.get_mut(&session.grant) {
            siblings.remove(id);
            if siblings.is_empty() {
                self.of_grant.remove(&session.grant);
            }
        }
        Some(session)
    }

    /// The session of a grant that was idle longest, when it has as many as it may.
    fn surplus(&self, grant: &Text) -> Option<Text> {
        let siblings = self.of_grant.get(grant)?;
        if siblings.len() < PER_GRANT {
            return None;
        }
        let siblings = siblings.iter().filter_map(|id| self.by_id.get(id));
        let idle = siblings.min_by_key(|session| session.last_used());
        idle.map(|session| session.id.clone())
    }
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of that id, if it is this grant's on this server.
    pub(crate) fn get(&self, id: &str, grant: &Text, server: &Text) -> Option<Arc<Session>> {
        let session = self.open().by_id.get(id).cloned()?;
        (session.grant == *grant && session.server == *server && !session.ended.is_cancelled())
            .then_some(session)
    }

    /// Adds a session; returns the one that had to make room for it.
    pub(crate) fn insert(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let mut open = self.open();
        let surplus = open.surplus(&session.grant);
        let evicted = surplus.and_then(|id| open.remove(&id));
        let siblings = open.of_grant.entry(session.grant.clone()).or_default();
        siblings.insert(session.id.clone());
        open.by_id.insert(session.id.clone(), session);
        evicted
    }

    /// Takes a session out.
    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Session>> {
        self.open().remove(id)
    }

    /// Takes out the sessions for which `gone` holds.
    pub(crate) fn take_if(&self, gone: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut open = self.open();
        let leaving = open.by_id.values().filter(|session| gone(session));
        let ids: Vec<Text> = leaving.map(|session| session.id.clone()).collect();
        ids.iter().filter_map(|id| open.remove(id)).collect()
    }

    /// All sessions, as they are now.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.open().by_id.values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.open().by_id.len()
    }
}
