//! One child process as an upstream: what is on its way through it, and how it
//! comes back when it dies.
//!
//! Several sessions may share one process, so ids and progress tokens are
//! replaced by numbers of our own on the way in and restored on the way out.

mod opening;
mod reading;
mod users;

use std::collections::HashMap;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_store::Status;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tracing::{info, trace};

use self::users::Users;
use super::Witness;
use super::allowance::Allowance;
use super::process::{Line, Running};
use super::spec::{ChildBounds, ChildSpec, Holder, ProcessKey};
use super::starts::Starts;
use crate::agent::session::Session;
use crate::host::budget::Account;
use crate::host::deadline;
use crate::message::call::OpenCall;
use crate::message::cleared::Cleared;
use crate::message::fault::Fault;
use crate::message::outgoing::Outgoing;
use crate::text::envelope::{IdKey, is_answer};
use crate::text::era::Era;

/// Messages that may wait for one request's reader.
const WAITING: usize = 256;
/// How long the end of a process may come after that of its output.
const END: Duration = Duration::from_secs(1);

/// What happens to messages that are not the answer to anything on its way.
pub(crate) trait Inbox: Send + Sync + 'static {
    /// A notification or a request of the upstream. `asked` is the session to
    /// which a request is put; notifications go to all of `sessions`.
    fn take(&self, child: &Arc<Child>, sessions: Vec<Arc<Session>>, message: Bytes);

    /// Judges and records a subscription of the session that is asked for again;
    /// none when it may not be.
    fn subscribe_again(
        &self,
        session: &Session,
        message: Outgoing,
    ) -> Option<(Cleared<Outgoing>, OpenCall)>;

    /// How that ended.
    fn subscribed(&self, open_call: &OpenCall, status: Status);
}

/// One program and its process, if it is running.
pub(crate) struct Child {
    spec: Arc<ChildSpec>,
    key: ProcessKey,
    runtime: Handle,
    inbox: Arc<dyn Inbox>,
    bounds: ChildBounds,
    starts: Arc<Starts>,
    /// What the process may have said about it in the log.
    noise: Mutex<Allowance>,
    /// What it writes is held on this account.
    account: Arc<Account>,
    state: Mutex<State>,
    /// Held while a process is started and opened, so that it happens once.
    opening: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    process: Option<Running>,
    /// The end of the process that was started last.
    end: Option<ProcessEnd>,
    /// Whether the process has been opened to its end; one that has not takes
    /// no requests of agents.
    ready: bool,
    /// Counts processes; a late message of an earlier one is ignored.
    generation: u64,
    started: Option<Instant>,
    /// Whether the process has answered anything.
    answered: bool,
    /// Whether it is over: no process is started any more.
    over: bool,
    /// Whether its grant is gone, so that it goes with its last user.
    grant_ended: bool,
    next: u64,
    waiting: HashMap<u64, Waiting>,
    users: Users,
    /// Since when nobody has used it, as far as somebody looked.
    idle_since: Option<Instant>,
    /// How the running process was opened, to open the next one alike.
    opened: Option<OpenedBy>,
}

/// Tells how a process ended.
#[derive(Clone)]
pub(crate) struct ProcessEnd {
    gone: CancellationToken,
    status: Arc<OnceLock<ExitStatus>>,
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
    /// Whether it hears of changes until it ends, so that nothing else is for it.
    listens: bool,
    /// Whether the process was sent any of it.
    begun: Arc<AtomicBool>,
    sink: mpsc::Sender<Bytes>,
}

/// A request among those that wait for their answers: forgotten when this is
/// dropped, unless the process was sent some of it.
struct Entered<'c> {
    child: &'c Child,
    number: u64,
    begun: Arc<AtomicBool>,
}

/// The answer among the lines of one request.
pub(super) async fn answer_in(lines: &mut mpsc::Receiver<Bytes>) -> Result<Bytes, Fault> {
    while let Some(line) = lines.recv().await {
        if is_answer(&line) {
            return Ok(line);
        }
    }
    Err(Fault::broken())
}

// === impl ProcessEnd ===

impl ProcessEnd {
    fn of(process: &Running) -> Self {
        Self {
            gone: process.gone.clone(),
            status: Arc::clone(&process.status),
        }
    }

    /// How a process ended whose output broke off; nothing when it was stopped, or stays.
    pub(crate) async fn status(&self) -> Option<ExitStatus> {
        drop(tokio::time::timeout(END, self.gone.cancelled()).await);
        self.status.get().copied()
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

// === impl Child ===

impl Child {
    pub(crate) fn new(
        spec: Arc<ChildSpec>,
        key: ProcessKey,
        runtime: Handle,
        inbox: Arc<dyn Inbox>,
        bounds: ChildBounds,
        starts: Arc<Starts>,
        account: Arc<Account>,
    ) -> Self {
        Self {
            spec,
            key,
            runtime,
            inbox,
            bounds,
            starts,
            noise: Mutex::default(),
            account,
            state: Mutex::default(),
            opening: tokio::sync::Mutex::new(()),
        }
    }

    /// What is started.
    pub(crate) fn spec(&self) -> &Arc<ChildSpec> {
        &self.spec
    }

    /// For whom it is started, and for which era.
    pub(crate) fn key(&self) -> &ProcessKey {
        &self.key
    }

    /// What its processes were seen to do wrong.
    pub(crate) fn witness(&self) -> Arc<Witness> {
        Arc::clone(&self.starts.witness)
    }

    /// How the process that was started last ended, or will.
    pub(crate) fn last_end(&self) -> Option<ProcessEnd> {
        self.state().end.clone()
    }

    /// Whether the process runs.
    pub(crate) fn runs(&self) -> bool {
        self.state().process.is_some()
    }

    /// A session begins to do something with it.
    pub(crate) fn begin(&self, session: &Arc<Session>) {
        self.state().users.begin(session);
    }

    /// The session is done; `true` when nobody uses the process any more.
    pub(crate) fn end(&self, session: &Session) -> bool {
        let mut state = self.state();
        state.users.end(session);
        state.users.is_empty()
    }

    /// From now on the session uses the process until it leaves, or ends.
    pub(crate) fn keep_user(&self, session: &Arc<Session>) {
        self.state().users.keep(session);
        // Whoever ends it has it leave, before or after it was added.
        if session.ended.is_cancelled() {
            self.remove_user(session);
        }
    }

    /// The session has no use for it any more; `true` when nobody else has.
    pub(crate) fn remove_user(&self, session: &Session) -> bool {
        let mut state = self.state();
        state.users.remove(session);
        state.users.is_empty()
    }

    /// Whether it is of no use to anybody once its user is done with it.
    pub(crate) fn leaves_at_once(&self) -> bool {
        matches!(self.key.holder, Holder::Session { .. }) || self.state().grant_ended
    }

    /// Whether it is of no use to anybody once its user has left.
    pub(crate) fn leaves_with_its_user(&self) -> bool {
        matches!(self.key.holder, Holder::Agent(_)) || self.leaves_at_once()
    }

    /// Its grant is gone; `true` when nobody uses it, otherwise it goes with its
    /// last user.
    pub(crate) fn grant_ended(&self) -> bool {
        let mut state = self.state();
        state.grant_ended = true;
        state.users.is_empty()
    }

    /// How many use it.
    pub(crate) fn users(&self) -> usize {
        self.state().users.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

    fn is_ready(&self) -> bool {
        let state = self.state();
        state.process.is_some() && state.ready
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

    async fn tell(&self, line: Line) -> Result<(), Fault> {
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

    async fn send(
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

    /// Whether several grants use it.
    pub(crate) fn is_shared(&self) -> bool {
        self.key.holder == Holder::Shared
    }

    fn sessions(&self) -> Vec<Arc<Session>> {
        self.state().users.all()
    }

    /// Whether nobody uses the process.
    pub(crate) fn unused(&self) -> bool {
        self.state().users.is_empty()
    }

    /// Whether nobody has used it for its idle time. A process of its own is used
    /// as long as its session is heard of; the session stays, and finds another
    /// one when it is heard of again.
    pub(crate) fn long_unused(&self) -> bool {
        let own = matches!(self.key.holder, Holder::Session { .. });
        let idle = self.bounds.idle;
        let asleep =
            |session: &Arc<Session>| !session.is_stdio() && session.last_used().elapsed() >= idle;
        if own && !self.unused() {
            let asleep = self.sessions().iter().all(asleep);
            return asleep && !self.state().users.any_busy();
        }
        let mut state = self.state();
        if !state.users.is_empty() {
            state.idle_since = None;
            return false;
        }
        let since = *state.idle_since.get_or_insert_with(Instant::now);
        since.elapsed() >= idle
    }

    /// The process ended: whoever waited for it is told by the end of its channel.
    fn died(&self, generation: u64) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        state.process = None;
        state.waiting.clear();
        let started = state.started.take();
        drop(state);
        self.failed(started);
        info!(server.name = %self.spec.name, "Server `{}` ended", self.spec.name);
    }

    /// A process ended by itself, or was ended for what it did.
    fn failed(&self, started: Option<Instant>) {
        if let Some(started) = started {
            self.starts.failed(started);
        }
    }

    /// Ends a process for what it did.
    fn condemn(&self) {
        let started = self.state().started.take();
        self.kill();
        self.failed(started);
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
        state.over = true;
        let process = state.process.take()?;
        process.stop.cancel();
        Some(process.gone)
    }
}
