//! `initialize`: opens a session, here and upstream.

use std::sync::Arc;

use provost_policy::json::Value;

use super::refusal::{ended, refuse, unjudged};
use super::request::{Agent, Request};
use crate::agent::pending::Transform;
use crate::agent::room::Room;
use crate::agent::session::Session;
use crate::exchange::relay::Flight;
use crate::exchange::responder::Responder;
use crate::host::budget::SESSION;
use crate::message::answer::Failure;
use crate::message::cleared::Cleared;
use crate::message::modern::Declared;
use crate::message::outgoing::Outgoing;
use crate::stage::Stop;
use crate::state::present::{Ended, Present};
use crate::state::worker::Worker;
use crate::text::client::client;
use crate::text::era::Era;
use crate::text::protocol::{Housekeeping, RequestKind};

/// Opens a session. Over stdio the connection already is one and is opened
/// once; over HTTP each `initialize` without a session id makes one.
pub(super) async fn initialize(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    responder: Responder,
    room: Room,
) {
    let kind = RequestKind::Housekeeping(Housekeeping::Initialize);
    let opening = worker.shared.judging(&agent.claim, |present| {
        open_session(present, agent, request)
            .map_err(|failure| unjudged(worker, agent, request, Stop::Failed(failure)))
    });
    match opening.unwrap_or_else(|Ended| Err(ended(worker, agent, request, kind))) {
        Ok((flight, message)) => {
            let message = Cleared::housekeeping(Housekeeping::Initialize, message);
            flight.go(worker, message, responder, room).await;
        }
        Err(stop) => refuse(Era::Legacy, stop, request, kind, responder),
    }
}

/// Makes the session, or begins it where the connection is one.
fn open_session(
    present: &Present<'_>,
    agent: &Agent,
    request: &Request<'_>,
) -> Result<(Flight, Outgoing), Failure> {
    let session = match &agent.session {
        Some(session) if session.is_stdio() && session.state().opening.is_none() => {
            Arc::clone(session)
        }
        Some(_) => {
            let problem = "this session is initialized already";
            return Err(Failure::invalid_request(problem));
        }
        None => {
            let held = present.principal.account.hold(SESSION);
            let held = held.map_err(Failure::no_memory)?;
            Arc::new(Session::opened_by(&present.principal, held))
        }
    };
    let params = request.params;
    let version = params
        .and_then(|params| params.get("protocolVersion"))
        .and_then(Value::as_str);
    if version.is_none() {
        let problem = "`params.protocolVersion` must be a string";
        return Err(Failure::invalid_params(problem));
    }
    let message = Outgoing::new(request.text, request.id, params);
    let route = present.route(&session);
    let flight = Flight::new(route, &message, Transform::Initialize, None);
    let flight = flight.map_err(|in_flight| in_flight.failure())?;
    // Only now: an agent whose request is refused may try again.
    let mut state = session.state();
    state.opening = Some(message.clone());
    state.client = client(&request.method, params);
    let declared = params.and_then(|params| params.get("capabilities"));
    state.capabilities = declared.map(Declared::of).unwrap_or_default();
    drop(state);
    Ok((flight, message))
}
