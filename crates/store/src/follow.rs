//! Following: whoever shows records as they come is told of new ones and of
//! those that ended, by the fold that wrote them.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use crate::guard::lock;
use crate::journal::Journal;

/// How far the records are, and who waits for more.
#[derive(Debug, Default)]
pub(crate) struct Progress(Mutex<Reached>);

#[derive(Debug, Default)]
struct Reached {
    /// The last entry that is in the records.
    number: u64,
    is_closed: bool,
    waiting: Vec<Waker>,
}

/// Follows the records. While there is one, what is appended is in the records
/// soon after.
///
/// It tells that there is something, not what: that is asked with
/// [`crate::Filter::changed_after`], so nobody who is slow misses anything. It
/// does not keep the store open.
#[derive(Debug)]
pub struct Following {
    progress: Arc<Progress>,
    journal: Journal,
    /// Up to this entry it was told.
    number: u64,
}

// === impl Progress ===

impl Progress {
    /// Entries up to this one are in the records.
    pub(crate) fn reach(&self, number: u64) {
        self.wake(|reached| reached.number = reached.number.max(number));
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.wake(|reached| reached.is_closed = true);
    }

    fn wake(&self, change: impl FnOnce(&mut Reached)) {
        let mut reached = lock(&self.0);
        change(&mut reached);
        let waiting = std::mem::take(&mut reached.waiting);
        drop(reached);
        waiting.into_iter().for_each(Waker::wake);
    }
}

// === impl Following ===

impl Following {
    pub(crate) fn begin(progress: Arc<Progress>, journal: Journal) -> Self {
        journal.be_followed();
        let number = lock(&progress.0).number;
        Self {
            progress,
            journal,
            number,
        }
    }

    /// The entry up to which it was told: what comes after it is new.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Waits until entries after [`Following::number`] are in the records; false
    /// when the store was closed and there are none. Nothing is lost when it is
    /// given up half way.
    pub async fn changed(&mut self) -> bool {
        let number = poll_fn(|context| {
            let mut reached = lock(&self.progress.0);
            if reached.number > self.number {
                return Poll::Ready(Some(reached.number));
            }
            if reached.is_closed {
                return Poll::Ready(None);
            }
            // One that waited before and was given up is woken for nothing.
            if !reached
                .waiting
                .iter()
                .any(|it| it.will_wake(context.waker()))
            {
                reached.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
        self.number = number.unwrap_or(self.number);
        number.is_some()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.journal.be_left();
    }
}
