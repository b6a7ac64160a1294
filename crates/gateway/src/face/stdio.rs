//! The stdio face: one agent on one stream, a message on each line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use provost_policy::Text;
use provost_store::{GrantId, ServerId};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, WriteHalf};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::agent::session::{Outbound, Session};
use crate::agent::streams::OUTBOUND;
use crate::exchange::responder::Responder;
use crate::host::budget::{Account, Full, Lane, SESSION};
use crate::host::unidentified::Reason;
use crate::message::answer::Failure;
use crate::path::{self, Agent};
use crate::state::present::{self, Claim, Ended, Present};
use crate::state::worker::Worker;
use crate::text::envelope::{self, Message};
use crate::text::lines::{End, Lines, write_line};
use crate::text::splice;
use crate::upstream::ChildSpec;

/// With it an agent says that it is ready.
const INITIALIZED: &[u8] = b"notifications/initialized";

/// Notifications and answers that may be on their way when there is no place.
const SPARE: usize = 64;

/// One agent on stdio, as the unix socket's hello described it.
#[derive(Debug, Clone)]
pub struct StdioAgent {
    /// The grant it works under; authenticated by the caller.
    pub grant: GrantId,
    /// The server it speaks to.
    pub server: ServerId,
    /// With `provost run`: the agent's own child process.
    pub child: Option<ChildOverride>,
}

/// What `provost run` starts for its agent, instead of the registered command.
#[derive(Debug, Clone)]
pub struct ChildOverride {
    /// The program.
    pub command: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// Serves one agent until its stream ends.
pub(crate) async fn serve<S>(
    worker: &Worker,
    stream: S,
    agent: StdioAgent,
    number: Option<u64>,
    child: Option<ChildSpec>,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let (lines, outbound) = mpsc::channel(OUTBOUND);
    let account = worker.shared.budget.grant(&agent.grant.0);
    let mut writer = tokio::spawn(write_lines(write, outbound, Arc::clone(&account)));
    let room = account.hold(SESSION).map_err(Failure::no_memory);
    let room = room.and_then(|held| {
        let place = account.enter(Lane::Stream);
        Ok((held, place.map_err(Failure::too_many_calls)?))
    });
    let (held, _place) = match room {
        Ok(room) => room,
        Err(failure) => {
            let failure = no_room(worker, &agent.grant.0, None, failure);
            drop(lines.send(failure.body(None)).await);
            return;
        }
    };
    let session = Arc::new(Session::new(
        agent.grant.0.clone(),
        agent.server.0.clone(),
        held,
        number,
        Outbound::Stdio(lines.clone()),
    ));
    worker.shared.stdio.add(&session, child);
    let calls = TaskTracker::new();
    tokio::select! {
        biased;
        () = session.ended.cancelled() => {}
        () = read_lines(worker, read, &session, &lines, &calls) => {}
    }
    // The agent closed its end, and may still read the answers it waits for.
    calls.close();
    let finished = tokio::time::timeout(worker.shared.settings.stop_deadline, calls.wait());
    tokio::select! {
        _ = finished => {}
        () = lines.closed() => {}
        () = session.ended.cancelled() => {}
    }
    worker.end(&session);
    calls.wait().await;
    worker.shared.stdio.remove(&session);
    drop(lines);
    drop(session);
    // Ends when the last sender of a line is gone. An agent that does not read
    // keeps nobody.
    let last_words = worker.shared.settings.stop_deadline;
    if tokio::time::timeout(last_words, &mut writer).await.is_err() {
        writer.abort();
    }
}

/// Answers a request whose walk broke off with a panic: a fault of ours, and no
/// permission.
struct Fallen {
    text: Bytes,
    lines: mpsc::Sender<Bytes>,
}

impl Drop for Fallen {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        if let Some(id) = request_id(&self.text) {
            let _ = self.lines.try_send(Failure::fault().body(Some(&id)));
        }
    }
}

async fn read_lines<R: AsyncRead + Unpin>(
    worker: &Worker,
    read: R,
    session: &Arc<Session>,
    lines: &mpsc::Sender<Bytes>,
    calls: &TaskTracker,
) {
    let shared = &worker.shared;
    let mut messages = Lines::new(read, shared.settings.body_limit, session.account());
    let most = shared.settings.max_calls_per_grant;
    let places = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let spare = Arc::new(Semaphore::new(SPARE));
    let mut announced = false;
    // A message before which none of those after it may go.
    let mut first: Option<JoinHandle<()>> = None;
    loop {
        // An agent that does not read its answers is not read either.
        match lines.reserve().await {
            Ok(room) => drop(room),
            Err(_) => return,
        }
        let text = match messages.next().await {
            Ok(text) => text,
            Err(End::Closed) if !messages.is_cut_off() => {
                if let Some(first) = first {
                    wait_for_first(first, session).await;
                }
                return;
            }
            Err(end) => {
                // What follows cannot be told from the rest of the line.
                drop(lines.send(unread(worker, session, end).body(None)).await);
                return;
            }
        };
        if let Some(before) = first.take() {
            match overtakes(&text) {
                true => first = Some(before),
                false => wait_for_first(before, session).await,
            }
        }
        if session.ended.is_cancelled() {
            return;
        }
        // Read anew for each message: a revoked grant ends here.
        let Ok(agent) = agent(worker, &session.grant, Some(session)) else {
            shared.metrics.unidentified.add(Reason::Grant, None);
            let failure = Failure::ended(&present::ended());
            let id = request_id(&text);
            drop(lines.send(failure.body(id.as_deref())).await);
            return;
        };
        let place = match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => Some(place),
            // Answers and cancellations always get through: they make room.
            Err(_) => match request_id(&text) {
                None => Arc::clone(&spare).acquire_owned().await.ok(),
                Some(id) => {
                    let failure = Failure::too_many_calls(Full::Share);
                    let failure = path::recorded_busy(worker, &agent, "(unreadable)", failure);
                    drop(lines.send(failure.body(Some(&id))).await);
                    continue;
                }
            },
        };
        let responder = Responder::Stdio(lines.clone());
        // Until the session is open, one message at a time; a modern one needs no
        // opening.
        let opening = !session.is_open();
        let announces = !announced && announces(&text);
        let worker = worker.clone();
        let fallen = Fallen {
            text: text.clone(),
            lines: lines.clone(),
        };
        let call = async move {
            path::message(&worker, &agent, text, responder).await;
            drop((place, fallen));
        };
        let call = calls.spawn(shared.calls.track_future(call));
        if (announces || opening) && first.is_none() {
            // What follows must not overtake it on another connection.
            announced |= announces;
            first = Some(call);
        }
    }
}

/// Who has this grant, if it is live.
fn agent(worker: &Worker, grant: &Text, session: Option<&Arc<Session>>) -> Result<Agent, Ended> {
    let who = |present: &Present<'_>| Claim {
        principal: Arc::clone(&present.principal),
        token: None,
    };
    Ok(Agent {
        claim: worker.shared.present(grant, who)?,
        session: session.cloned(),
        claims: None,
    })
}

/// Waits for a message that the next one must not overtake.
async fn wait_for_first(first: JoinHandle<()>, session: &Session) {
    tokio::select! {
        _ = first => {}
        () = session.turned_modern() => {}
    }
}

/// Whether a message may overtake one that opens the session: the agent asks
/// whether we live, answers what it was asked in the meantime, or takes back what
/// it sent.
fn overtakes(text: &Bytes) -> bool {
    let Ok(parsed) = envelope::parse(text) else {
        return false;
    };
    match envelope::read(&parsed) {
        Ok(Message::Request { method, .. }) => method == "ping",
        Ok(Message::Response { .. }) => true,
        Ok(Message::Notification { method, .. }) => method == "notifications/cancelled",
        Err(_) => false,
    }
}

/// Whether a message says that the agent is ready. Most are not read for it.
fn announces(text: &Bytes) -> bool {
    if memchr::memmem::find(text, INITIALIZED).is_none() {
        return false;
    }
    let Ok(parsed) = envelope::parse(text) else {
        return false;
    };
    match envelope::read(&parsed) {
        Ok(Message::Notification { method, .. }) => method.as_bytes() == INITIALIZED,
        Ok(Message::Request { .. } | Message::Response { .. }) | Err(_) => false,
    }
}

/// A line that is not read to its end: refused and recorded.
fn unread(worker: &Worker, session: &Arc<Session>, end: End) -> Failure {
    let failure = match end {
        End::Closed => Failure::parse("the input ended in the middle of a line"),
        End::TooLong => Failure::invalid_request("the message is too long"),
        End::NoRoom => {
            let failure = Failure::no_memory(Full::Share);
            return no_room(worker, &session.grant, Some(session), failure);
        }
    };
    match agent(worker, &session.grant, Some(session)) {
        Ok(agent) => path::recorded(worker, &agent, "(unreadable)", failure),
        Err(Ended) => failure,
    }
}

/// An agent for whom, or for whose line, there is no room: refused and recorded.
fn no_room(
    worker: &Worker,
    grant: &Text,
    session: Option<&Arc<Session>>,
    failure: Failure,
) -> Failure {
    match agent(worker, grant, session) {
        Ok(agent) => path::recorded_busy(worker, &agent, "(unreadable)", failure),
        Err(Ended) => failure,
    }
}

/// The id of a request.
fn request_id(text: &Bytes) -> Option<String> {
    let parsed = envelope::parse(text).ok()?;
    match envelope::read(&parsed).ok()? {
        Message::Request { id, .. } => Some(id.raw().to_owned()),
        Message::Notification { .. } | Message::Response { .. } => None,
    }
}

/// Writes lines until every sender is gone or the agent is.
async fn write_lines<S: AsyncWrite>(
    mut write: WriteHalf<S>,
    mut lines: mpsc::Receiver<Bytes>,
    account: Arc<Account>,
) {
    while let Some(text) = lines.recv().await {
        let line = account.carry_copy(&text, splice::one_line(text.clone()));
        drop(text);
        if write_line(&mut write, &line).await.is_err() {
            return;
        }
    }
    drop(write.shutdown().await);
}

#[cfg(test)]
mod tests;
