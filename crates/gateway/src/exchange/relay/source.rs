//! Where the messages of an exchange come from, and where a stream of them can
//! be taken up again.

use std::sync::Arc;
use std::time::Duration;

use crate::host::budget::Account;
use crate::message::fault::Fault;
use crate::state::worker::Worker;
use crate::text::sse::Event;
use crate::upstream::{Events, Lines, http};

/// Where the messages of an exchange come from.
#[expect(
    clippy::large_enum_variant,
    reason = "one per call, on its task; boxing would allocate"
)]
pub(super) enum Source {
    Lines(Lines),
    Events(Events),
}

/// Where a stream can be taken up again.
#[derive(Default)]
pub(super) struct Trail {
    pub(super) last_event: Option<String>,
    /// How long the upstream wants us to wait before, in milliseconds.
    retry: Option<u64>,
}

impl Source {
    pub(super) fn events(worker: &Worker, account: &Arc<Account>, answer: http::Answer) -> Self {
        let limit = worker.shared.settings.result_limit;
        Self::Events(Events::new(answer, limit, account))
    }

    /// Whether the server chose to stream.
    pub(super) fn is_events(&self) -> bool {
        matches!(self, Self::Events(_))
    }

    /// The next event of a stream that may be silent for as long as it likes.
    /// Safe to drop while it waits.
    pub(super) async fn next_whenever(&mut self) -> Result<Option<Event>, Fault> {
        match self {
            Self::Lines(lines) => Ok(lines.recv().await.map(Event::of)),
            Self::Events(events) => events.next_whenever().await,
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
            Self::Events(events) => events.next().await,
        }
    }

    /// The answer has come.
    pub(super) fn finish(self) {
        match self {
            Self::Lines(_) => {}
            Self::Events(events) => events.finish(),
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
