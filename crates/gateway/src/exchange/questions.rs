//! Requests of an upstream: put to the agent where a policy lets them through,
//! answered by us where it does not.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;
use provost_store::Status;
use std::time::Duration;
use tracing::debug;

use crate::message::answer::Failure;
use crate::message::call::Question;
use crate::message::cleared::Cleared;
use crate::stage::ask::Asked;
use crate::stage::{Stop, settle};
use crate::state::present::Present;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::asking;
use crate::text::envelope::{self, Id, IdKey, Message};
use crate::text::era::Era;

/// Questions of an upstream that may be open in one session.
const MOST_QUESTIONS: usize = 1024;
/// How long an upstream may take to hear a refusal.
const LISTENING: Duration = Duration::from_secs(10);

/// Decides whether a request of the upstream may be put to the agent; if so it
/// is among the session's open questions.
pub(super) fn question(
    worker: &Worker,
    route: &Route,
    present: &Present<'_>,
    id: Id<'_>,
    method: &str,
    params: Option<Value<'_>>,
) -> Result<(), Failure> {
    let key = id.key();
    if route.session.state().questions.len() >= MOST_QUESTIONS {
        return Err(Failure::busy(
            "the agent has too many unanswered requests of this server",
        ));
    }
    if method == "ping" {
        return ask(worker, route, key, Question { open_call: None });
    }
    if !route.session.account().may_be_asked() {
        let server = &route.backend.server.name;
        let problem = format!("server `{server}` asks the agent too often; try again in a minute");
        return Err(Failure::busy(problem));
    }
    let declared = route.session.state().capabilities.clone();
    let (shared, session) = (&worker.shared, &route.session);
    let asked = Asked::new(shared, present, session, Era::Legacy, &declared);
    let open_call = match asking::well_formed(params) {
        Ok(()) => asked.one(method, params),
        Err(problem) => Err(match asked.misasked(&problem) {
            Ok(()) => Stop::Failed(Failure::invalid_params(problem.to_string())),
            Err(stop) => stop,
        }),
    };
    let open_call = Some(open_call.map_err(Stop::failure)?);
    ask(worker, route, key, Question { open_call })
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

pub(super) fn settle_question(worker: &Worker, question: Option<Question>, status: Status) {
    if let Some(open_call) = question.and_then(|question| question.open_call) {
        settle::settle(&worker.shared, &open_call, status);
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

/// Answers a question with no, on a task of its own: a server that does not
/// listen holds up neither its other messages nor its agent.
pub(super) fn say_no(worker: &Worker, route: &Route, message: Bytes) {
    let server = Arc::clone(&route.backend.server);
    let Ok(place) = Arc::clone(&route.session.refusing).try_acquire_owned() else {
        debug!(server.name = %server.name, "Server `{}` does not read the refusals of its requests", server.name);
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
