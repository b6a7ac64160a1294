//! One child process as an upstream: what is on its way through it, and how it
//! comes back when it dies.
//!
//! Several sessions may share one process, so ids and progress tokens are
//! replaced by numbers of our own on the way in and restored on the way out.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::Text;
use tokio::process::ChildStdout;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, trace, warn};

use super::line::{End, Lines};
use super::process::{self, Program, Running};
use super::{Fault, FaultKind};
use crate::answer::Failure;
use crate::envelope::{self, Answer, IdKey, Message};
use crate::outgoing::Outgoing;
use crate::permit::Permit;
use crate::session::Session;
use crate::splice::{self, Splice};

/// Messages that may wait for one request's reader.
const WAITING: usize = 256;
/// Longest wait between two starts of a program that keeps dying.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long the output of a process that ended is read.
const LAST_WORDS: Duration = Duration::from_secs(1);
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

    /// Whether the session's policy still lets it subscribe to resources.
    fn may_subscribe(&self, session: &Session) -> bool;
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
        runtime: Handle,
        inbox: Arc<dyn Inbox>,
        bounds: ChildBounds,
    ) -> Self {
        Self {
            spec,
            holder,
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

    /// Opens the process for a session: the first `initialize` goes to the
    /// process, later ones get the same answer.
    pub(crate) async fn initialize(
        self: &Arc<Self>,
        session: &Arc<Session>,
        permit: &Permit,
        message: &Outgoing,
    ) -> Result<Bytes, Fault> {
        let _opening = self.opening.lock().await;
        let opened = {
            let state = self.state();
            let ready = state.process.is_some() && state.ready;
            ready.then(|| state.opened.clone()).flatten()
        };
        if let Some(opened) = opened
            && (opened.message.opens_like(message) || self.sessions().len() > 1)
        {
            return restore(&opened.answer, message.id());
        }
        // The one that runs can do other things than this agent, or was left
        // half open.
        self.replace_process()?;
        let answer = self.ask(session, permit, message).await?;
        let parsed = envelope::parse_upstream(&answer).map_err(|_| Fault::lies())?;
        let accepted = matches!(
            envelope::read(&parsed),
            Ok(Message::Response {
                answer: Answer::Result(_),
                ..
            })
        );
        if accepted {
            let mut state = self.state();
            state.opened = Some(OpenedBy {
                message: message.clone(),
                answer: answer.clone(),
                announced: false,
            });
            state.ready = true;
        }
        Ok(answer)
    }

    /// Passes the agent's `notifications/initialized` on, once per process.
    pub(crate) async fn announce(&self, permit: &Permit, message: Bytes) -> Result<(), Fault> {
        let first = self
            .state()
            .opened
            .as_mut()
            .is_some_and(|opened| !std::mem::replace(&mut opened.announced, true));
        if first {
            self.notify(permit, message).await
        } else {
            Ok(())
        }
    }

    /// Sends a request; its answer and what belongs to it come over the channel.
    pub(crate) async fn request(
        self: &Arc<Self>,
        session: &Arc<Session>,
        permit: &Permit,
        message: &Outgoing,
    ) -> Result<mpsc::Receiver<Bytes>, Fault> {
        if !self.is_ready() {
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

    /// Starts a new process and opens it like the one before.
    async fn reopen(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), Fault> {
        let _opening = self.opening.lock().await;
        if self.is_ready() {
            return Ok(());
        }
        let opened = self
            .state()
            .opened
            .as_ref()
            .map(|opened| opened.message.clone());
        // A server that was changed has no process before it; it is opened as
        // this session was.
        let opening = opened.or_else(|| session.state().opening.clone());
        let Some(opening) = opening else {
            return Err(Fault {
                kind: FaultKind::SessionLost,
                sent: false,
            });
        };
        self.replace_process()?;
        let permit = Permit::own("a server process is opened again");
        let answer = self
            .ask(session, &permit, &opening)
            .await
            .map_err(|fault| Fault {
                // The agent's own message has not been sent.
                sent: false,
                ..fault
            })?;
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        self.notify(&permit, Bytes::from_static(initialized.as_bytes()))
            .await?;
        {
            let mut state = self.state();
            state.opened = Some(OpenedBy {
                message: opening,
                answer,
                announced: true,
            });
            state.ready = true;
        }
        self.repeat_standing(&permit).await;
        Ok(())
    }

    /// Repeats what the agents had arranged in the process that is gone.
    async fn repeat_standing(self: &Arc<Self>, permit: &Permit) {
        for session in self.sessions() {
            let subscribed = self.inbox.may_subscribe(&session);
            for message in session.standing(subscribed) {
                let Ok(mut lines) = self.send(&session, permit, &message).await else {
                    return;
                };
                // Whatever it answers, the agent had its answer long ago.
                drop(tokio::time::timeout(self.bounds.start, lines.recv()).await);
            }
        }
    }

    /// One question, one answer; used for opening a process.
    async fn ask(
        self: &Arc<Self>,
        session: &Arc<Session>,
        permit: &Permit,
        message: &Outgoing,
    ) -> Result<Bytes, Fault> {
        let mut lines = self.send(session, permit, message).await?;
        let answer = tokio::time::timeout(self.bounds.start, async {
            while let Some(line) = lines.recv().await {
                if is_answer(&line) {
                    return Some(line);
                }
            }
            None
        });
        match answer.await {
            Ok(Some(line)) => Ok(line),
            Ok(None) => Err(Fault::broken()),
            Err(_) => {
                self.kill();
                Err(Fault::slow())
            }
        }
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

    /// Starts a process in place of the one that runs, if one does.
    fn replace_process(self: &Arc<Self>) -> Result<(), Fault> {
        self.kill();
        {
            let mut state = self.state();
            let pause = pause(state.failures);
            if state
                .started
                .is_some_and(|started| started.elapsed() < pause)
            {
                return Err(Fault::not_sent());
            }
            state.started = Some(Instant::now());
            state.failures = state.failures.saturating_add(1);
        }
        let _runtime = self.runtime.enter();
        let (running, stdout) = process::start(&self.spec.name, &self.spec.program).map_err(|error| {
            warn!(server.name = %self.spec.name, %error, "Server `{}` cannot be started", self.spec.name);
            Fault::not_sent()
        })?;
        info!(server.name = %self.spec.name, "Started server `{}`", self.spec.name);
        let (stop, gone) = (running.stop.clone(), running.gone.clone());
        let generation = {
            let mut state = self.state();
            state.generation += 1;
            state.process = Some(running);
            state.ready = false;
            state.generation
        };
        let child = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::select! {
                () = child.read(generation, stdout) => {}
                // What it started may hold its output open for ever.
                () = last_words(gone) => {}
            }
            stop.cancel();
            child.died(generation);
        });
        Ok(())
    }

    /// Reads what the process writes until it ends or breaks the rules.
    async fn read(self: &Arc<Self>, generation: u64, stdout: ChildStdout) {
        let mut lines = Lines::new(stdout, self.bounds.line);
        loop {
            match lines.next().await {
                Ok(line) => self.route(generation, line),
                Err(End::Closed) => return,
                Err(End::TooLong) => {
                    warn!(server.name = %self.spec.name, limit = self.bounds.line,
                        "Server `{}` wrote a line that is too long and is ended", self.spec.name);
                    return;
                }
            }
        }
    }

    /// Sorts one line by what it belongs to.
    fn route(self: &Arc<Self>, generation: u64, line: Bytes) {
        let Ok(parsed) = envelope::parse_upstream(&line) else {
            warn!(server.name = %self.spec.name, bytes = line.len(),
                "Server `{}` wrote a line that is no message; it is dropped", self.spec.name);
            return;
        };
        let message = match envelope::read(&parsed) {
            Ok(message) => message,
            Err(problem) => {
                warn!(server.name = %self.spec.name, %problem,
                    "Server `{}` wrote a message that is refused", self.spec.name);
                return;
            }
        };
        match message {
            Message::Response { id, .. } => {
                let number = id.raw().parse::<u64>().ok();
                let waiting = number.and_then(|number| {
                    let mut state = self.state();
                    state.failures = 0;
                    (state.generation == generation)
                        .then(|| state.waiting.remove(&number))
                        .flatten()
                });
                let Some(waiting) = waiting else {
                    warn!(server.name = %self.spec.name,
                        "Server `{}` answered a request nobody is waiting for", self.spec.name);
                    return;
                };
                let id = Splice {
                    at: id.span(),
                    with: waiting.id,
                };
                let answer = splice::apply(line.clone(), vec![id]);
                // Behind an agent that reads slowly it waits for its place; the
                // wait ends with the request's reader.
                if let Err(TrySendError::Full(answer)) = waiting.sink.try_send(answer) {
                    self.runtime.spawn(async move {
                        let _ = waiting.sink.send(answer).await;
                    });
                }
            }
            Message::Notification { method, params } if method == "notifications/progress" => {
                let token = params.and_then(|params| params.get("progressToken"));
                let Some(token) = token else { return };
                let number = token
                    .as_number()
                    .and_then(|number| number.parse::<u64>().ok());
                let state = self.state();
                let Some(waiting) = number.and_then(|number| state.waiting.get(&number)) else {
                    return;
                };
                let Some(own) = waiting.token.clone() else {
                    return;
                };
                let token = Splice {
                    at: token.span(),
                    with: own,
                };
                let _ = waiting
                    .sink
                    .try_send(splice::apply(line.clone(), vec![token]));
            }
            Message::Notification { .. } => {
                let sessions = self.sessions();
                self.inbox.take(self, sessions, line.clone());
            }
            Message::Request { id, .. } => match self.asked() {
                Some(asked) => self.inbox.take(self, vec![asked], line.clone()),
                None => self.refuse(id.raw()),
            },
        }
    }

    /// The session a request of the process is most likely about: the one whose
    /// request went in last, else any. Nobody, when it may be about another grant:
    /// what is asked may come from its calls.
    fn asked(&self) -> Option<Arc<Session>> {
        let state = self.state();
        let mut waiting: Vec<(u64, Arc<Session>)> = state
            .waiting
            .iter()
            .filter_map(|(number, waiting)| Some((*number, waiting.session.upgrade()?)))
            .collect();
        waiting.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut asked: Vec<Arc<Session>> = waiting.into_iter().map(|(_, asked)| asked).collect();
        if asked.is_empty() {
            asked.extend(state.sessions.iter().rev().filter_map(Weak::upgrade));
        }
        let first = asked.first()?;
        let one = asked.iter().all(|other| other.grant == first.grant);
        one.then(|| Arc::clone(first))
    }

    /// Answers a question that nobody can be asked.
    fn refuse(self: &Arc<Self>, id: &str) {
        debug!(server.name = %self.spec.name, "Server `{}` asked, and it is not clear whom", self.spec.name);
        let answer = Failure::agent_away().body(Some(id));
        let child = Arc::clone(self);
        self.runtime.spawn(async move {
            let permit = Permit::own("a question of the upstream is for nobody");
            // A process that is gone needs no answer.
            let _ = child.notify(&permit, answer).await;
        });
    }

    /// Puts a message on the stream of the session's youngest request, so that
    /// an agent without a GET stream gets it too.
    pub(crate) fn deliver_with_request(&self, session: &Arc<Session>, message: &Bytes) -> bool {
        let state = self.state();
        let youngest = state
            .waiting
            .iter()
            .filter(|(_, waiting)| std::ptr::eq(waiting.session.as_ptr(), Arc::as_ptr(session)))
            .max_by_key(|(number, _)| **number);
        youngest.is_some_and(|(_, waiting)| waiting.sink.try_send(message.clone()).is_ok())
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

/// A process that ended has its last words read, for a moment.
async fn last_words(gone: CancellationToken) {
    gone.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

/// How long to wait before the next start after so many that failed.
fn pause(failures: u32) -> Duration {
    match failures {
        // The first start, and the first again after a death, happen at once.
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(250)
            .saturating_mul(1 << more.saturating_sub(2).min(10))
            .min(LONGEST_PAUSE),
    }
}

fn is_answer(line: &Bytes) -> bool {
    envelope::parse_upstream(line)
        .is_ok_and(|parsed| matches!(envelope::read(&parsed), Ok(Message::Response { .. })))
}

/// An answer with another request's id.
fn restore(answer: &Bytes, id: &str) -> Result<Bytes, Fault> {
    let parsed = envelope::parse_upstream(answer).map_err(|_| Fault::lies())?;
    let Ok(Message::Response { id: old, .. }) = envelope::read(&parsed) else {
        return Err(Fault::lies());
    };
    let splice = Splice {
        at: old.span(),
        with: id.to_owned(),
    };
    Ok(splice::apply(answer.clone(), vec![splice]))
}
