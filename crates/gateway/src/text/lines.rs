//! Lines of a stream: bounded, and never more in memory than one line and a buffer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::host::budget::{Account, Held};

/// How much is read at a time.
const PIECE: usize = 16 * 1024;
/// And this much has to be free for it.
const LEAST: usize = 4 * 1024;

/// Reads newline-delimited messages.
pub(crate) struct Lines<R> {
    from: R,
    buffer: BytesMut,
    searched: usize,
    limit: usize,
    /// What is held for it, where somebody counts.
    held: Option<Held>,
}

/// A buffer that grew beyond this is not kept when its line is gone.
const KEPT: usize = 64 * 1024;
/// How long a sender is not read from before its line is given up.
const ROOM_TIMEOUT: Duration = Duration::from_secs(30);

/// Why no further line comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The stream ended (a last line without its end is given up).
    Closed,
    /// A line is longer than the limit.
    TooLong,
    /// A line did not fit into what its owner may hold.
    NoRoom,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(from: R, limit: usize) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            searched: 0,
            limit,
            held: None,
        }
    }

    /// The same on an account: lines count until their last copy is gone, and a
    /// sender whose line finds no room is not read from until there is some.
    pub(crate) fn counted(from: R, limit: usize, account: &Arc<Account>) -> Self {
        Self {
            held: Some(account.nothing()),
            ..Self::new(from, limit)
        }
    }

    /// Room for what is read next.
    async fn make_room(&mut self) -> Result<(), End> {
        let Some(held) = &mut self.held else {
            self.buffer.reserve(PIECE);
            return Ok(());
        };
        let length = self.buffer.len();
        if self.buffer.capacity() - length < LEAST {
            // As much again, so that it is seldom moved, but no more than a line may be.
            let needs = (length * 2).min(self.limit).max(length) + PIECE;
            let account = Arc::clone(held.account());
            let waited = account.wait_for(held, needs, ROOM_TIMEOUT).await;
            waited.map_err(|_| End::NoRoom)?;
            let mut larger = BytesMut::with_capacity(needs);
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
            held.become_of(self.buffer.capacity());
        }
        Ok(())
    }

    /// A line that is whole, counted for itself.
    fn hand_out(&mut self, line: BytesMut) -> Bytes {
        if self.buffer.len() <= KEPT && line.len() > KEPT {
            self.buffer = BytesMut::from(self.buffer.as_ref());
        }
        let Some(held) = &mut self.held else {
            return line.freeze();
        };
        held.become_of(self.buffer.capacity());
        let account = Arc::clone(held.account());
        // A small line must not keep a large buffer.
        match line.len() > KEPT {
            true => account.carry(line.freeze()),
            false => account.carry(Bytes::copy_from_slice(&line)),
        }
    }

    /// Whether something was read of a line that has not come to its end.
    pub(crate) fn is_cut_off(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line without its end; empty lines are passed over.
    ///
    /// Safe to drop while it waits: nothing that was read is lost.
    pub(crate) async fn next(&mut self) -> Result<Bytes, End> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(found) = memchr::memchr(b'\n', unseen) {
                let mut line = self.buffer.split_to(self.searched + found + 1);
                self.searched = 0;
                line.truncate(line.len() - 1);
                if line.last() == Some(&b'\r') {
                    line.truncate(line.len() - 1);
                }
                if line.is_empty() {
                    continue;
                }
                return if line.len() > self.limit {
                    Err(End::TooLong)
                } else {
                    Ok(self.hand_out(line))
                };
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.limit {
                return Err(End::TooLong);
            }
            self.make_room().await?;
            match self.from.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(_) => {}
            }
        }
    }
}
