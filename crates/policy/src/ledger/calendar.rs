//! A calendar window: UTC minutes, hours or days, by the wall clock.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::call::Moment;

use super::room::Room;

/// So many windows are remembered, because people set clocks back.
pub(super) const REMEMBERED: usize = 32;

/// Counts by the start of their window; as it is, it is kept on disk.
///
/// The wall clock may jump. Each window is known by its start and never takes
/// more than the limit, however often the clock comes back to it; a window
/// that is too old to be remembered counts as full.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Calendar {
    /// In the order of their starts, none twice.
    windows: VecDeque<(u64, Amount)>,
    /// The latest window that was forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forgotten: Option<u64>,
    /// The latest steady moment of a charge, for dropping idle counters: the
    /// wall clock would drop them all when somebody sets it ahead.
    touched: u64,
}

// === impl Calendar ===

impl Calendar {
    pub(super) fn used(&self, window: u64, wall: u64) -> Amount {
        self.get(start_of(window, wall)).unwrap_or(Amount::ZERO)
    }

    /// Whether no more than `allowed` is used, or when that will be so.
    pub(super) fn room(&self, window: u64, allowed: Amount, wall: u64) -> Room {
        let now = start_of(window, wall);
        let mut start = match self.get(now) {
            Some(_) => now,
            None => now.max(self.first_open(window)),
        };
        while self.get(start).is_some_and(|used| used > allowed) {
            start = start.saturating_add(window);
        }
        if start == now {
            Room::Fits
        } else {
            Room::FreeIn(start.saturating_sub(wall))
        }
    }

    pub(super) fn add(&mut self, window: u64, amount: Amount, at: Moment) {
        self.touched = self.touched.max(at.steady);
        let start = start_of(window, at.wall);
        let place = match self.place(start) {
            Err(place) => place,
            Ok(place) => {
                if let Some((_, used)) = self.windows.get_mut(place) {
                    *used = used.saturating_add(amount);
                }
                return;
            }
        };
        // Only the journal's replay comes here for a window that is not open;
        // it counts as full already.
        if start < self.first_open(window) {
            return;
        }
        self.windows.insert(place, (start, amount));
        if self.windows.len() > REMEMBERED
            && let Some((oldest, _)) = self.windows.pop_front()
        {
            self.forgotten = self.forgotten.max(Some(oldest));
        }
    }

    pub(super) fn refund(&mut self, window: u64, amount: Amount, wall: u64) {
        let start = start_of(window, wall);
        if let Ok(place) = self.place(start)
            && let Some((_, used)) = self.windows.get_mut(place)
        {
            *used = used.saturating_sub(amount);
        }
    }

    /// True when so much time has passed that no window would be remembered.
    pub(super) fn is_idle(&self, window: u64, steady: u64) -> bool {
        let remembered = window.saturating_mul(REMEMBERED as u64);
        self.touched.saturating_add(remembered) <= steady
    }

    fn get(&self, start: u64) -> Option<Amount> {
        let (_, used) = self.windows.get(self.place(start).ok()?)?;
        Some(*used)
    }

    /// Where the window with this start is, or would be.
    fn place(&self, start: u64) -> Result<usize, usize> {
        self.windows
            .binary_search_by_key(&start, |(known, _)| *known)
    }

    /// The earliest window that may be opened, if it is not known yet.
    fn first_open(&self, window: u64) -> u64 {
        let after_forgotten = self
            .forgotten
            .map_or(0, |start| start.saturating_add(window));
        match self.windows.front() {
            Some((oldest, _)) if self.windows.len() >= REMEMBERED => after_forgotten.max(*oldest),
            _ => after_forgotten,
        }
    }
}

fn start_of(window: u64, wall: u64) -> u64 {
    wall - wall % window
}

#[cfg(test)]
mod tests;
