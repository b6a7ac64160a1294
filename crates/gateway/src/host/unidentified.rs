//! Requests of nobody who is known: they are counted and logged, because nobody
//! may fill the journal without a grant.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use provost_policy::words::Word;
use tracing::info;

/// Unidentified are named in the log at most this often.
const PAUSE: Duration = Duration::from_secs(1);

provost_policy::words! {
    /// Why somebody unknown was turned away; its name is the label of the count.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Reason {
        /// A host that is not ours, or several.
        Host = "host",
        /// A web page that may not connect.
        Origin = "origin",
        /// Nothing is served at this path.
        Path = "path",
        /// No live grant.
        Grant = "grant",
    }
}

/// Counts strangers, by reason.
pub(crate) struct Unidentified {
    counts: [AtomicU64; Reason::ALL.len()],
    started: Instant,
    /// Milliseconds after the start when each was logged last; 0: never.
    logged: [AtomicU64; Reason::ALL.len()],
}

// === impl Reason ===

impl Reason {
    /// What the stranger is told: nothing but what was asked for.
    pub(crate) fn answer(self) -> &'static str {
        match self {
            Self::Host => "the `Host` of this request is not served here",
            Self::Origin => "the `Origin` of this request is not allowed",
            Self::Path => "nothing is served here; agents call /mcp/<server>",
            Self::Grant => "a valid token is needed: `Authorization: Bearer <token>`",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Host => "its `Host` is not an address of this listener (setting `allowed_hosts`)",
            Self::Origin => "its `Origin` is not allowed (setting `allowed_origins`)",
            Self::Path => "nothing is served at its path; agents call /mcp/<server>",
            Self::Grant => "it has no token, or one that is unknown, expired or revoked",
        }
    }
}

// === impl Unidentified ===

impl Default for Unidentified {
    fn default() -> Self {
        Self {
            counts: Default::default(),
            started: Instant::now(),
            logged: Default::default(),
        }
    }
}

impl Unidentified {
    /// Counts one, and logs it with what it `named` unless another of its kind was
    /// logged just now.
    pub(crate) fn add(&self, why: Reason, named: Option<&str>) {
        let (Some(count), Some(logged)) =
            (self.counts.get(why as usize), self.logged.get(why as usize))
        else {
            return;
        };
        let total = count.fetch_add(1, Ordering::Relaxed) + 1;
        let now = millis(self.started.elapsed());
        let last = logged.load(Ordering::Relaxed);
        let due = last == 0 || now.saturating_sub(last) >= millis(PAUSE);
        let first = |last| {
            logged
                .compare_exchange(last, now.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        if due && first(last) {
            let reason = why.name();
            let named = named.unwrap_or_default();
            info!(
                reason,
                total,
                ?named,
                "Turned a request away: {}",
                why.words()
            );
        }
    }

    /// How many of each kind there were.
    pub(crate) fn by_reason(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count =
            |(why, count): (&Reason, &AtomicU64)| (why.name(), count.load(Ordering::Relaxed));
        Reason::ALL.iter().zip(&self.counts).map(count)
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}
