//! When a program that keeps ending may be started again. One server has one of
//! these, however many processes it has: a program that ends at once would
//! otherwise be started by each session in turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Witness;
use crate::message::fault::{Fault, FaultKind};

/// A process that lived this long is no sign of a program that cannot run.
const STEADY: Duration = Duration::from_secs(10);
/// Longest wait between two starts of a program that keeps ending.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The starts of one server's program.
#[derive(Default)]
pub(crate) struct Starts {
    // A std mutex: sections are a few instructions.
    seen: Mutex<Seen>,
    /// What its processes were seen to do wrong.
    pub(crate) witness: Arc<Witness>,
}

#[derive(Default)]
struct Seen {
    /// Ends in a row without an answer in between.
    failures: u32,
    /// When the last of them was noted.
    noted: Option<Instant>,
    last: Option<Instant>,
}

// === impl Starts ===

impl Starts {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a start now, unless it is too early for one.
    pub(crate) fn take(&self) -> Result<Instant, Fault> {
        let mut seen = self.seen();
        let pause = pause(seen.failures);
        if seen.last.is_some_and(|last| last.elapsed() < pause) {
            return Err(Fault::unsent(FaultKind::Pausing));
        }
        let now = Instant::now();
        seen.last = Some(now);
        Ok(now)
    }

    /// A process that was started then ended by itself, or did not open.
    pub(crate) fn failed(&self, started: Instant) {
        let mut seen = self.seen();
        if started.elapsed() >= STEADY {
            seen.failures = 0;
            return;
        }
        // Those that were started together fail together, which is one failure.
        if seen.noted.is_none_or(|noted| started > noted) {
            seen.failures = seen.failures.saturating_add(1);
            seen.noted = Some(Instant::now());
        }
    }

    /// A process gave its first answer.
    pub(crate) fn answered(&self) {
        self.seen().failures = 0;
    }
}

/// How long to wait before the next start after so many that failed.
fn pause(failures: u32) -> Duration {
    match failures {
        // The first start, and the first again after a death, happen at once.
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(250)
            .saturating_mul(1 << more.saturating_sub(2).min(10))
            .min(LONGEST_PAUSE),
    }
}

#[cfg(test)]
mod tests;
