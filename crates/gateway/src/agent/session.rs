//! One session of one agent: what is open between the agent and its server.
//!
//! A session belongs to the grant that opened it and to nobody else. Its lock
//! is a std mutex: sections are look-ups and inserts, never held across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::Text;
use provost_policy::json::KnownNames;
use provost_store::Status;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::arrangements::{Arrangement, Arrangements};
use super::pending::{Listening, Pending};
use super::streams::{Streams, hashed};
use crate::host::budget::{Account, Held};
use crate::message::call::Question;
use crate::message::modern::Declared;
use crate::message::outgoing::Outgoing;
use crate::message::principal::Principal;
use crate::text::envelope::IdKey;
use crate::text::era::Era;
use crate::text::meta;
use crate::text::sse::Event;

/// Tells an agent to ask for the list of tools again.
const TOOLS_CHANGED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// One session.
pub(crate) struct Session {
    /// Random; what the agent knows the session by.
    pub(crate) id: Text,
    pub(crate) grant: Text,
    pub(crate) server: Text,
    /// The era it is of; open until the agent has opened it.
    era: OnceLock<Era>,
    /// Rings once it is the modern one.
    modern: Notify,
    /// The one agent this session's child process is for, with `provost run`.
    pub(crate) agent: Option<u64>,
    /// Cancelled when the session ends; every stream of it then ends too.
    pub(crate) ended: CancellationToken,
    /// Cancelled when the token ends with which it was opened, if it was with one.
    token_ended: Option<CancellationToken>,
    /// Held while a lost upstream session is opened again, so that it happens once.
    pub(crate) reopening: tokio::sync::Mutex<()>,
    /// Places for refusals of questions that are on their way to the upstream.
    pub(crate) refusing: Arc<Semaphore>,
    /// What it costs to have it, on its grant's account.
    held: Held,
    outbound: Outbound,
    state: Mutex<State>,
}

/// The way to the agent outside of any answer.
pub(crate) enum Outbound {
    /// The GET stream, when the agent has one open.
    Http,
    /// The agent's standard input.
    Stdio(mpsc::Sender<Bytes>),
}

/// What changes while a session lives.
#[derive(Default)]
pub(crate) struct State {
    /// The agent's own `initialize`, to open an upstream session again.
    pub(crate) opening: Option<Outgoing>,
    /// Who the agent's client says it is.
    pub(crate) client: Option<Text>,
    /// The revision both sides agreed on.
    pub(crate) version: Option<String>,
    /// The upstream's id of its session; never shown to the agent.
    pub(crate) upstream: Option<String>,
    /// Counts upstream sessions, so that two calls re-open a lost one only once.
    pub(crate) generation: u64,
    /// Client capabilities that the agent declared.
    pub(crate) capabilities: Declared,
    /// Requests of the agent that have no answer yet.
    pub(crate) in_flight: HashMap<IdKey, Pending>,
    /// Requests that wait for something before they are judged.
    coming: HashMap<IdKey, CancellationToken>,
    /// Hashes of the ids of requests that were cancelled before they came.
    cancelled_early: VecDeque<(u64, Instant)>,
    /// Counts them.
    pub(crate) requests: u64,
    /// Requests of the upstream that the agent has not answered yet.
    pub(crate) questions: HashMap<IdKey, Question>,
    /// The tools as the upstream last listed them to this session, all of them.
    pub(crate) tools: Option<KnownNames>,
    /// What the agent arranged, to ask for it again.
    pub(crate) arrangements: Arrangements,
    /// Subscriptions of the modern era, by the id of the request that listens.
    pub(crate) listening: HashMap<IdKey, Listening>,
    /// How what was open ended with it, once it is over.
    pub(crate) over: Option<Status>,
    /// Whether the upstream's own stream flows to a stdio agent.
    follows: bool,
    pub(crate) streams: Streams,
    last_used: Option<Instant>,
}

/// A request that waits before it is judged; forgotten when it is dropped.
pub(crate) struct Coming {
    session: Arc<Session>,
    key: IdKey,
    cancelled: CancellationToken,
}

/// Refusals that may be on their way to the upstream of one session.
const REFUSALS: usize = 64;
/// Cancellations remembered for requests that have not come yet, and for how long.
const MOST_EARLY: usize = 64;
const EARLY: Duration = Duration::from_secs(10);
// === impl Session ===

impl Session {
    pub(crate) fn new(
        grant: Text,
        server: Text,
        held: Held,
        agent: Option<u64>,
        outbound: Outbound,
    ) -> Self {
        Self {
            id: Text::from(crate::host::random::hex()),
            grant,
            server,
            held,
            era: OnceLock::new(),
            modern: Notify::new(),
            agent,
            ended: CancellationToken::new(),
            token_ended: None,
            reopening: tokio::sync::Mutex::new(()),
            refusing: Arc::new(Semaphore::new(REFUSALS)),
            outbound,
            state: Mutex::new(State {
                last_used: Some(Instant::now()),
                ..State::default()
            }),
        }
    }

    /// What stands for a session around one modern request over HTTP.
    /// What it costs is counted with the request.
    pub(crate) fn for_one_request(principal: &Principal) -> Self {
        let session = Self::opened_by(principal, principal.account.nothing());
        session.decide(Era::Modern);
        session
    }

    /// A session over HTTP, which ends with the token it is opened with.
    pub(crate) fn opened_by(principal: &Principal, held: Held) -> Self {
        let (grant, server) = (principal.grant.0.clone(), principal.server.0.clone());
        Self {
            ended: principal.ended.child_token(),
            token_ended: Some(principal.ended.clone()),
            ..Self::new(grant, server, held, None, Outbound::Http)
        }
    }

    /// The account of its grant.
    pub(crate) fn account(&self) -> &Arc<Account> {
        self.held.account()
    }

    /// The id under which limits of scope `session` count; the modern era has
    /// no sessions.
    pub(crate) fn counts_apart(&self) -> Option<Text> {
        (self.era() != Some(Era::Modern)).then(|| self.id.clone())
    }

    /// The era it is of, once that is decided.
    pub(crate) fn era(&self) -> Option<Era> {
        self.era.get().copied()
    }

    /// Decides the era, which stays; `false` when it is the other one.
    pub(crate) fn decide(&self, era: Era) -> bool {
        let decided = *self.era.get_or_init(|| era) == era;
        if decided && era == Era::Modern {
            self.modern.notify_one();
        }
        decided
    }

    /// Ends when the session turns out to be of the modern era. For one waiter.
    pub(crate) async fn turned_modern(&self) {
        self.modern.notified().await;
    }

    /// The state, for a few instructions.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves at worst a stale entry behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the agent speaks over stdio, where there is one stream for all.
    pub(crate) fn is_stdio(&self) -> bool {
        matches!(self.outbound, Outbound::Stdio(_))
    }

    /// Whether it is open: before that nothing but opening it goes upstream.
    pub(crate) fn is_open(&self) -> bool {
        self.era().is_some()
    }

    /// Whether the token has ended with which it was opened.
    pub(crate) fn outlived_its_token(&self) -> bool {
        let ended = self.token_ended.as_ref();
        ended.is_some_and(CancellationToken::is_cancelled)
    }

    /// Whether it ended because its grant did.
    pub(crate) fn lost_its_grant(&self) -> bool {
        self.state().over == Some(Status::GrantEnded)
    }

    /// Who the agent's client says it is.
    pub(crate) fn client(&self) -> Option<Text> {
        self.state().client.clone()
    }

    /// The way to a stdio agent.
    pub(crate) fn lines(&self) -> Option<&mpsc::Sender<Bytes>> {
        match &self.outbound {
            Outbound::Stdio(lines) => Some(lines),
            Outbound::Http => None,
        }
    }

    /// Whether the agent has a stream open.
    pub(crate) fn listens(&self) -> bool {
        self.state().streams.any()
    }

    /// Forgets a GET stream that ended.
    pub(crate) fn close_stream(&self, number: u64) {
        let mut state = self.state();
        state.streams.close(number);
        state.last_used = Some(Instant::now());
    }

    /// Notes what a request in flight arranges.
    pub(crate) fn arrange(&self, key: &IdKey, arrangement: Arrangement) {
        let mut state = self.state();
        let State {
            in_flight,
            arrangements,
            ..
        } = &mut *state;
        if let Some(pending) = in_flight.get_mut(key)
            && arrangements.note(&arrangement, self.account())
        {
            pending.arranges = Some(arrangement);
        }
    }

    /// A request had a good answer: what it arranges stands.
    pub(crate) fn arranged(&self, pending: &Pending) {
        if let Some(arrangement) = &pending.arranges {
            self.state().arrangements.stands(arrangement);
        }
    }

    /// A request ended in another way: nothing is arranged.
    pub(crate) fn not_arranged(&self, pending: &Pending) {
        if let Some(arrangement) = &pending.arranges {
            self.state().arrangements.falls(arrangement);
        }
    }

    /// Notes that the upstream's stream flows to the agent; `false` when it did.
    pub(crate) fn starts_following(&self) -> bool {
        !std::mem::replace(&mut self.state().follows, true)
    }

    /// Notes that the agent was heard of just now.
    pub(crate) fn touch(&self) {
        self.state().last_used = Some(Instant::now());
    }

    /// When the agent was last heard of; now, while it keeps a stream open.
    pub(crate) fn last_used(&self) -> Instant {
        let state = self.state();
        let busy = state.streams.sender().is_some() || !state.in_flight.is_empty();
        state
            .last_used
            .filter(|_| !busy)
            .unwrap_or_else(Instant::now)
    }

    /// Notes that a request waits before it is judged, so that it can be cancelled.
    pub(crate) fn expect(self: &Arc<Self>, key: IdKey) -> Coming {
        let cancelled = {
            let mut state = self.state();
            let cancelled = state.cancellation_of(&key);
            state.coming.insert(key.clone(), cancelled.clone());
            cancelled
        };
        Coming {
            session: Arc::clone(self),
            key,
            cancelled,
        }
    }

    /// Whether a request with this id is judged soon.
    pub(crate) fn is_coming(&self, key: &IdKey) -> bool {
        self.state().coming.contains_key(key)
    }

    /// Cancels a request, wherever it is; one that did not come yet does not go
    /// out when it does.
    pub(crate) fn cancel(&self, key: &IdKey) {
        let known = {
            let mut state = self.state();
            let flying = state.in_flight.get(key).map(|pending| &pending.cancelled);
            let known = flying.or_else(|| state.coming.get(key)).cloned();
            if known.is_none() {
                state.cancelled_early.truncate(MOST_EARLY - 1);
                let early = (hashed(key), Instant::now());
                state.cancelled_early.push_front(early);
            }
            known
        };
        if let Some(cancelled) = known {
            cancelled.cancel();
        }
    }

    /// Opens a question of the upstream; returns the one that had its id. One to a
    /// session that is over comes back.
    pub(crate) fn ask(&self, key: IdKey, question: Question) -> Result<Option<Question>, Question> {
        let mut state = self.state();
        match state.over {
            None => Ok(state.questions.insert(key, question)),
            Some(_) => Err(question),
        }
    }

    /// Sends a message that belongs to no answer. `false` when the agent has no
    /// stream open for it, or does not read.
    pub(crate) fn deliver(&self, message: Bytes) -> bool {
        match &self.outbound {
            Outbound::Stdio(lines) => lines.try_send(message).is_ok(),
            Outbound::Http => {
                let events = self.state().streams.sender().cloned();
                events.is_some_and(|events| events.try_send(Event::of(message)).is_ok())
            }
        }
    }

    /// Tells the agent that its list of tools is another one now. A modern agent
    /// hears of it where it listens for it.
    pub(crate) fn tools_changed(&self) {
        if self.era() != Some(Era::Modern) {
            self.deliver(Bytes::from_static(TOOLS_CHANGED));
            return;
        }
        for listening in self.state().listening.values() {
            let text = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{"_meta":{{"{}":{}}}}}}}"#,
                meta::SUBSCRIPTION,
                listening.id
            );
            // One who does not read has messages enough.
            let _heard = match (&listening.to, &self.outbound) {
                (Some(stream), _) => stream.try_send(Event::of(Bytes::from(text))).is_ok(),
                (None, Outbound::Stdio(lines)) => lines.try_send(Bytes::from(text)).is_ok(),
                (None, Outbound::Http) => false,
            };
        }
    }
}

// === impl State ===

impl State {
    /// What cancels a request that enters now. Cancelled already, if that came first.
    pub(crate) fn cancellation_of(&mut self, key: &IdKey) -> CancellationToken {
        let waited = self.coming.get(key).cloned();
        let cancellation = waited.unwrap_or_default();
        if !self.cancelled_early.is_empty() {
            self.cancelled_early
                .retain(|(_, since)| since.elapsed() < EARLY);
            let hash = hashed(key);
            if self.cancelled_early.iter().any(|(early, _)| *early == hash) {
                self.cancelled_early.retain(|(early, _)| *early != hash);
                cancellation.cancel();
            }
        }
        cancellation
    }
}

// === impl Coming ===

impl Coming {
    /// Ends when the agent cancels it.
    pub(crate) async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.session.state().coming.remove(&self.key);
    }
}

#[cfg(test)]
mod tests;
