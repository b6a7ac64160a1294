//! `initialize`: opens a session, here and upstream.

use std::sync::Arc;

use provost_policy::json::Value;

use super::{Agent, Request};
use crate::answer::Failure;
use crate::outgoing::Outgoing;
use crate::outlet::Outlet;
use crate::permit::Permit;
use crate::protocol::Housekeeping;
use crate::relay::{Flight, Transform};
use crate::route::Route;
use crate::session::{Outbound, Session};
use crate::worker::Worker;

/// Opens a session. Over stdio the connection already is one and is opened
/// once; over HTTP each `initialize` without a session id makes one.
pub(super) async fn initialize(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    outlet: Outlet,
) {
    let id = Some(request.id.raw());
    let session = match &agent.session {
        Some(session) if session.is_stdio() && session.state().opening.is_none() => {
            Arc::clone(session)
        }
        Some(_) => {
            let failure = Failure::invalid_request("this session is initialized already");
            return outlet.fail(&failure, id);
        }
        None => {
            let grant = &agent.holding.grant;
            let (grant, server) = (grant.id.0.clone(), grant.server.0.clone());
            Arc::new(Session::new(grant, server, None, Outbound::Http))
        }
    };
    let params = request.params;
    let version = params
        .and_then(|params| params.get("protocolVersion"))
        .and_then(Value::as_str);
    if version.is_none() {
        let failure = Failure::invalid_params("`params.protocolVersion` must be a string");
        return outlet.fail(&failure, id);
    }
    let message = Outgoing::new(request.text, request.id, params);
    {
        let mut state = session.state();
        state.opening = Some(message.clone());
        let declared = params.and_then(|params| params.get("capabilities"));
        let names = declared.iter().flat_map(|declared| declared.members());
        state.capabilities = names.map(|member| member.name().into_owned()).collect();
    }
    let route = Route {
        site: Arc::clone(&agent.holding.site),
        session,
    };
    match Flight::new(route, &message, Transform::Initialize, None) {
        Ok(flight) => {
            let permit = Permit::housekeeping(Housekeeping::Initialize);
            flight.go(worker, permit, message, outlet).await;
        }
        Err(_) => outlet.fail(&Failure::id_in_use(), id),
    }
}
