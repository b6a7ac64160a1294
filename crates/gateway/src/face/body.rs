//! Bodies of the HTTP face: nothing, one message, or a stream of events.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use crate::sse::Event;

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

    pub(crate) fn events(events: mpsc::Receiver<Event>, end: Option<End>) -> Self {
        let mut heartbeat = tokio::time::interval_at(Instant::now() + HEARTBEAT, HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self::Events(Box::new(Events {
            events,
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
        let bytes = match self.get_mut() {
            Self::Whole(whole) => {
                return Poll::Ready(whole.take().map(|whole| Ok(Frame::data(whole))));
            }
            Self::Events(stream) => match stream.events.poll_recv(context) {
                Poll::Ready(Some(event)) => event.encode(),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => match stream.heartbeat.poll_tick(context) {
                    Poll::Ready(_) => Bytes::from_static(b": alive\n\n"),
                    Poll::Pending => return Poll::Pending,
                },
            },
        };
        Poll::Ready(Some(Ok(Frame::data(bytes))))
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
