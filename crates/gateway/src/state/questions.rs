//! Questions of tasks that were let through: what may be answered with
//! `tasks/update`, and what need not be recorded a second time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use provost_policy::Text;

use crate::text::asking::print::{Print, print};

/// Questions remembered for each grant; the oldest is forgotten first. Only
/// hashes are kept, so this bounds bytes as well.
const PER_GRANT: usize = 4096;

/// The open questions of all tasks. A grant is for one server, so its id is enough.
#[derive(Default)]
pub(crate) struct TaskQuestions {
    // A std mutex: look-ups and inserts only.
    by_grant: Mutex<HashMap<Text, Own>>,
}

#[derive(Default)]
struct Own {
    /// By task and key: the question as it was asked.
    asked: HashMap<Print, Print>,
    order: VecDeque<Print>,
}

// === impl TaskQuestions ===

impl TaskQuestions {
    /// Whether exactly this question was let through before.
    pub(crate) fn knows(&self, grant: &Text, task: &str, key: &str, question: &str) -> bool {
        let grants = self.lock();
        let asked = grants.get(grant).map(|own| &own.asked);
        let before = asked.and_then(|asked| asked.get(&print(&[task, key])));
        before == Some(&print(&[question]))
    }

    /// A question of this task was let through.
    pub(crate) fn add(&self, grant: &Text, task: &str, key: &str, question: &str) {
        let place = print(&[task, key]);
        let mut grants = self.lock();
        let own = grants.entry(grant.clone()).or_default();
        if own.asked.insert(place, print(&[question])).is_none() {
            own.order.push_back(place);
            if own.order.len() > PER_GRANT
                && let Some(oldest) = own.order.pop_front()
            {
                own.asked.remove(&oldest);
            }
        }
    }

    /// Whether a task of this grant asked under that key.
    pub(crate) fn asked(&self, grant: &Text, task: &str, key: &str) -> bool {
        let grants = self.lock();
        let own = grants.get(grant);
        own.is_some_and(|own| own.asked.contains_key(&print(&[task, key])))
    }

    /// Forgets the grants for which `stays` does not hold.
    pub(crate) fn retain(&self, stays: impl Fn(&Text) -> bool) {
        self.lock().retain(|grant, _| stays(grant));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Text, Own>> {
        self.by_grant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
