//! Lines of one stream, read so that a wait can be given up at any moment without losing a byte.

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};

/// The longest line of an agent. More than any setting of the daemon allows, so that it is the
/// daemon that refuses what is too long, in its own words.
pub(super) const LONGEST: usize = 64 << 20;

/// Lines of a stream, without their ends.
pub(super) struct Lines<R> {
    stream: BufReader<R>,
    /// What has come of the next line.
    begun: Vec<u8>,
}

// === impl Lines ===

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(super) fn new(stream: R) -> Self {
        Self::buffered(BufReader::with_capacity(64 * 1024, stream))
    }

    /// Goes on where somebody else has begun to read.
    pub(super) fn buffered(stream: BufReader<R>) -> Self {
        Lines {
            stream,
            begun: Vec::new(),
        }
    }

    /// The next line; nothing when the stream has ended, or a line has no end in sight.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Ok(bytes) = self.stream.fill_buf().await else {
                return None;
            };
            if bytes.is_empty() {
                return None;
            }
            let (taken, whole) = match memchr::memchr(b'\n', bytes) {
                Some(at) => (bytes.get(..at).unwrap_or_default(), at + 1),
                None => (bytes, bytes.len()),
            };
            let ends = taken.len() < whole;
            if self.begun.len() + taken.len() > LONGEST {
                return None;
            }
            self.begun.extend_from_slice(taken);
            self.stream.consume(whole);
            if ends {
                return Some(std::mem::take(&mut self.begun));
            }
        }
    }

    /// What the stream ended with, without an end of line.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.begun)
    }

    /// Whether the next line is here already.
    pub(super) fn has_next(&self) -> bool {
        memchr::memchr(b'\n', self.stream.buffer()).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing() {
        let (mut far, near) = tokio::io::duplex(8);
        let mut lines = Lines::new(near);
        far.write_all(b"half").await.unwrap();
        tokio::select! {
            biased;
            line = lines.next() => panic!("there is no line yet: {line:?}"),
            () = std::future::ready(()) => {}
        }
        far.write_all(b" a\nb").await.unwrap();
        drop(far);
        assert_eq!(lines.next().await.unwrap(), b"half a");
        assert_eq!(lines.next().await, None);
        assert_eq!(lines.rest(), b"b");
    }
}
