//! Lines of a stream, read and written: bounded, and never more in memory than one line and a buffer.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

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
    /// What is held for the buffer.
    held: Held,
}

/// Lines up to this length are copied, so that they are written in one go.
const COPIED: usize = 16 * 1024;
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
    /// Lines of at most `limit` bytes, on this account: they count until their last copy
    /// is gone, and a sender whose line finds no room is not read from until there is some.
    pub(crate) fn new(from: R, limit: usize, account: &Arc<Account>) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            searched: 0,
            limit,
            held: account.nothing(),
        }
    }

    /// Room for what is read next.
    async fn make_room(&mut self) -> Result<(), End> {
        let length = self.buffer.len();
        if self.buffer.capacity() - length < LEAST {
            // As much again, so that it is seldom moved, but no more than a line may be.
            let needs = (length * 2).min(self.limit).max(length) + PIECE;
            let account = Arc::clone(self.held.account());
            let waited = account.wait_for(&mut self.held, needs, ROOM_TIMEOUT).await;
            waited.map_err(|_| End::NoRoom)?;
            let mut larger = BytesMut::with_capacity(needs);
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
            self.held.become_of(self.buffer.capacity());
        }
        Ok(())
    }

    /// A line that is whole, counted for itself.
    fn hand_out(&mut self, line: BytesMut) -> Bytes {
        if self.buffer.len() <= KEPT && line.len() > KEPT {
            self.buffer = BytesMut::from(self.buffer.as_ref());
        }
        self.held.become_of(self.buffer.capacity());
        // A small line must not keep a large buffer.
        self.held.account().carry(match line.len() > KEPT {
            true => line.freeze(),
            false => Bytes::copy_from_slice(&line),
        })
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

/// Writes a line and its end.
pub(crate) async fn write_line<W>(to: &mut W, line: &[u8]) -> std::io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    if line.len() > COPIED {
        to.write_all(line).await?;
        return to.write_all(b"\n").await;
    }
    let mut whole = Vec::with_capacity(line.len() + 1);
    whole.extend_from_slice(line);
    whole.push(b'\n');
    to.write_all(&whole).await
}
