//! Which tasks belong to whom: nobody sees another grant's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use provost_policy::Text;

use crate::host::budget::{Account, Held};

/// Tasks remembered for each grant; the oldest is forgotten first.
const PER_GRANT: usize = 10_000;
/// Longest id of a task, in bytes. Whose a task with a longer one is, nobody could say.
pub(crate) const LONGEST_ID: usize = 256;
/// What remembering one costs beside its id.
const EACH: usize = 96;

/// The tasks of all grants. A grant is for one server, so its id is enough.
#[derive(Default)]
pub(crate) struct TaskOwners {
    by_grant: Mutex<HashMap<Text, Own>>,
}

struct Own {
    ids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
    held: Held,
    bytes: usize,
}

// === impl TaskOwners ===

impl TaskOwners {
    /// A call of this grant became a task. `false` when its id is too long to be
    /// remembered.
    pub(crate) fn add(&self, grant: &Text, account: &Arc<Account>, task: &str) -> bool {
        if task.len() > LONGEST_ID {
            return false;
        }
        let mut grants = self.lock();
        let own = grants.entry(grant.clone()).or_insert_with(|| Own {
            ids: HashSet::new(),
            order: VecDeque::new(),
            held: account.nothing(),
            bytes: 0,
        });
        if own.ids.contains(task) {
            return true;
        }
        let task: Arc<str> = task.into();
        own.bytes += task.len() + EACH;
        own.ids.insert(Arc::clone(&task));
        own.order.push_back(task);
        // The newest one is kept in any case.
        while own.order.len() > PER_GRANT
            || (own.order.len() > 1 && own.held.grow_to(own.bytes).is_err())
        {
            let Some(oldest) = own.order.pop_front() else {
                break;
            };
            own.bytes -= oldest.len() + EACH;
            own.ids.remove(&oldest);
        }
        own.held.become_of(own.bytes);
        true
    }

    /// Whether the task is this grant's.
    pub(crate) fn owns(&self, grant: &Text, task: &str) -> bool {
        self.lock()
            .get(grant)
            .is_some_and(|own| own.ids.contains(task))
    }

    /// Forgets the tasks of grants that are gone.
    pub(crate) fn retain(&self, lives: impl Fn(&Text) -> bool) {
        self.lock().retain(|grant, _| lives(grant));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Text, Own>> {
        self.by_grant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
