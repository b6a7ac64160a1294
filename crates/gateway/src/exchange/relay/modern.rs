//! The way back in the modern era: a stream belongs to one request, nobody takes
//! it up again, and a subscription is a request whose answer comes at its end.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;

use super::downstream::Downstream;
use super::source::Source;
use super::{Broken, Flight};
use crate::agent::pending::{Listening, Transform};
use crate::exchange::answered::Answered;
use crate::exchange::inbound::{self, Disposition};
use crate::exchange::responder::Responder;
use crate::message::fault::Fault;
use crate::state::worker::Worker;
use crate::text::envelope::{self, Message, id_key};
use crate::text::meta;
use crate::text::protocol::Channel;
use crate::text::sse::Event;

/// What a message on the stream of a request is to it.
#[derive(PartialEq, Eq)]
enum Kin {
    /// It belongs to the request.
    Own,
    /// It says which changes the upstream will tell of.
    Acknowledged {
        /// Whether changes of the list of tools are among them.
        tools: bool,
    },
    /// The upstream ends the subscription.
    Over,
    /// It is another request's, or nobody's.
    Other,
}

impl Flight {
    /// A subscription, from its acknowledgement to its end. It has no session
    /// over HTTP, but ends as one does: with its grant.
    pub(super) async fn listen(self, worker: &Worker, source: Source, responder: Responder) {
        let (session, key) = (Arc::clone(&self.route.session), self.key.clone());
        let sessions = &worker.shared.sessions;
        if !session.is_stdio()
            && let Some(evicted) = sessions.insert(Arc::clone(&session))
        {
            worker.end(&evicted);
        }
        self.carry_modern(worker, source, responder).await;
        session.state().listening.remove(&key);
        if !session.is_stdio() {
            sessions.remove(&session.id);
        }
    }

    /// Carries everything back until the answer.
    pub(super) async fn carry_modern(
        self,
        worker: &Worker,
        mut source: Source,
        responder: Responder,
    ) {
        let mut downstream = Downstream::new(responder);
        // The source outlives the end, as in the legacy era.
        let carried = self.modern_answer(worker, &mut source, &mut downstream);
        match carried.await {
            Ok(answered) => {
                // What a server streams is streamed, a single answer too, unless it has
                // a status of its own.
                if source.is_events() && answered.is_ordinary() {
                    downstream.open();
                }
                source.finish();
                let event = Event::default();
                self.answered(worker, answered, event, downstream).await;
            }
            Err(broken) => self.broken(worker, broken, downstream).await,
        }
    }

    /// Carries what belongs to the answer, and returns the answer.
    async fn modern_answer(
        &self,
        worker: &Worker,
        source: &mut Source,
        downstream: &mut Downstream,
    ) -> Result<Answered, Broken> {
        let (channel, end) = match self.transform {
            Transform::Listen => (Channel::Subscription, Broken::Over),
            _ => (Channel::Call, Broken::Fault(Fault::broken())),
        };
        let listens = channel == Channel::Subscription;
        loop {
            let next = async {
                match listens {
                    true => source.next_whenever().await,
                    false => source.next(worker).await,
                }
            };
            let next = tokio::select! {
                biased;
                next = next => next.map_err(Broken::Fault)?,
                () = downstream.gone() => return Err(Broken::Gone),
                () = self.cancelled.cancelled() => return Err(Broken::Cancelled),
                () = self.route.session.ended.cancelled() => return Err(Broken::Ended),
                () = worker.shared.stopping.cancelled(), if listens => return Err(Broken::Over),
            };
            let Some(Event { message, .. }) = next else {
                return Err(end);
            };
            // Event ids and pauses are for taking a stream up again.
            let Some(text) = message else { continue };
            let kin = self.kin(worker, &text);
            match kin {
                Kin::Other => continue,
                Kin::Over => return Err(Broken::Over),
                Kin::Own | Kin::Acknowledged { .. } => {}
            }
            match inbound::handle(worker, &self.route, channel, text) {
                Disposition::Answer { answered, .. } => return Ok(answered),
                Disposition::Deliver(text) => {
                    self.pass(worker, downstream, Event::of(text)).await?;
                    if kin == (Kin::Acknowledged { tools: true }) {
                        self.listens(downstream);
                    }
                }
                Disposition::Nothing => {}
                Disposition::Violation => return Err(Broken::Fault(Fault::bad_answer())),
            }
        }
    }

    /// From now on the agent hears here when its list of tools changes.
    fn listens(&self, downstream: &Downstream) {
        let listening = Listening {
            id: self.id.clone(),
            to: downstream.stream(),
        };
        let mut state = self.route.session.state();
        state.listening.insert(self.key.clone(), listening);
    }

    /// Whether a message belongs to this request. What cannot be read is sorted
    /// out later, with a word in the log.
    fn kin(&self, worker: &Worker, text: &Bytes) -> Kin {
        let Ok(parsed) = envelope::parse_upstream(text) else {
            return Kin::Own;
        };
        match envelope::read(&parsed) {
            Ok(Message::Response { id, .. }) if id.key() != self.key => Kin::Other,
            Ok(Message::Notification { method, params }) if self.transform == Transform::Listen => {
                if method == "notifications/cancelled" {
                    let ended = params.and_then(|params| params.get("requestId"));
                    return match ended.map(id_key) == Some(self.key.clone()) {
                        true => Kin::Over,
                        false => Kin::Other,
                    };
                }
                let id = params.and_then(|params| params.get("_meta")?.get(meta::SUBSCRIPTION));
                if id.map(id_key).as_ref() != Some(&self.key) {
                    return Kin::Other;
                }
                if method == "notifications/subscriptions/acknowledged" {
                    let honoured = params.and_then(|params| params.get("notifications"));
                    let tools = honoured.and_then(|honoured| honoured.get("toolsListChanged"));
                    let tools = tools.and_then(Value::as_bool) == Some(true);
                    return Kin::Acknowledged { tools };
                }
                match self.hears(worker, &method, params) {
                    true => Kin::Own,
                    false => Kin::Other,
                }
            }
            _ => Kin::Own,
        }
    }

    /// Whether this subscription asked for a notification, as far as it is one of
    /// changes; of tasks it hears of its own.
    fn hears(&self, worker: &Worker, method: &str, params: Option<Value<'_>>) -> bool {
        let session = &self.route.session;
        if method == "notifications/tasks" {
            let task = params.and_then(|params| params.get("taskId")?.as_str());
            let own = |task: &str| worker.shared.tasks.owns(&session.grant, task);
            if !task.is_some_and(|task| own(&task)) {
                return false;
            }
        }
        let hears = {
            let state = session.state();
            let pending = state.in_flight.get(&self.key);
            let modern = pending.and_then(|pending| pending.modern.as_ref());
            modern.is_some_and(|modern| modern.wanted.hears(method, params))
        };
        if !hears && method == "notifications/tools/list_changed" {
            // What was known of its tools is old all the same.
            self.route.backend.eras.doubt_tools();
        }
        hears
    }
}
