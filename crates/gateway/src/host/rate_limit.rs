//! What may happen so many times in a minute.

use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

/// So many in a minute.
#[derive(Debug, Default)]
pub(crate) struct RateLimit<const MOST: u32> {
    taken: u32,
    since: Option<Instant>,
}

impl<const MOST: u32> RateLimit<MOST> {
    /// Takes one, if there is one left.
    pub(crate) fn take(&mut self) -> bool {
        if self.since.is_none_or(|since| since.elapsed() >= MINUTE) {
            *self = Self {
                taken: 0,
                since: Some(Instant::now()),
            };
        }
        let left = self.taken < MOST;
        self.taken += u32::from(left);
        left
    }
}
