//! What reaches sessions without a request: messages of child processes, and
//! what a changed directory means for those who are connected.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;
use tokio::runtime::Handle;

use crate::directory::Directory;
use crate::envelope::{self, Message};
use crate::inbound::{self, Sorted};
use crate::route::Route;
use crate::session::Session;
use crate::upstream::Upstream;
use crate::upstream::child::{Child, Holder, Inbox};
use crate::worker::{Shared, Worker};

/// Tells an agent to ask for the list of tools again.
const TOOLS_CHANGED: &str = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

/// Puts messages of child processes to the sessions they are for.
struct ToSessions {
    worker: Worker,
    runtime: Handle,
}

/// The inbox of all child processes.
pub(crate) fn new(worker: Worker, runtime: Handle) -> Arc<dyn Inbox> {
    Arc::new(ToSessions { worker, runtime })
}

impl Inbox for ToSessions {
    fn take(&self, child: &Arc<Child>, sessions: Vec<Arc<Session>>, message: Bytes) {
        let worker = self.worker.clone();
        let child = Arc::clone(child);
        self.runtime.spawn(async move {
            for session in sessions {
                put(&worker, &child, session, message.clone()).await;
            }
        });
    }
}

async fn put(worker: &Worker, child: &Arc<Child>, session: Arc<Session>, message: Bytes) {
    if !concerns(&session, &message) {
        return;
    }
    let wall = worker.shared.clock.now().wall;
    let holding = worker
        .shared
        .directory
        .load()
        .holding(&session.grant, wall)
        .cloned();
    let Some(holding) = holding else {
        session.ended.cancel();
        return;
    };
    let route = Route {
        site: Arc::clone(&holding.site),
        session: Arc::clone(&session),
    };
    if let Sorted::Deliver(message) = inbound::sort(worker, &route, message).await {
        // An agent over HTTP without a GET stream hears of it on the stream of
        // its request, if one is on its way.
        let _heard = child.deliver_with_request(&session, &message) || session.deliver(message);
    }
}

/// A resource that changed concerns those who subscribed to it.
fn concerns(session: &Session, message: &Bytes) -> bool {
    let Ok(parsed) = envelope::parse(message) else {
        return false;
    };
    match envelope::read(&parsed) {
        Ok(Message::Notification { method, params })
            if method == "notifications/resources/updated" =>
        {
            let uri = params
                .and_then(|params| params.get("uri"))
                .and_then(Value::as_str);
            uri.is_some_and(|uri| {
                let state = session.state();
                // Servers may name a part of what was subscribed to.
                state
                    .subscriptions
                    .keys()
                    .any(|known| uri.starts_with(known.as_str()))
            })
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

/// Sessions of grants that are gone end; agents that see another list are told.
pub(crate) fn after_reload(
    shared: &Arc<Shared>,
    runtime: &Handle,
    before: &Directory,
    after: &Directory,
) {
    let wall = shared.clock.now().wall;
    let gone = |session: &Session| after.holding(&session.grant, wall).is_none();
    for session in shared.sessions.take_if(gone) {
        session.ended.cancel();
    }
    for session in shared.all_sessions() {
        let Some(now) = after.holding(&session.grant, wall) else {
            session.ended.cancel();
            continue;
        };
        let Some(then) = before.holding(&session.grant, wall) else {
            continue;
        };
        let differs = session.state().tools.as_ref().is_some_and(|tools| {
            tools
                .iter()
                .any(|tool| then.lists_tool(tool) != now.lists_tool(tool))
        });
        if differs {
            session.deliver(Bytes::from_static(TOOLS_CHANGED.as_bytes()));
        }
    }
    if let Some(children) = shared.children.get() {
        let children = Arc::clone(children);
        let _runtime = runtime.enter();
        children.retain(|spec, holder| {
            if matches!(holder, Holder::Agent(_)) {
                // Brought along by an agent, and leaves with it.
                return true;
            }
            let id = provost_store::ServerId(spec.server.clone());
            let site = after.site(&id).and_then(|site| site.upstream.as_ref());
            matches!(site, Some(Upstream::Stdio(current)) if current == spec)
        });
    }
}
