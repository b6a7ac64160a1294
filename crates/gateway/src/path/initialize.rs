//! `initialize`: opens a session, here and upstream.

use std::sync::Arc;

use provost_policy::json::Value;

use super::{Agent, Request, refuse, unjudged};
use crate::answer::Failure;
use crate::outgoing::Outgoing;
use crate::outlet::Outlet;
use crate::permit::Permit;
use crate::protocol::{Era, Housekeeping, RequestKind};
use crate::relay::{Flight, Transform};
use crate::route::Route;
use crate::session::{Outbound, Session};
use crate::stage::Stop;
use crate::worker::Worker;

/// Opens a session. Over stdio the connection already is one and is opened
/// once; over HTTP each `initialize` without a session id makes one.
pub(super) async fn initialize(
    worker: &Worker,
    agent: &Agent,
    request: &Request<'_>,
    outlet: Outlet,
) {
    let refused = |failure: Failure, outlet: Outlet| {
        let stop = unjudged(worker, agent, request, Stop::Failed(failure));
        refuse(
            Era::Legacy,
            stop,
            request,
            RequestKind::Housekeeping(Housekeeping::Initialize),
            outlet,
        );
    };
    let session = match &agent.session {
        Some(session) if session.is_stdio() && session.state().opening.is_none() => {
            Arc::clone(session)
        }
        Some(_) => {
            let failure = Failure::invalid_request("this session is initialized already");
            return refused(failure, outlet);
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
        return refused(failure, outlet);
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
        Err(_) => refused(Failure::id_in_use(), outlet),
    }
}
