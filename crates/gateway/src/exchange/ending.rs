//! The end of a session: who was in the midst of something is settled, and the
//! server hears of it.

use std::sync::Arc;
use std::time::Duration;

use provost_policy::Text;
use provost_store::{ServerId, Status};

use crate::agent::session::Session;
use crate::stage::settle;
use crate::state::directory::Directory;
use crate::state::route::Route;
use crate::state::worker::{GatewayState, Worker};
use crate::text::envelope::IdKey;
use crate::text::era::Era;

/// How long the upstream of an ended session is told of what was in flight.
pub(crate) const CANCELLING: Duration = Duration::from_secs(10);

// === impl Worker ===

impl Worker {
    /// Ends a session: its streams, what is still in flight (whoever takes a
    /// request out of the list settles it), and the upstream's side.
    pub(crate) fn end(&self, session: &Arc<Session>) {
        self.end_because(session, Status::Cancelled);
    }

    /// The same for a session whose grant ended: what is in flight says so.
    pub(crate) fn end_with_grant(&self, session: &Arc<Session>) {
        self.end_because(session, Status::GrantEnded);
    }

    fn end_because(&self, session: &Arc<Session>, why: Status) {
        let (pending, questions) = {
            let mut state = session.state();
            if state.over.is_some() {
                return;
            }
            state.over = Some(why);
            (
                std::mem::take(&mut state.in_flight),
                std::mem::take(&mut state.questions),
            )
        };
        let id = ServerId(session.server.clone());
        let find = |directory: &Directory| directory.backend(&id).cloned();
        let backend = self.shared.directory.read(find);
        let route = backend.map(|backend| Route {
            backend,
            session: Arc::clone(session),
        });
        // Whoever used its process last would take it away before it was told.
        let process = route.as_ref().and_then(|route| route.process(self));
        // Only now: what is in flight must find that somebody else took it, or
        // its cancellation would race with the end of the upstream's session.
        session.ended.cancel();
        let unanswered: Vec<IdKey> = pending.keys().cloned().collect();
        let open_call = pending
            .into_values()
            .filter_map(|pending| pending.open_call);
        let asked = questions
            .into_values()
            .filter_map(|question| question.open_call);
        for open_call in open_call.chain(asked) {
            settle::settle(&self.shared, &open_call, why);
        }
        if let Some(route) = route {
            let worker = Self::background(&self.shared);
            let farewell = async move {
                // In this order: a closed session takes no cancellations.
                let cancel = async {
                    let era = route.session.era().unwrap_or(Era::Legacy);
                    for key in unanswered {
                        route.cancel(&worker, era, &key, "the session ended").await;
                    }
                };
                // An upstream that is slow to listen is not told everything.
                drop(tokio::time::timeout(CANCELLING, cancel).await);
                drop(process);
                route.close(&worker).await;
                dismiss_children(&worker.shared, &route.session.grant);
            };
            let calls = &self.shared.calls;
            calls.spawn_on(farewell, &self.shared.background);
        }
    }
}

/// Ends the process of a grant that is gone, once none of its sessions is left.
fn dismiss_children(shared: &GatewayState, grant: &Text) {
    if shared.present(grant, |_| ()).is_err() {
        shared.children.grants_ended(|other| other == grant);
    }
}
