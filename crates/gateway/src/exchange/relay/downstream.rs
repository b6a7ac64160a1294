//! The way to the agent while an exchange goes on.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::agent::streams::OUTBOUND;
use crate::exchange::responder::{Reply, Responder};
use crate::message::answer::Failure;
use crate::text::sse::Event;

/// How long a failure waits for an agent to read it.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// The way to the agent while an exchange goes on.
pub(super) enum Downstream {
    /// Nothing was sent yet; one message can still be a plain reply.
    Unopened(Responder),
    /// A stream of events.
    Stream(mpsc::Sender<Event>),
    /// A stdio agent: messages go as they come.
    Lines(mpsc::Sender<Bytes>),
    /// The agent hung up, and its call goes on.
    Nobody,
}

// === impl Downstream ===

impl Downstream {
    pub(super) fn new(responder: Responder) -> Self {
        match responder.lines() {
            Some(lines) => Self::Lines(lines.clone()),
            None => Self::Unopened(responder),
        }
    }

    /// Opens the stream, unless the agent reads lines.
    pub(super) fn open(&mut self) {
        if let Self::Unopened(_) = self {
            let (sender, events) = mpsc::channel(OUTBOUND);
            if let Self::Unopened(responder) = std::mem::replace(self, Self::Stream(sender)) {
                responder.send(Reply::Stream(events));
            }
        }
    }

    /// Passes an event on; opens the stream for the first one. `false` when the
    /// agent is gone, which is noticed by `gone`.
    pub(super) async fn pass(&mut self, event: Event) -> bool {
        self.open();
        match self {
            Self::Stream(stream) => stream.send(event).await.is_ok(),
            Self::Lines(lines) => match event.message {
                Some(message) => lines.send(message).await.is_ok(),
                None => true,
            },
            Self::Unopened(_) | Self::Nobody => false,
        }
    }

    /// The stream to the agent, where one is open.
    pub(super) fn stream(&self) -> Option<mpsc::Sender<Event>> {
        match self {
            Self::Stream(stream) => Some(stream.clone()),
            Self::Unopened(_) | Self::Lines(_) | Self::Nobody => None,
        }
    }

    pub(super) async fn gone(&mut self) {
        match self {
            Self::Unopened(responder) => responder.gone().await,
            Self::Stream(stream) => stream.closed().await,
            Self::Lines(lines) => lines.closed().await,
            Self::Nobody => std::future::pending().await,
        }
    }

    pub(super) async fn fail(self, failure: &Failure, id: &str) {
        match self {
            Self::Unopened(responder) => responder.fail(failure, Some(id)),
            Self::Stream(stream) => last_words(&stream, Event::of(failure.body(Some(id)))).await,
            Self::Lines(lines) => last_words(&lines, failure.body(Some(id))).await,
            Self::Nobody => {}
        }
    }

    /// Ends a subscription without an answer: a stream by closing it, and over
    /// stdio, where nothing closes, in words.
    pub(super) async fn over(self, id: &str) {
        match self {
            Self::Lines(lines) => {
                let text = format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
                );
                last_words(&lines, Bytes::from(text)).await;
            }
            Self::Unopened(_) | Self::Stream(_) | Self::Nobody => self.end(),
        }
    }

    /// Ends the exchange without an answer.
    pub(super) fn end(self) {
        match self {
            Self::Unopened(responder) => {
                let (_, events) = mpsc::channel(1);
                responder.send(Reply::Stream(events));
            }
            Self::Stream(_) | Self::Lines(_) | Self::Nobody => {}
        }
    }
}

/// The last thing an agent gets. One that does not read misses it.
async fn last_words<T>(to: &mpsc::Sender<T>, last: T) {
    drop(tokio::time::timeout(LAST_WORDS, to.send(last)).await);
}
