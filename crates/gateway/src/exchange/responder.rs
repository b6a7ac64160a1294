//! Where the answer to one message goes.

use bytes::Bytes;
use provost_policy::Text;
use tokio::sync::{mpsc, oneshot};

use crate::message::answer::{self, Failure};
use crate::text::sse::Event;

/// What one message of an agent is answered with.
pub(crate) enum Reply {
    /// A notification or an answer was taken.
    Accepted,
    /// One message.
    Message {
        http: u16,
        body: Bytes,
        /// The id of the session that this message opened.
        session: Option<Text>,
    },
    /// Several messages; the last one is the answer.
    Stream(mpsc::Receiver<Event>),
}

/// The way back to the agent for one message. Used once.
pub(crate) enum Responder {
    /// An HTTP response.
    Http(oneshot::Sender<Reply>),
    /// The agent's standard input, shared with everything else.
    Stdio(mpsc::Sender<Bytes>),
}

// === impl Reply ===

impl Reply {
    /// A message with HTTP status 200.
    pub(crate) fn message(body: Bytes) -> Self {
        Self::Message {
            http: answer::OK,
            body,
            session: None,
        }
    }
}

// === impl Responder ===

impl Responder {
    /// For an agent that is gone.
    pub(crate) fn nobody() -> Self {
        Self::Http(oneshot::channel().0)
    }

    /// Sends the reply. An agent that is gone gets none.
    pub(crate) fn send(self, reply: Reply) {
        match self {
            Self::Http(reply_to) => {
                let _ = reply_to.send(reply);
            }
            Self::Stdio(lines) => match reply {
                Reply::Accepted => {}
                Reply::Message { body, .. } => send_line(&lines, body),
                Reply::Stream(mut events) => {
                    // Ends with the stream, or with the agent.
                    tokio::spawn(async move {
                        while let Some(event) = events.recv().await {
                            if let Some(message) = event.message
                                && lines.send(message).await.is_err()
                            {
                                return;
                            }
                        }
                    });
                }
            },
        }
    }

    /// Sends a failure for the request with this id (`None`: null).
    pub(crate) fn fail(self, failure: &Failure, id: Option<&str>) {
        self.send(Reply::Message {
            http: failure.http,
            body: failure.body(id),
            session: None,
        });
    }

    /// Refuses a notification or an answer. Over HTTP every message has a response;
    /// over stdio neither of them is ever answered.
    pub(crate) fn turn_away(self, failure: &Failure) {
        match self {
            Self::Http(_) => self.fail(failure, None),
            Self::Stdio(_) => {}
        }
    }

    /// Whether nobody waits for the reply any more.
    pub(crate) fn is_gone(&self) -> bool {
        match self {
            Self::Http(reply_to) => reply_to.is_closed(),
            Self::Stdio(lines) => lines.is_closed(),
        }
    }

    /// Ends when nobody waits for the reply any more.
    pub(crate) async fn gone(&mut self) {
        match self {
            Self::Http(reply_to) => reply_to.closed().await,
            Self::Stdio(lines) => lines.closed().await,
        }
    }

    /// Whether messages may go to the agent before the answer without a stream
    /// being opened for them.
    pub(crate) fn lines(&self) -> Option<&mpsc::Sender<Bytes>> {
        match self {
            Self::Http(_) => None,
            Self::Stdio(lines) => Some(lines),
        }
    }
}

/// A line for an agent; when its queue is full it waits on a task of its own.
fn send_line(lines: &mpsc::Sender<Bytes>, line: Bytes) {
    if let Err(mpsc::error::TrySendError::Full(line)) = lines.try_send(line) {
        let lines = lines.clone();
        tokio::spawn(async move {
            let _ = lines.send(line).await;
        });
    }
}
