//! The way back: from the upstream's messages to the agent, until the answer
//! has come, is settled, recorded and sent.

mod alone;
mod source;
mod way;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use provost_store::Status;
use tokio_util::sync::CancellationToken;

use super::ending::CANCELLING;
use crate::agent::pending::{Left, Pending, Transform};
use crate::agent::room::Room;
use crate::exchange::inbound::{self, Answered, Sorted};
use crate::exchange::outlet::{Outlet, Reply};
use crate::message::answer::Failure;
use crate::message::call::Kept;
use crate::message::cleared::Cleared;
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::stage::{Stop, settle};
use crate::state::present::ended;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::IdKey;
use crate::text::envelope::is_result;
use crate::text::era::Era;
use crate::text::protocol::Channel;
use crate::text::sse::Event;
use crate::upstream::Exchange;

use source::{Source, Trail};
use way::Way;

/// One request of an agent on its way to the upstream and back.
pub(crate) struct Flight {
    route: Route,
    key: IdKey,
    id: String,
    transform: Transform,
    era: Era,
    cancelled: CancellationToken,
    number: u64,
}

/// A request with this id is in flight already, or its session is over; what was
/// kept comes back.
pub(crate) struct InFlight {
    pub(crate) kept: Option<Kept>,
    /// How the session ended, if it did.
    over: Option<Status>,
}

/// Why an exchange ended without an answer.
enum Broken {
    Fault(Fault),
    /// The agent went away.
    Gone,
    /// The agent cancelled.
    Cancelled,
    /// The agent cancelled, or went away, before anything was sent.
    CalledOff,
    /// The session ended, or the gateway stops.
    Ended,
    /// The session ended with its grant.
    GrantEnded,
    /// The upstream ended a subscription.
    Over,
    /// The upstream speaks only the era that is not the agent's.
    OtherEra,
}

// === impl Flight ===

impl Flight {
    /// Enters a request among those in flight; its id must not be there yet.
    pub(crate) fn new(
        route: Route,
        message: &Outgoing,
        transform: Transform,
        kept: Option<Kept>,
    ) -> Result<Self, InFlight> {
        let key = message.key().clone();
        let mut state = route.session.state();
        let over = state.over;
        if over.is_some() || state.in_flight.contains_key(&key) {
            return Err(InFlight { kept, over });
        }
        let cancelled = state.cancellation_of(&key);
        state.requests += 1;
        let number = state.requests;
        let pending = Pending {
            kept,
            transform,
            arranges: None,
            modern: message.modern().cloned(),
            cancelled: cancelled.clone(),
            number,
            left: None,
        };
        state.in_flight.insert(key.clone(), pending);
        drop(state);
        Ok(Self {
            route,
            key,
            id: message.id().to_owned(),
            transform,
            era: match message.modern() {
                Some(_) => Era::Modern,
                None => Era::Legacy,
            },
            cancelled,
            number,
        })
    }

    /// Forwards the request and carries everything back until its answer.
    pub(crate) async fn go(
        self,
        worker: &Worker,
        message: Cleared<Outgoing>,
        mut outlet: Outlet,
        room: Room,
    ) {
        if let Some(why) = self.called_off(&outlet) {
            return Box::pin(self.broken(worker, why, Way::new(outlet))).await;
        }
        let leaves = self.leaves_with_its_agent(outlet.lines().is_some());
        let forward = async {
            match self.transform {
                Transform::Initialize => Box::pin(self.route.open(worker, message)).await,
                _ => self.route.request(worker, message).await,
            }
        };
        let exchange = tokio::select! {
            biased;
            exchange = forward => exchange.map_err(Broken::Fault),
            () = outlet.gone(), if leaves => Err(Broken::Gone),
            () = self.cancelled.cancelled() => Err(Broken::Cancelled),
            () = self.route.session.ended.cancelled() => Err(Broken::Ended),
        };
        match exchange {
            // The usual case: one message, no stream, nothing to wait for.
            Ok(Exchange::Message(text)) => self.only(worker, text, outlet).await,
            Ok(Exchange::Lines(lines)) => {
                self.stream(worker, Source::Lines(lines), outlet, room)
                    .await;
            }
            Ok(Exchange::Events(answer)) => {
                let source = Source::events(worker, self.route.session.account(), answer);
                self.stream(worker, source, outlet, room).await;
            }
            Err(broken) => Box::pin(self.broken(worker, broken, Way::new(outlet))).await,
        }
    }

    /// Why it is not to be sent at all, if somebody called it off before.
    fn called_off(&self, outlet: &Outlet) -> Option<Broken> {
        let gone = || self.leaves_with_its_agent(outlet.lines().is_some()) && outlet.is_gone();
        if self.route.session.ended.is_cancelled() {
            Some(Broken::Ended)
        } else if self.cancelled.is_cancelled() || gone() {
            Some(Broken::CalledOff)
        } else {
            None
        }
    }

    /// Whether it is over when its agent hangs up. In the legacy era over HTTP a
    /// lost connection cancels nothing: an agent that wants that says so. What
    /// opens a session cannot be cancelled, but nobody would know the session.
    fn leaves_with_its_agent(&self, by_lines: bool) -> bool {
        by_lines || self.era == Era::Modern || self.transform == Transform::Initialize
    }

    async fn stream(self, worker: &Worker, source: Source, outlet: Outlet, room: Room) {
        match (self.era, self.transform) {
            (Era::Legacy, _) => Box::pin(self.many(worker, source, outlet, room)).await,
            (Era::Modern, Transform::Listen) => {
                Box::pin(self.listen(worker, source, outlet)).await;
            }
            (Era::Modern, _) => Box::pin(self.alone(worker, source, outlet)).await,
        }
    }

    async fn only(self, worker: &Worker, text: Bytes, outlet: Outlet) {
        if self.transform == Transform::Initialize
            && !is_result(&text)
            && Box::pin(self.route.is_modern_in_haste(worker)).await == Ok(true)
        {
            // The agent cannot know from what such a server says to `initialize`.
            let way = Way::new(outlet);
            return Box::pin(self.broken(worker, Broken::OtherEra, way)).await;
        }
        match inbound::answer_to(worker, &self.route, &self.key, &self.id, text) {
            Some(answer) => self.reply(worker, answer, outlet),
            None => {
                let way = Way::new(outlet);
                Box::pin(self.broken(worker, Broken::Fault(Fault::lies()), way)).await;
            }
        }
    }

    async fn many(self, worker: &Worker, mut source: Source, outlet: Outlet, room: Room) {
        let mut way = Way::new(outlet);
        let opening = self.transform == Transform::Initialize;
        // Over HTTP the agent fetches the rest of a stream that broke off. Over
        // stdio it cannot, and before it is initialized it does not know how.
        let ours = opening || matches!(way, Way::Lines(_));
        let leaves = self.leaves_with_its_agent(ours);
        let mut trail = Trail::default();
        let mut latest = None;
        loop {
            let resumable = trail.last_event.is_some();
            let next = tokio::select! {
                biased;
                next = self.next(worker, &mut source, ours.then_some(&trail)) => next,
                () = way.gone() => {
                    if leaves {
                        return self.broken(worker, Broken::Gone, way).await;
                    }
                    if resumable {
                        return self.leave_to_agent(worker, room);
                    }
                    // The call goes on without it, to an end that is recorded.
                    way = Way::Nobody;
                    latest = Some(Instant::now() + worker.shared.settings.call_timeout);
                    continue;
                }
                () = at(latest) => return self.broken(worker, Broken::Fault(Fault::slow()), way).await,
                () = self.cancelled.cancelled() => return self.broken(worker, Broken::Cancelled, way).await,
                () = self.route.session.ended.cancelled() => return self.broken(worker, Broken::Ended, way).await,
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None)
                | Err(Fault {
                    kind: FaultKind::Down,
                    ..
                }) if resumable && !ours => {
                    return self.leave_to_agent(worker, room);
                }
                Ok(None) => {
                    return self
                        .broken(worker, Broken::Fault(Fault::broken()), way)
                        .await;
                }
                Err(fault) => return self.broken(worker, Broken::Fault(fault), way).await,
            };
            trail.follow(&event);
            let Event { id, retry, message } = event;
            let Some(text) = message else {
                if opening {
                    // The session is only known with the answer, which comes by itself.
                    continue;
                }
                let event = Event {
                    id,
                    retry,
                    message: None,
                };
                if let Err(broken) = self.pass(worker, &mut way, event).await {
                    return self.broken(worker, broken, way).await;
                }
                continue;
            };
            match inbound::sort(worker, &self.route, Channel::Session, text) {
                Sorted::Answer { key, answered } if key == self.key => {
                    source.finish();
                    let plain = id.is_none() && retry.is_none();
                    return match way {
                        Way::Unopened(outlet) if plain || opening => {
                            self.reply(worker, answered, outlet);
                        }
                        Way::Lines(lines) => self.reply(worker, answered, Outlet::Stdio(lines)),
                        mut way => {
                            let event = Event {
                                id,
                                retry,
                                message: Some(answered.text),
                            };
                            // It is settled: what is left is the agent's to read.
                            drop(self.pass(worker, &mut way, event).await);
                        }
                    };
                }
                Sorted::Deliver(text) if matches!(way, Way::Nobody) => {
                    inbound::undelivered(worker, &self.route, &text);
                }
                Sorted::Deliver(text) if opening => {
                    if !self.route.session.deliver(text.clone()) {
                        inbound::undelivered(worker, &self.route, &text);
                    }
                }
                Sorted::Deliver(text) => {
                    // An agent that knows from where fetches it again.
                    let again = trail.last_event.is_some();
                    let event = Event {
                        id,
                        retry,
                        message: Some(text.clone()),
                    };
                    let passed = self.pass(worker, &mut way, event).await;
                    if !matches!(passed, Ok(taken) if taken || again) {
                        inbound::undelivered(worker, &self.route, &text);
                    }
                    if let Err(broken) = passed {
                        return self.broken(worker, broken, way).await;
                    }
                }
                // An answer to another request of this session, on a stream that
                // several share: the agent sorts it out as we did.
                Sorted::Answer {
                    answered: Answered { text, .. },
                    ..
                } => {
                    let event = Event {
                        id,
                        retry,
                        message: Some(text),
                    };
                    if let Err(broken) = self.pass(worker, &mut way, event).await {
                        return self.broken(worker, broken, way).await;
                    }
                }
                // What it said is not for the agent, but from where the stream can
                // be taken up again is.
                Sorted::Nothing | Sorted::Violation if id.is_some() && !opening => {
                    let event = Event {
                        id,
                        retry,
                        message: None,
                    };
                    if let Err(broken) = self.pass(worker, &mut way, event).await {
                        return self.broken(worker, broken, way).await;
                    }
                }
                Sorted::Nothing | Sorted::Violation => {}
            }
        }
    }

    /// Passes an event on. An agent that does not read holds its call for as
    /// long as an upstream may, and not when the call is over for other reasons.
    /// `false` when it has gone.
    async fn pass(&self, worker: &Worker, way: &mut Way, event: Event) -> Result<bool, Broken> {
        if let (Way::Stream(_) | Way::Unopened(_), Some(id)) = (&*way, &event.id) {
            self.route.session.state().streams.note_answer_event(id);
        }
        tokio::select! {
            biased;
            taken = way.pass(event) => Ok(taken),
            () = self.cancelled.cancelled() => Err(Broken::Cancelled),
            () = self.route.session.ended.cancelled() => Err(Broken::Ended),
            () = tokio::time::sleep(worker.shared.settings.call_timeout) => Err(Broken::Gone),
        }
    }

    /// The next event. A stream that broke off, and that nobody else can take up
    /// again, is taken up again here.
    async fn next(
        &self,
        worker: &Worker,
        source: &mut Source,
        trail: Option<&Trail>,
    ) -> Result<Option<Event>, Fault> {
        let deadline = Instant::now() + worker.shared.settings.call_timeout;
        loop {
            let next = source.next(worker).await;
            let lost = match &next {
                Ok(event) => event.is_none(),
                Err(fault) => fault.kind == FaultKind::Down,
            };
            let Some((last_event, pause)) = trail.filter(|_| lost).and_then(Trail::end) else {
                return next;
            };
            if Instant::now() + pause > deadline {
                return Err(Fault::slow());
            }
            tokio::time::sleep(pause).await;
            match self.route.stream(worker, Some(last_event)).await {
                Ok(Some(answer)) => {
                    *source = Source::events(worker, self.route.session.account(), answer)
                }
                Ok(None) => return Err(Fault::broken()),
                Err(fault) if fault.kind == FaultKind::Down => {}
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Sends the answer; the one to `initialize` makes the session known.
    fn reply(&self, worker: &Worker, answered: Answered, outlet: Outlet) {
        let mut opened = None;
        if self.transform == Transform::Initialize {
            let session = &self.route.session;
            // The version is noted only from a result.
            if session.state().version.is_none() {
                self.not_opened(worker);
            } else if !session.is_stdio() {
                opened = Some(session.id.clone());
                let evicted = worker.shared.sessions.insert(Arc::clone(session));
                if let Some(evicted) = evicted {
                    worker.end(&evicted);
                }
            }
        }
        outlet.send(Reply::Message {
            http: answered.http,
            body: answered.text,
            session: opened,
        });
    }

    /// Leaves the rest to an agent that can fetch it: the request stays in flight
    /// and keeps its places; its answer comes on the agent's next stream, and
    /// settles it there.
    fn leave_to_agent(self, worker: &Worker, room: Room) {
        let over = CancellationToken::new();
        {
            let mut state = self.route.session.state();
            let pending = state.in_flight.get_mut(&self.key);
            let Some(pending) = pending.filter(|pending| pending.number == self.number) else {
                return;
            };
            pending.left = Some(Arc::new(Left {
                _room: room,
                _over: over.clone().drop_guard(),
            }));
        }
        let worker = worker.clone();
        let (calls, background) = (&worker.shared.calls, &worker.shared.background);
        let (calls, background) = (calls.clone(), background.clone());
        calls.spawn_on(
            async move { self.wait_for_agent(&worker, over).await },
            &background,
        );
    }

    /// A session that was not opened leaves nothing behind. A stdio agent may
    /// try again on the same stream.
    fn not_opened(&self, worker: &Worker) {
        self.route.session.state().opening = None;
        if !self.route.session.is_stdio() {
            worker.end(&self.route.session);
        }
    }

    /// Settles and answers a request that got no answer.
    async fn broken(self, worker: &Worker, why: Broken, way: Way) {
        let session = &self.route.session;
        let live = worker.shared.present(&session.grant, |_| ()).is_ok();
        if !live || session.outlived_its_token() {
            worker.end_with_grant(session);
        }
        // Nobody else is to blame then, whatever happened next.
        let why = match why {
            _ if session.lost_its_grant() => Broken::GrantEnded,
            Broken::Fault(Fault {
                kind: FaultKind::Outdated,
                ..
            }) if session.ended.is_cancelled() => Broken::Ended,
            why => why,
        };
        let pending = {
            let mut state = self.route.session.state();
            let own = state.in_flight.get(&self.key);
            let own = own.is_some_and(|pending| pending.number == self.number);
            // An agent may use an id again; what is in flight under it then is
            // another request.
            own.then(|| state.in_flight.remove(&self.key)).flatten()
        };
        if self.transform == Transform::Initialize {
            self.not_opened(worker);
        }
        let failed = matches!(why, Broken::Fault(fault) if fault.is_of_the_server());
        if failed && self.era == Era::Modern {
            // Whatever stands there now may be another server.
            self.route.site.eras.doubt();
        }
        let server = &self.route.site.server.name;
        let (status, failure) = match why {
            Broken::Fault(fault) => fault.ending(server),
            Broken::Gone | Broken::Ended => (Status::Cancelled, Failure::busy("the session ended")),
            Broken::GrantEnded => (Status::GrantEnded, Failure::ended(&ended())),
            Broken::OtherEra => (Status::RpcError, Failure::other_era(server, self.era)),
            Broken::Over => (Status::Ok, Failure::busy("the subscription ended")),
            Broken::Cancelled => (Status::Cancelled, Failure::busy("cancelled")),
            Broken::CalledOff => (Status::NotSent, Failure::busy("cancelled")),
        };
        let taken = pending.is_none();
        if let Some(pending) = pending {
            session.not_arranged(&pending);
            if let Some(kept) = &pending.kept {
                settle::settle(&worker.shared, kept, status);
            }
        }
        let reason = match why {
            // Whoever ended the session took its requests and cancels them.
            Broken::Ended | Broken::GrantEnded if taken => None,
            Broken::Gone | Broken::Ended => Some("the agent is gone"),
            Broken::GrantEnded => Some("the grant ended"),
            Broken::Cancelled => Some("cancelled by the agent"),
            Broken::Fault(fault) if fault.kind == FaultKind::Slow => Some("no answer in time"),
            Broken::Fault(_) | Broken::Over | Broken::OtherEra | Broken::CalledOff => None,
        };
        let answer = async {
            match why {
                // Cancelled requests are not answered.
                Broken::Cancelled | Broken::CalledOff => way.end(),
                Broken::Over => way.over(&self.id).await,
                Broken::Fault(_)
                | Broken::Gone
                | Broken::Ended
                | Broken::GrantEnded
                | Broken::OtherEra => {
                    way.fail(&failure, &self.id).await;
                }
            }
        };
        let cancel = async {
            if let Some(reason) = reason {
                let told = self.route.cancel(worker, self.era, &self.key, reason);
                // An upstream that does not listen is not told.
                drop(tokio::time::timeout(CANCELLING, told).await);
            }
        };
        // Neither waits for the other: an upstream that is slow to answer is
        // slow to hear, too.
        tokio::join!(answer, cancel);
    }
}

impl Flight {
    /// Waits for an agent that lost its stream, until the request is `over`. One
    /// that does not come back, or cancels, must not hold what the call holds.
    async fn wait_for_agent(self, worker: &Worker, over: CancellationToken) {
        let why = loop {
            let patience = worker.shared.settings.call_timeout;
            tokio::select! {
                () = tokio::time::sleep(patience) => {}
                () = over.cancelled() => return,
                () = self.cancelled.cancelled() => break Broken::Cancelled,
                // Nobody can come back any more.
                () = worker.shared.stopping.cancelled() => break Broken::Ended,
            }
            if !self.route.session.listens() {
                break Broken::Gone;
            }
        };
        let nobody = Way::Unopened(Outlet::nobody());
        self.broken(worker, why, nobody).await;
    }
}

/// Ends at that moment, if there is one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

// === impl InFlight ===

impl InFlight {
    pub(crate) fn failure(&self) -> Failure {
        match self.over {
            Some(Status::GrantEnded) => Failure::ended(&ended()),
            Some(_) => Failure::unknown_session(),
            None => Failure::id_in_use(),
        }
    }
}

impl From<InFlight> for Stop {
    fn from(why: InFlight) -> Self {
        Self::Failed(why.failure())
    }
}
