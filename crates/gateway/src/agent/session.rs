//! One session of one agent: what is open between the agent and its server.
//!
//! A session belongs to the grant that opened it and to nobody else. Its lock
//! is a std mutex: sections are look-ups and inserts, never held across an await.

mod standing;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::json::KnownNames;
use provost_policy::{Charge, Moment, Text};
use provost_store::{CallId, Status};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::exchange::relay::Transform;
use crate::host::budget::{Account, Held};
use crate::host::metrics::Counts;
use crate::message::continuation::Spent;
use crate::message::modern::Declared;
use crate::message::outgoing::{Modern, Outgoing};
use crate::path::Room;
use crate::state::directory::Principal;
use crate::text::envelope::IdKey;
use crate::text::era::Era;
use crate::text::meta;
use crate::text::sse::Event;

use standing::Standing;

pub(crate) use standing::Arrangement;

/// Tells an agent to ask for the list of tools again.
const TOOLS_CHANGED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// How many messages may wait for an agent that reads slowly.
pub(crate) const OUTBOUND: usize = 256;

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
    standing: Standing,
    /// Subscriptions of the modern era, by the id of the request that listens.
    pub(crate) listening: HashMap<IdKey, Listening>,
    /// How what was open ended with it, once it is over.
    pub(crate) over: Option<Status>,
    /// Whether the upstream's own stream flows to a stdio agent.
    follows: bool,
    stream: Option<GetStream>,
    /// Hashes of the last event ids on streams of answers.
    answer_events: VecDeque<u64>,
    /// Requests whose answers came on such streams, and may have been lost there.
    answered: VecDeque<(IdKey, Pending)>,
    /// Open streams of answers that are resumed.
    beside: usize,
    streams: u64,
    last_used: Option<Instant>,
}

/// A request of the agent on its way.
#[derive(Clone)]
pub(crate) struct Pending {
    /// What has to be settled and recorded at its end; none for housekeeping.
    pub(crate) kept: Option<Kept>,
    /// What its answer goes through on the way back.
    pub(crate) transform: Transform,
    /// What it arranges, if its answer is good.
    pub(crate) arranges: Option<Arrangement>,
    /// What its agent can be asked in the answer; the modern era alone.
    pub(crate) modern: Option<Arc<Modern>>,
    /// Cancelled when the agent cancels the request.
    pub(crate) cancelled: CancellationToken,
    /// Tells it from a later request with the same id.
    pub(crate) number: u64,
    /// What it keeps once its agent has to fetch the answer.
    pub(crate) left: Option<Arc<Left>>,
}

/// A request whose stream broke off: it has its places until it is over, and then
/// whoever waits for its agent hears of it.
pub(crate) struct Left {
    pub(crate) _room: Room,
    pub(crate) _over: DropGuard,
}

/// A request that waits before it is judged; forgotten when it is dropped.
pub(crate) struct Coming {
    session: Arc<Session>,
    key: IdKey,
    cancelled: CancellationToken,
}

/// One open `subscriptions/listen`.
pub(crate) struct Listening {
    /// The JSON text of its id.
    pub(crate) id: String,
    /// The stream to the agent; none over stdio, where there is one for all.
    pub(crate) to: Option<mpsc::Sender<Event>>,
}

/// A governed call whose intent is recorded: what its end must settle.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pub(crate) call: CallId,
    pub(crate) charges: Vec<Charge>,
    /// When the limits were charged.
    pub(crate) at: Moment,
    pub(crate) started: Instant,
    /// Where its end is counted.
    pub(crate) counts: Arc<Counts>,
    /// What it used up in order to continue.
    pub(crate) seal: Option<Spent>,
}

/// A request of the upstream that was let through to the agent.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The recorded call it belongs to; none for `ping`.
    pub(crate) kept: Option<Kept>,
}

/// An open GET stream of the agent.
struct GetStream {
    number: u64,
    events: mpsc::Sender<Event>,
    taken_over: CancellationToken,
}

/// A second GET stream without `Last-Event-ID`.
#[derive(Debug)]
pub(crate) struct StreamTaken;

/// An open stream of a resumed answer; gives its place back.
pub(crate) struct Beside(Arc<Session>);

/// Answers one agent may resume at a time.
const MOST_BESIDE: usize = 64;
/// Refusals that may be on their way to the upstream of one session.
const REFUSALS: usize = 64;
/// Cancellations remembered for requests that have not come yet, and for how long.
const MOST_EARLY: usize = 64;
const EARLY: Duration = Duration::from_secs(10);
/// Event ids remembered for a session.
const MOST_EVENTS: usize = 1024;

// === impl Pending ===

impl Pending {
    /// The era of the request.
    pub(crate) fn era(&self) -> Era {
        match self.modern {
            Some(_) => Era::Modern,
            None => Era::Legacy,
        }
    }
}

/// The receiving end of a GET stream.
pub(crate) struct Opened {
    pub(crate) number: u64,
    pub(crate) events: mpsc::Receiver<Event>,
    /// For the relay of the upstream's own stream.
    pub(crate) sender: mpsc::Sender<Event>,
    /// Cancelled when another connection takes the stream over.
    pub(crate) taken_over: CancellationToken,
}

// === impl Session ===

impl Session {
    pub(crate) fn new(
        (grant, server): (Text, Text),
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
    pub(crate) fn alone(principal: &Principal) -> Self {
        let session = Self::opened_by(principal, principal.account.nothing());
        session.decide(Era::Modern);
        session
    }

    /// A session over HTTP, which ends with the token it is opened with.
    pub(crate) fn opened_by(principal: &Principal, held: Held) -> Self {
        let owner = (principal.grant.0.clone(), principal.server.0.clone());
        Self {
            ended: principal.ended.child_token(),
            token_ended: Some(principal.ended.clone()),
            ..Self::new(owner, held, None, Outbound::Http)
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

    /// The way to a stdio agent.
    pub(crate) fn lines(&self) -> Option<&mpsc::Sender<Bytes>> {
        match &self.outbound {
            Outbound::Stdio(lines) => Some(lines),
            Outbound::Http => None,
        }
    }

    /// Whether the agent has a GET stream open.
    pub(crate) fn listens(&self) -> bool {
        let state = self.state();
        let stream = state.stream.as_ref();
        state.beside > 0 || stream.is_some_and(|stream| !stream.events.is_closed())
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
        let busy = state
            .stream
            .as_ref()
            .is_some_and(|stream| !stream.events.is_closed())
            || !state.in_flight.is_empty();
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
                let events = self
                    .state()
                    .stream
                    .as_ref()
                    .map(|stream| stream.events.clone());
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

    /// Opens the GET stream. The one that is open stays, unless the agent says
    /// with `Last-Event-ID` that it lost it.
    pub(crate) fn open_stream(&self, resumes: bool) -> Result<Opened, StreamTaken> {
        let mut state = self.state();
        if let Some(old) = &state.stream
            && !old.events.is_closed()
        {
            if !resumes {
                return Err(StreamTaken);
            }
            old.taken_over.cancel();
        }
        let (sender, events) = mpsc::channel(OUTBOUND);
        let taken_over = CancellationToken::new();
        state.streams += 1;
        let number = state.streams;
        state.stream = Some(GetStream {
            number,
            events: sender.clone(),
            taken_over: taken_over.clone(),
        });
        Ok(Opened {
            number,
            events,
            sender,
            taken_over,
        })
    }

    /// Opens a stream for an answer that the agent lost: beside the GET stream,
    /// which is for what belongs to no answer.
    pub(crate) fn open_beside(self: &Arc<Self>) -> Result<(Opened, Beside), StreamTaken> {
        let mut state = self.state();
        if state.beside >= MOST_BESIDE {
            return Err(StreamTaken);
        }
        state.beside += 1;
        let (sender, events) = mpsc::channel(OUTBOUND);
        let opened = Opened {
            number: 0,
            events,
            sender,
            taken_over: CancellationToken::new(),
        };
        Ok((opened, Beside(Arc::clone(self))))
    }

    /// Notes an event id that went out on the stream of an answer.
    pub(crate) fn note_answer_event(&self, id: &str) {
        let mut state = self.state();
        if state.answer_events.len() >= MOST_EVENTS {
            state.answer_events.pop_front();
        }
        state.answer_events.push_back(hashed(&id));
    }

    /// Keeps in mind a request that is answered and settled, if its agent can
    /// fetch the answer again.
    pub(crate) fn note_answered(&self, key: IdKey, pending: Pending) {
        let mut state = self.state();
        if state.answer_events.is_empty() || pending.modern.is_some() {
            return;
        }
        state.answered.truncate(MOST_BESIDE - 1);
        let pending = Pending {
            kept: None,
            arranges: None,
            left: None,
            ..pending
        };
        state.answered.push_front((key, pending));
    }

    /// A request whose answer comes again, because its agent lost it.
    pub(crate) fn answered_before(&self, key: &IdKey) -> Option<Pending> {
        let state = self.state();
        let mut answered = state.answered.iter();
        let (_, pending) = answered.find(|(known, _)| known == key)?;
        Some(pending.clone())
    }

    /// Whether the event went out on the stream of an answer.
    pub(crate) fn is_answer_event(&self, id: &str) -> bool {
        self.state().answer_events.contains(&hashed(&id))
    }

    /// Forgets a GET stream that ended, unless another took its place.
    pub(crate) fn close_stream(&self, number: u64) {
        let mut state = self.state();
        if state
            .stream
            .as_ref()
            .is_some_and(|stream| stream.number == number)
        {
            state.stream = None;
        }
        state.last_used = Some(Instant::now());
    }
}

fn hashed(id: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
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

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.state().beside -= 1;
    }
}

/// All sessions of the HTTP face.
#[derive(Default)]
pub(crate) struct Sessions {
    // A std mutex: look-ups and inserts only.
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_id: HashMap<Text, Arc<Session>>,
    /// The ids of each grant's, so that one grant's crowd is nobody else's.
    of_grant: HashMap<Text, HashSet<Text>>,
}

/// Sessions one grant may have at a time; the one idle longest makes room.
const PER_GRANT: usize = 1024;

impl Open {
    fn remove(&mut self, id: &str) -> Option<Arc<Session>> {
        let session = self.by_id.remove(id)?;
        if let Some(siblings) = self.of_grant.get_mut(&session.grant) {
            siblings.remove(id);
            if siblings.is_empty() {
                self.of_grant.remove(&session.grant);
            }
        }
        Some(session)
    }

    /// The session of a grant that was idle longest, when it has as many as it may.
    fn surplus(&self, grant: &Text) -> Option<Text> {
        let siblings = self.of_grant.get(grant)?;
        if siblings.len() < PER_GRANT {
            return None;
        }
        let siblings = siblings.iter().filter_map(|id| self.by_id.get(id));
        let idle = siblings.min_by_key(|session| session.last_used());
        idle.map(|session| session.id.clone())
    }
}

impl Sessions {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of that id, if it is this grant's on this server.
    pub(crate) fn get(&self, id: &str, grant: &Text, server: &Text) -> Option<Arc<Session>> {
        let session = self.open().by_id.get(id).cloned()?;
        (session.grant == *grant && session.server == *server && !session.ended.is_cancelled())
            .then_some(session)
    }

    /// Adds a session; returns the one that had to make room for it.
    pub(crate) fn insert(&self, session: Arc<Session>) -> Option<Arc<Session>> {
        let mut open = self.open();
        let surplus = open.surplus(&session.grant);
        let evicted = surplus.and_then(|id| open.remove(&id));
        let siblings = open.of_grant.entry(session.grant.clone()).or_default();
        siblings.insert(session.id.clone());
        open.by_id.insert(session.id.clone(), session);
        evicted
    }

    /// Takes a session out.
    pub(crate) fn remove(&self, id: &str) -> Option<Arc<Session>> {
        self.open().remove(id)
    }

    /// Takes out the sessions for which `gone` holds.
    pub(crate) fn take_if(&self, gone: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut open = self.open();
        let leaving = open.by_id.values().filter(|session| gone(session));
        let ids: Vec<Text> = leaving.map(|session| session.id.clone()).collect();
        ids.iter().filter_map(|id| open.remove(id)).collect()
    }

    /// All sessions, as they are now.
    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.open().by_id.values().cloned().collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.open().by_id.len()
    }
}

#[cfg(test)]
mod tests;
