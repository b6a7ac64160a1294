//! One child process as an upstream: what is on its way through it, and how it
//! comes back when it dies.
//!
//! Several sessions may share one process, so ids and progress tokens are
//! replaced by numbers of our own on the way in and restored on the way out.

mod opening;
mod reading;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::Text;
use provost_store::Status;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tracing::{info, trace};

use super::Fault;
use super::process::{Program, Running};
use crate::envelope::IdKey;
use crate::outgoing::Outgoing;
use crate::permit::Permit;
use crate::protocol::Era;
use crate::session::{Kept, Session};
use crate::splice;

/// Messages that may wait for one request's reader.
const WAITING: usize = 256;
/// A process that lived this long starts again at once.
const STEADY: Duration = Duration::from_secs(10);

/// A server that is a program.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct ChildSpec {
    pub(crate) server: Text,
    pub(crate) name: Text,
    pub(crate) program: Program,
    /// One process for everybody.
    pub(crate) shared: bool,
}

/// Who uses one process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Everybody: the operator said it is safe.
    Shared,
    /// All sessions of one grant.
    Grant(Text),
    /// One agent of `provost run`, with its own directory and environment.
    Agent(u64),
}

/// What happens to messages that are not the answer to anything on its way.
pub(crate) trait Inbox: Send + Sync + 'static {
    /// A notification or a request of the upstream. `asked` is the session to
    /// which a request is put; notifications go to all of `sessions`.
    fn take(&self, child: &Arc<Child>, sessions: Vec<Arc<Session>>, message: Bytes);

    /// Judges and records a subscription of the session that is asked for again;
    /// none when it may not be.
    fn subscribe_again(&self, session: &Session) -> Option<(Permit, Kept)>;

    /// How that ended.
    fn subscribed(&self, kept: &Kept, status: Status);
}

/// What bounds child processes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildBounds {
    /// Processes at a time.
    pub(crate) most: usize,
    /// How long a process without sessions is kept.
    pub(crate) idle: Duration,
    /// Longest line a process may write.
    pub(crate) line: usize,
    /// How long a process may take to answer `initialize`.
    pub(crate) start: Duration,
}

/// One program and its process, if it is running.
pub(crate) struct Child {
    spec: Arc<ChildSpec>,
    holder: Holder,
    era: Era,
    runtime: Handle,
    inbox: Arc<dyn Inbox>,
    bounds: ChildBounds,
    state: Mutex<State>,
    /// Held while a process is started and opened, so that it happens once.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    process: Option<Running>,
    /// Whether the process has been opened to its end; one that has not takes
    /// no requests of agents.
    ready: bool,
    /// Counts processes; a late message of an earlier one is ignored.
    generation: u64,
    started: Option<Instant>,
    failures: u32,
    next: u64,
    waiting: HashMap<u64, Waiting>,
    sessions: Vec<Weak<Session>>,
    /// Since when nobody uses it, as far as somebody looked.
    idle_since: Option<Instant>,
    /// How the running process was opened, to open the next one alike.
    opened: Option<OpenedBy>,
}

/// The `initialize` that opened a process, and its answer.
#[derive(Clone)]
struct OpenedBy {
    message: Outgoing,
    answer: Bytes,
    announced: bool,
}

struct Waiting {
    session: Weak<Session>,
    id: String,
    key: IdKey,
    token: Option<String>,
    sink: mpsc::Sender<Bytes>,
}

// === impl Child ===

impl Child {
    pub(crate) fn new(
        spec: Arc<ChildSpec>,
        holder: Holder,
        era: Era,
        runtime: Handle,
        inbox: Arc<dyn Inbox>,
        bounds: ChildBounds,
    ) -> Self {
        Self {
            spec,
            holder,
            era,
            runtime,
            inbox,
            bounds,
            state: Mutex::default(),
            opening: tokio::sync::Mutex::new(()),
        }
    }

    /// What is started, and for whom.
    pub(crate) fn of(&self) -> (&Arc<ChildSpec>, &Holder) {
        (&self.spec, &self.holder)
    }

    /// Whether the process runs.
    pub(crate) fn runs(&self) -> bool {
        self.state().process.is_some()
    }

    /// Adds a session to those that use it.
    pub(crate) fn join(&self, session: &Arc<Session>) {
        let mut state = self.state();
        let known = |other: &Weak<Session>| other.as_ptr() == Arc::as_ptr(session);
        if !state.sessions.iter().any(known) {
            state.sessions.push(Arc::downgrade(session));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request; its answer and what belongs to it come over the channel.
    pub(crate) async fn request(
        self: &Arc<Self>,
        session: &Arc<Session>,
        permit: &Permit,
        message: &Outgoing,
    ) -> Result<mpsc::Receiver<Bytes>, Fault> {
        if !self.is_ready() && self.era == Era::Modern {
            self.start().await?;
        } else if !self.is_ready() {
            // On a task of its own: an agent that goes away in the midst of it
            // must not leave a process that is half open.
            let (child, session) = (Arc::clone(self), Arc::clone(session));
            let reopening = self
                .runtime
                .spawn(async move { child.reopen(&session).await });
            reopening.await.unwrap_or_else(|_| Err(Fault::not_sent()))?;
        }
        self.send(session, permit, message).await
    }

    fn is_ready(&self) -> bool {
        let state = self.state();
        state.process.is_some() && state.ready
    }

    /// Sends a notification or an answer, as it is.
    pub(crate) async fn notify(&self, permit: &Permit, message: Bytes) -> Result<(), Fault> {
        trace!("Writing to `{}`, allowed by {permit}", self.spec.name);
        let input = self
            .state()
            .process
            .as_ref()
            .map(|process| process.input.clone());
        let input = input.ok_or_else(Fault::not_sent)?;
        self.write(&input, splice::one_line(message)).await
    }

    /// Tells the process that the agent cancelled a request.
    pub(crate) async fn cancel(&self, permit: &Permit, session: &Session, key: &IdKey) {
        let number = {
            let state = self.state();
            let found = state.waiting.iter().find(|(_, waiting)| {
                waiting.key == *key && std::ptr::eq(waiting.session.as_ptr(), session)
            });
            found.map(|(number, _)| *number)
        };
        let Some(number) = number else { return };
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number}}}}}"#
        );
        // A process that is gone has nothing left to cancel.
        let _ = self.notify(permit, Bytes::from(message)).await;
        self.state().waiting.remove(&number);
    }

    async fn send(
        self: &Arc<Self>,
        session: &Arc<Session>,
        permit: &Permit,
        message: &Outgoing,
    ) -> Result<mpsc::Receiver<Bytes>, Fault> {
        trace!("Writing to `{}`, allowed by {permit}", self.spec.name);
        let (sink, lines) = mpsc::channel(WAITING);
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
                sink,
            };
            state.waiting.insert(number, waiting);
            (number, input)
        };
        let line = splice::one_line(message.numbered(number));
        if let Err(fault) = self.write(&input, line).await {
            self.state().waiting.remove(&number);
            return Err(fault);
        }
        Ok(lines)
    }

    /// Hands a line to the process. One that does not read has room for some;
    /// what finds none has never left.
    async fn write(&self, input: &mpsc::Sender<Bytes>, line: Bytes) -> Result<(), Fault> {
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

    /// Whether several grants use it.
    pub(crate) fn is_shared(&self) -> bool {
        self.holder == Holder::Shared
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        let mut state = self.state();
        state.sessions.retain(|session| session.strong_count() > 0);
        state.sessions.iter().filter_map(Weak::upgrade).collect()
    }

    /// Whether nobody uses the process after this session left.
    pub(crate) fn leave(&self, session: &Session) -> bool {
        let mut state = self.state();
        state
            .sessions
            .retain(|known| known.strong_count() > 0 && !std::ptr::eq(known.as_ptr(), session));
        state.sessions.is_empty()
    }

    /// Whether nobody uses the process.
    pub(crate) fn unused(&self) -> bool {
        self.sessions().is_empty()
    }

    /// Whether nobody has used it for its idle time.
    pub(crate) fn long_unused(&self) -> bool {
        let unused = self.unused();
        let mut state = self.state();
        if !unused {
            state.idle_since = None;
            return false;
        }
        let since = *state.idle_since.get_or_insert_with(Instant::now);
        since.elapsed() >= self.bounds.idle
    }

    /// The process ended: whoever waited for it is told by the end of its channel.
    fn died(&self, generation: u64) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        state.process = None;
        state.waiting.clear();
        if state
            .started
            .is_some_and(|started| started.elapsed() >= STEADY)
        {
            state.failures = 0;
        }
        info!(server.name = %self.spec.name, "Server `{}` ended", self.spec.name);
    }

    fn kill(&self) {
        let mut state = self.state();
        state.generation += 1;
        state.waiting.clear();
        if let Some(process) = state.process.take() {
            process.stop.cancel();
        }
    }

    /// Ends the process for good; the token says when it is gone.
    pub(crate) fn stop(&self) -> Option<CancellationToken> {
        let mut state = self.state();
        state.generation += 1;
        state.waiting.clear();
        state.opened = None;
        let process = state.process.take()?;
        process.stop.cancel();
        Some(process.gone)
    }
}
