//! Which tasks (2025-11-25) belong to whom: nobody sees another grant's.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use provost_policy::Text;

/// Tasks remembered for each grant; the oldest is forgotten first.
const PER_GRANT: usize = 10_000;

/// The tasks of all grants. A grant is for one server, so its id is enough.
#[derive(Default)]
pub(crate) struct TaskOwners {
    by_grant: Mutex<HashMap<Text, Own>>,
}

#[derive(Default)]
struct Own {
    ids: HashSet<String>,
    order: VecDeque<String>,
}

// === impl TaskOwners ===

impl TaskOwners {
    /// A call of this grant became a task.
    pub(crate) fn add(&self, grant: &Text, task: &str) {
        let mut grants = self.lock();
        let own = grants.entry(grant.clone()).or_default();
        if own.ids.insert(task.to_owned()) {
            own.order.push_back(task.to_owned());
            if own.order.len() > PER_GRANT
                && let Some(oldest) = own.order.pop_front()
            {
                own.ids.remove(&oldest);
            }
        }
    }

    /// Whether the task is this grant's.
    pub(crate) fn owns(&self, grant: &Text, task: &str) -> bool {
        self.lock()
            .get(grant)
            .is_some_and(|own| own.ids.contains(task))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Text, Own>> {
        self.by_grant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
