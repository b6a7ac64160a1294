//! The way back: from the upstream's messages to the agent, until the answer
//! has come, is settled, recorded and sent.

mod downstream;
mod legacy;
mod modern;
mod source;

use std::sync::Arc;

use bytes::Bytes;
use provost_store::Status;
use tokio_util::sync::CancellationToken;

use super::ending::CANCELLING;
use crate::agent::pending::{Pending, Transform};
use crate::agent::room::Room;
use crate::exchange::answered::Answered;
use crate::exchange::inbound;
use crate::exchange::responder::{Reply, Responder};
use crate::message::answer::Failure;
use crate::message::call::OpenCall;
use crate::message::cleared::Cleared;
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::stage::{Stop, settle};
use crate::state::present::ended;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::{IdKey, is_result};
use crate::text::era::Era;
use crate::text::sse::Event;
use crate::upstream::{Exchange, end_in_brief, end_in_words};

use downstream::Downstream;
use source::Source;

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

/// A request with this id is in flight already, or its session is over; the
/// call, which is recorded as begun, comes back.
pub(crate) struct InFlight {
    pub(crate) open_call: Option<OpenCall>,
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
        open_call: Option<OpenCall>,
    ) -> Result<Self, InFlight> {
        let key = message.key().clone();
        let mut state = route.session.state();
        let over = state.over;
        if over.is_some() || state.in_flight.contains_key(&key) {
            return Err(InFlight { open_call, over });
        }
        let cancelled = state.cancellation_of(&key);
        state.requests += 1;
        let number = state.requests;
        let pending = Pending {
            open_call,
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
            era: message.era(),
            cancelled,
            number,
        })
    }

    /// Forwards the request and carries everything back until its answer.
    pub(crate) async fn go(
        self,
        worker: &Worker,
        message: Cleared<Outgoing>,
        mut responder: Responder,
        room: Room,
    ) {
        if let Some(why) = self.called_off(&responder) {
            return Box::pin(self.broken(worker, why, Downstream::new(responder))).await;
        }
        let leaves = self.leaves_with_its_agent(responder.lines().is_some());
        // Until its end is told: one that opens no session would be forgotten at once.
        let _opening = match self.transform {
            Transform::Initialize => self.route.process_to_open(worker),
            _ => None,
        };
        let forward = async {
            match self.transform {
                Transform::Initialize => Box::pin(self.route.open(worker, message)).await,
                _ => self.route.request(worker, message).await,
            }
        };
        let exchange = tokio::select! {
            biased;
            exchange = forward => exchange.map_err(Broken::Fault),
            () = responder.gone(), if leaves => Err(Broken::Gone),
            () = self.cancelled.cancelled() => Err(Broken::Cancelled),
            () = self.route.session.ended.cancelled() => Err(Broken::Ended),
        };
        match exchange {
            // The usual case: one message, no stream, nothing to wait for.
            Ok(Exchange::Message(text)) => self.single(worker, text, responder).await,
            Ok(Exchange::Lines(lines)) => {
                self.stream(worker, Source::Lines(lines), responder, room)
                    .await;
            }
            Ok(Exchange::Events(answer)) => {
                let source = Source::events(worker, self.route.session.account(), answer);
                self.stream(worker, source, responder, room).await;
            }
            Err(broken) => Box::pin(self.broken(worker, broken, Downstream::new(responder))).await,
        }
    }

    /// Why it is not to be sent at all, if somebody called it off before.
    fn called_off(&self, responder: &Responder) -> Option<Broken> {
        let gone =
            || self.leaves_with_its_agent(responder.lines().is_some()) && responder.is_gone();
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

    async fn stream(self, worker: &Worker, source: Source, responder: Responder, room: Room) {
        match (self.era, self.transform) {
            (Era::Legacy, _) => Box::pin(self.carry_legacy(worker, source, responder, room)).await,
            (Era::Modern, Transform::Listen) => {
                Box::pin(self.listen(worker, source, responder)).await;
            }
            (Era::Modern, _) => Box::pin(self.carry_modern(worker, source, responder)).await,
        }
    }

    async fn single(self, worker: &Worker, text: Bytes, responder: Responder) {
        if self.transform == Transform::Initialize
            && !is_result(&text)
            && Box::pin(self.route.is_modern_in_haste(worker)).await == Ok(true)
        {
            // The agent cannot know from what such a server says to `initialize`.
            let downstream = Downstream::new(responder);
            return Box::pin(self.broken(worker, Broken::OtherEra, downstream)).await;
        }
        match inbound::answer_to(worker, &self.route, &self.key, &self.id, text) {
            Some(answer) => self.reply(worker, answer, responder),
            None => {
                let downstream = Downstream::new(responder);
                Box::pin(self.broken(worker, Broken::Fault(Fault::bad_answer()), downstream)).await;
            }
        }
    }

    /// Passes an event on. An agent that does not read holds its call for as
    /// long as an upstream may, and not when the call is over for other reasons.
    /// `false` when it has gone.
    async fn pass(
        &self,
        worker: &Worker,
        downstream: &mut Downstream,
        event: Event,
    ) -> Result<bool, Broken> {
        if let (Downstream::Stream(_) | Downstream::Unopened(_), Some(id)) =
            (&*downstream, &event.id)
        {
            self.route.session.state().streams.note_answer_event(id);
        }
        tokio::select! {
            biased;
            taken = downstream.pass(event) => Ok(taken),
            () = self.cancelled.cancelled() => Err(Broken::Cancelled),
            () = self.route.session.ended.cancelled() => Err(Broken::Ended),
            () = tokio::time::sleep(worker.shared.settings.call_timeout) => Err(Broken::Gone),
        }
    }

    /// Gives the agent its answer, with what else `event` says.
    async fn answered(
        &self,
        worker: &Worker,
        answered: Answered,
        event: Event,
        downstream: Downstream,
    ) {
        let alone = event == Event::default() || self.transform == Transform::Initialize;
        match downstream {
            Downstream::Unopened(responder) if alone => self.reply(worker, answered, responder),
            Downstream::Lines(lines) => self.reply(worker, answered, Responder::Stdio(lines)),
            mut downstream => {
                let message = Some(answered.text);
                let event = Event { message, ..event };
                // It is settled: what is left is the agent's to read.
                drop(self.pass(worker, &mut downstream, event).await);
            }
        }
    }

    /// Sends the answer; the one to `initialize` makes the session known.
    fn reply(&self, worker: &Worker, answered: Answered, responder: Responder) {
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
        responder.send(Reply::Message {
            http: answered.http,
            body: answered.text,
            session: opened,
        });
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
    async fn broken(self, worker: &Worker, why: Broken, downstream: Downstream) {
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
        let end = match why {
            Broken::Fault(Fault {
                kind: FaultKind::Down,
                ..
            }) => self.route.last_end(worker, self.era),
            _ => None,
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
            self.route.backend.eras.doubt();
        }
        let server = &self.route.backend.server.name;
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
        let called = pending
            .as_ref()
            .is_some_and(|pending| pending.open_call.is_some())
            && status != Status::NotSent;
        if let Some(pending) = pending {
            session.not_arranged(&pending);
            if let Some(open_call) = &pending.open_call {
                settle::settle(&worker.shared, open_call, status);
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
                Broken::Cancelled | Broken::CalledOff => downstream.end(),
                Broken::Over => downstream.over(&self.id).await,
                Broken::Fault(_)
                | Broken::Gone
                | Broken::Ended
                | Broken::GrantEnded
                | Broken::OtherEra => {
                    let status = match &end {
                        Some(end) => end.status().await,
                        None => None,
                    };
                    let failure = match status {
                        Some(status) if called => {
                            Failure::ended_in_a_call(server, &end_in_brief(status))
                        }
                        Some(status) => Failure::not_running(server, &end_in_words(status)),
                        None => failure,
                    };
                    downstream.fail(&failure, &self.id).await;
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
