//! What a process writes, sorted by what it belongs to.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::json::Value;
use tokio::process::ChildStdout;
use tokio::sync::mpsc::error::TrySendError;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::Child;
use crate::agent::session::Session;
use crate::message::answer::{self, Failure};
use crate::message::cleared::Cleared;
use crate::text::brief::{NAME, brief};
use crate::text::envelope::{self, Answer, Message};
use crate::text::era::Era;
use crate::text::lines::{End, Lines};
use crate::text::meta;
use crate::text::splice::{self, Splice};
use crate::upstream::Holder;
use crate::upstream::process::Line;

/// How long the output of a process that ended is read.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Child {
    /// Reads what the process writes until it ends or breaks the rules.
    pub(super) async fn read(self: &Arc<Self>, generation: u64, stdout: ChildStdout) {
        let mut lines = Lines::new(stdout, self.bounds.line, &self.account);
        loop {
            match lines.next().await {
                Ok(line) => {
                    self.route(generation, line);
                    // One that writes without a pause leaves the others their turns.
                    tokio::task::yield_now().await;
                }
                Err(End::Closed) => return,
                Err(End::TooLong) => {
                    warn!(server.name = %self.spec.name, limit = self.bounds.line,
                        "Server `{}` wrote a line that is too long; its process is ended", self.spec.name);
                    return;
                }
                Err(End::NoRoom) => {
                    warn!(server.name = %self.spec.name,
                        "Server `{}` wrote a line for which there is no memory; its process is ended", self.spec.name);
                    return;
                }
            }
        }
    }

    /// Sorts one line by what it belongs to.
    pub(super) fn route(self: &Arc<Self>, generation: u64, line: Bytes) {
        let Ok(parsed) = envelope::parse_upstream(&line) else {
            self.starts.witness.sent(&line);
            self.noise(|name| {
                warn!(server.name = %name, bytes = line.len(),
                    "Server `{name}` wrote a line that is not an MCP message; it is dropped");
            });
            return;
        };
        let message = match envelope::read(&parsed) {
            Ok(message) => message,
            Err(problem) => {
                self.starts.witness.sent(&line);
                self.noise(|name| {
                    warn!(server.name = %name, %problem,
                        "Server `{name}` wrote a message that was refused");
                });
                return;
            }
        };
        match message {
            Message::Response { id, answer } => {
                let number = id.raw().parse::<u64>().ok();
                let waiting = number.and_then(|number| {
                    let mut state = self.state();
                    if !std::mem::replace(&mut state.answered, true) {
                        self.starts.answered();
                    }
                    (state.generation == generation)
                        .then(|| state.waiting.remove(&number))
                        .flatten()
                });
                let Some(waiting) = waiting else {
                    self.noise(|name| {
                        warn!(server.name = %name,
                            "Server `{name}` answered a request nobody is waiting for");
                    });
                    return;
                };
                let mut own = vec![Splice::new(id.span(), waiting.id.clone())];
                // The answer that ends a subscription names it once more.
                if let Answer::Result(result) = answer
                    && self.key.era == Era::Modern
                    && let Some(subscription) = subscription(Some(result))
                {
                    own.push(Splice::new(subscription.span(), waiting.id));
                }
                let answer = self.account.carry(splice::apply(line.clone(), own));
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
                let state = self.state();
                let waiting = own_number(token).and_then(|number| state.waiting.get(&number));
                let Some(waiting) = waiting else { return };
                let Some(own) = waiting.token.clone() else {
                    return;
                };
                let token = Splice::new(token.span(), own);
                let _ = waiting.sink.try_send(self.spliced(&line, token));
            }
            Message::Notification { method, params }
                if self.key.era == Era::Modern && method == "notifications/cancelled" =>
            {
                self.unsubscribed(&line, params.and_then(|params| params.get("requestId")));
            }
            Message::Notification { method, params } if subscription(params).is_some() => {
                self.subscribed(&line, &method, subscription(params));
            }
            Message::Notification { method, .. } => {
                let sessions = self.meant(&method);
                if sessions.is_empty() {
                    debug!(server.name = %self.spec.name, method = %brief(&method, NAME),
                        "Dropped a notification of server `{}`: it is not clear which session it is for", self.spec.name);
                    return;
                }
                self.inbox.take(self, sessions, line.clone());
            }
            Message::Request { .. } if self.key.era == Era::Modern => {
                warn!(server.name = %self.spec.name,
                    "Server `{}` sent a request, which protocol 2026-07-28 does not allow; its process is ended", self.spec.name);
                self.condemn();
            }
            // Whoever opens it listens for the answer to `initialize` and to nothing
            // else.
            Message::Request { id, method, .. } if !self.is_ready() => match method.as_ref() {
                "ping" => self.say(answer::pong(id.raw())),
                _ => self.refuse(id.raw()),
            },
            Message::Request { id, .. } => match self.asked() {
                Some(asked) => self.inbox.take(self, vec![asked], line.clone()),
                None => self.refuse(id.raw()),
            },
        }
    }

    /// Says something about the process in the log, unless it gave reason for too
    /// much of it.
    fn noise(&self, say: impl FnOnce(&str)) {
        let name = &self.spec.name;
        let mut noise = self.noise.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(dropped) = noise.take(Instant::now()) {
            if dropped > 0 {
                warn!(server.name = %name, lines.dropped = dropped,
                    "Server `{name}` caused more warnings than are logged: {dropped} were dropped");
            }
            say(name);
        }
    }

    /// Whom a notification is for that names no request. Changes of lists are for
    /// everybody, and whoever takes it in knows the subscribers of a resource and
    /// the owner of a task. Anything else is for the one session that it can be
    /// about: were there others, one would hear of another's calls.
    fn meant(&self, method: &str) -> Vec<Arc<Session>> {
        match (&self.key.holder, self.key.era) {
            (Holder::Session { .. } | Holder::Agent(_), _) => self.sessions(),
            (Holder::Shared | Holder::Grant(_), Era::Legacy) if names_its_hearers(method) => {
                self.sessions()
            }
            (Holder::Shared, _) => Vec::new(),
            (Holder::Grant(_), _) => self.only_caller().into_iter().collect(),
        }
    }

    /// The session whose calls are the only ones in flight. When there are none,
    /// the only session there is.
    fn only_caller(&self) -> Option<Arc<Session>> {
        let state = self.state();
        let calls = state.waiting.values().filter(|waiting| !waiting.listens);
        let mut callers: Vec<Arc<Session>> = calls
            .filter_map(|waiting| waiting.session.upgrade())
            .collect();
        if callers.is_empty() {
            callers = state.users.all();
        }
        let first = callers.pop()?;
        let one = callers.iter().all(|other| Arc::ptr_eq(other, &first));
        one.then_some(first)
    }

    /// A line as one agent gets it. A copy counts as long as anybody has it.
    fn spliced(&self, line: &Bytes, own: Splice) -> Bytes {
        self.account.carry(splice::apply(line.clone(), vec![own]))
    }

    /// A notification of a subscription goes to the request that subscribed,
    /// under the id that its agent gave it.
    fn subscribed(&self, line: &Bytes, method: &str, id: Option<Value<'_>>) {
        let Some(id) = id else { return };
        let state = self.state();
        let waiting = own_number(id).and_then(|number| state.waiting.get(&number));
        let Some(waiting) = waiting else {
            debug!(server.name = %self.spec.name, method,
                "Dropped a notification of server `{}`: nobody has that subscription", self.spec.name);
            return;
        };
        let own = Splice::new(id.span(), waiting.id.clone());
        let notified = self.spliced(line, own);
        if waiting.sink.try_send(notified).is_err() {
            debug!(server.name = %self.spec.name, "An agent does not read its subscription fast enough; it misses a notification");
        }
    }

    /// The process ends a subscription: nothing more comes for it.
    fn unsubscribed(&self, line: &Bytes, id: Option<Value<'_>>) {
        let Some(id) = id else { return };
        let waiting = own_number(id).and_then(|number| self.state().waiting.remove(&number));
        if let Some(waiting) = waiting {
            let own = Splice::new(id.span(), waiting.id);
            let ended = self.spliced(line, own);
            // The end of the channel says the same to one who has no room.
            drop(waiting.sink.try_send(ended));
        }
    }

    /// The session a request of the process is most likely about: the one whose
    /// request went in last, else any. Nobody, when it may be about another grant:
    /// what is asked may come from its calls.
    pub(super) fn asked(&self) -> Option<Arc<Session>> {
        let state = self.state();
        let mut waiting: Vec<(u64, Arc<Session>)> = state
            .waiting
            .iter()
            .filter_map(|(number, waiting)| Some((*number, waiting.session.upgrade()?)))
            .collect();
        waiting.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        let mut asked: Vec<Arc<Session>> = waiting.into_iter().map(|(_, asked)| asked).collect();
        if asked.is_empty() {
            asked = state.users.all();
        }
        let first = asked.first()?;
        let one = asked.iter().all(|other| other.grant == first.grant);
        one.then(|| Arc::clone(first))
    }

    /// Answers a question that nobody can be asked.
    pub(super) fn refuse(self: &Arc<Self>, id: &str) {
        debug!(server.name = %self.spec.name, "Refused a request of server `{}`: it is not clear which session it is for", self.spec.name);
        self.say(Failure::agent_away().body(Some(id)));
    }

    /// Answers a question in the agent's place.
    fn say(self: &Arc<Self>, answer: Bytes) {
        let child = Arc::clone(self);
        self.runtime.spawn(async move {
            let answer = Cleared::own("a question of the upstream is answered by us", answer);
            // A process that is gone needs no answer.
            let _ = child.tell(Line::ours(answer)).await;
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
}

/// Whether a notification of the legacy era says by itself whom it is for.
fn names_its_hearers(method: &str) -> bool {
    matches!(
        method,
        "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/resources/updated"
            | "notifications/tasks/status"
    )
}

/// The number of ours that a process repeats.
fn own_number(value: Value<'_>) -> Option<u64> {
    value.as_number()?.parse().ok()
}

/// The subscription that a notification belongs to.
fn subscription<'d>(params: Option<Value<'d>>) -> Option<Value<'d>> {
    params?.get("_meta")?.get(meta::SUBSCRIPTION)
}

/// A process that ended has its last words read, for a moment.
pub(super) async fn last_words(gone: CancellationToken) {
    gone.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}
