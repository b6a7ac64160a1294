//! What an upstream sends: answers are settled and filtered, notifications pass
//! if the era knows them, requests pass if a policy lets them.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::{Document, Kind, Value};
use provost_policy::judge::{Refusal, Verdict};
use provost_policy::{Call, Caller, RuleId};
use provost_store::{Decision, Status};
use std::time::{Duration, Instant};
use tracing::{debug, warn};

use crate::answer::{self, DECISION_KEY, Failure};
use crate::envelope::{self, Answer, Id, IdKey, Message};
use crate::filter;
use crate::outgoing::STATE;
use crate::permit::Permit;
use crate::present::{Ended, Present};
use crate::protocol::{self, Channel, Era, KnownNotification};
use crate::relay::Transform;
use crate::route::Route;
use crate::session::{Kept, Pending, Question};
use crate::splice::{self, Splice};
use crate::stage::record::Subject;
use crate::stage::{Stop, judge, limits, record, settle};
use crate::worker::Worker;

/// Questions of an upstream that may be open in one session.
const MOST_QUESTIONS: usize = 1024;
/// How long an upstream may take to hear a refusal.
const LISTENING: Duration = Duration::from_secs(10);

/// What becomes of one message of an upstream.
pub(crate) enum Sorted {
    /// The answer to a request of the session, settled and filtered.
    Answer { key: IdKey, answered: Answered },
    /// For the agent.
    Deliver(Bytes),
    /// Not for the agent.
    Nothing,
    /// Something that the era forbids: the exchange is over.
    Violation,
}

/// An answer as the agent gets it.
pub(crate) struct Answered {
    pub(crate) text: Bytes,
    /// The HTTP status it comes with, where it comes alone.
    pub(crate) http: u16,
}

impl Answered {
    /// Whether a stream can carry it: the status says nothing.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.http == 200
    }
}

/// Sorts one message of the upstream of a session.
pub(crate) fn sort(worker: &Worker, route: &Route, channel: Channel, text: Bytes) -> Sorted {
    let sorted = worker.shared.present(&route.session.grant, |present| {
        sort_now(worker, route, present, channel, &text)
    });
    let refused = match sorted {
        Ok(Ok(sorted)) => return sorted,
        Ok(Err(refused)) => refused,
        Err(Ended) => {
            // Revoked or expired: open streams end with it.
            worker.end_with_grant(&route.session);
            return Sorted::Nothing;
        }
    };
    say_no(worker, route, refused);
    Sorted::Nothing
}

/// The same for the stream of an answer that its agent lost and fetches again:
/// that it was settled already takes nothing from the agent.
pub(crate) fn sort_again(worker: &Worker, route: &Route, text: Bytes) -> Sorted {
    let again = worker.shared.present(&route.session.grant, |present| {
        let parsed = envelope::parse_upstream(&text).ok()?;
        let Ok(Message::Response { id, answer }) = envelope::read(&parsed) else {
            return None;
        };
        let key = id.key();
        if route.session.state().in_flight.contains_key(&key) {
            return None;
        }
        let pending = route.session.answered_before(&key)?;
        let answered = finish(
            worker,
            route,
            present,
            &pending,
            &parsed,
            (id, answer),
            &text,
        );
        Some(Sorted::Answer { key, answered })
    });
    match again {
        Ok(Some(sorted)) => sorted,
        Ok(None) | Err(Ended) => sort(worker, route, Channel::Session, text),
    }
}

/// Answers a question with no, on a task of its own: a server that does not
/// listen holds up neither its other messages nor its agent.
fn say_no(worker: &Worker, route: &Route, message: Bytes) {
    let server = Arc::clone(&route.site.server);
    let Ok(place) = Arc::clone(&route.session.refusing).try_acquire_owned() else {
        debug!(server.name = %server.name, "Server `{}` does not take its refusals", server.name);
        return;
    };
    let (worker, route) = (Worker::background(&worker.shared), route.clone());
    let background = worker.shared.background.clone();
    background.spawn(async move {
        let _place = place;
        let permit = Permit::own("a question of the upstream is refused");
        let told = route.notify(&worker, &permit, message);
        if !matches!(tokio::time::timeout(LISTENING, told).await, Ok(Ok(()))) {
            debug!(server.name = %server.name, "A refusal did not reach server `{}`", server.name);
        }
    });
}

/// Sorts it with what holds now; `Err` is what a refused question is answered.
fn sort_now(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    channel: Channel,
    text: &Bytes,
) -> Result<Sorted, Bytes> {
    let server = &route.site.server.name;
    let Ok(parsed) = envelope::parse_upstream(text) else {
        warn!(server.name = %server, bytes = text.len(), "Server `{server}` sent a message that cannot be read");
        return Ok(Sorted::Nothing);
    };
    Ok(match envelope::read(&parsed) {
        Err(problem) => {
            warn!(server.name = %server, %problem, "Server `{server}` sent a message that is refused");
            Sorted::Nothing
        }
        Ok(Message::Response { id, answer }) => {
            let key = id.key();
            let pending = route.session.state().in_flight.remove(&key);
            let Some(pending) = pending else {
                warn!(server.name = %server, "Server `{server}` answered a request that is not in flight");
                return Ok(Sorted::Nothing);
            };
            let answer = (id, answer);
            let answered = finish(worker, route, present, &pending, &parsed, answer, text);
            route.session.note_answered(key.clone(), pending);
            Sorted::Answer { key, answered }
        }
        Ok(Message::Notification { method, params })
            if channel == Channel::Session && method == "notifications/cancelled" =>
        {
            let target = params.and_then(|params| params.get("requestId"));
            let question = target.and_then(|id| {
                route
                    .session
                    .state()
                    .questions
                    .remove(&envelope::id_key(id))
            });
            if question.is_none() {
                // Nothing that this agent was asked.
                return Ok(Sorted::Nothing);
            }
            settle_question(worker, question, Status::Cancelled);
            Sorted::Deliver(text.clone())
        }
        Ok(Message::Notification { method, .. }) => {
            match protocol::upstream_notification(channel, &method) {
                Some(known) => {
                    if known == KnownNotification::ListChanged {
                        route.site.eras.doubt_tools();
                    }
                    Sorted::Deliver(text.clone())
                }
                None => {
                    debug!(server.name = %server, "Dropped an unknown notification of server `{server}`");
                    Sorted::Nothing
                }
            }
        }
        Ok(Message::Request { .. }) if channel != Channel::Session => {
            warn!(server.name = %server, "Server `{server}` sent a request, which this era does not allow");
            Sorted::Violation
        }
        Ok(Message::Request { id, method, .. }) => {
            let asked = question(worker, route, present, id, &method);
            asked.map_err(|failure| failure.body(Some(id.raw())))?;
            Sorted::Deliver(text.clone())
        }
    })
}

/// Settles and filters the one message that answers a request. `None` when it
/// is no answer to it, or comes after the end of the grant.
pub(crate) fn answer_to(
    worker: &Worker,
    route: &Route,
    key: &IdKey,
    id: &str,
    text: Bytes,
) -> Option<Answered> {
    let parsed = envelope::parse_upstream(&text).ok()?;
    let answer = match envelope::read(&parsed) {
        Ok(Message::Response { id, answer }) if id.key() == *key => (id, answer),
        // An error that was found before the id was read has id null, or none.
        _ => {
            let error = parsed.root().get("error")?;
            parsed
                .root()
                .get("id")
                .is_none_or(Value::is_null)
                .then_some(())?;
            // It did not even take it for a request: it may be another server by now.
            route.site.eras.doubt();
            let text = Bytes::from(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{}}}"#,
                error.raw()
            ));
            return answer_to(worker, route, key, id, text);
        }
    };
    let answered = worker.shared.present(&route.session.grant, |present| {
        let pending = route.session.state().in_flight.remove(key)?;
        let answered = finish(worker, route, present, &pending, &parsed, answer, &text);
        Some(answered)
    });
    answered.unwrap_or_else(|Ended| {
        worker.end_with_grant(&route.session);
        None
    })
}

/// Settles, records and filters the answer to a request.
fn finish(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    pending: &Pending,
    parsed: &Document<'_>,
    (id, answer): (Id<'_>, Answer<'_>),
    text: &Bytes,
) -> Answered {
    let failed = |result: Value<'_>| result.get("isError").and_then(Value::as_bool) == Some(true);
    let settle = |status| {
        if let Some(kept) = &pending.kept {
            settle::settle(&worker.shared, kept, status);
        }
    };
    let (splices, http) = match answer {
        Answer::Error(error) => {
            settle(Status::RpcError);
            let code = error.get("code").map(Value::raw);
            let era = if pending.modern.is_some() {
                Era::Modern
            } else {
                Era::Legacy
            };
            if era == Era::Modern && code.is_some_and(answer::doubts_the_era) {
                // It may be another server by now, or have other tools.
                route.site.eras.doubt();
            }
            let mark = decision_mark(parsed, error.get("data"));
            (mark.into_iter().collect(), answer::status_of(era, code))
        }
        Answer::Result(result) => {
            let checked = modern_result(worker, route, present, pending, id, result);
            if let Err(Unfit { status, answered }) = checked {
                settle(status);
                return answered;
            }
            settle(if failed(result) {
                Status::ToolError
            } else {
                Status::Ok
            });
            let mut splices = filter::result(worker, route, present, pending, result);
            splices.extend(sealed(worker, route, pending, result));
            splices.extend(decision_mark(parsed, result.get("_meta")));
            (splices, 200)
        }
    };
    let text = splice::apply(text.clone(), splices);
    Answered { text, http }
}

/// Puts a seal around the state with which an agent continues its call, or
/// gives it one where the server keeps the state itself.
fn sealed(worker: &Worker, route: &Route, pending: &Pending, result: Value<'_>) -> Option<Splice> {
    let (modern, kept) = (pending.modern.as_ref()?, pending.kept.as_ref()?);
    let kind = result.get("resultType")?.as_str()?;
    if kind != "input_required" {
        return None;
    }
    let state = result.get(STATE);
    let wall = worker.shared.clock.now().wall;
    let (grant, raw) = (&route.session.grant, state.map(Value::raw));
    let before = modern.continued.as_ref();
    let seals = &worker.shared.seals;
    let seal = seals.seal(kept.call, before, raw, grant, &modern.print, wall);
    // Without a seal the agent can only begin anew.
    let seal = seal.unwrap_or_default();
    Some(match state {
        Some(state) => Splice {
            at: state.span(),
            with: format!("\"{seal}\""),
        },
        None => {
            let start = result.span().start;
            Splice {
                at: start..start + 1,
                with: format!("{{\"{STATE}\":\"{seal}\","),
            }
        }
    })
}

/// A result that the agent does not get.
struct Unfit {
    status: Status,
    answered: Answered,
}

/// Checks what a result of the modern era says it is, and what it asks.
fn modern_result(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    pending: &Pending,
    id: Id<'_>,
    result: Value<'_>,
) -> Result<(), Unfit> {
    let Some(modern) = &pending.modern else {
        return Ok(());
    };
    let server = &route.site.server.name;
    let lies = || {
        warn!(server.name = %server, "Server `{server}` sent a result of an unknown type");
        let failure = Failure::upstream_lies(server);
        Unfit {
            status: Status::BadAnswer,
            answered: Answered {
                text: failure.body(Some(id.raw())),
                http: failure.http,
            },
        }
    };
    let kind = match result.get("resultType") {
        None => return Ok(()),
        Some(kind) => kind.as_str().ok_or_else(lies)?,
    };
    match kind.as_ref() {
        "complete" => Ok(()),
        "task" if pending.transform == Transform::Call && modern.declared.takes_tasks() => Ok(()),
        "input_required" if pending.transform.may_ask() => {
            let questions = result.get("inputRequests");
            let no_object = |questions: Value<'_>| questions.kind() != Kind::Object;
            let asks = questions.is_some_and(|questions| !questions.is_empty());
            let goes_on = result
                .get(STATE)
                .is_some_and(|state| state.kind() == Kind::String);
            if questions.is_some_and(no_object) || !(asks || goes_on) {
                return Err(lies());
            }
            let questions = questions.iter().flat_map(|questions| questions.members());
            for question in questions {
                let method = question.value.get("method").and_then(Value::as_str);
                let method = method.ok_or_else(lies)?;
                let params = question.value.get("params");
                let declared = |capability: &str| modern.declared.covers(capability, params);
                let asked = ask(worker, route, present, (Era::Modern, &method), &declared);
                match asked {
                    // It is put to the agent with this very answer.
                    Ok(kept) => settle::settle(&worker.shared, &kept, Status::Ok),
                    Err(stop) => return Err(refused_question(pending, id, stop)),
                }
            }
            Ok(())
        }
        _ => Err(lies()),
    }
}

/// The answer to a request whose server asked what it may not ask.
fn refused_question(pending: &Pending, id: Id<'_>, stop: Stop) -> Unfit {
    let failure = match stop {
        Stop::Refused { decision, refusal } if pending.transform == Transform::Call => {
            let text = answer::refused_call(Era::Modern, id.raw(), decision.as_str(), &refusal);
            return Unfit {
                status: Status::Ok,
                answered: Answered { text, http: 200 },
            };
        }
        Stop::Refused { decision, refusal } => Failure::refused(decision.as_str(), &refusal),
        Stop::Unrecorded => Failure::record_unavailable(),
        Stop::Malformed(failure) | Stop::Failed(failure) => failure,
    };
    Unfit {
        status: Status::Ok,
        answered: Answered {
            text: failure.body(Some(id.raw())),
            http: failure.http,
        },
    }
}

/// A decision that the upstream made up is taken out: only we make them.
fn decision_mark(parsed: &Document<'_>, place: Option<Value<'_>>) -> Option<Splice> {
    let ours = place?
        .members()
        .find(|member| member.name() == DECISION_KEY)?;
    Some(splice::without_member(
        parsed.text(),
        ours.key.span(),
        ours.value.span(),
    ))
}

/// Decides whether a request of the upstream may be put to the agent; if so it
/// is among the session's open questions.
fn question(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    id: Id<'_>,
    method: &str,
) -> Result<(), Failure> {
    let key = id.key();
    if route.session.state().questions.len() >= MOST_QUESTIONS {
        return Err(Failure::busy("too many questions are open already"));
    }
    if method == "ping" {
        let question = Question { kept: None };
        let before = route.session.state().questions.insert(key, question);
        settle_question(worker, before, Status::Cancelled);
        return Ok(());
    }
    let declared = |capability: &str| route.session.state().capabilities.contains(capability);
    let asked = ask(worker, route, present, (Era::Legacy, method), &declared);
    let kept = asked.map_err(|stop| match stop {
        Stop::Refused { decision, refusal } => Failure::refused(decision.as_str(), &refusal),
        Stop::Unrecorded => Failure::record_unavailable(),
        Stop::Malformed(failure) | Stop::Failed(failure) => failure,
    })?;
    let question = Question { kept: Some(kept) };
    let before = route.session.state().questions.insert(key, question);
    // An id that is used twice: the first question can no longer be answered.
    settle_question(worker, before, Status::Cancelled);
    Ok(())
}

fn settle_question(worker: &Worker, question: Option<Question>, status: Status) {
    if let Some(kept) = question.and_then(|question| question.kept) {
        settle::settle(&worker.shared, &kept, status);
    }
}

/// A question that passed but reached no agent: whoever asked must not wait.
pub(crate) fn undelivered(worker: &Worker, route: &Route, text: &Bytes) {
    let refused = {
        let Ok(parsed) = envelope::parse_upstream(text) else {
            return;
        };
        let Ok(Message::Request { id, .. }) = envelope::read(&parsed) else {
            return;
        };
        let question = route.session.state().questions.remove(&id.key());
        settle_question(worker, question, Status::NotSent);
        Failure::agent_away().body(Some(id.raw()))
    };
    say_no(worker, route, refused);
}

/// The walk of a request of the upstream: judge, reserve, record.
fn ask(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    (era, method): (Era, &str),
    declared: &dyn Fn(&str) -> bool,
) -> Result<Kept, Stop> {
    let shared = &worker.shared;
    let call = Call {
        method,
        tool: None,
        arguments: None,
    };
    let caller = Caller {
        grant: present.principal.grant.0.clone(),
        server: present.principal.server.0.clone(),
        session: route.session.counts_apart(),
    };
    let now = present.now;
    let mut subject = Subject {
        call: record::call_id()?,
        principal: &present.principal,
        method,
        tool: None,
        keys: Vec::new(),
        shadow: judge::shadow(shared, present, &caller, &call),
    };
    let walked = (|| {
        let allowed = match may_ask(era, declared, present, &caller, &call) {
            Verdict::Allow(allowed) => allowed,
            Verdict::Deny(refusal) => {
                return Err(Stop::Refused {
                    decision: Decision::Deny,
                    refusal,
                });
            }
            Verdict::Ask(asked) => return Err(judge::hold(asked)),
        };
        limits::reserve(shared, &allowed.charges, now)?;
        // A question of the upstream costs the shadow nothing.
        if let Some(said) = &mut subject.shadow {
            said.charges.clear();
        }
        // The permit to the upstream is the answer's; this intent is its record.
        record::intent(shared, &subject, &allowed, now)
            .inspect_err(|_| settle::give_back(shared, &allowed.charges, now))?;
        Ok(Kept {
            call: subject.call,
            charges: allowed.charges,
            at: now,
            started: Instant::now(),
            counts: Arc::clone(&present.principal.counts),
            seal: None,
        })
    })();
    if let Err(Stop::Refused { decision, refusal }) = &walked {
        record::refusal(shared, &subject, *decision, refusal, now)?;
    }
    walked
}

/// A question needs a method the era knows, a capability the agent declared,
/// and a policy that lets it through.
fn may_ask(
    era: Era,
    declared: &dyn Fn(&str) -> bool,
    present: &Present<'_>,
    caller: &Caller,
    call: &Call<'_>,
) -> Verdict {
    let no = |message: String| {
        Verdict::Deny(Refusal {
            rule: RuleId::METHOD,
            policy: None,
            message,
            retry_after_ms: None,
        })
    };
    let Some(capability) = protocol::upstream_request(era, call.method) else {
        return no(format!(
            "method `{}` is not known",
            call.method.escape_debug()
        ));
    };
    if let Some(capability) = capability
        && !declared(capability)
    {
        return no(format!("the agent did not declare `{capability}`"));
    }
    judge::judge(present, caller, call)
}
