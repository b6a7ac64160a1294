//! A sliding window: never more than the limit in any interval of its length.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::amount::Amount;

use super::room::Room;

mod saved_entries;

/// Up to so many entries the count is exact.
pub(super) const EXACT_ENTRIES: usize = 4_096;
/// Into so many parts a window is divided when there are more entries.
pub(super) const SUB_WINDOWS: u64 = 1_024;

/// Entries in the order of the time at which they leave.
///
/// When entry number 4,097 comes, entries of the same sub-window are merged
/// into one that leaves with the youngest of them. Merging leaves at most
/// 1,025 entries, so it happens at most once in 3,071 calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Sliding {
    entries: VecDeque<Entry>,
    /// The sum of all entries, those that have left since included.
    total: Amount,
    /// The latest moment this counter was asked about or charged.
    ///
    /// Callers read the clock before they take the lock, so one of them may
    /// come with an earlier moment than the one before. It is then served at
    /// the later moment, which is when it really was served.
    seen: u64,
}

/// What was charged between `first` and `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    first: u64,
    last: u64,
    amount: Amount,
}

/// Each entry as (microseconds since the one before, how long it spans, amount).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedSliding {
    seen: u64,
    #[serde(with = "saved_entries")]
    entries: Vec<(u64, u64, Amount)>,
}

// === impl Sliding ===

impl Sliding {
    pub(super) fn used(&self, window: u64, now: u64) -> Amount {
        let now = now.max(self.seen);
        let left = self
            .entries
            .iter()
            .take_while(|entry| entry.has_left(window, now));
        left.fold(self.total, |total, entry| {
            total.saturating_sub(entry.amount)
        })
    }

    /// Whether no more than `allowed` is used, or when that will be so.
    pub(super) fn room(&self, window: u64, allowed: Amount, now: u64) -> Room {
        let served = now.max(self.seen);
        let mut used = self.total;
        let mut entries = self.entries.iter().peekable();
        while let Some(entry) = entries.next_if(|entry| entry.has_left(window, served)) {
            used = used.saturating_sub(entry.amount);
        }
        if used <= allowed {
            return Room::Fits;
        }
        for entry in entries {
            used = used.saturating_sub(entry.amount);
            if used <= allowed {
                return Room::FreeIn(entry.leaves(window).saturating_sub(now));
            }
        }
        // Not reached: without entries nothing is used.
        Room::FreeIn(window)
    }

    pub(super) fn add(&mut self, window: u64, amount: Amount, at: u64) {
        self.expire(window, at);
        self.total = self.total.saturating_add(amount);
        let last = self.seen;
        if let Some(youngest) = self.entries.back_mut()
            && youngest.last == last
        {
            youngest.first = youngest.first.min(at);
            youngest.amount = youngest.amount.saturating_add(amount);
            return;
        }
        if self.entries.len() >= EXACT_ENTRIES {
            self.merge(window);
        }
        self.entries.push_back(Entry {
            first: at,
            last,
            amount,
        });
    }

    pub(super) fn refund(&mut self, window: u64, amount: Amount, at: u64) {
        // What has left its window cannot come back out of the next one.
        if at.saturating_add(window) <= self.seen {
            return;
        }
        let from = self.entries.partition_point(|entry| entry.last < at);
        let found = self
            .entries
            .iter()
            .skip(from)
            .position(|entry| entry.first <= at);
        let Some(index) = found.map(|offset| from + offset) else {
            return;
        };
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        let back = amount.min(entry.amount);
        entry.amount = entry.amount.saturating_sub(back);
        self.total = self.total.saturating_sub(back);
        if entry.amount == Amount::ZERO {
            self.entries.remove(index);
        }
    }

    /// Forgets what has left; true when nothing is left.
    pub(super) fn expire(&mut self, window: u64, now: u64) -> bool {
        self.seen = self.seen.max(now);
        while let Some(entry) = self.entries.front()
            && entry.has_left(window, self.seen)
        {
            self.total = self.total.saturating_sub(entry.amount);
            self.entries.pop_front();
        }
        // A burst must not keep its memory for ever.
        if self.entries.capacity() > 64 && self.entries.capacity() / 8 > self.entries.len() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        self.entries.is_empty()
    }

    pub(super) fn save(&self) -> SavedSliding {
        let mut before = 0;
        let entries = self.entries.iter().map(|entry| {
            let since = entry.last.saturating_sub(before);
            before = entry.last;
            (since, entry.last.saturating_sub(entry.first), entry.amount)
        });
        SavedSliding {
            seen: self.seen,
            entries: entries.collect(),
        }
    }

    pub(super) fn from_saved(saved: SavedSliding) -> Self {
        let mut last = 0_u64;
        let mut total = Amount::ZERO;
        let entries = saved.entries.into_iter().map(|(since, spans, amount)| {
            last = last.saturating_add(since);
            total = total.saturating_add(amount);
            Entry {
                first: last.saturating_sub(spans),
                last,
                amount,
            }
        });
        let entries = entries.collect();
        Self {
            entries,
            total,
            seen: saved.seen.max(last),
        }
    }

    /// Makes one entry of all entries of a sub-window.
    fn merge(&mut self, window: u64) {
        // The borders of sub-windows are fixed, so merging again and again
        // never moves an entry by more than one of them.
        let sub_window = window.div_ceil(SUB_WINDOWS);
        let mut merged: VecDeque<Entry> = VecDeque::with_capacity(EXACT_ENTRIES);
        for entry in self.entries.drain(..) {
            match merged.back_mut() {
                Some(into) if into.last / sub_window == entry.last / sub_window => {
                    into.first = into.first.min(entry.first);
                    into.last = entry.last;
                    into.amount = into.amount.saturating_add(entry.amount);
                }
                _ => merged.push_back(entry),
            }
        }
        self.entries = merged;
    }
}

// === impl Entry ===

impl Entry {
    fn leaves(&self, window: u64) -> u64 {
        self.last.saturating_add(window)
    }

    fn has_left(&self, window: u64, now: u64) -> bool {
        self.leaves(window) <= now
    }
}
