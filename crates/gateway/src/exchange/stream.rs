//! The upstream's stream of a session for what belongs to no answer: it flows into
//! the GET stream of an agent over HTTP, which also resumes answers it lost, or
//! into the one stream that a stdio agent has.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use super::inbound::{self, Disposition};
use crate::agent::streams::OUTBOUND;
use crate::host::budget::Lane;
use crate::message::fault::{Fault, FaultKind};
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::protocol::Channel;
use crate::text::sse::Event;
use crate::upstream::{Events, http};

/// Longest pause before the upstream's stream is opened again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Who opens the upstream's stream again where it broke off.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumes {
    /// The agent, who sees the upstream's event ids.
    Agent,
    /// The agent, and what comes is one answer.
    AgentTheAnswer,
    /// Nobody but us.
    Us,
}

/// A stdio agent has no stream to open: the upstream's own flows into the one
/// it has, once and for as long as the session lives.
pub(crate) fn follow(worker: &Worker, route: &Route) {
    let follows = route.session.lines().is_some() && route.has_streams();
    if !follows {
        return;
    }
    let place = match route.session.account().enter(Lane::Stream) {
        Ok(place) => place,
        Err(full) => {
            let name = &route.backend.server.name;
            warn!(server.name = %name, ?full,
                "The stream of server `{name}` is not opened for an agent: too many streams are open (`max_calls_per_grant`)");
            return;
        }
    };
    if !route.session.starts_following() {
        return;
    }
    let (worker, route) = (worker.clone(), route.clone());
    let background = worker.shared.background.clone();
    background.spawn(async move {
        let _place = place;
        let Some(lines) = route.session.lines() else {
            return;
        };
        let (sender, mut events) = mpsc::channel::<Event>(OUTBOUND);
        let deliver = async {
            while let Some(event) = events.recv().await {
                if let Some(message) = event.message
                    && lines.send(message).await.is_err()
                {
                    return;
                }
            }
        };
        tokio::select! {
            () = carry(&worker, &route, None, &sender, Resumes::Us, None) => {}
            () = deliver => {}
            () = route.session.ended.cancelled() => {}
            () = worker.shared.stopping.cancelled() => {}
        }
    });
}

/// Carries the upstream's stream to the agent, and opens it again when it breaks.
pub(crate) async fn carry(
    worker: &Worker,
    route: &Route,
    mut last_event: Option<String>,
    to: &mpsc::Sender<Event>,
    resumes: Resumes,
    mut announce: Option<oneshot::Sender<()>>,
) {
    let mut pause = Duration::from_secs(1);
    loop {
        let opened = route.stream(worker, last_event.as_deref()).await;
        if let Some(announce) = announce.take() {
            // Nobody waits any more: that is fine.
            let _ = announce.send(());
        }
        match opened {
            Ok(Some(answer)) => {
                let before = last_event.clone();
                relay(worker, route, answer, &mut last_event, to, resumes).await;
                if last_event.is_some() && resumes != Resumes::Us {
                    // It knows from where.
                    return;
                }
                if before != last_event {
                    pause = Duration::from_secs(1);
                }
            }
            // The rest of an answer is gone: the agent's stream ends without it.
            Ok(None) if resumes == Resumes::AgentTheAnswer => return,
            // It does not know the event any more: then from now on.
            Ok(None) if last_event.take().is_some() => continue,
            // No stream upstream: ours stays open for what we have to say.
            Ok(None) => return std::future::pending().await,
            Err(Fault {
                kind: FaultKind::SessionLost,
                ..
            }) => {
                if let Err(fault) = route.restore(worker).await {
                    debug!(?fault, "A lost session with a server was not opened again");
                }
            }
            Err(fault) => debug!(?fault, "The stream of a server cannot be opened"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn relay(
    worker: &Worker,
    route: &Route,
    answer: http::Answer,
    last_event: &mut Option<String>,
    to: &mpsc::Sender<Event>,
    resumes: Resumes,
) {
    let limit = worker.shared.settings.result_limit;
    let mut events = Events::new(answer, limit, route.session.account());
    // Where there is no room, it begins again from the last event, when there is.
    while let Ok(Some(Event { id, retry, message })) = events.next_whenever().await {
        if let Some(id) = &id {
            if resumes == Resumes::AgentTheAnswer {
                route.session.state().streams.note_answer_event(id);
            }
            *last_event = Some(id.clone());
        }
        // A place first: nothing is sorted, and no question is open, that might
        // not be handed over.
        let Ok(place) = to.reserve().await else {
            return;
        };
        let message = match message {
            None => None,
            Some(text) => match handled(worker, route, resumes, text) {
                Disposition::Answer { answered, .. } => Some(answered.text),
                Disposition::Deliver(text) => Some(text),
                Disposition::Nothing | Disposition::Violation if id.is_none() => continue,
                Disposition::Nothing | Disposition::Violation => None,
            },
        };
        place.send(Event { id, retry, message });
    }
}

fn handled(worker: &Worker, route: &Route, resumes: Resumes, text: Bytes) -> Disposition {
    match resumes {
        Resumes::AgentTheAnswer => inbound::handle_again(worker, route, text),
        Resumes::Agent | Resumes::Us => inbound::handle(worker, route, Channel::Session, text),
    }
}
