//! The events of an answer over HTTP, taken in as there is room for them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tracing::warn;

use super::http::Answer;
use crate::host::budget::Account;
use crate::message::fault::Fault;
use crate::text::sse::{Event, Reader};

/// What may follow an answer on its stream before the connection is given up.
const DREGS: usize = 16 * 1024;

/// The events of an answer.
pub(crate) struct Events {
    answer: Answer,
    reader: Reader,
    /// What has come and waits for room.
    chunk: Bytes,
    ready: std::vec::IntoIter<Event>,
}

// === impl Events ===

impl Events {
    /// Events of at most `limit` bytes, held on this account.
    pub(crate) fn new(answer: Answer, limit: usize, account: &Arc<Account>) -> Self {
        Self {
            answer,
            reader: Reader::new(limit, account),
            chunk: Bytes::new(),
            ready: Vec::new().into_iter(),
        }
    }

    /// The next event; `None` at the end. Safe to drop while it waits.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.taken_in().await? {
                return Ok(Some(event));
            }
            match self.answer.next().await? {
                Some(next) => self.chunk = next,
                None => return Ok(None),
            }
        }
    }

    /// The same of a stream that may be silent for as long as it likes.
    pub(crate) async fn next_whenever(&mut self) -> Result<Option<Event>, Fault> {
        loop {
            if let Some(event) = self.taken_in().await? {
                return Ok(Some(event));
            }
            // One that breaks off has ended.
            match self.answer.next_whenever().await.unwrap_or_default() {
                Some(next) => self.chunk = next,
                None => return Ok(None),
            }
        }
    }

    /// The next event of what has come; `None` when all of it was taken in. Its sender
    /// is not read from while there is no room for it. Safe to drop while it waits.
    async fn taken_in(&mut self) -> Result<Option<Event>, Fault> {
        if self.ready.as_slice().is_empty() && !self.chunk.is_empty() {
            let room = self.reader.make_room(&self.chunk);
            room.await.map_err(Fault::no_room)?;
            let fed = self.reader.feed(&std::mem::take(&mut self.chunk));
            self.ready = fed.map_err(|_| Fault::bad_answer())?.into_iter();
        }
        Ok(self.ready.next())
    }

    /// What is left of the stream is read in the background, so that its connection
    /// can be used again.
    pub(crate) fn finish(self) {
        let Self { answer, ready, .. } = self;
        let more = ready.as_slice().iter().any(|event| event.message.is_some());
        tokio::spawn(async move {
            let rest = answer.read(DREGS);
            // Most servers end the stream at once; the others lose it.
            let rest = tokio::time::timeout(Duration::from_secs(1), rest).await;
            let rest =
                matches!(rest, Ok(Ok(rest)) if memchr::memmem::find(&rest, b"data:").is_some());
            if more || rest {
                warn!("A server sent more after its answer; the rest is dropped");
            }
        });
    }
}
