//! What an upstream sends: answers are settled and filtered, notifications pass
//! if the era knows them, requests pass if a policy lets them.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::{Document, Value};
use provost_store::Status;
use std::time::Duration;
use tracing::{debug, warn};

use crate::agent::pending::Pending;
use crate::agent::pending::Transform;
use crate::exchange::filter;
use crate::message::answer::{self, Failure};
use crate::message::call::Question;
use crate::message::cleared::Cleared;
use crate::message::modern::Declared;
use crate::stage::ask::Asked;
use crate::stage::{Stop, settle};
use crate::state::present::{Ended, Present};
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::asking::STATE;
use crate::text::asking::{self, Asking, Inline, Misasked, Part};
use crate::text::envelope::{self, Answer, Id, IdKey, Message};
use crate::text::era::Era;
use crate::text::meta;
use crate::text::meta::DECISION_KEY;
use crate::text::protocol::{self, Channel, KnownNotification};
use crate::text::splice::{self, Splice};

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
        let pending = route.session.state().streams.answered_before(&key)?;
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
        let message = Cleared::own("a question of the upstream is refused", message);
        let told = route.notify(&worker, message);
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
            route
                .session
                .state()
                .streams
                .note_answered(key.clone(), pending);
            Sorted::Answer { key, answered }
        }
        Ok(Message::Notification { method, params }) => {
            let told = (method.as_ref(), params);
            notification(worker, route, present, channel, told, &parsed, text)
        }
        Ok(Message::Request { .. }) if channel != Channel::Session => {
            warn!(server.name = %server, "Server `{server}` sent a request, which this era does not allow");
            Sorted::Violation
        }
        Ok(Message::Request { id, method, .. }) if method == "ping" && !route.session.is_open() => {
            // The agent waits for the end of its `initialize`.
            return Err(answer::pong(id.raw()));
        }
        Ok(Message::Request { id, method, params }) => {
            let asked = question(worker, route, present, id, &method, params);
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
            let text = route.session.account().carry(text);
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
    let asked = questions(worker, route, present, pending, id, answer);
    let inline = match asked {
        Ok(inline) => inline,
        Err(Unfit { status, answered }) => {
            settle(status);
            route.session.not_arranged(pending);
            return answered;
        }
    };
    let inside = inline.and_then(|inline| match inline {
        Inline::Result(result) => decision_mark(parsed, result.get("_meta")),
        Inline::Error(error) => decision_mark(parsed, error.get("data")),
    });
    let mut splices: Vec<Splice> = inside.into_iter().collect();
    let http = match answer {
        Answer::Error(error) => {
            settle(Status::RpcError);
            route.session.not_arranged(pending);
            let code = error.get("code").map(Value::raw);
            let era = pending.era();
            if era == Era::Modern && code.is_some_and(answer::doubts_the_era) {
                // It may be another server by now, or have other tools.
                route.site.eras.doubt();
            }
            splices.extend(decision_mark(parsed, error.get("data")));
            answer::status_of(era, code)
        }
        Answer::Result(result) => {
            settle(if failed(result) {
                Status::ToolError
            } else {
                Status::Ok
            });
            route.session.arranged(pending);
            splices.extend(filter::result(worker, route, present, pending, result));
            splices.extend(sealed(worker, route, pending, result));
            splices.extend(decision_mark(parsed, result.get("_meta")));
            200
        }
    };
    let spliced = splice::apply(text.clone(), splices);
    let text = route.session.account().carry_copy(text, spliced);
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
    let asked = asking::answers::keys(result);
    let seals = &worker.shared.seals;
    let state_and_asked = (raw, &asked[..]);
    let seal = seals.seal(
        kept.call,
        before,
        state_and_asked,
        grant,
        &modern.print,
        wall,
    );
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

/// Judges what an answer asks; returns the end of a task that is inside of it.
fn questions<'d>(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    pending: &Pending,
    id: Id<'_>,
    answer: Answer<'d>,
) -> Result<Option<Inline<'d>>, Unfit> {
    let modern = pending.modern.as_ref();
    let (part, status) = match answer {
        Answer::Error(error) => (Part::Error(error), Status::RpcError),
        Answer::Result(result) => {
            let of = modern.map(|modern| modern.carries).unwrap_or_default();
            (Part::Result { of, result }, Status::Ok)
        }
    };
    let read = asking::read(pending.era(), part).and_then(|asking| match asking.is_task {
        // Whoever does not know tasks would wait for ever.
        true if !modern.is_some_and(|modern| modern.declared.takes_tasks()) => {
            Err(Misasked::Untrue)
        }
        true | false => Ok(asking),
    });
    let asking = match read {
        Ok(asking) if asking.questions.is_empty() => return Ok(asking.inline),
        other => other,
    };
    let declared = match modern {
        Some(modern) => modern.declared.clone(),
        None => route.session.state().capabilities.clone(),
    };
    let asked = Asked {
        shared: &worker.shared,
        present,
        session: &route.session,
        era: pending.era(),
        declared: &declared,
    };
    let server = &route.site.server.name;
    match asking {
        Ok(asking) => match asked.all(&asking.questions) {
            Ok(passed) => {
                // They are put to the agent with this very answer.
                for kept in &passed {
                    settle::settle(&worker.shared, kept, Status::Ok);
                }
                Ok(asking.inline)
            }
            Err(stop) => Err(Unfit {
                status,
                answered: refused_question(pending, id, stop),
            }),
        },
        Err(problem) => {
            warn!(server.name = %server, %problem, "Server `{server}` sent an answer that is refused");
            let failure = match problem {
                Misasked::Untrue => Failure::upstream_lies(server),
                Misasked::Misplaced(_)
                | Misasked::Lookalike(_)
                | Misasked::TooMuch
                | Misasked::TooMany(_)
                | Misasked::Unreadable(_) => match asked.misasked(&problem) {
                    Ok(()) => Failure::misasked(server, &problem),
                    Err(_) => Failure::record_unavailable(),
                },
            };
            Err(Unfit {
                status: Status::BadAnswer,
                answered: Answered {
                    text: failure.body(Some(id.raw())),
                    http: failure.http,
                },
            })
        }
    }
}

/// The answer to a request whose server asked what it may not ask.
fn refused_question(pending: &Pending, id: Id<'_>, stop: Stop) -> Answered {
    let failure = match stop {
        Stop::Refused { decision, refusal } if pending.transform == Transform::Call => {
            let kind = decision.as_str();
            let text = answer::refused_call(pending.era(), id.raw(), kind, &refusal);
            return Answered { text, http: 200 };
        }
        Stop::Refused { decision, refusal } => Failure::refused(decision.as_str(), &refusal),
        Stop::Unrecorded => Failure::record_unavailable(),
        Stop::Malformed(failure) | Stop::Failed(failure) => failure,
    };
    Answered {
        text: failure.body(Some(id.raw())),
        http: failure.http,
    }
}

/// What a server tells without being asked: passes if it is known where it came
/// in, and if what it asks passes.
fn notification(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    channel: Channel,
    (method, params): (&str, Option<Value<'_>>),
    parsed: &Document<'_>,
    text: &Bytes,
) -> Sorted {
    let server = &route.site.server.name;
    let cancels = channel == Channel::Session && method == "notifications/cancelled";
    let known = protocol::upstream_notification(channel, method);
    if known.is_none() && !cancels {
        debug!(server.name = %server, "Dropped an unknown notification of server `{server}`");
        return Sorted::Nothing;
    }
    let era = match channel {
        Channel::Session => Era::Legacy,
        Channel::Call | Channel::Subscription => Era::Modern,
    };
    let asking = asking::read(era, Part::Notification { method, params });
    let asking = match asking {
        Ok(asking) if asking.questions.is_empty() => Some(asking),
        other => {
            let declared = declared_for(route, params);
            let asked = Asked {
                shared: &worker.shared,
                present,
                session: &route.session,
                era,
                declared: &declared,
            };
            told(worker, &asked, other)
        }
    };
    let Some(asking) = asking else {
        warn!(server.name = %server, method, "Server `{server}` asked in a notification what it may not ask; it is dropped");
        return Sorted::Nothing;
    };
    if cancels {
        let target = params.and_then(|params| params.get("requestId"));
        let question = target.and_then(|id| {
            let key = envelope::id_key(id);
            route.session.state().questions.remove(&key)
        });
        if question.is_none() {
            // Nothing that this agent was asked.
            return Sorted::Nothing;
        }
        settle_question(worker, question, Status::Cancelled);
    }
    if known == Some(KnownNotification::ListChanged) {
        route.site.eras.doubt_tools();
    }
    let inside = asking.inline.and_then(|inline| match inline {
        Inline::Result(result) => decision_mark(parsed, result.get("_meta")),
        Inline::Error(error) => decision_mark(parsed, error.get("data")),
    });
    let spliced = splice::apply(text.clone(), inside.into_iter().collect());
    Sorted::Deliver(route.session.account().carry_copy(text, spliced))
}

/// Judges and records what a notification asks; none when it does not pass.
fn told<'d>(
    worker: &Worker,
    asked: &Asked<'_>,
    asking: Result<Asking<'d>, Misasked>,
) -> Option<Asking<'d>> {
    if !asked.session.account().may_be_asked() {
        return None;
    }
    let asking = match asking {
        Ok(asking) => asking,
        Err(problem) => {
            // Without its record it does not pass either.
            let _recorded = asked.misasked(&problem);
            return None;
        }
    };
    for kept in asked.all(&asking.questions).ok()? {
        settle::settle(&worker.shared, &kept, Status::Ok);
    }
    Some(asking)
}

/// What an agent said it can be asked, where it subscribed.
fn declared_for(route: &Route, params: Option<Value<'_>>) -> Declared {
    let subscription = params.and_then(|params| params.get("_meta")?.get(meta::SUBSCRIPTION));
    let key = subscription.map(envelope::id_key);
    let state = route.session.state();
    let pending = key.and_then(|key| state.in_flight.get(&key));
    let modern = pending.and_then(|pending| pending.modern.as_ref());
    modern.map_or_else(
        || state.capabilities.clone(),
        |modern| modern.declared.clone(),
    )
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
    params: Option<Value<'_>>,
) -> Result<(), Failure> {
    let key = id.key();
    if route.session.state().questions.len() >= MOST_QUESTIONS {
        return Err(Failure::busy("too many questions are open already"));
    }
    if method == "ping" {
        return ask(worker, route, key, Question { kept: None });
    }
    if !route.session.account().may_be_asked() {
        let server = &route.site.server.name;
        let problem = format!("server `{server}` asks too often; ask again in a minute");
        return Err(Failure::busy(problem));
    }
    let declared = route.session.state().capabilities.clone();
    let asked = Asked {
        shared: &worker.shared,
        present,
        session: &route.session,
        era: Era::Legacy,
        declared: &declared,
    };
    let kept = match asking::well_formed(params) {
        Ok(()) => asked.one(method, params),
        Err(problem) => Err(match asked.misasked(&problem) {
            Ok(()) => Stop::Failed(Failure::invalid_params(problem.to_string())),
            Err(stop) => stop,
        }),
    };
    let kept = kept.map_err(|stop| match stop {
        Stop::Refused { decision, refusal } => Failure::refused(decision.as_str(), &refusal),
        Stop::Unrecorded => Failure::record_unavailable(),
        Stop::Malformed(failure) | Stop::Failed(failure) => failure,
    })?;
    ask(worker, route, key, Question { kept: Some(kept) })
}

/// Puts a question among those that are open. Where the session has ended in the
/// meantime nobody would settle it, so it is over at once.
fn ask(worker: &Worker, route: &Route, key: IdKey, question: Question) -> Result<(), Failure> {
    match route.session.ask(key, question) {
        Ok(before) => {
            // An id that is used twice: the first question can no longer be answered.
            settle_question(worker, before, Status::Cancelled);
            Ok(())
        }
        Err(unasked) => {
            settle_question(worker, Some(unasked), Status::NotSent);
            Err(Failure::agent_away())
        }
    }
}

fn settle_question(worker: &Worker, question: Option<Question>, status: Status) {
    if let Some(kept) = question.and_then(|question| question.kept) {
        settle::settle(&worker.shared, &kept, status);
    }
}

/// A question that passed but reached no agent: whoever asked must not wait. One
/// that is not open any more was settled by whoever closed it.
pub(crate) fn undelivered(worker: &Worker, route: &Route, text: &Bytes) {
    let refused = {
        let Ok(parsed) = envelope::parse_upstream(text) else {
            return;
        };
        let Ok(Message::Request { id, .. }) = envelope::read(&parsed) else {
            return;
        };
        let question = route.session.state().questions.remove(&id.key());
        if question.is_none() {
            return;
        }
        settle_question(worker, question, Status::NotSent);
        Failure::agent_away().body(Some(id.raw()))
    };
    say_no(worker, route, refused);
}
