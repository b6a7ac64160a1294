//! Requests that no policy decides, and what requests arrange.

use std::sync::Arc;

use super::request::Request;
use crate::agent::arrangements::Arrangement;
use crate::agent::pending::Transform;
use crate::agent::session::Session;
use crate::exchange::relay::Flight;
use crate::message::cleared::Cleared;
use crate::message::outgoing::{Modern, Outgoing};
use crate::stage::Stop;
use crate::state::present::Present;
use crate::text::protocol::Housekeeping;

/// A request that may go, among those in flight already.
pub(super) type Ready = (Flight, Cleared<Outgoing>);

/// A housekeeping request on its way; lists are filtered on the way back.
pub(super) fn flight(
    present: &Present<'_>,
    session: &Arc<Session>,
    request: &Request<'_>,
    kind: Housekeeping,
    modern: Option<Modern>,
) -> Result<Ready, Stop> {
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
    if let Some(modern) = modern {
        message = message.with(modern);
    }
    let flight = Flight::new(present.route(session), &message, transform, None)?;
    arrange(session, request, &message);
    Ok((flight, Cleared::housekeeping(kind, message)))
}

/// Notes what a request in flight arranges for as long as its session lives. The
/// modern era has nothing of the kind.
pub(super) fn arrange(session: &Session, request: &Request<'_>, message: &Outgoing) {
    if message.modern().is_some() {
        return;
    }
    let uri = || Some(request.params?.get("uri")?.as_str()?.into_owned());
    let message = || message.clone();
    let arrangement = match request.method.as_ref() {
        "logging/setLevel" => Some(Arrangement::Level(message())),
        "resources/subscribe" => uri().map(|uri| Arrangement::Subscribe {
            uri,
            message: message(),
        }),
        "resources/unsubscribe" => uri().map(|uri| Arrangement::Unsubscribe { uri }),
        _ => None,
    };
    if let Some(arrangement) = arrangement {
        session.arrange(&request.id.key(), arrangement);
    }
}
