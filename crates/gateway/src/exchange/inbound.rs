//! What an upstream sends: answers are settled and filtered, notifications pass
//! if the era knows them, requests pass if a policy lets them.

use bytes::Bytes;
use provost_policy::json::Value;
use provost_store::Status;
use tracing::{debug, warn};

use super::answered::{Answered, Arrived, finish, mark_inside};
use super::questions::{question, say_no, settle_question};
use crate::message::answer;
use crate::message::modern::Declared;
use crate::stage::ask::Asked;
use crate::stage::settle;
use crate::state::present::{Ended, Present};
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::asking::{self, Asking, Misasked, Part};
use crate::text::envelope::{self, IdKey, Message};
use crate::text::era::Era;
use crate::text::protocol::{self, Channel, KnownNotification};
use crate::text::{meta, splice};

/// What becomes of one message of an upstream.
pub(crate) enum Disposition {
    /// The answer to a request of the session, settled and filtered.
    Answer { key: IdKey, answered: Answered },
    /// For the agent.
    Deliver(Bytes),
    /// Not for the agent.
    Nothing,
    /// Something that the era forbids: the exchange is over.
    Violation,
}

/// Sorts one message of the upstream of a session.
pub(crate) fn handle(worker: &Worker, route: &Route, channel: Channel, text: Bytes) -> Disposition {
    let handled = worker.shared.present(&route.session.grant, |present| {
        handle_now(worker, route, present, channel, &text)
    });
    let refused = match handled {
        Ok(Ok(handled)) => return handled,
        Ok(Err(refused)) => refused,
        Err(Ended) => {
            // Revoked or expired: open streams end with it.
            worker.end_with_grant(&route.session);
            return Disposition::Nothing;
        }
    };
    say_no(worker, route, refused);
    Disposition::Nothing
}

/// The same for the stream of an answer that its agent lost and fetches again:
/// that it was settled already takes nothing from the agent.
pub(crate) fn handle_again(worker: &Worker, route: &Route, text: Bytes) -> Disposition {
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
        let arrived = Arrived::new(&parsed, &text);
        let answered = finish(worker, route, present, &pending, arrived, id, answer);
        Some(Disposition::Answer { key, answered })
    });
    match again {
        Ok(Some(handled)) => handled,
        Ok(None) | Err(Ended) => handle(worker, route, Channel::Session, text),
    }
}

/// Sorts it with what holds now; `Err` is what a refused question is answered.
fn handle_now(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    channel: Channel,
    text: &Bytes,
) -> Result<Disposition, Bytes> {
    let server = &route.backend.server.name;
    let Ok(parsed) = envelope::parse_upstream(text) else {
        warn!(server.name = %server, bytes = text.len(), "Server `{server}` sent a message that cannot be read");
        return Ok(Disposition::Nothing);
    };
    Ok(match envelope::read(&parsed) {
        Err(problem) => {
            warn!(server.name = %server, %problem, "Server `{server}` sent a message that was refused");
            Disposition::Nothing
        }
        Ok(Message::Response { id, answer }) => {
            let key = id.key();
            let pending = route.session.state().in_flight.remove(&key);
            let Some(pending) = pending else {
                warn!(server.name = %server, "Server `{server}` answered a request that is not in flight");
                return Ok(Disposition::Nothing);
            };
            let arrived = Arrived::new(&parsed, text);
            let answered = finish(worker, route, present, &pending, arrived, id, answer);
            route
                .session
                .state()
                .streams
                .note_answered(key.clone(), pending);
            Disposition::Answer { key, answered }
        }
        Ok(Message::Notification { method, params }) => {
            let arrived = Arrived::new(&parsed, text);
            notification(worker, route, present, channel, arrived, &method, params)
        }
        Ok(Message::Request { .. }) if channel != Channel::Session => {
            warn!(server.name = %server, "Server `{server}` sent a request, which protocol 2026-07-28 does not allow");
            Disposition::Violation
        }
        Ok(Message::Request { id, method, .. }) if method == "ping" && !route.session.is_open() => {
            // The agent waits for the end of its `initialize`.
            return Err(answer::pong(id.raw()));
        }
        Ok(Message::Request { id, method, params }) => {
            let asked = question(worker, route, present, id, &method, params);
            asked.map_err(|failure| failure.body(Some(id.raw())))?;
            Disposition::Deliver(text.clone())
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
            route.backend.eras.doubt();
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
        let (id, answer) = answer;
        let arrived = Arrived::new(&parsed, &text);
        let answered = finish(worker, route, present, &pending, arrived, id, answer);
        Some(answered)
    });
    answered.unwrap_or_else(|Ended| {
        worker.end_with_grant(&route.session);
        None
    })
}

/// What a server tells without being asked: passes if it is known where it came
/// in, and if what it asks passes.
fn notification(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    channel: Channel,
    arrived: Arrived<'_, '_>,
    method: &str,
    params: Option<Value<'_>>,
) -> Disposition {
    let Arrived { parsed, text } = arrived;
    let server = &route.backend.server.name;
    let cancels = channel == Channel::Session && method == "notifications/cancelled";
    let known = protocol::upstream_notification(channel, method);
    if known.is_none() && !cancels {
        debug!(server.name = %server, "Dropped an unknown notification of server `{server}`");
        return Disposition::Nothing;
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
            let (shared, session) = (&worker.shared, &route.session);
            let asked = Asked::new(shared, present, session, era, &declared);
            told(worker, &asked, other)
        }
    };
    let Some(asking) = asking else {
        warn!(server.name = %server, method, "Dropped a notification of server `{server}`: it asks the agent something that is not allowed");
        return Disposition::Nothing;
    };
    if cancels {
        let target = params.and_then(|params| params.get("requestId"));
        let question = target.and_then(|id| {
            let key = envelope::id_key(id);
            route.session.state().questions.remove(&key)
        });
        if question.is_none() {
            // Nothing that this agent was asked.
            return Disposition::Nothing;
        }
        settle_question(worker, question, Status::Cancelled);
    }
    if known == Some(KnownNotification::ListChanged) {
        route.backend.eras.doubt_tools();
    }
    let inside = mark_inside(parsed, asking.inline).into_iter().collect();
    let spliced = splice::apply(text.clone(), inside);
    Disposition::Deliver(route.session.account().carry_copy(text, spliced))
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
    for open_call in asked.all(&asking.questions).ok()? {
        settle::settle(&worker.shared, &open_call, Status::Ok);
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
