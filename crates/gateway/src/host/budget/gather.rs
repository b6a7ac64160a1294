//! A body that comes in pieces, on an account. One piece is the usual case, and
//! is not copied; more are put together in room that was counted before.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Account, Full, Held};

/// What grows by a quarter from here on.
const LARGE: usize = 1 << 20;

/// How much a body may be, and what happens where there is no room for it.
pub(crate) struct BodyBounds {
    pub(crate) bytes: usize,
    /// How long it becomes, as far as its sender says so.
    pub(crate) expected: Option<u64>,
    /// How long its sender is not read from while there is no room; none: not at all.
    pub(crate) wait: Option<Duration>,
}

/// Why a body is not taken in.
pub(crate) enum DoesNotFit {
    /// It has more than is allowed.
    TooLarge,
    /// There is no room for it.
    NoRoom(Full),
}

/// What has come of a body.
pub(crate) struct Gathered {
    first: Bytes,
    whole: BytesMut,
    /// What is held for it: not less than what it takes.
    held: Held,
    /// How long it becomes, as far as its sender says so.
    expected: usize,
    allowed: BodyBounds,
}

// === impl Gathered ===

impl Gathered {
    /// Nothing yet, on the account of whoever it is for.
    pub(crate) fn new(account: &Arc<Account>, allowed: BodyBounds) -> Self {
        let expected = allowed.expected.unwrap_or(u64::MAX);
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        Self {
            first: Bytes::new(),
            whole: BytesMut::new(),
            held: account.nothing(),
            expected: expected.min(allowed.bytes),
            allowed,
        }
    }

    /// Takes in a piece, once there is room for it.
    pub(crate) async fn take(&mut self, piece: Bytes) -> Result<(), DoesNotFit> {
        if self.len() + piece.len() > self.allowed.bytes {
            return Err(DoesNotFit::TooLarge);
        }
        let needs = self.needs(piece.len());
        let room = match self.allowed.wait {
            None => self.held.grow_to(needs),
            Some(wait) => {
                let account = Arc::clone(self.held.account());
                account.wait_for(&mut self.held, needs, wait).await
            }
        };
        room.map_err(DoesNotFit::NoRoom)?;
        self.add(piece);
        Ok(())
    }

    /// How long it is so far.
    fn len(&self) -> usize {
        self.first.len() + self.whole.len()
    }

    /// How much has to be held before so much more is added.
    fn needs(&self, more: usize) -> usize {
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
    fn add(&mut self, piece: Bytes) {
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
