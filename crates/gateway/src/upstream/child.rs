//! One child process as an upstream: what is on its way through it, and how it
//! comes back when it dies.
//!
//! Several sessions may share one process, so ids and progress tokens are
//! replaced by numbers of our own on the way in and restored on the way out.

mod opening;
mod reading;
mod sending;
mod users;

use std::collections::HashMap;
use std::process::ExitStatus;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_store::Status;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;

use self::users::Users;
use super::Witness;
use super::allowance::Allowance;
use super::process::Running;
use super::spec::{ChildBounds, ChildSpec, Holder, ProcessKey};
use super::starts::Starts;
use crate::agent::session::Session;
use crate::host::budget::Account;
use crate::message::call::OpenCall;
use crate::message::cleared::Cleared;
use crate::message::fault::Fault;
use crate::message::outgoing::Outgoing;
use crate::text::envelope::{IdKey, is_answer};

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

    fn is_ready(&self) -> bool {
        let state = self.state();
        state.process.is_some() && state.ready
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
