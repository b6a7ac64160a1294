//! Bodies of the HTTP face: nothing, one message, or a stream of events.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::host::budget::Account;
use crate::text::sse::Event;

/// How often a silent stream shows that it is alive, so that neither side and
/// no proxy between them takes it for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The body of a response.
pub(crate) enum Out {
    /// One piece, or nothing.
    Whole(Option<Bytes>),
    /// Events, until the sender is gone.
    Events(Box<Events>),
}

/// A stream of events with a heartbeat.
pub(crate) struct Events {
    events: mpsc::Receiver<Event>,
    /// What is left of an event that goes out in pieces.
    pieces: VecDeque<Bytes>,
    account: Arc<Account>,
    heartbeat: Interval,
    /// Runs when the stream ends or the agent goes away.
    _end: Option<End>,
}

/// Runs its closure when it is dropped.
pub(crate) struct End(Option<Box<dyn FnOnce() + Send>>);

// === impl Out ===

impl Out {
    pub(crate) fn empty() -> Self {
        Self::Whole(None)
    }

    pub(crate) fn events(
        events: mpsc::Receiver<Event>,
        account: Arc<Account>,
        end: Option<End>,
    ) -> Self {
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Events(Box::new(Events {
            events,
            pieces: VecDeque::new(),
            account,
            heartbeat,
            _end: end,
        }))
    }
}

impl Body for Out {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let piece = match self.get_mut() {
            Self::Whole(whole) => Poll::Ready(whole.take()),
            Self::Events(stream) => stream.poll_piece(context),
        };
        piece.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

// === impl Events ===

impl Events {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(piece) = self.pieces.pop_front() {
            return Poll::Ready(Some(piece));
        }
        match self.events.poll_recv(context) {
            Poll::Ready(Some(event)) => {
                let [first, rest @ ..] = event.encode(&self.account);
                let rest = rest.into_iter().filter(|piece| !piece.is_empty());
                self.pieces.extend(rest);
                Poll::Ready(Some(first))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => self
                .heartbeat
                .poll_tick(context)
                .map(|_| Some(Bytes::from_static(b": alive\n\n"))),
        }
    }
}

// === impl End ===

impl End {
    pub(crate) fn new(run: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(run)))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}
