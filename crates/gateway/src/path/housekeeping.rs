//! Requests that no policy decides, and what a session remembers of requests.

use std::sync::Arc;

use provost_policy::json::Value;

use super::{Cleared, Request};
use crate::outgoing::{Modern, Outgoing};
use crate::permit::Permit;
use crate::present::Present;
use crate::protocol::Housekeeping;
use crate::relay::{Flight, Transform};
use crate::session::{Session, Subscription};
use crate::stage::Stop;

/// What keeping a request costs beside its text.
const KEPT: usize = 512;

/// Subscriptions remembered for a session; enough for any honest agent.
const MOST_SUBSCRIPTIONS: usize = 10_000;

/// A housekeeping request on its way; lists are filtered on the way back.
pub(super) fn flight(
    present: &Present<'_>,
    session: &Arc<Session>,
    request: &Request<'_>,
    kind: Housekeeping,
    modern: Option<Modern>,
) -> Result<Cleared, Stop> {
    let transform = match kind {
        Housekeeping::ListTools => Transform::Tools,
        Housekeeping::ListResources => Transform::List("resources/list", "resources"),
        Housekeeping::ListTemplates => {
            Transform::List("resources/templates/list", "resourceTemplates")
        }
        Housekeeping::ListPrompts => Transform::List("prompts/list", "prompts"),
        Housekeeping::Discover => Transform::Discover,
        Housekeeping::Listen => Transform::Listen,
        Housekeeping::Initialize
        | Housekeeping::Ping
        | Housekeeping::SetLogLevel
        | Housekeeping::Unsubscribe => Transform::Plain,
    };
    let mut message = Outgoing::new(request.text, request.id, request.params);
    match modern {
        Some(modern) => message = message.with(modern),
        None => remember(session, &request.method, request.params, &message),
    }
    let flight = Flight::new(present.route(session), &message, transform, None)?;
    Ok((flight, Permit::housekeeping(kind), message))
}

/// Keeps what has to be asked for again when an upstream session is lost.
pub(super) fn remember(
    session: &Session,
    method: &str,
    params: Option<Value<'_>>,
    message: &Outgoing,
) {
    let uri = || Some(params?.get("uri")?.as_str()?.into_owned());
    match method {
        "logging/setLevel" => session.state().level = Some(message.clone()),
        "resources/subscribe" => {
            let mut state = session.state();
            if let Some(uri) = uri()
                && state.subscriptions.len() < MOST_SUBSCRIPTIONS
            {
                let held = session.account().count(uri.len() + KEPT);
                let kept = Subscription {
                    message: message.clone(),
                    _held: held,
                };
                state.subscriptions.insert(uri, kept);
            }
        }
        "resources/unsubscribe" => {
            if let Some(uri) = uri() {
                session.state().subscriptions.remove(&uri);
            }
        }
        _ => {}
    }
}
