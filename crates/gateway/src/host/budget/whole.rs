//! What all accounts share: numbers with bounds, and who waits for room.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// What all accounts share.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) held: Gauge,
    pub(super) calls: Gauge,
    /// How many wait for room, and how they hear of it.
    waiting: AtomicUsize,
    pub(super) room: Notify,
    pub(super) refused: AtomicU64,
}

/// A number with a bound.
#[derive(Debug)]
pub(super) struct Gauge {
    now: AtomicUsize,
    pub(super) most: usize,
}

// === impl Whole ===

impl Whole {
    pub(super) fn new(memory: usize, calls: usize) -> Self {
        Self {
            held: Gauge::new(memory),
            calls: Gauge::new(calls),
            waiting: AtomicUsize::new(0),
            room: Notify::new(),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn give_back(&self, bytes: usize) {
        self.held.take(bytes);
        self.tell();
    }

    /// Has those who wait for room look again.
    pub(super) fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
    }
}

/// One who waits for room; gone when it is dropped.
pub(super) struct Waiting<'w>(&'w Whole);

impl<'w> Waiting<'w> {
    pub(super) fn one(whole: &'w Whole) -> Self {
        whole.waiting.fetch_add(1, Ordering::SeqCst);
        Self(whole)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

// === impl Gauge ===

impl Gauge {
    pub(super) fn new(most: usize) -> Self {
        Self {
            now: AtomicUsize::new(0),
            most,
        }
    }

    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, more: usize) {
        self.now.fetch_add(more, Ordering::SeqCst);
    }

    pub(super) fn take(&self, less: usize) {
        self.now.fetch_sub(less, Ordering::SeqCst);
    }

    /// Adds what fits, and nothing of what does not.
    pub(super) fn try_add(&self, more: usize) -> bool {
        let fitting = |now: usize| now.checked_add(more).filter(|after| *after <= self.most);
        let now = &self.now;
        now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, fitting)
            .is_ok()
    }
}
