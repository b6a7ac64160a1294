//! How much may be said in the log because of one server: the log is everybody's,
//! and what fills it is a server's to decide otherwise.

use std::time::{Duration, Instant};

/// Lines that are logged in each stretch of time.
const MOST: u32 = 100;
/// The length of such a stretch.
const STRETCH: Duration = Duration::from_secs(10);

/// What is left of one server's share of the log.
#[derive(Default)]
pub(super) struct Allowance {
    since: Option<Instant>,
    logged: u32,
    dropped: u64,
}

// === impl Allowance ===

impl Allowance {
    /// Takes one line: how many were dropped before it, or none when it has to be
    /// dropped too.
    pub(super) fn take(&mut self, now: Instant) -> Option<u64> {
        if self.over(now) {
            self.since = Some(now);
            self.logged = 0;
        }
        if self.logged >= MOST {
            self.dropped = self.dropped.saturating_add(1);
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.dropped))
    }

    /// Drops so many lines without looking at them.
    pub(super) fn drop_lines(&mut self, lines: u64) {
        self.dropped = self.dropped.saturating_add(lines);
    }

    /// When lines that were dropped can be told of, if any were.
    pub(super) fn told_at(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.dropped > 0)?;
        Some(since + STRETCH)
    }

    /// What was dropped so far; from now on it has been told.
    pub(super) fn tell(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn over(&self, now: Instant) -> bool {
        self.since
            .is_none_or(|since| now.saturating_duration_since(since) >= STRETCH)
    }
}

#[cfg(test)]
mod tests;
