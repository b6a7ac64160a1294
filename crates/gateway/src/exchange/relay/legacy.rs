//! The way back in the legacy era: the streams of a session, which an agent over HTTP
//! takes up again where they broke off.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::agent::pending::{Left, Transform};
use crate::agent::room::Room;
use crate::exchange::answered::Answered;
use crate::exchange::inbound::{self, Disposition};
use crate::exchange::questions;
use crate::exchange::responder::Responder;
use crate::host::deadline;
use crate::message::fault::{Fault, FaultKind};
use crate::state::worker::Worker;
use crate::text::protocol::Channel;
use crate::text::sse::Event;

use super::downstream::Downstream;
use super::source::{Source, Trail};
use super::{Broken, Flight};

impl Flight {
    /// Carries everything back until the answer.
    pub(super) async fn carry_legacy(
        self,
        worker: &Worker,
        mut source: Source,
        responder: Responder,
        room: Room,
    ) {
        let mut downstream = Downstream::new(responder);
        // The source outlives the end: a process is told of it under the number it has there.
        let carried = self.legacy_answer(worker, &mut source, &mut downstream);
        match carried.await {
            Ok(Some((answered, event))) => {
                source.finish();
                self.answered(worker, answered, event, downstream).await;
            }
            Ok(None) => self.leave_to_agent(worker, room),
            Err(broken) => self.broken(worker, broken, downstream).await,
        }
    }

    /// Carries what belongs to the answer, and returns the answer with what else its
    /// event says; nothing when the agent fetches the rest.
    async fn legacy_answer(
        &self,
        worker: &Worker,
        source: &mut Source,
        downstream: &mut Downstream,
    ) -> Result<Option<(Answered, Event)>, Broken> {
        let opening = self.transform == Transform::Initialize;
        // Over HTTP the agent fetches the rest of a stream that broke off. Over
        // stdio it cannot, and before it is initialized it does not know how.
        let ours = opening || matches!(downstream, Downstream::Lines(_));
        let leaves = self.leaves_with_its_agent(ours);
        let mut trail = Trail::default();
        let mut latest = None;
        loop {
            let resumable = trail.last_event.is_some();
            let next = tokio::select! {
                biased;
                next = self.next(worker, source, ours.then_some(&trail)) => next,
                () = downstream.gone() => {
                    if leaves {
                        return Err(Broken::Gone);
                    }
                    if resumable {
                        return Ok(None);
                    }
                    // The call goes on without it, to an end that is recorded.
                    *downstream = Downstream::Nobody;
                    latest = Some(Instant::now() + worker.shared.settings.call_timeout);
                    continue;
                }
                () = deadline::at(latest) => return Err(Broken::Fault(Fault::slow())),
                () = self.cancelled.cancelled() => return Err(Broken::Cancelled),
                () = self.route.session.ended.cancelled() => return Err(Broken::Ended),
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None)
                | Err(Fault {
                    kind: FaultKind::Down,
                    ..
                }) if resumable && !ours => return Ok(None),
                Ok(None) => return Err(Broken::Fault(Fault::broken())),
                Err(fault) => return Err(Broken::Fault(fault)),
            };
            trail.follow(&event);
            let Event { id, retry, message } = event;
            let has_id = id.is_some();
            let with = |message| Event { id, retry, message };
            let handled =
                message.map(|text| inbound::handle(worker, &self.route, Channel::Session, text));
            let event = match handled {
                // The session is only known with the answer, which comes by itself.
                None if opening => continue,
                None => with(None),
                Some(Disposition::Answer { key, answered }) if key == self.key => {
                    return Ok(Some((answered, with(None))));
                }
                // An answer to another request of this session, on a stream that
                // several share: the agent sorts it out as we did.
                Some(Disposition::Answer { answered, .. }) => with(Some(answered.text)),
                Some(Disposition::Deliver(text)) if matches!(downstream, Downstream::Nobody) => {
                    questions::undelivered(worker, &self.route, &text);
                    continue;
                }
                Some(Disposition::Deliver(text)) if opening => {
                    if !self.route.session.deliver(text.clone()) {
                        questions::undelivered(worker, &self.route, &text);
                    }
                    continue;
                }
                Some(Disposition::Deliver(text)) => {
                    // An agent that knows from where fetches it again.
                    let again = trail.last_event.is_some();
                    let event = with(Some(text.clone()));
                    let passed = self.pass(worker, downstream, event).await;
                    if !matches!(passed, Ok(taken) if taken || again) {
                        questions::undelivered(worker, &self.route, &text);
                    }
                    passed?;
                    continue;
                }
                // What it said is not for the agent, but from where the stream can
                // be taken up again is.
                Some(Disposition::Nothing | Disposition::Violation) if has_id && !opening => {
                    with(None)
                }
                Some(Disposition::Nothing | Disposition::Violation) => continue,
            };
            self.pass(worker, downstream, event).await?;
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

    /// Waits for an agent that lost its stream, until the request is `over`. One
    /// that does not come back, or cancels, must not hold what the call holds.
    async fn wait_for_agent(self, worker: &Worker, over: CancellationToken) {
        let why = loop {
            let timeout = worker.shared.settings.call_timeout;
            tokio::select! {
                () = tokio::time::sleep(timeout) => {}
                () = over.cancelled() => return,
                () = self.cancelled.cancelled() => break Broken::Cancelled,
                // Nobody can come back any more.
                () = worker.shared.stopping.cancelled() => break Broken::Ended,
            }
            if !self.route.session.listens() {
                break Broken::Gone;
            }
        };
        let nobody = Downstream::Unopened(Responder::nobody());
        self.broken(worker, why, nobody).await;
    }
}
