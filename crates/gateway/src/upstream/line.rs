//! Lines of a stream: bounded, and never more in memory than one line and a buffer.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Reads newline-delimited messages.
pub(crate) struct Lines<R> {
    from: R,
    buffer: BytesMut,
    searched: usize,
    limit: usize,
}

/// Why no further line comes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The stream ended (a last line without its end is given up).
    Closed,
    /// A line is longer than the limit.
    TooLong,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(from: R, limit: usize) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            searched: 0,
            limit,
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
                    Ok(line.freeze())
                };
            }
            self.searched = self.buffer.len();
            if self.buffer.len() > self.limit {
                return Err(End::TooLong);
            }
            self.buffer.reserve(16 * 1024);
            match self.from.read_buf(&mut self.buffer).await {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(_) => {}
            }
        }
    }
}
