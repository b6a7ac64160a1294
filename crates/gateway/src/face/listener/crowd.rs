//! All connections of agents, and which of them makes room when there are too
//! many: the oldest that has shown nothing yet; then the one that has had nothing
//! to do for longest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

/// All connections.
pub(super) struct Crowd {
    started: Instant,
    // A std mutex: an insert, a move and a removal for each connection, and a walk
    // over all of them when there are too many.
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    last: u64,
    /// Without a request that was served, oldest first.
    without_request: BTreeMap<u64, CancellationToken>,
    known: BTreeMap<u64, (Arc<Rest>, CancellationToken)>,
}

/// How long a connection has had nothing to do.
#[derive(Default)]
struct Rest {
    /// Requests whose answer has not gone out entirely.
    open: AtomicUsize,
    /// When there was one last, in milliseconds since the crowd began.
    since: AtomicU64,
}

/// One of them, until it is dropped.
pub(super) struct Member {
    number: u64,
    crowd: Arc<Crowd>,
    rest: Arc<Rest>,
    /// Cancelled when it has to make room.
    pub(super) sent_away: CancellationToken,
}

// === impl Crowd ===

impl Default for Crowd {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            members: Mutex::default(),
        }
    }
}

impl Crowd {
    fn members(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection.
    pub(super) fn admit(self: &Arc<Self>) -> Member {
        let sent_away = CancellationToken::new();
        let mut members = self.members();
        members.last += 1;
        let number = members.last;
        members.without_request.insert(number, sent_away.clone());
        Member {
            number,
            crowd: Arc::clone(self),
            rest: Arc::default(),
            sent_away,
        }
    }

    /// Sends one away. `false` when all of them are in use.
    pub(super) fn send_one_away(&self) -> bool {
        let mut members = self.members();
        if let Some((_, sent_away)) = members.without_request.pop_first() {
            sent_away.cancel();
            return true;
        }
        let at_rest = |rest: &Rest| rest.open.load(Ordering::Relaxed) == 0;
        let idle = members.known.iter().filter(|(_, (rest, _))| at_rest(rest));
        let longest = idle.min_by_key(|(_, (rest, _))| rest.since.load(Ordering::Relaxed));
        let Some(number) = longest.map(|(number, _)| *number) else {
            return false;
        };
        if let Some((_, sent_away)) = members.known.remove(&number) {
            sent_away.cancel();
        }
        true
    }
}

// === impl Member ===

impl Member {
    /// A request of it was served: it does not make room any more.
    pub(super) fn is_known(&self) {
        let mut members = self.crowd.members();
        if let Some(sent_away) = members.without_request.remove(&self.number) {
            let known = (Arc::clone(&self.rest), sent_away);
            members.known.insert(self.number, known);
        }
    }

    /// A request came.
    pub(super) fn begin(&self) {
        self.rest.open.fetch_add(1, Ordering::Relaxed);
    }

    /// An answer has gone out, or nobody waits for it any more.
    pub(super) fn end(&self) {
        let now = u64::try_from(self.crowd.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.rest.since.store(now, Ordering::Relaxed);
        self.rest.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether no request of it is open.
    pub(super) fn is_idle(&self) -> bool {
        self.rest.open.load(Ordering::Relaxed) == 0
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut members = self.crowd.members();
        members.without_request.remove(&self.number);
        members.known.remove(&self.number);
    }
}
