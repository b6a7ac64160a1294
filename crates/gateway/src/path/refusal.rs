//! Messages that go no further: each leaves a record, and is answered.

use std::borrow::Cow;
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
use crate::state::present::{self, Ended};
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
    let (tool, arguments) = tool_call(request, kind).unwrap_or_default();
    let keys = record::keys(arguments);
    let client = request.client(agent);
    record_ended(
        worker,
        agent,
        client,
        &request.method,
        tool.as_deref(),
        keys,
    )
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
    there.map_err(|Ended| {
        ending(record_ended(
            worker,
            agent,
            agent.client(),
            method,
            None,
            Vec::new(),
        ))
    })
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
    client: Option<Text>,
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
            client,
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
    let principal = &agent.claim.principal;
    let client = request.client(agent);
    let recorded = record_as(worker, principal, client, &request.method, problem);
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
            let refusal = envelope_refusal(failure.message());
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
    match stop {
        Stop::Unrecorded => responder.fail(&Failure::record_unavailable(), Some(id)),
        Stop::Malformed(failure) | Stop::Failed(failure) => responder.fail(&failure, Some(id)),
        Stop::Refused { refusal, .. } if refusal.rule == RuleId::REVOKED => {
            responder.fail(&Failure::ended(&refusal), Some(id));
        }
        Stop::Refused { decision, refusal } => match kind {
            RequestKind::CallTool => {
                let body = answer::refused_call(era, id, decision.as_str(), &refusal);
                responder.send(Reply::message(body));
            }
            RequestKind::Unknown if refusal.rule == RuleId::METHOD => {
                responder.fail(
                    &Failure::unknown_method(era, &request.method, &refusal),
                    Some(id),
                );
            }
            RequestKind::Task(TaskMethod::One) if refusal.rule == RuleId::METHOD => {
                responder.fail(&Failure::invalid_params(refusal.message), Some(id));
            }
            RequestKind::Unknown
            | RequestKind::Task(_)
            | RequestKind::Method
            | RequestKind::Subscribe
            | RequestKind::Housekeeping(_) => {
                responder.fail(&Failure::refused(decision.as_str(), &refusal), Some(id));
            }
        },
    }
}

/// A message that cannot be read in exactly one way: refused and recorded.
pub(super) fn malformed(worker: &Worker, agent: &Agent, problem: &Malformed, responder: Responder) {
    if let Err(failure) = identified(worker, agent, "(unreadable)") {
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
    match record_envelope(worker, agent, "(unreadable)", &problem.to_string()) {
        Ok(()) => responder.fail(&failure, id),
        Err(_) => responder.fail(&Failure::record_unavailable(), id),
    }
}

/// What an agent is told of a message that ends before anybody judged it, once that
/// is recorded.
pub(crate) fn recorded(worker: &Worker, agent: &Agent, method: &str, failure: Failure) -> Failure {
    match record_envelope(worker, agent, method, failure.message()) {
        Ok(()) => failure,
        Err(_) => Failure::record_unavailable(),
    }
}

/// The same of a message for which there was no room.
pub(crate) fn recorded_busy(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    failure: Failure,
) -> Failure {
    let refusal = Refusal {
        rule: RuleId::BUSY,
        policy: None,
        message: failure.message().to_owned(),
        retry_after_ms: Some(answer::RETRY_AFTER_MS),
    };
    match record_unread(
        worker,
        &agent.claim.principal,
        agent.client(),
        method,
        &refusal,
    ) {
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
    record_as(
        worker,
        &agent.claim.principal,
        agent.client(),
        method,
        problem,
    )
}

pub(super) fn record_as(
    worker: &Worker,
    principal: &Principal,
    client: Option<Text>,
    method: &str,
    problem: &str,
) -> Result<(), Stop> {
    record_unread(
        worker,
        principal,
        client,
        method,
        &envelope_refusal(problem),
    )
}

pub(super) fn record_unread(
    worker: &Worker,
    principal: &Principal,
    client: Option<Text>,
    method: &str,
    refusal: &Refusal,
) -> Result<(), Stop> {
    let subject = Subject {
        call: record::call_id()?,
        principal,
        client,
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
