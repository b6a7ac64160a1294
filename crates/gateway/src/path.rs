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

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;
use provost_policy::json::{Kind, Value};
use provost_policy::judge::{Allowed, Refusal, Verdict};
use provost_policy::{Call, Caller, Charge, RuleId, Window};
use provost_store::{Decision, Status};

use crate::agent::pending::Transform;
use crate::agent::room::Room;
use crate::agent::session::Session;
use crate::exchange::outlet::{Outlet, Reply};
use crate::exchange::relay::Flight;
use crate::message::answer::{self, Failure};
use crate::message::call::Kept;
use crate::message::continuation::Continued;
use crate::message::modern::Claims;
use crate::message::outgoing::{Modern, Outgoing};
use crate::message::permit::Permit;
use crate::message::principal::Principal;
use crate::stage::record::Subject;
use crate::stage::{Stop, judge, limits, record, settle};
use crate::state::present::{self, Claim, Ended, Present};
use crate::state::worker::Worker;
use crate::text::asking::answers::{self, Unasked};
use crate::text::asking::subscribe;
use crate::text::envelope::{self, Id, Malformed, Message};
use crate::text::era::Era;
use crate::text::protocol::{self, RequestKind, TaskMethod};

/// Who says that it sent a message, and its session if it has one.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) claim: Claim,
    pub(crate) session: Option<Arc<Session>>,
    /// What the headers of an HTTP request claim, when they name another revision
    /// than one of the legacy era.
    pub(crate) claims: Option<Arc<Claims>>,
}

/// A request as it was read.
struct Request<'d> {
    text: &'d Bytes,
    id: Id<'d>,
    method: Cow<'d, str>,
    params: Option<Value<'d>>,
}

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

/// Refuses, and records, a message for which there is no room.
fn busy(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    failure: Failure,
    id: Option<Id<'_>>,
    outlet: Outlet,
) {
    let recorded = record_busy(worker, agent, method, &failure);
    let failure = recorded.map_or_else(|_| Failure::record_unavailable(), |()| failure);
    match id {
        Some(id) => outlet.fail(&failure, Some(id.raw())),
        None => outlet.turn_away(&failure),
    }
}

/// Records that there was no room for a message.
pub(crate) fn record_busy(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    failure: &Failure,
) -> Result<(), Stop> {
    let refusal = Refusal {
        rule: RuleId::BUSY,
        policy: None,
        message: failure.message().to_owned(),
        retry_after_ms: Some(answer::RETRY_AFTER_MS),
    };
    record_unread(worker, &agent.claim.principal, method, &refusal)
}

async fn request(worker: &Worker, agent: &Agent, request: Request<'_>, outlet: Outlet, room: Room) {
    if modern::is(agent, &request) {
        return Box::pin(modern::request(worker, agent, &request, outlet, room)).await;
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

/// A request whose grant ended on its way to us: refused and recorded.
fn ended(worker: &Worker, agent: &Agent, request: &Request<'_>, kind: RequestKind) -> Stop {
    let (tool, arguments) = tool_call(request, kind).unwrap_or_default();
    let keys = record::keys(arguments);
    record_ended(worker, agent, &request.method, tool.as_deref(), keys)
}

/// Refuses, and records, a request of a session that has ended with its grant: over
/// stdio it is not the token that tells, as none comes with a request.
fn lasts(
    worker: &Worker,
    agent: &Agent,
    session: &Session,
    request: &Request<'_>,
    kind: RequestKind,
) -> Result<(), Stop> {
    match session.lost_its_grant() {
        true => Err(ended(worker, agent, request, kind)),
        false => Ok(()),
    }
}

/// Looks whether who sent a message still is who it was, without judging it.
fn identified(worker: &Worker, agent: &Agent, method: &str) -> Result<(), Failure> {
    let there = worker.shared.judging(&agent.claim, |_| ());
    there.map_err(|Ended| ending(record_ended(worker, agent, method, None, Vec::new())))
}

/// What whoever sent something that is no request is told of it.
fn ending(stop: Stop) -> Failure {
    match stop {
        Stop::Refused { refusal, .. } => Failure::ended(&refusal),
        Stop::Malformed(failure) | Stop::Failed(failure) => failure,
        Stop::Unrecorded => Failure::record_unavailable(),
    }
}

/// Records that a message is refused because its grant ended.
fn record_ended(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    tool: Option<&str>,
    keys: Vec<Cow<'_, str>>,
) -> Stop {
    let refusal = present::ended();
    let now = worker.shared.clock.now();
    let recorded = record::call_id().and_then(|call| {
        let subject = Subject {
            call,
            principal: &agent.claim.principal,
            method,
            tool,
            keys,
            shadow: None,
        };
        record::refusal(&worker.shared, &subject, Decision::Deny, &refusal, now)
    });
    recorded.err().unwrap_or(Stop::Refused {
        decision: Decision::Deny,
        refusal,
    })
}

/// A request before there is a session.
fn early(worker: &Worker, agent: &Agent, request: &Request<'_>) -> Stop {
    unjudged(worker, agent, request, Stop::Failed(Failure::no_session()))
}

/// Records that a request ends before anybody judged it.
fn unjudged(worker: &Worker, agent: &Agent, request: &Request<'_>, stop: Stop) -> Stop {
    let problem = match &stop {
        Stop::Failed(failure) | Stop::Malformed(failure) => failure.message(),
        Stop::Refused { .. } | Stop::Unrecorded => return stop,
    };
    let recorded = record_envelope(worker, agent, &request.method, problem);
    recorded.err().unwrap_or(stop)
}

/// A call that may go, with what it needs on its way.
type Cleared = (Flight, Permit, Outgoing);

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
    let caller = caller(present, session);
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
        .and_then(|()| modern::resumes(request, continued))
        .and_then(|()| modern::repeats(present, agent, session, &call))
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

/// The method a policy is asked about.
fn judged_as<'r>(request: &'r Request<'_>, kind: RequestKind) -> &'r str {
    match kind {
        RequestKind::Subscribe => "resources/subscribe",
        RequestKind::Housekeeping(_)
        | RequestKind::CallTool
        | RequestKind::Task(_)
        | RequestKind::Method
        | RequestKind::Unknown => &request.method,
    }
}

/// Who calls, as policies and limits know them.
fn caller(present: &Present<'_>, session: &Session) -> Caller {
    Caller {
        grant: present.principal.grant.0.clone(),
        server: present.principal.server.0.clone(),
        session: session.counts_apart(),
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
        .map(|continued| modern::take_up(shared, present, continued))
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

type Tool<'d> = (Option<Cow<'d, str>>, Option<Value<'d>>);

/// Name and arguments of a `tools/call`; of other methods the parameters that
/// stand where arguments stand.
fn tool_call<'d>(request: &Request<'d>, kind: RequestKind) -> Result<Tool<'d>, &'static str> {
    if kind != RequestKind::CallTool {
        return Ok((None, None));
    }
    let Some(params) = request.params else {
        return Err("`params` with the name of the tool is missing");
    };
    let Some(name) = params.get("name").and_then(Value::as_str) else {
        return Err("`params.name` must be the name of the tool");
    };
    let arguments = params.get("arguments");
    if arguments.is_some_and(|arguments| arguments.kind() != Kind::Object) {
        return Err("`params.arguments` must be an object");
    }
    Ok((Some(name), arguments))
}

/// Answers a request that goes no further.
fn refuse(era: Era, stop: Stop, request: &Request<'_>, kind: RequestKind, outlet: Outlet) {
    let id = request.id.raw();
    match stop {
        Stop::Unrecorded => outlet.fail(&Failure::record_unavailable(), Some(id)),
        Stop::Malformed(failure) | Stop::Failed(failure) => outlet.fail(&failure, Some(id)),
        Stop::Refused { refusal, .. } if refusal.rule == RuleId::REVOKED => {
            outlet.fail(&Failure::ended(&refusal), Some(id));
        }
        Stop::Refused { decision, refusal } => match kind {
            RequestKind::CallTool => {
                let body = answer::refused_call(era, id, decision.as_str(), &refusal);
                outlet.send(Reply::message(body));
            }
            RequestKind::Unknown if refusal.rule == RuleId::METHOD => {
                outlet.fail(
                    &Failure::unknown_method(era, &request.method, &refusal),
                    Some(id),
                );
            }
            RequestKind::Task(TaskMethod::One) if refusal.rule == RuleId::METHOD => {
                outlet.fail(&Failure::invalid_params(refusal.message), Some(id));
            }
            RequestKind::Unknown
            | RequestKind::Task(_)
            | RequestKind::Method
            | RequestKind::Subscribe
            | RequestKind::Housekeeping(_) => {
                outlet.fail(&Failure::refused(decision.as_str(), &refusal), Some(id));
            }
        },
    }
}

/// A message that cannot be read in exactly one way: refused and recorded.
fn malformed(worker: &Worker, agent: &Agent, problem: &Malformed, outlet: Outlet) {
    if let Err(failure) = identified(worker, agent, "(unreadable)") {
        return outlet.fail(&failure, None);
    }
    worker
        .shared
        .metrics
        .malformed
        .fetch_add(1, Ordering::Relaxed);
    let (failure, id) = match problem {
        Malformed::Json(problem) if envelope::is_syntax(problem) => {
            (Failure::parse(problem.to_string()), None)
        }
        Malformed::Json(problem) => (Failure::invalid_request(problem.to_string()), None),
        Malformed::Envelope { problem, id } => {
            (Failure::invalid_request(problem.clone()), id.as_deref())
        }
    };
    match record_envelope(worker, agent, "(unreadable)", &problem.to_string()) {
        Ok(()) => outlet.fail(&failure, id),
        Err(_) => outlet.fail(&Failure::record_unavailable(), id),
    }
}

/// Records that a message was refused before anybody judged it.
pub(crate) fn record_envelope(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    problem: &str,
) -> Result<(), Stop> {
    record_as(worker, &agent.claim.principal, method, problem)
}

fn record_as(
    worker: &Worker,
    principal: &Principal,
    method: &str,
    problem: &str,
) -> Result<(), Stop> {
    record_unread(worker, principal, method, &envelope_refusal(problem))
}

fn record_unread(
    worker: &Worker,
    principal: &Principal,
    method: &str,
    refusal: &Refusal,
) -> Result<(), Stop> {
    let subject = Subject {
        call: record::call_id()?,
        principal,
        method,
        tool: None,
        keys: Vec::new(),
        shadow: None,
    };
    let now = worker.shared.clock.now();
    record::refusal(&worker.shared, &subject, Decision::Deny, refusal, now)
}

/// The refusal of a message that nobody judged.
fn envelope_refusal(problem: &str) -> Refusal {
    Refusal {
        rule: RuleId::ENVELOPE,
        policy: None,
        message: problem.to_owned(),
        retry_after_ms: None,
    }
}
