//! One counter, of whichever kind its id says.

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::call::Moment;
use crate::limit::{Alignment, CounterId, Window};

use super::calendar::Calendar;
use super::room::Room;
use super::sliding::{SavedSliding, Sliding};

/// What a counter holds.
#[derive(Debug, Clone)]
pub(super) enum Counter {
    Sliding(Sliding),
    Calendar(Calendar),
    Concurrent(Amount),
}

/// A counter as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Saved {
    Sliding(SavedSliding),
    Calendar(Calendar),
}

// === impl Counter ===

impl Counter {
    pub(super) fn new(id: &CounterId) -> Self {
        match (id.window, id.alignment) {
            (Window::Concurrent, _) => Self::Concurrent(Amount::ZERO),
            (Window::Micros(_), Alignment::Sliding) => Self::Sliding(Sliding::default()),
            (Window::Micros(_), Alignment::Calendar) => Self::Calendar(Calendar::default()),
        }
    }

    pub(super) fn counts_in_flight(id: &CounterId) -> bool {
        id.window == Window::Concurrent
    }

    pub(super) fn used(&self, window: Window, now: Moment) -> Amount {
        match self {
            Self::Sliding(sliding) => sliding.used(length(window), now.steady),
            Self::Calendar(calendar) => calendar.used(length(window), now.wall),
            Self::Concurrent(in_flight) => *in_flight,
        }
    }

    /// Whether `amount` fits below `max`. INVARIANT: `amount <= max`.
    pub(super) fn room(&self, window: Window, max: Amount, amount: Amount, now: Moment) -> Room {
        // What may be there already for the amount to fit.
        let allowed = max.saturating_sub(amount);
        match self {
            Self::Sliding(sliding) => sliding.room(length(window), allowed, now.steady),
            Self::Calendar(calendar) => calendar.room(length(window), allowed, now.wall),
            Self::Concurrent(in_flight) if *in_flight <= allowed => Room::Fits,
            Self::Concurrent(_) => Room::InFlight,
        }
    }

    pub(super) fn add(&mut self, window: Window, amount: Amount, at: Moment) {
        match self {
            Self::Sliding(sliding) => sliding.add(length(window), amount, at.steady),
            Self::Calendar(calendar) => calendar.add(length(window), amount, at),
            Self::Concurrent(in_flight) => *in_flight = in_flight.saturating_add(amount),
        }
    }

    pub(super) fn refund(&mut self, window: Window, amount: Amount, at: Moment) {
        match self {
            Self::Sliding(sliding) => sliding.refund(length(window), amount, at.steady),
            Self::Calendar(calendar) => calendar.refund(length(window), amount, at.wall),
            Self::Concurrent(in_flight) => *in_flight = in_flight.saturating_sub(amount),
        }
    }

    pub(super) fn release(&mut self, amount: Amount) {
        match self {
            Self::Concurrent(in_flight) => *in_flight = in_flight.saturating_sub(amount),
            Self::Sliding(_) | Self::Calendar(_) => {}
        }
    }

    /// Forgets what no longer counts; true when the counter is as good as new.
    pub(super) fn expire(&mut self, window: Window, now: Moment) -> bool {
        match self {
            Self::Sliding(sliding) => sliding.expire(length(window), now.steady),
            Self::Calendar(calendar) => calendar.is_idle(length(window), now.steady),
            Self::Concurrent(in_flight) => *in_flight == Amount::ZERO,
        }
    }

    pub(super) fn saved(&self) -> Option<Saved> {
        match self {
            Self::Sliding(sliding) => Some(Saved::Sliding(sliding.save())),
            Self::Calendar(calendar) => Some(Saved::Calendar(calendar.clone())),
            Self::Concurrent(_) => None,
        }
    }

    pub(super) fn from_saved(saved: Saved) -> Self {
        match saved {
            Saved::Sliding(saved) => Self::Sliding(Sliding::from_saved(saved)),
            Saved::Calendar(saved) => Self::Calendar(saved),
        }
    }
}

/// The window's length. At least one, because windows are divided by.
fn length(window: Window) -> u64 {
    match window {
        Window::Micros(micros) => micros.max(1),
        Window::Concurrent => 1,
    }
}
