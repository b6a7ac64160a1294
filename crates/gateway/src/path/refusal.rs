//! Messages that go no further: each leaves a record, and is answered.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use provost_policy::RuleId;
use provost_policy::judge::Refusal;
use provost_store::Decision;

use super::request::{Agent, Request, tool_call};
use crate::agent::session::Session;
use crate::exchange::outlet::{Outlet, Reply};
use crate::message::answer::{self, Failure};
use crate::message::principal::Principal;
use crate::stage::record::Subject;
use crate::stage::{Stop, record};
use crate::state::present::{self, Ended};
use crate::state::worker::Worker;
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

/// A request whose grant ended on its way to us: refused and recorded.
pub(super) fn ended(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    kind: RequestKind,
) -> Stop {
    let (tool, arguments) = tool_call(request, kind).unwrap_or_default();
    let keys = record::keys(arguments);
    record_ended(worker, agent, &request.method, tool.as_deref(), keys)
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

/// Looks whether who sent a message still is who it was, without judging it.
pub(super) fn identified(worker: &Worker, agent: &Agent, method: &str) -> Result<(), Failure> {
    let there = worker.shared.judging(&agent.claim, |_| ());
    there.map_err(|Ended| ending(record_ended(worker, agent, method, None, Vec::new())))
}

/// What whoever sent something that is no request is told of it.
pub(super) fn ending(stop: Stop) -> Failure {
    match stop {
        Stop::Refused { refusal, .. } => Failure::ended(&refusal),
        Stop::Malformed(failure) | Stop::Failed(failure) => failure,
        Stop::Unrecorded => Failure::record_unavailable(),
    }
}

/// Records that a message is refused because its grant ended.
pub(super) fn record_ended(
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
pub(super) fn early(worker: &Worker, agent: &Agent, request: &Request<'_>) -> Stop {
    unjudged(worker, agent, request, Stop::Failed(Failure::no_session()))
}

/// Records that a request ends before anybody judged it.
pub(super) fn unjudged(worker: &Worker, agent: &Agent, request: &Request<'_>, stop: Stop) -> Stop {
    let problem = match &stop {
        Stop::Failed(failure) | Stop::Malformed(failure) => failure.message(),
        Stop::Refused { .. } | Stop::Unrecorded => return stop,
    };
    let recorded = record_envelope(worker, agent, &request.method, problem);
    recorded.err().unwrap_or(stop)
}

/// Answers a request that goes no further.
pub(super) fn refuse(
    era: Era,
    stop: Stop,
    request: &Request<'_>,
    kind: RequestKind,
    outlet: Outlet,
) {
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
pub(super) fn malformed(worker: &Worker, agent: &Agent, problem: &Malformed, outlet: Outlet) {
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

pub(super) fn record_as(
    worker: &Worker,
    principal: &Principal,
    method: &str,
    problem: &str,
) -> Result<(), Stop> {
    record_unread(worker, principal, method, &envelope_refusal(problem))
}

pub(super) fn record_unread(
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
pub(super) fn envelope_refusal(problem: &str) -> Refusal {
    Refusal {
        rule: RuleId::ENVELOPE,
        policy: None,
        message: problem.to_owned(),
        retry_after_ms: None,
    }
}
