//! What goes to a process: requests, numbered, and what sessions say besides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::trace;

use super::{Child, Waiting};
use crate::agent::session::Session;
use crate::host::deadline;
use crate::message::cleared::Cleared;
use crate::message::fault::Fault;
use crate::message::outgoing::Outgoing;
use crate::text::envelope::IdKey;
use crate::text::era::Era;
use crate::upstream::process::Line;

/// Messages that may wait for one request's reader.
const WAITING: usize = 256;

/// A request among those that wait for their answers: forgotten when this is
/// dropped, unless the process was sent some of it.
struct Entered<'c> {
    child: &'c Child,
    number: u64,
    begun: Arc<AtomicBool>,
}

// === impl Child ===

impl Child {
    /// Sends a request; its answer and what belongs to it come over the channel.
    pub(crate) async fn request(
        self: &Arc<Self>,
        session: &Arc<Session>,
        message: Cleared<Outgoing>,
    ) -> Result<(u64, mpsc::Receiver<Bytes>), Fault> {
        if !self.is_ready() && self.key.era == Era::Modern {
            self.start().await?;
        } else if !self.is_ready() {
            self.reopen(session).await?;
        }
        self.send(session, message).await
    }

    /// Sends a notification or an answer of a session, as it is.
    pub(crate) async fn notify(
        &self,
        session: &Session,
        message: Cleared<Bytes>,
    ) -> Result<(), Fault> {
        let line = Line::said(message.one_line(), session.ended.clone());
        self.tell(line).await
    }

    pub(super) async fn tell(&self, line: Line) -> Result<(), Fault> {
        trace!(
            "Writing to `{}`, allowed by {}",
            self.spec.name,
            line.permit()
        );
        let input = self
            .state()
            .process
            .as_ref()
            .map(|process| process.input.clone());
        let input = input.ok_or_else(Fault::not_sent)?;
        self.write(&input, line).await
    }

    /// Tells the process that the agent cancelled a request.
    pub(crate) async fn cancel(&self, session: &Session, key: &IdKey) {
        let (number, waiting) = {
            let mut state = self.state();
            let found = state.waiting.iter().find(|(_, waiting)| {
                waiting.key == *key && std::ptr::eq(waiting.session.as_ptr(), session)
            });
            let Some(number) = found.map(|(number, _)| *number) else {
                return;
            };
            // Before anything waits: a process that does not read must not keep it.
            (number, state.waiting.remove(&number))
        };
        // A process that never heard of it hears of no end either.
        if waiting.is_none_or(|waiting| !waiting.begun.load(Ordering::SeqCst)) {
            return;
        }
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number}}}}}"#
        );
        // A process that is gone has nothing left to cancel.
        let message = Cleared::own("the agent went away or cancelled", Bytes::from(message));
        let _ = self.tell(Line::ours(message)).await;
    }

    pub(super) async fn send(
        self: &Arc<Self>,
        session: &Arc<Session>,
        cleared: Cleared<Outgoing>,
    ) -> Result<(u64, mpsc::Receiver<Bytes>), Fault> {
        trace!(
            "Writing to `{}`, allowed by {}",
            self.spec.name,
            cleared.permit()
        );
        let message = cleared.message();
        let (sink, lines) = mpsc::channel(WAITING);
        let begun = Arc::<AtomicBool>::default();
        let (number, input) = {
            let mut state = self.state();
            let Some(process) = &state.process else {
                return Err(Fault::not_sent());
            };
            let input = process.input.clone();
            state.next += 1;
            let number = state.next;
            let waiting = Waiting {
                session: Arc::downgrade(session),
                id: message.id().to_owned(),
                key: message.key().clone(),
                token: message.token().map(str::to_owned),
                listens: message
                    .modern()
                    .is_some_and(|modern| modern.wanted.anything()),
                begun: Arc::clone(&begun),
                sink,
            };
            state.waiting.insert(number, waiting);
            (number, input)
        };
        let _entered = Entered {
            child: self,
            number,
            begun: Arc::clone(&begun),
        };
        let text = cleared.numbered(number, session.account());
        let (line, write_start) = Line::request(text, session.ended.clone(), begun);
        self.write(&input, line).await?;
        let write_start = deadline::within(self.bounds.write_timeout, write_start.wait());
        write_start
            .await
            .unwrap_or_else(|_| Err(Fault::not_sent()))?;
        Ok((number, lines))
    }

    /// Nobody reads any more what belongs to this request.
    pub(crate) fn forget(&self, number: u64) {
        self.state().waiting.remove(&number);
    }

    /// Nobody reads any more what belongs to any request of this session.
    pub(crate) fn forget_all(&self, session: &Session) {
        let own = |waiting: &Waiting| std::ptr::eq(waiting.session.as_ptr(), session);
        self.state().waiting.retain(|_, waiting| !own(waiting));
    }

    /// Hands a line to the process. One that does not read has room for some;
    /// what finds none has never left.
    async fn write(&self, input: &mpsc::Sender<Line>, line: Line) -> Result<(), Fault> {
        match input.try_send(line) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Fault::not_sent()),
            Err(TrySendError::Full(line)) => {
                match tokio::time::timeout(self.bounds.start, input.send(line)).await {
                    Ok(Ok(())) => Ok(()),
                    Ok(Err(_)) | Err(_) => Err(Fault::not_sent()),
                }
            }
        }
    }
}

// === impl Entered ===

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        if !self.begun.load(Ordering::SeqCst) {
            self.child.forget(self.number);
        }
    }
}
