//! The walk of a message of an agent, from its bytes to its answer.
//!
//! identify → route → judge → look at limits → hold → reserve → record intent
//! → forward → settle → record outcome → reply. Identifying is the face's work
//! (`face/`), because a token is read differently over HTTP and stdio; settling,
//! recording the outcome and replying is the relay's (`relay.rs`), because it
//! happens when the upstream answers.

mod checks;
mod housekeeping;
mod initialize;
mod modern;
mod notify;
mod refusal;
mod request;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use provost_policy::json::Value;
use provost_policy::judge::{Allowed, Verdict};
use provost_policy::{Call, Caller, Charge, Window};
use provost_store::{Decision, Status};

use crate::agent::pending::Transform;
use crate::agent::room::Room;
use crate::agent::session::Session;
use crate::exchange::outlet::{Outlet, Reply};
use crate::exchange::relay::Flight;
use crate::message::answer::{self, Failure};
use crate::message::call::Kept;
use crate::message::continuation::Continued;
use crate::message::outgoing::{Modern, Outgoing};
use crate::message::permit::Permit;
use crate::stage::record::Subject;
use crate::stage::{Stop, judge, limits, record, settle};
use crate::state::present::{Ended, Present};
use crate::state::worker::Worker;
use crate::text::asking::answers::{self, Unasked};
use crate::text::asking::subscribe;
use crate::text::envelope::{self, Message};
use crate::text::era::Era;
use crate::text::protocol::{self, RequestKind, TaskMethod};

use housekeeping::Cleared;
use refusal::{
    busy, early, ended, envelope_refusal, lasts, malformed, record_as, refuse, unjudged,
};
use request::{Request, judged_as, tool_call};

pub(crate) use refusal::{record_busy, record_envelope};
pub(crate) use request::Agent;

/// One message of an agent, to its end.
///
/// What is rare is boxed, here and below: a task is as large as its largest
/// branch, and every call would pay for moving it.
pub(crate) async fn message(worker: &Worker, agent: &Agent, text: Bytes, outlet: Outlet) {
    let parsed = match envelope::parse(&text) {
        Ok(parsed) => parsed,
        Err(problem) => return malformed(worker, agent, &problem, outlet),
    };
    let read = envelope::read(&parsed);
    // Before anything is done for it, and until it is done with.
    let room = match (&read, Room::take(&agent.claim.principal, &parsed, &read)) {
        (_, Ok(room)) => room,
        (Ok(message), Err(failure)) => {
            let (method, id) = (message.method().to_owned(), message.request_id());
            return busy(worker, agent, &method, failure, id, outlet);
        }
        (Err(_), Err(failure)) => {
            return busy(worker, agent, "(unreadable)", failure, None, outlet);
        }
    };
    match read {
        Err(problem) => malformed(worker, agent, &problem, outlet),
        Ok(Message::Request { id, method, params }) => {
            let request = Request {
                text: &text,
                id,
                method,
                params,
            };
            self::request(worker, agent, request, outlet, room).await;
        }
        Ok(Message::Notification { method, params }) => {
            Box::pin(notify::notification(
                worker, agent, &text, &method, params, outlet,
            ))
            .await;
        }
        Ok(Message::Response { id, .. }) => {
            Box::pin(notify::answer(worker, agent, &text, id, outlet)).await;
        }
    }
}

async fn request(worker: &Worker, agent: &Agent, request: Request<'_>, outlet: Outlet, room: Room) {
    if modern::is(agent, &request) {
        return Box::pin(modern_request(worker, agent, &request, outlet, room)).await;
    }
    let placed = answers::placed(Era::Legacy, &request.method, request.params);
    let subscribes = subscribe::wanted(Era::Legacy, &request.method, request.params);
    let token = envelope::token_problem(request.params).map_or(Ok(()), Err);
    if let Err(problem) = placed.and(subscribes.map(drop)).and(token) {
        let stop = Stop::Failed(Failure::invalid_params(problem));
        let stop = unjudged(worker, agent, &request, stop);
        let kind = protocol::request_kind(Era::Legacy, &request.method);
        return refuse(Era::Legacy, stop, &request, kind, outlet);
    }
    let kind = protocol::request_kind(Era::Legacy, &request.method);
    if kind == RequestKind::Housekeeping(protocol::Housekeeping::Initialize) {
        return Box::pin(initialize::initialize(
            worker, agent, &request, outlet, room,
        ))
        .await;
    }
    if kind == RequestKind::Housekeeping(protocol::Housekeeping::Ping)
        && !agent
            .session
            .as_ref()
            .is_some_and(|session| session.is_open())
    {
        // Nothing is open yet that could be alive but we.
        return outlet.send(Reply::message(answer::pong(request.id.raw())));
    }
    // Everything but opening a session needs one.
    let Some(session) = agent.session.clone() else {
        let stop = early(worker, agent, &request);
        return refuse(Era::Legacy, stop, &request, kind, outlet);
    };
    let judge = |present: &Present<'_>| match kind {
        RequestKind::Housekeeping(_) | RequestKind::Task(TaskMethod::List)
            if !session.is_open() =>
        {
            Err(early(worker, agent, &request))
        }
        RequestKind::Housekeeping(kind) => {
            housekeeping::flight(present, &session, &request, kind, None)
                .map_err(|stop| unjudged(worker, agent, &request, stop))
        }
        RequestKind::CallTool
        | RequestKind::Method
        | RequestKind::Subscribe
        | RequestKind::Unknown
        | RequestKind::Task(_) => govern(worker, present, agent, &session, &request, kind, None),
    };
    let judged = worker.shared.judging(&agent.claim, |present| {
        lasts(worker, agent, &session, &request, kind)?;
        judge(present)
    });
    match judged.unwrap_or_else(|Ended| Err(ended(worker, agent, &request, kind))) {
        Ok((flight, permit, message)) => flight.go(worker, permit, message, outlet, room).await,
        Err(stop) => refuse(Era::Legacy, stop, &request, kind, outlet),
    }
}

/// The same in the modern era, where a request says of itself what is checked
/// first, and its server may have to be asked something.
async fn modern_request(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    mut outlet: Outlet,
    room: Room,
) {
    let admitted = match modern::admitted(worker, agent, request) {
        Ok(admitted) => admitted,
        Err(failure) => {
            let recorded = record_envelope(worker, agent, &request.method, failure.message());
            let failure = recorded.map_or_else(|_| Failure::record_unavailable(), |()| failure);
            return outlet.fail(&failure, Some(request.id.raw()));
        }
    };
    let (kind, session) = (admitted.kind, Arc::clone(&admitted.session));
    let prepared = modern::prepared(worker, agent, request, &admitted, &mut outlet).await;
    // Judged with what holds now, whatever held before the server was asked.
    let judged = prepared.and_then(|prepared| {
        let judged = worker.shared.judging(&agent.claim, |present| {
            lasts(worker, agent, &session, request, kind)?;
            modern::same_server(worker, agent, request, kind, present, &prepared)?;
            let modern = Some(modern::along(worker, present, request, admitted));
            match kind {
                RequestKind::Housekeeping(kind) => {
                    housekeeping::flight(present, &session, request, kind, modern)
                }
                RequestKind::CallTool
                | RequestKind::Method
                | RequestKind::Subscribe
                | RequestKind::Unknown
                | RequestKind::Task(_) => {
                    govern(worker, present, agent, &session, request, kind, modern)
                }
            }
        });
        judged.unwrap_or_else(|Ended| Err(ended(worker, agent, request, kind)))
    });
    match judged {
        Ok((flight, permit, message)) => flight.go(worker, permit, message, outlet, room).await,
        Err(stop) => refuse(Era::Modern, stop, request, kind, outlet),
    }
}

/// The governed part of the walk: from judging to the recorded intent. Nothing
/// here waits, so nothing can change between the stages.
fn govern(
    worker: &Worker,
    present: &Present<'_>,
    agent: &Agent,
    session: &Arc<Session>,
    request: &Request<'_>,
    kind: RequestKind,
    modern: Option<Modern>,
) -> Result<Cleared, Stop> {
    let shared = &worker.shared;
    let (tool, arguments) = match tool_call(request, kind) {
        Ok(read) => read,
        Err(problem) => {
            record_envelope(worker, agent, &request.method, problem)?;
            return Err(Stop::Failed(Failure::invalid_params(problem)));
        }
    };
    let call = Call {
        method: judged_as(request, kind),
        tool: tool.as_deref(),
        arguments,
    };
    let caller = present.caller(session);
    let now = present.now;
    let continued = modern.as_ref().and_then(|modern| modern.continued.as_ref());
    let mut subject = Subject {
        call: match continued {
            Some(continued) => continued.call,
            None => record::call_id()?,
        },
        principal: &present.principal,
        method: &request.method,
        tool: tool.as_deref(),
        keys: record::keys(arguments),
        shadow: match continued {
            // It was asked when the call began.
            Some(_) => None,
            None => judge::shadow(shared, present, &caller, &call),
        },
    };
    // A modern request stands alone: it opens nothing and needs nothing open.
    let open = modern.is_some() || session.is_open();
    let cleared = checks::in_order(worker, present, session, request, &call)
        .and_then(|()| checks::resumes(request, continued))
        .and_then(|()| checks::repeats(present, agent, session, &call))
        .and_then(|()| checks::is_itself(request, kind))
        .and_then(|()| checks::of_this_era(request, kind))
        .and_then(|()| checks::knows_tasks(kind, modern.as_ref()))
        .and_then(|()| checks::own_task(worker, present, request, kind))
        .and_then(|()| {
            clear(
                worker,
                present,
                open,
                &caller,
                &call,
                &mut subject,
                continued,
            )
        });
    match cleared {
        Ok((permit, kept)) => {
            let cleared = (permit, kept, modern);
            take_off(worker, present, session, request, kind, cleared)
        }
        Err(Stop::Refused { decision, refusal }) => {
            if let Some(said) = &mut subject.shadow {
                said.charges.clear();
            }
            record::refusal(shared, &subject, decision, &refusal, now)?;
            Err(Stop::Refused { decision, refusal })
        }
        Err(Stop::Malformed(failure)) => {
            let refusal = envelope_refusal(failure.message());
            record::refusal(shared, &subject, Decision::Deny, &refusal, now)?;
            Err(Stop::Failed(failure))
        }
        Err(stop) => Err(stop),
    }
}

/// Judge → look at limits → hold → reserve → record intent.
fn clear(
    worker: &Worker,
    present: &Present<'_>,
    open: bool,
    caller: &Caller,
    call: &Call<'_>,
    subject: &mut Subject<'_>,
    continued: Option<&Continued>,
) -> Result<(Permit, Kept), Stop> {
    let (shared, now) = (&worker.shared, present.now);
    let mut allowed: Allowed = match judge::judge(present, caller, call) {
        Verdict::Allow(allowed) => allowed,
        Verdict::Deny(refusal) => {
            return Err(Stop::Refused {
                decision: Decision::Deny,
                refusal,
            });
        }
        // A person is not bothered with what a limit refuses anyway.
        Verdict::Ask(asked) => {
            limits::look(shared, &asked.charges, now)?;
            return Err(judge::hold(asked));
        }
    };
    // A stdio agent has a session before it opens it: what a policy refuses is
    // told even then, but nothing goes anywhere.
    if !open {
        return Err(Stop::Malformed(Failure::no_session()));
    }
    if continued.is_some() {
        // It was charged when it began; only what it holds it holds anew.
        let held = |charge: &Charge| charge.counter.window == Window::Concurrent;
        allowed.charges.retain(held);
    }
    // Before forwarding: a crash must over-count, never under-count.
    limits::reserve(shared, &allowed.charges, now)?;
    // After whatever else may refuse it: then it can be used again.
    let seal = continued
        .map(|continued| checks::take_up(shared, present, continued))
        .transpose()
        .inspect_err(|_| settle::give_back(shared, &allowed.charges, now))?;
    if let Some(said) = &mut subject.shadow {
        judge::reserve_shadow(shared, said, now);
    }
    let permit = record::intent(shared, subject, &allowed, present)
        // Nothing was sent and nothing was recorded, so nothing was used.
        .inspect_err(|_| {
            settle::give_back(shared, &allowed.charges, now);
            if let Some(seal) = &seal {
                shared.seals.give_back(seal);
            }
            if let Some(said) = &subject.shadow {
                settle::give_back(shared, &said.charges, now);
            }
        })?;
    let mut charges = allowed.charges;
    if let Some(said) = &subject.shadow {
        charges.extend_from_slice(&said.charges);
    }
    let kept = Kept {
        call: subject.call,
        charges,
        at: now,
        started: Instant::now(),
        counts: Arc::clone(&subject.principal.counts),
        seal,
    };
    Ok((permit, kept))
}

/// Enters a cleared call among those in flight.
fn take_off(
    worker: &Worker,
    present: &Present<'_>,
    session: &Arc<Session>,
    request: &Request<'_>,
    kind: RequestKind,
    (permit, kept, modern): (Permit, Kept, Option<Modern>),
) -> Result<Cleared, Stop> {
    let transform = match kind {
        RequestKind::CallTool => Transform::Call,
        RequestKind::Task(TaskMethod::List) => Transform::Tasks,
        RequestKind::Subscribe => Transform::Listen,
        RequestKind::Method if request.method == "resources/read" => Transform::Read,
        RequestKind::Housekeeping(_)
        | RequestKind::Task(TaskMethod::One)
        | RequestKind::Method
        | RequestKind::Unknown => Transform::Plain,
    };
    let mut message = Outgoing::new(request.text, request.id, request.params);
    if let Some(unasked) = unasked(worker, present, request, modern.as_ref()) {
        let method = &request.method;
        record_as(worker, &present.principal, method, &unasked.message)
            .inspect_err(|_| settle::settle(&worker.shared, &kept, Status::NotSent))?;
        message = message.without(unasked.splice);
    }
    if let Some(modern) = modern {
        if let Some(continued) = &modern.continued {
            message = message.unsealed(request.params, continued.state.as_deref());
        }
        message = message.with(modern);
    }
    let route = present.route(session);
    let flight = Flight::new(route, &message, transform, Some(kept)).map_err(|in_flight| {
        if let Some(kept) = &in_flight.kept {
            settle::settle(&worker.shared, kept, Status::NotSent);
        }
        Stop::from(in_flight)
    })?;
    housekeeping::arrange(session, request, &message);
    Ok((flight, permit, message))
}

/// The answers in a request that are to no question of the server: in a call that
/// is continued, questions of the round before; else those of the task.
fn unasked(
    worker: &Worker,
    present: &Present<'_>,
    request: &Request<'_>,
    modern: Option<&Modern>,
) -> Option<Unasked> {
    let continued = modern.and_then(|modern| modern.continued.as_ref());
    let task = request.params.and_then(|params| params.get("taskId"));
    let task = task.and_then(Value::as_str).unwrap_or_default();
    let grant = &present.principal.grant.0;
    answers::unasked(request.params, |key| match continued {
        Some(continued) => continued.asked.contains(&answers::key(key)),
        None => worker.shared.questions.asked(grant, &task, key),
    })
}
