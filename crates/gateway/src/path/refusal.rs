//! Messages that go no further: each leaves a record, and is answered.

use std::sync::atomic::Ordering;

use provost_policy::judge::Refusal;
use provost_policy::{Moment, RuleId, Text};
use provost_store::Decision;

use super::request::{Agent, Request, tool_call};
use crate::agent::session::Session;
use crate::exchange::responder::{Reply, Responder};
use crate::message::answer::{self, Failure};
use crate::message::principal::Principal;
use crate::stage::record::Subject;
use crate::stage::{Stop, record};
use crate::state::present::{self, Ended, Present};
use crate::state::worker::{GatewayState, Worker};
use crate::text::envelope::{self, Id, Malformed};
use crate::text::era::Era;
use crate::text::protocol::{RequestKind, TaskMethod};

/// Refuses, and records, a message for which there is no room.
pub(super) fn busy(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    failure: Failure,
    id: Option<Id<'_>>,
    responder: Responder,
) {
    let failure = recorded_busy(worker, agent, method, failure);
    match id {
        Some(id) => responder.fail(&failure, Some(id.raw())),
        None => responder.turn_away(&failure),
    }
}

/// A request whose grant ended on its way to us: refused and recorded.
pub(super) fn ended(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    kind: RequestKind,
) -> Stop {
    let refusal = present::ended();
    let recorded = record_request(worker, agent, request, kind, &refusal);
    recorded.err().unwrap_or(Stop::Refused {
        decision: Decision::Deny,
        refusal,
    })
}

/// Refuses, and records, a request of a session that has ended with its grant: over
/// stdio it is not the token that tells, as none comes with a request.
pub(super) fn lasts(
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

/// Decides something about what is no request, without judging it, if who sent it still
/// is who it was.
pub(super) fn identified<R>(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    decide: impl FnOnce(&Present<'_>) -> R,
) -> Result<R, Failure> {
    let there = worker.shared.judging(&agent.claim, decide);
    there.map_err(|Ended| {
        let refusal = present::ended();
        let failure = Failure::ended(&refusal);
        told(worker, agent, method, &refusal, failure)
    })
}

/// A request before there is a session.
pub(super) fn early(worker: &Worker, agent: &Agent, request: &Request<'_>) -> Stop {
    unjudged(worker, agent, request, Stop::Failed(Failure::no_session()))
}

/// Records that a request ends before anybody judged it.
pub(super) fn unjudged(worker: &Worker, agent: &Agent, request: &Request<'_>, stop: Stop) -> Stop {
    let problem = match &stop {
        Stop::Failed(failure) | Stop::Malformed(failure) => failure.message(),
        Stop::Refused { .. } | Stop::Unrecorded => return stop,
    };
    let refusal = Refusal::by(RuleId::ENVELOPE, problem);
    let (principal, client) = (&agent.claim.principal, request.client(agent));
    let recorded = record_message(worker, principal, client, &request.method, &refusal);
    recorded.err().unwrap_or(stop)
}

/// Records that a call goes no further, as far as that is for the record.
pub(super) fn stopped(
    shared: &GatewayState,
    subject: &mut Subject<'_>,
    stop: Stop,
    now: Moment,
) -> Stop {
    let recorded = match &stop {
        Stop::Refused { decision, refusal } => {
            if let Some(said) = &mut subject.shadow {
                said.charges.clear();
            }
            record::refusal(shared, subject, *decision, refusal, now)
        }
        Stop::Malformed(failure) => {
            let refusal = Refusal::by(RuleId::ENVELOPE, failure.message());
            record::refusal(shared, subject, Decision::Deny, &refusal, now)
        }
        Stop::Failed(_) | Stop::Unrecorded => Ok(()),
    };
    match (recorded, stop) {
        (Err(unrecorded), _) => unrecorded,
        // It is recorded now.
        (Ok(()), Stop::Malformed(failure)) => Stop::Failed(failure),
        (Ok(()), stop) => stop,
    }
}

/// Answers a request that goes no further.
pub(super) fn refuse(
    era: Era,
    stop: Stop,
    request: &Request<'_>,
    kind: RequestKind,
    responder: Responder,
) {
    let id = request.id.raw();
    let failure = match (stop, kind) {
        (Stop::Refused { decision, refusal }, RequestKind::CallTool)
            if refusal.rule != RuleId::REVOKED =>
        {
            let body = answer::refused_call(era, id, decision.as_str(), &refusal);
            return responder.send(Reply::message(body));
        }
        (Stop::Refused { refusal, .. }, RequestKind::Unknown) if refusal.rule == RuleId::METHOD => {
            Failure::unknown_method(era, &request.method, &refusal)
        }
        (Stop::Refused { refusal, .. }, RequestKind::Task(TaskMethod::One))
            if refusal.rule == RuleId::METHOD =>
        {
            Failure::invalid_params(refusal.message)
        }
        (
            stop,
            RequestKind::CallTool
            | RequestKind::Unknown
            | RequestKind::Task(_)
            | RequestKind::Method
            | RequestKind::Subscribe
            | RequestKind::Housekeeping(_),
        ) => stop.failure(),
    };
    responder.fail(&failure, Some(id));
}

/// A message that cannot be read in exactly one way: refused and recorded.
pub(super) fn malformed(worker: &Worker, agent: &Agent, problem: &Malformed, responder: Responder) {
    if let Err(failure) = identified(worker, agent, "(unreadable)", |_| ()) {
        return responder.fail(&failure, None);
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
    let refusal = Refusal::by(RuleId::ENVELOPE, problem.to_string());
    let failure = told(worker, agent, "(unreadable)", &refusal, failure);
    responder.fail(&failure, id);
}

/// What an agent is told of a message that ends before anybody judged it, once that
/// is recorded.
pub(crate) fn recorded(worker: &Worker, agent: &Agent, method: &str, failure: Failure) -> Failure {
    let refusal = Refusal::by(RuleId::ENVELOPE, failure.message());
    told(worker, agent, method, &refusal, failure)
}

/// The same of a message for which there was no room.
pub(crate) fn recorded_busy(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    failure: Failure,
) -> Failure {
    let refusal = Refusal {
        retry_after_ms: Some(answer::RETRY_AFTER_MS),
        ..Refusal::by(RuleId::BUSY, failure.message())
    };
    told(worker, agent, method, &refusal, failure)
}

fn told(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    refusal: &Refusal,
    failure: Failure,
) -> Failure {
    let (principal, client) = (&agent.claim.principal, agent.client());
    match record_message(worker, principal, client, method, refusal) {
        Ok(()) => failure,
        Err(_) => Failure::record_unavailable(),
    }
}

/// Records that a message was refused before anybody judged it.
pub(crate) fn record_envelope(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    problem: &str,
) -> Result<(), Stop> {
    let refusal = Refusal::by(RuleId::ENVELOPE, problem);
    let (principal, client) = (&agent.claim.principal, agent.client());
    record_message(worker, principal, client, method, &refusal)
}

/// Records the refusal of a message of which nothing is told but its method.
pub(super) fn record_message(
    worker: &Worker,
    principal: &Principal,
    client: Option<Text>,
    method: &str,
    refusal: &Refusal,
) -> Result<(), Stop> {
    let subject = Subject::of_message(principal, client, method)?;
    denied(worker, &subject, refusal)
}

/// Records the refusal of a request that nobody judged, with what it would have done.
pub(super) fn record_request(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    kind: RequestKind,
    refusal: &Refusal,
) -> Result<(), Stop> {
    let (tool, arguments) = tool_call(request, kind).unwrap_or_default();
    let (principal, client) = (&agent.claim.principal, request.client(agent));
    let subject = Subject {
        tool: tool.as_deref(),
        keys: record::keys(arguments),
        ..Subject::of_message(principal, client, &request.method)?
    };
    denied(worker, &subject, refusal)
}

fn denied(worker: &Worker, subject: &Subject<'_>, refusal: &Refusal) -> Result<(), Stop> {
    let now = worker.shared.clock.now();
    record::refusal(&worker.shared, subject, Decision::Deny, refusal, now)
}
