//! What reaches sessions without a request: messages of child processes, and
//! what a changed directory means for those who are connected.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use provost_policy::Text;
use provost_policy::json::{Folder, KnownNames, Value};
use provost_store::{ServerId, Status, Touched};
use tracing::debug;

use crate::agent::session::Session;
use crate::exchange::inbound::{self, Disposition};
use crate::exchange::questions;
use crate::message::call::OpenCall;
use crate::message::cleared::Cleared;
use crate::message::outgoing::Outgoing;
use crate::stage::{ask, settle};
use crate::state::directory::Directory;
use crate::state::present::Present;
use crate::state::worker::{GatewayState, Worker};
use crate::text::envelope::{self, Message};
use crate::text::era::Era;
use crate::text::protocol::Channel;
use crate::upstream::child::{Child, Inbox};
use crate::upstream::{Holder, Upstream};

/// Puts messages of child processes to the sessions they are for.
struct ToSessions {
    /// Weak: it holds the processes, which hold this.
    state: Weak<GatewayState>,
}

/// The inbox of all child processes.
pub(crate) fn new(state: Weak<GatewayState>) -> Arc<dyn Inbox> {
    Arc::new(ToSessions { state })
}

impl Inbox for ToSessions {
    fn take(&self, child: &Arc<Child>, sessions: Vec<Arc<Session>>, message: Bytes) {
        let Some(shared) = self.state.upgrade() else {
            return;
        };
        let worker = Worker::background(&shared);
        let concerned = sessions
            .into_iter()
            .filter(|session| concerns(&worker, child, session, &message));
        // On the way of a request that is in flight, its relay sorts the message
        // and an agent over HTTP needs no GET stream to hear of it. Here and not
        // later, because the answer may be the next line.
        let rest: Vec<Arc<Session>> = concerned
            .filter(|session| !child.deliver_with_request(session, &message))
            .collect();
        if rest.is_empty() {
            return;
        }
        shared.background.spawn(async move {
            for session in rest {
                put(&worker, &session, message.clone());
            }
        });
    }

    fn subscribe_again(
        &self,
        session: &Session,
        message: Outgoing,
    ) -> Option<(Cleared<Outgoing>, OpenCall)> {
        ask::subscribe_again(&self.state.upgrade()?, session, message)
    }

    fn subscribed(&self, open_call: &OpenCall, status: Status) {
        if let Some(shared) = self.state.upgrade() {
            settle::settle(&shared, open_call, status);
        }
    }
}

fn put(worker: &Worker, session: &Arc<Session>, message: Bytes) {
    let way = |present: &Present<'_>| present.route(session);
    let Ok(route) = worker.shared.present(&session.grant, way) else {
        worker.end_with_grant(session);
        return;
    };
    let channel = match session.era() {
        Some(Era::Modern) => Channel::Call,
        Some(Era::Legacy) | None => Channel::Session,
    };
    if let Disposition::Deliver(message) = inbound::handle(worker, &route, channel, message)
        && !session.deliver(message.clone())
    {
        debug!("An agent has no stream open for a message of its server");
        questions::undelivered(worker, &route, &message);
    }
}

/// A resource that changed concerns those who subscribed to it, and a task of a
/// process that several grants share concerns its owner.
fn concerns(worker: &Worker, child: &Child, session: &Session, message: &Bytes) -> bool {
    let Ok(parsed) = envelope::parse_upstream(message) else {
        return false;
    };
    match envelope::read(&parsed) {
        Ok(Message::Notification { method, params })
            if method == "notifications/resources/updated" =>
        {
            let uri = params
                .and_then(|params| params.get("uri"))
                .and_then(Value::as_str);
            uri.is_some_and(|uri| session.state().arrangements.hears_of(&uri))
        }
        Ok(Message::Notification { method, params })
            if child.is_shared() && method == "notifications/tasks/status" =>
        {
            let task = params
                .and_then(|params| params.get("taskId"))
                .and_then(Value::as_str);
            task.is_some_and(|task| worker.shared.tasks.owns(&session.grant, &task))
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Sessions of grants that are gone end; agents that see another list are told.
pub(crate) fn after_reload(
    shared: &Arc<GatewayState>,
    before: &Directory,
    after: &Directory,
    touched: &Touched,
) {
    let worker = Worker::background(shared);
    let wall = shared.clock.now().wall;
    // A session was opened with a token: with a new one, it is opened again.
    let stale = |grant: &Text| after.source.is_rotated_since(&before.source, grant);
    let gone = |grant: &Text| stale(grant) || after.rights(grant, wall).is_none();
    // First what is not among the sessions, or not yet: requests of the modern era,
    // and what opens a session. Whatever joins them from now on has ended.
    for principal in before.principals(touched) {
        if gone(&principal.grant.0) {
            principal.ended.cancel();
        }
    }
    for session in shared.sessions.take_if(|session| gone(&session.grant)) {
        worker.end_with_grant(&session);
    }
    for session in shared.all_sessions() {
        if !touched.has_grant(&session.grant) {
            continue;
        }
        let now = after.rights(&session.grant, wall);
        let Some(now) = now.filter(|_| !stale(&session.grant)) else {
            worker.end_with_grant(&session);
            continue;
        };
        let Some(then) = before.rights(&session.grant, wall) else {
            continue;
        };
        let mut folder = Folder::default();
        let other =
            |tool: &str| then.lists_tool(tool, &mut folder) != now.lists_tool(tool, &mut folder);
        let differs = match session.era() {
            Some(Era::Modern) => now.backend.eras.any_tool(other),
            Some(Era::Legacy) | None => {
                let state = session.state();
                let mut tools = state.tools.iter().flat_map(KnownNames::iter);
                tools.any(other)
            }
        };
        if differs {
            session.tools_changed();
        }
    }
    let holds = |grant: &Text| after.rights(grant, wall).is_some();
    shared.questions.retain(holds);
    shared.tasks.retain(holds);
    let _background = shared.background.enter();
    shared.children.retain(|spec, holder| {
        if matches!(holder, Holder::Agent(_)) {
            // Brought along by an agent, and leaves with it.
            return true;
        }
        let id = ServerId(spec.server.clone());
        let backend = after
            .backend(&id)
            .and_then(|backend| backend.upstream.as_ref());
        matches!(backend, Some(Upstream::Stdio(current)) if current == spec)
    });
    // One that still has a session hears of its end first, and leaves after it.
    let gone = |grant: &Text| after.rights(grant, wall).is_none();
    shared.children.grants_ended(gone);
}
