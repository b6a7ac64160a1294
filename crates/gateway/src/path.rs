//! The walk of a message of an agent, from its bytes to its answer.
//!
//! identify → route → judge → look at limits → hold → reserve → record intent
//! → forward → settle → record outcome → reply. Identifying is the face's work
//! (`face/`), because a token is read differently over HTTP and stdio; settling,
//! recording the outcome and replying is the relay's (`exchange/relay.rs`), because it
//! happens when the upstream answers.

mod checks;
mod housekeeping;
mod initialize;
mod modern;
pub(crate) mod native;
mod notify;
mod refusal;
mod request;

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;
use provost_policy::judge::Refusal;
use provost_policy::{Call, RuleId};
use provost_store::Status;

use crate::agent::pending::Transform;
use crate::agent::room::Room;
use crate::agent::session::Session;
use crate::exchange::relay::Flight;
use crate::exchange::responder::{Reply, Responder};
use crate::message::answer::{self, Failure};
use crate::message::continuation::Continued;
use crate::message::outgoing::{Modern, Outgoing};
use crate::stage::record::Subject;
use crate::stage::{Stop, clear, judge, record, settle};
use crate::state::present::{Ended, Present};
use crate::state::worker::Worker;
use crate::text::asking::answers::{self, Unasked};
use crate::text::asking::subscribe;
use crate::text::envelope::{self, Message};
use crate::text::era::Era;
use crate::text::protocol::{self, RequestKind, TaskMethod};

use housekeeping::Ready;
use refusal::{busy, early, ended, lasts, malformed, record_message, refuse, stopped, unjudged};
use request::{Request, judged_as, tool_call};

pub(crate) use refusal::{record_envelope, recorded, recorded_busy};
pub(crate) use request::Agent;

/// One message of an agent, to its end.
///
/// What is rare is boxed, here and below: a task is as large as its largest
/// branch, and every call would pay for moving it.
pub(crate) async fn message(worker: &Worker, agent: &Agent, text: Bytes, responder: Responder) {
    let parsed = match envelope::parse(&text) {
        Ok(parsed) => parsed,
        Err(problem) => return malformed(worker, agent, &problem, responder),
    };
    let read = envelope::read(&parsed);
    // Before anything is done for it, and until it is done with.
    let room = match (&read, Room::take(&agent.claim.principal, &parsed, &read)) {
        (_, Ok(room)) => room,
        (Ok(message), Err(failure)) => {
            let (method, id) = (message.method().to_owned(), message.request_id());
            return busy(worker, agent, &method, failure, id, responder);
        }
        (Err(_), Err(failure)) => {
            return busy(worker, agent, "(unreadable)", failure, None, responder);
        }
    };
    match read {
        Err(problem) => malformed(worker, agent, &problem, responder),
        Ok(Message::Request { id, method, params }) => {
            let request = Request {
                text: &text,
                id,
                method,
                params,
            };
            self::request(worker, agent, request, responder, room).await;
        }
        Ok(Message::Notification { method, params }) => {
            Box::pin(notify::notification(
                worker, agent, &text, &method, params, responder,
            ))
            .await;
        }
        Ok(Message::Response { id, .. }) => {
            Box::pin(notify::answer(worker, agent, &text, id, responder)).await;
        }
    }
}

async fn request(
    worker: &Worker,
    agent: &Agent,
    request: Request<'_>,
    responder: Responder,
    room: Room,
) {
    if modern::is(agent, &request) {
        return Box::pin(modern_request(worker, agent, &request, responder, room)).await;
    }
    let placed = answers::placed(Era::Legacy, &request.method, request.params);
    let subscribes = subscribe::wanted(Era::Legacy, &request.method, request.params);
    let token = envelope::token_problem(request.params).map_or(Ok(()), Err);
    if let Err(problem) = placed.and(subscribes.map(drop)).and(token) {
        let stop = Stop::Failed(Failure::invalid_params(problem));
        let stop = unjudged(worker, agent, &request, stop);
        let kind = protocol::request_kind(Era::Legacy, &request.method);
        return refuse(Era::Legacy, stop, &request, kind, responder);
    }
    let kind = protocol::request_kind(Era::Legacy, &request.method);
    if kind == RequestKind::Housekeeping(protocol::Housekeeping::Initialize) {
        return Box::pin(initialize::initialize(
            worker, agent, &request, responder, room,
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
        return responder.send(Reply::message(answer::pong(request.id.raw())));
    }
    // Everything but opening a session needs one.
    let Some(session) = agent.session.clone() else {
        let stop = early(worker, agent, &request);
        return refuse(Era::Legacy, stop, &request, kind, responder);
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
        Ok((flight, message)) => flight.go(worker, message, responder, room).await,
        Err(stop) => refuse(Era::Legacy, stop, &request, kind, responder),
    }
}

/// The same in the modern era, where a request says of itself what is checked
/// first, and its server may have to be asked something.
async fn modern_request(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    mut responder: Responder,
    room: Room,
) {
    let admitted = match modern::admitted(worker, agent, request) {
        Ok(admitted) => admitted,
        Err(failure) => {
            let stop = unjudged(worker, agent, request, Stop::Failed(failure));
            let kind = protocol::request_kind(Era::Modern, &request.method);
            return refuse(Era::Modern, stop, request, kind, responder);
        }
    };
    let (kind, session) = (admitted.kind, Arc::clone(&admitted.session));
    let prepared = modern::prepared(worker, agent, request, &admitted, &mut responder).await;
    // Judged with what holds now, whatever held before the server was asked.
    let judged = prepared.and_then(|prepared| {
        let judged = worker.shared.judging(&agent.claim, |present| {
            lasts(worker, agent, &session, request, kind)?;
            modern::same_server(worker, agent, request, kind, present, &prepared)?;
            let modern = Some(modern::along(worker, present, request, admitted));
            match kind {
                RequestKind::Housekeeping(kind) => {
                    housekeeping::flight(present, &session, request, kind, modern)
                        .map_err(|stop| unjudged(worker, agent, request, stop))
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
        Ok((flight, message)) => flight.go(worker, message, responder, room).await,
        Err(stop) => refuse(Era::Modern, stop, request, kind, responder),
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
) -> Result<Ready, Stop> {
    let (shared, now) = (&worker.shared, present.now);
    let (tool, arguments) = match tool_call(request, kind) {
        Ok(read) => read,
        Err(problem) => {
            let stop = Stop::Failed(Failure::invalid_params(problem));
            return Err(unjudged(worker, agent, request, stop));
        }
    };
    let call = Call {
        method: judged_as(request, kind),
        tool: tool.as_deref(),
        arguments,
    };
    let caller = present.caller(session);
    let continued = modern.as_ref().and_then(|modern| modern.continued.as_ref());
    let mut subject = Subject {
        call: match continued {
            Some(continued) => continued.call,
            None => record::call_id()?,
        },
        principal: &present.principal,
        client: session.client(),
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
    // Judge → look at limits → hold.
    let allowed = checks::in_order(worker, present, session, request, &call)
        .and_then(|()| checks::resumes(request, continued))
        .and_then(|()| checks::repeats(present, agent, session, &call))
        .and_then(|()| checks::is_itself(request, kind))
        .and_then(|()| checks::of_this_era(request, kind))
        .and_then(|()| checks::knows_tasks(kind, modern.as_ref()))
        .and_then(|()| checks::own_task(worker, present, request, kind))
        .and_then(|()| checks::built_in(present, &caller, &call))
        .and_then(|()| judge::allowed(shared, judge::judge(present, &caller, &call), now))
        .and_then(|allowed| match open {
            true => Ok(allowed),
            // A stdio agent has a session before it opens it: what a policy refuses
            // is told even then, but nothing goes anywhere.
            false => Err(Stop::Malformed(Failure::no_session())),
        });
    let unasked = unasked(worker, present, request, continued);
    // Reserve → record intent. Before forwarding: a crash must over-count, never
    // under-count.
    let cleared = allowed
        .and_then(|allowed| clear::reserve(shared, present, &mut subject, allowed, continued))
        .and_then(|reserved| reserved.record(outgoing(request, modern, unasked.as_ref())));
    let (message, open_call) = cleared.map_err(|stop| stopped(shared, &mut subject, stop, now))?;
    if let Some(unasked) = unasked {
        let (principal, client) = (&present.principal, session.client());
        let refusal = Refusal::by(RuleId::ENVELOPE, unasked.message);
        record_message(worker, principal, client, &request.method, &refusal).inspect_err(|_| {
            settle::settle(shared, &open_call, Status::NotSent);
        })?;
    }
    let transform = transform(request, kind);
    let flight = Flight::new(
        present.route(session),
        message.message(),
        transform,
        Some(open_call),
    );
    // Among those in flight, before it goes.
    let flight = flight.map_err(|in_flight| {
        if let Some(open_call) = &in_flight.open_call {
            settle::settle(shared, open_call, Status::NotSent);
        }
        Stop::from(in_flight)
    })?;
    housekeeping::arrange(session, request, message.message());
    Ok((flight, message))
}

/// What an answer goes through on its way back.
fn transform(request: &Request<'_>, kind: RequestKind) -> Transform {
    match kind {
        RequestKind::CallTool => Transform::Call,
        RequestKind::Task(TaskMethod::List) => Transform::Tasks,
        RequestKind::Subscribe => Transform::Listen,
        RequestKind::Method if request.method == "resources/read" => Transform::Read,
        RequestKind::Housekeeping(_)
        | RequestKind::Task(TaskMethod::One)
        | RequestKind::Method
        | RequestKind::Unknown => Transform::Plain,
    }
}

/// The request as it goes upstream: the bytes that were judged.
fn outgoing(request: &Request<'_>, modern: Option<Modern>, unasked: Option<&Unasked>) -> Outgoing {
    let mut message = Outgoing::new(request.text, request.id, request.params);
    if let Some(unasked) = unasked {
        message = message.without(unasked.splice.clone());
    }
    if let Some(modern) = modern {
        if let Some(continued) = &modern.continued {
            message = message.unsealed(request.params, continued.state.as_deref());
        }
        message = message.with(modern);
    }
    message
}

/// The answers in a request that are to no question of the server: in a call that
/// is continued, questions of the round before; else those of the task.
fn unasked(
    worker: &Worker,
    present: &Present<'_>,
    request: &Request<'_>,
    continued: Option<&Continued>,
) -> Option<Unasked> {
    let task = request.params.and_then(|params| params.get("taskId"));
    let task = task.and_then(Value::as_str).unwrap_or_default();
    let grant = &present.principal.grant.0;
    answers::unasked(request.params, |key| match continued {
        Some(continued) => continued.asked.contains(&answers::key(key)),
        None => worker.shared.questions.asked(grant, &task, key),
    })
}
