//! What comes back from a server for a request, before anybody has looked into it.

use std::sync::Arc;

use bytes::Bytes;

use super::events::Events;
use super::http;
use super::lines::Lines;
use crate::host::budget::Account;
use crate::message::fault::Fault;
use crate::text::envelope::is_answer;

/// What an upstream does with a request, before anybody has looked into it.
pub(crate) enum Exchange {
    /// The whole answer.
    Message(Bytes),
    /// Messages one by one; the answer is one of them.
    Lines(Lines),
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
            Self::Events(answer) => {
                let mut events = Events::new(answer, limit, account);
                while let Some(event) = events.next().await? {
                    if let Some(message) = event.message.filter(is_answer) {
                        return Ok(message);
                    }
                }
                Err(Fault::broken())
            }
        }
    }
}
