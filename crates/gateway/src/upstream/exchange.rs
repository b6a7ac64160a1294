//! What comes back from a server for a request, before anybody has looked into it.

use std::sync::Arc;

use bytes::Bytes;

use super::http;
use super::lines::ChildLines;
use crate::host::budget::Account;
use crate::message::fault::Fault;
use crate::text::envelope::is_answer;
use crate::text::sse;

/// What an upstream does with a request, before anybody has looked into it.
pub(crate) enum Exchange {
    /// The whole answer.
    Message(Bytes),
    /// Messages one by one; the answer is one of them.
    Lines(ChildLines),
    /// Events over HTTP; the answer is in one of them.
    Events(http::Answer),
}

// === impl Exchange ===

impl Exchange {
    /// The answer in it, whatever else is; what belongs to it is not for us.
    pub(crate) async fn answer(self, limit: usize, account: &Arc<Account>) -> Result<Bytes, Fault> {
        match self {
            Self::Message(text) => Ok(text),
            Self::Lines(mut lines) => lines.answer().await,
            Self::Events(mut answer) => {
                let mut reader = sse::Reader::new(limit, account);
                while let Some(chunk) = answer.next().await? {
                    reader.make_room(&chunk).await.map_err(Fault::no_room)?;
                    let events = reader.feed(&chunk).map_err(|_| Fault::too_large())?;
                    let mut messages = events.into_iter().filter_map(|event| event.message);
                    if let Some(message) = messages.find(is_answer) {
                        return Ok(message);
                    }
                }
                Err(Fault::broken())
            }
        }
    }
}
