//! A body that comes in pieces, on an account. One piece is the usual case, and
//! is not copied; more are put together in room that was counted before.

use bytes::{Bytes, BytesMut};

use super::Held;

/// What grows by a quarter from here on.
const LARGE: usize = 1 << 20;

/// What has come of a body.
pub(crate) struct Gathered {
    first: Bytes,
    whole: BytesMut,
    /// What is held for it: not less than what it takes.
    pub(crate) held: Held,
    /// How long it becomes, as far as its sender says so.
    expected: usize,
}

// === impl Gathered ===

impl Gathered {
    pub(crate) fn new(held: Held, expected: usize) -> Self {
        Self {
            first: Bytes::new(),
            whole: BytesMut::new(),
            held,
            expected,
        }
    }

    /// How long it is so far.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.whole.len()
    }

    /// How much has to be held before so much more is added.
    pub(crate) fn needs(&self, more: usize) -> usize {
        let length = self.len() + more;
        match (self.len(), self.whole.capacity()) {
            (0, _) => more,
            (_, capacity) if length <= capacity => capacity,
            // More, so that it is seldom moved; of what is large only a quarter, so
            // that it fits where it fits; and not more than comes.
            _ => {
                let more = if length < LARGE { length } else { length / 4 };
                length.saturating_add(more).min(self.expected.max(length))
            }
        }
    }

    /// Adds a piece, for which there is room.
    pub(crate) fn add(&mut self, piece: Bytes) {
        if self.len() == 0 {
            self.first = piece;
            return;
        }
        let needs = self.needs(piece.len());
        if needs > self.whole.capacity() {
            let mut larger = BytesMut::with_capacity(needs);
            larger.extend_from_slice(&self.first);
            larger.extend_from_slice(&self.whole);
            self.first = Bytes::new();
            self.whole = larger;
        }
        self.whole.extend_from_slice(&piece);
    }

    /// The whole body, counted until its last copy is gone.
    pub(crate) fn done(self) -> Bytes {
        let whole = match self.first.is_empty() {
            true => self.whole.freeze(),
            false => self.first,
        };
        self.held.over(whole)
    }
}
