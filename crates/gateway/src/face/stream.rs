//! The GET stream of an agent over HTTP.

use std::sync::Arc;
use std::time::Duration;

use hyper::Response;
use tokio::sync::oneshot;

use super::body::{End, Out};
use super::response::{conflict, event_stream, no_room, unauthorized};
use crate::agent::session::Session;
use crate::agent::streams::Opened;
use crate::exchange::stream::{Resumes, carry};
use crate::host::budget::Lane;
use crate::message::answer::Failure;
use crate::state::present::{Claim, Ended};
use crate::state::worker::Worker;

/// Longest wait for the upstream's stream before the agent's is answered. Some servers say nothing until they have
/// something to say.
const OPENING: Duration = Duration::from_secs(1);

/// Opens the stream; the upstream's own stream, where it has one, flows into it.
///
/// The agent is answered when the upstream has answered: what a server sends to a
/// stream that is not there yet is lost, so the agent must not think it is.
pub(super) async fn open(
    worker: &Worker,
    claim: &Claim,
    session: Arc<Session>,
    last_event: Option<&str>,
) -> Result<Response<Out>, Response<Out>> {
    let way = worker
        .shared
        .judging(claim, |present| present.route(&session));
    let route = way.map_err(|Ended| unauthorized())?;
    let place = session.account().enter(Lane::Stream);
    let place = place.map_err(|full| no_room(Failure::too_many_streams(full)))?;
    let of_an_answer = last_event.is_some_and(|id| session.state().streams.is_answer_event(id));
    let (opened, beside) = if of_an_answer {
        let (opened, beside) = session.state().streams.resume().map_err(|_| conflict())?;
        (opened, Some(beside))
    } else {
        let opened = session.state().streams.open(last_event.is_some());
        (opened.map_err(|_| conflict())?, None)
    };
    let Opened {
        number,
        events,
        sender,
        taken_over,
    } = opened;
    let last_event = last_event.map(str::to_owned);
    let resumes = if of_an_answer {
        Resumes::AgentTheAnswer
    } else {
        Resumes::Agent
    };
    let (announce, upstream_answered) = oneshot::channel();
    let relay = {
        let worker = worker.clone();
        let session = Arc::clone(&session);
        async move {
            tokio::select! {
                () = carry(&worker, &route, last_event, &sender, resumes, Some(announce)) => {}
                () = sender.closed() => {}
                () = taken_over.cancelled() => {}
                () = session.ended.cancelled() => {}
                () = worker.shared.stopping.cancelled() => {}
            }
            session.close_stream(number);
            drop((place, beside));
        }
    };
    tokio::spawn(relay);
    let account = Arc::clone(session.account());
    let end = End::new(move || session.close_stream(number));
    let response = event_stream(Out::events(events, account, Some(end)));
    // Whichever way it ended, there is nothing more to wait for.
    drop(tokio::time::timeout(OPENING, upstream_answered).await);
    Ok(response)
}
