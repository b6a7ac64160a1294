//! What an agent sends without waiting for an answer: notifications, and its
//! own answers to questions of the upstream.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;
use provost_store::Status;
use tracing::debug;

use super::refusal::{identified, recorded};
use super::request::Agent;
use crate::agent::session::Session;
use crate::exchange::responder::{Reply, Responder};
use crate::exchange::stream;
use crate::message::answer::Failure;
use crate::message::cleared::Cleared;
use crate::stage::settle;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::{Id, id_key, is_error};
use crate::text::era::Era;
use crate::text::meta;
use crate::text::protocol::{self, KnownNotification};

/// A notification: passes if the era knows it from agents. A request without an
/// id looks like one, and is never forwarded.
pub(super) async fn notification(
    worker: &Worker,
    agent: &Agent,
    text: &Bytes,
    method: &str,
    params: Option<Value<'_>>,
    responder: Responder,
) {
    let era = match &agent.session {
        Some(session) => session.era().unwrap_or(Era::Legacy),
        None if agent.claims.is_some() || meta::version(params).is_some() => Era::Modern,
        None => Era::Legacy,
    };
    let Some(known) = protocol::agent_notification(era, method) else {
        let problem = "unknown notification; if it is meant as a request, it needs an `id`";
        let failure = Failure::invalid_request(problem);
        return responder.turn_away(&recorded(worker, agent, method, failure));
    };
    if era == Era::Modern && agent.session.is_none() {
        // Over HTTP a modern request is cancelled by closing its stream; the
        // notification that some clients send as well finds nothing to cancel.
        return responder.send(Reply::Accepted);
    }
    let session = agent.session.clone();
    if let (Some(session), KnownNotification::Cancelled) = (&session, known)
        && !session.is_open()
        && let Some(id) = params.and_then(|params| params.get("requestId"))
        && session.is_coming(&id_key(id))
    {
        // The server is still asked what era it is of.
        session.cancel(&id_key(id));
        return responder.send(Reply::Accepted);
    }
    let Some(session) = session.filter(|session| session.is_open()) else {
        let failure = recorded(worker, agent, method, Failure::no_session());
        return responder.turn_away(&failure);
    };
    let route = match way(worker, agent, method, &session) {
        Ok(route) => route,
        Err(failure) => return responder.turn_away(&failure),
    };
    let message = Cleared::notification(known, text.clone());
    let sent = match known {
        KnownNotification::Initialized => {
            let sent = route.announce(worker, message).await;
            stream::follow(worker, &route);
            sent
        }
        KnownNotification::Cancelled => {
            // The flight tells the upstream, under the id it knows.
            if let Some(id) = params.and_then(|params| params.get("requestId")) {
                route.session.cancel(&id_key(id));
            }
            Ok(())
        }
        KnownNotification::Progress
        | KnownNotification::RootsChanged
        | KnownNotification::TaskStatus
        | KnownNotification::LogMessage
        | KnownNotification::ResourceUpdated
        | KnownNotification::ListChanged
        | KnownNotification::ElicitationComplete
        | KnownNotification::Acknowledged => route.notify(worker, message).await,
    };
    if let Err(fault) = sent {
        debug!(?fault, method, "A notification did not reach its server");
    }
    responder.send(Reply::Accepted);
}

/// An answer: passes once, if it answers a question that was let through.
pub(super) async fn answer(
    worker: &Worker,
    agent: &Agent,
    text: &Bytes,
    id: Id<'_>,
    responder: Responder,
) {
    let Some(session) = agent.session.clone() else {
        let failure = recorded(worker, agent, "(answer)", Failure::no_session());
        return responder.turn_away(&failure);
    };
    let route = match way(worker, agent, "(answer)", &session) {
        Ok(route) => route,
        Err(failure) => return responder.turn_away(&failure),
    };
    let question = session.state().questions.remove(&id.key());
    let Some(question) = question else {
        let problem = "this answers a request that was not made, or is no longer open";
        let failure = Failure::invalid_request(problem);
        return responder.turn_away(&recorded(worker, agent, "(answer)", failure));
    };
    let message = Cleared::answer(&question, text.clone());
    let sent = route.notify(worker, message).await;
    if let Some(open_call) = &question.open_call {
        let status = match (&sent, is_error(text)) {
            (Err(_), _) => Status::UpstreamDown,
            (Ok(()), true) => Status::RpcError,
            (Ok(()), false) => Status::Ok,
        };
        settle::settle(&worker.shared, open_call, status);
    }
    match sent {
        Ok(()) => responder.send(Reply::Accepted),
        Err(_) => {
            let server = &agent.claim.principal.server_name;
            responder.turn_away(&Failure::upstream_down(server));
        }
    }
}

/// The way to the server, if the grant still is what it was.
fn way(
    worker: &Worker,
    agent: &Agent,
    method: &str,
    session: &Arc<Session>,
) -> Result<Route, Failure> {
    identified(worker, agent, method, |present| present.route(session))
}
