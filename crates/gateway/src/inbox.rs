//! What reaches sessions without a request: messages of child processes, and
//! what a changed directory means for those who are connected.

use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;
use provost_store::ServerId;
use tracing::debug;

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
}

/// The inbox of all child processes.
pub(crate) fn new(worker: Worker) -> Arc<dyn Inbox> {
    Arc::new(ToSessions { worker })
}

impl Inbox for ToSessions {
    fn take(&self, child: &Arc<Child>, sessions: Vec<Arc<Session>>, message: Bytes) {
        let worker = self.worker.clone();
        let child = Arc::clone(child);
        self.worker.shared.background.spawn(async move {
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
    // On the way of a request that is in flight, its relay sorts the message
    // and an agent over HTTP needs no GET stream to hear of it.
    if child.deliver_with_request(&session, &message) {
        return;
    }
    let wall = worker.shared.clock.now().wall;
    let directory = worker.shared.directory.load_full();
    let Some(holding) = directory.holding(&session.grant, wall) else {
        worker.end(&session);
        return;
    };
    let route = Route {
        site: Arc::clone(&holding.site),
        session: Arc::clone(&session),
    };
    if let Sorted::Deliver(message) = inbound::sort(worker, &route, message).await
        && !session.deliver(message)
    {
        debug!("An agent has no stream open for a message of its server");
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
pub(crate) fn after_reload(shared: &Arc<Shared>, before: &Directory, after: &Directory) {
    let worker = Worker::background(shared);
    let wall = shared.clock.now().wall;
    let gone = |session: &Session| after.holding(&session.grant, wall).is_none();
    for session in shared.sessions.take_if(gone) {
        worker.end(&session);
    }
    for session in shared.all_sessions() {
        let Some(now) = after.holding(&session.grant, wall) else {
            worker.end(&session);
            continue;
        };
        let Some(then) = before.holding(&session.grant, wall) else {
            continue;
        };
        let differs = session.state().tools.as_ref().is_some_and(|tools| {
            let mut names = tools.iter();
            names.any(|tool| then.lists_tool(tool) != now.lists_tool(tool))
        });
        if differs {
            session.deliver(Bytes::from_static(TOOLS_CHANGED.as_bytes()));
        }
    }
    let Some(children) = shared.children.get() else {
        return;
    };
    let _background = shared.background.enter();
    children.retain(|spec, holder| {
        if matches!(holder, Holder::Agent(_)) {
            // Brought along by an agent, and leaves with it.
            return true;
        }
        let id = ServerId(spec.server.clone());
        let site = after.site(&id).and_then(|site| site.upstream.as_ref());
        matches!(site, Some(Upstream::Stdio(current)) if current == spec)
    });
}
