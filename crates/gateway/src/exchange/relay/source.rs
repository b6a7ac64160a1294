//! Where the messages of an exchange come from, and where a stream of them can
//! be taken up again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use crate::host::budget::Account;
use crate::message::fault::Fault;
use crate::state::worker::Worker;
use crate::text::sse::{Event, Reader};
use crate::upstream::{ChildLines, http};

/// What may follow an answer on its stream before the connection is given up.
const DREGS: usize = 16 * 1024;

/// Where the messages of an exchange come from.
#[expect(
    clippy::large_enum_variant,
    reason = "one per call, on its task; boxing would allocate"
)]
pub(super) enum Source {
    Lines(ChildLines),
    Events {
        answer: http::Answer,
        reader: Reader,
        /// What has come and waits for room.
        chunk: Bytes,
        ready: std::vec::IntoIter<Event>,
    },
}

/// Where a stream can be taken up again.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) last_event: Option<String>,
    /// How long the upstream wants us to wait before, in milliseconds.
    retry: Option<u64>,
}

impl Source {
    /// Whether the server chose to stream.
    pub(super) fn is_events(&self) -> bool {
        matches!(self, Self::Events { .. })
    }

    pub(super) fn events(worker: &Worker, account: &Arc<Account>, answer: http::Answer) -> Self {
        Self::Events {
            answer,
            reader: Reader::new(worker.shared.settings.result_limit, account),
            chunk: Bytes::new(),
            ready: Vec::new().into_iter(),
        }
    }

    /// The next event of a stream that may be silent for as long as it likes.
    /// Safe to drop while it waits.
    pub(super) async fn next_whenever(&mut self) -> Result<Option<Event>, Fault> {
        match self {
            Self::Lines(lines) => Ok(lines.recv().await.map(Event::of)),
            Self::Events {
                answer,
                reader,
                chunk,
                ready,
            } => loop {
                if let Some(event) = taken_in(reader, chunk, ready).await? {
                    return Ok(Some(event));
                }
                match answer.next_whenever().await {
                    Some(next) => *chunk = next,
                    None => return Ok(None),
                }
            },
        }
    }

    /// The next event; `None` at the end. Safe to drop while it waits.
    pub(super) async fn next(&mut self, worker: &Worker) -> Result<Option<Event>, Fault> {
        match self {
            Self::Lines(lines) => {
                let wait = worker.shared.settings.call_timeout;
                match tokio::time::timeout(wait, lines.recv()).await {
                    Ok(line) => Ok(line.map(Event::of)),
                    Err(_) => Err(Fault::slow()),
                }
            }
            Self::Events {
                answer,
                reader,
                chunk,
                ready,
            } => loop {
                if let Some(event) = taken_in(reader, chunk, ready).await? {
                    return Ok(Some(event));
                }
                match answer.next().await? {
                    Some(next) => *chunk = next,
                    None => return Ok(None),
                }
            },
        }
    }
}

/// The next event of what has come; `None` when all of it was taken in. Its sender
/// is not read from while there is no room for it. Safe to drop while it waits.
async fn taken_in(
    reader: &mut Reader,
    chunk: &mut Bytes,
    ready: &mut std::vec::IntoIter<Event>,
) -> Result<Option<Event>, Fault> {
    if ready.as_slice().is_empty() && !chunk.is_empty() {
        reader.make_room(chunk).await.map_err(Fault::no_room)?;
        let fed = reader.feed(&std::mem::take(chunk));
        *ready = fed.map_err(|_| Fault::too_large())?.into_iter();
    }
    Ok(ready.next())
}

impl Source {
    /// The answer has come: what is left of the stream is read in the
    /// background, so that its connection can be used again.
    pub(super) fn finish(self) {
        if let Self::Events { answer, ready, .. } = self {
            let more = ready.as_slice().iter().any(|event| event.message.is_some());
            tokio::spawn(async move {
                let rest = answer.read(DREGS);
                // Most servers end the stream at once; the others lose it.
                let rest = tokio::time::timeout(Duration::from_secs(1), rest).await;
                let rest =
                    matches!(rest, Ok(Ok(rest)) if memchr::memmem::find(&rest, b"data:").is_some());
                if more || rest {
                    warn!("A server went on after its answer; what followed is dropped");
                }
            });
        }
    }
}

impl Trail {
    pub(super) fn follow(&mut self, event: &Event) {
        if event.id.is_some() {
            self.last_event.clone_from(&event.id);
        }
        self.retry = event.retry.or(self.retry);
    }

    /// The last event id, and how long to wait before asking for what follows.
    pub(super) fn end(&self) -> Option<(&str, Duration)> {
        let last_event = self.last_event.as_deref()?;
        let pause = self.retry.unwrap_or(1000).clamp(10, 30_000);
        Some((last_event, Duration::from_millis(pause)))
    }
}
