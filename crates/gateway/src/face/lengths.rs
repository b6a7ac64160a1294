//! Requests whose length is said in two ways. The HTTP library follows
//! `Transfer-Encoding` and forgets `Content-Length`; a proxy before us may do it
//! the other way round and take a part of one request for the next, so they are
//! refused. The library does not tell, so the bytes are looked at on their way in.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LENGTH: &[u8] = b"content-length:";
const CODING: &[u8] = b"transfer-encoding:";

/// A connection whose heads are looked at as they are read.
pub(crate) struct Lengths<S> {
    stream: S,
    line: Line,
    seen: Seen,
    two: TwoLengths,
}

/// Whether a request on this connection said its length in two ways.
#[derive(Clone, Default)]
pub(crate) struct TwoLengths(Arc<AtomicBool>);

/// What the head so far has said.
#[derive(Default)]
struct Seen {
    length: bool,
    coding: bool,
}

/// Where on a line we are.
enum Line {
    /// In its first bytes, which are kept in lower case.
    Start {
        kept: [u8; CODING.len()],
        length: usize,
    },
    /// Behind what could matter.
    Rest,
}

impl Line {
    const NEW: Self = Self::Start {
        kept: [0; CODING.len()],
        length: 0,
    };
}

// === impl TwoLengths ===

impl TwoLengths {
    pub(crate) fn said(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Lengths ===

impl<S> Lengths<S> {
    pub(crate) fn new(stream: S, two: TwoLengths) -> Self {
        Self {
            stream,
            line: Line::NEW,
            seen: Seen::default(),
            two,
        }
    }

    /// Looks at bytes that came. A body passes here as well; a line of JSON can
    /// begin with neither name, and what is not JSON is refused anyway.
    fn look(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match &mut self.line {
                Line::Rest => {
                    let end = memchr::memchr(b'\n', bytes).map(|at| at + 1);
                    if end.is_some() {
                        self.line = Line::NEW;
                    }
                    bytes = bytes.get(end.unwrap_or(bytes.len())..).unwrap_or_default();
                }
                Line::Start { kept, length } => {
                    let Some((byte, rest)) = bytes.split_first() else {
                        return;
                    };
                    bytes = rest;
                    if *byte == b'\n' {
                        let blank = matches!(kept.get(..*length), Some(b"" | b"\r"));
                        if blank {
                            self.seen = Seen::default();
                        }
                        self.line = Line::NEW;
                        continue;
                    }
                    if let Some(place) = kept.get_mut(*length) {
                        *place = byte.to_ascii_lowercase();
                        *length += 1;
                    }
                    let so_far = kept.get(..*length).unwrap_or_default();
                    if !LENGTH.starts_with(so_far) && !CODING.starts_with(so_far) && so_far != b"\r"
                    {
                        self.line = Line::Rest;
                    } else if so_far == LENGTH {
                        self.seen.length = true;
                        self.line = Line::Rest;
                    } else if so_far == CODING {
                        self.seen.coding = true;
                        self.line = Line::Rest;
                    }
                    if self.seen.length && self.seen.coding {
                        self.two.0.store(true, Ordering::Relaxed);
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lengths<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        this.look(buffer.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Lengths<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
