//! Connections that have shown nothing yet, oldest first: when there are too
//! many connections, they are the ones that make room.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// All connections without a request that was served.
#[derive(Default)]
pub(super) struct Strangers {
    // A std mutex: an insert and a removal for each connection.
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

/// One of them; no stranger any more when it is dropped.
pub(super) struct Stranger {
    number: u64,
    among: Arc<Strangers>,
    /// Cancelled when it has to make room.
    pub(super) sent_away: CancellationToken,
}

// === impl Strangers ===

impl Strangers {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection.
    pub(super) fn admit(self: &Arc<Self>) -> Stranger {
        let sent_away = CancellationToken::new();
        let mut waiting = self.waiting();
        waiting.last += 1;
        let number = waiting.last;
        waiting.by_age.insert(number, sent_away.clone());
        Stranger {
            number,
            among: Arc::clone(self),
            sent_away,
        }
    }

    /// Sends the oldest away. `false` when there is none.
    pub(super) fn send_one_away(&self) -> bool {
        let oldest = self.waiting().by_age.pop_first();
        oldest.is_some_and(|(_, sent_away)| {
            sent_away.cancel();
            true
        })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.among.waiting().by_age.remove(&self.number);
    }
}
