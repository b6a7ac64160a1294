//! Finds out by asking which eras a server speaks, and which headers its tools want.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::json::{Folder, Value};
use tracing::debug;

use crate::host::deadline;
use crate::message::answer;
use crate::message::cleared::Cleared;
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::envelope::{self, Answer, Message};
use crate::text::era::Era;
use crate::text::protocol;

/// How long a server may take over `server/discover`: some never answer what
/// they do not know, others take a while to start.
const DISCOVER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long an agent waits for it that may turn to the other era; such agents
/// give up by themselves after ten seconds.
const HASTY_TIMEOUT: Duration = Duration::from_secs(7);
/// Looking up the headers of a tool.
const TOOLS_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of a list of tools that are followed.
const MOST_PAGES: usize = 100;
// === impl Route ===

impl Route {
    /// Whether the server speaks the modern era; asks it when that is not known.
    /// A server that is silent for too long is taken for one that does not, until
    /// it answers after all.
    pub(crate) async fn is_modern(&self, worker: &Worker) -> Result<bool, Fault> {
        self.is_modern_within(DISCOVER_TIMEOUT, worker).await
    }

    /// The same for an agent that only asks in order to choose its era.
    pub(crate) async fn is_modern_in_haste(&self, worker: &Worker) -> Result<bool, Fault> {
        self.is_modern_within(HASTY_TIMEOUT, worker).await
    }

    async fn is_modern_within(&self, timeout: Duration, worker: &Worker) -> Result<bool, Fault> {
        let eras = &self.backend.eras;
        if let Some(known) = eras.modern() {
            return Ok(known);
        }
        let until = Instant::now() + timeout;
        let asking = Arc::clone(&eras.asking).lock_owned();
        let Ok(asking) = tokio::time::timeout_at(until.into(), asking).await else {
            return Ok(false);
        };
        if let Some(known) = eras.modern() {
            return Ok(known);
        }
        // On its own, because agents are told something after a while, and a
        // server that was only starting is to be known for what it is.
        let (route, background) = (self.clone(), Worker::background(&worker.shared));
        let asked = worker.shared.background.spawn(async move {
            let _asking = asking;
            let found = route.discover(&background).await?;
            if let Some(modern) = found {
                let server = &route.backend.server.name;
                debug!(server.name = %server, modern, "Found out which protocol versions server `{server}` speaks");
                route.backend.eras.note(modern);
            }
            let modern = found == Some(true);
            if !modern {
                route.release_process(&background, Era::Modern);
            }
            Ok(modern)
        });
        match tokio::time::timeout_at(until.into(), asked).await {
            Ok(found) => found.unwrap_or_else(|_| Err(Fault::not_sent())),
            Err(_) => Ok(false),
        }
    }

    /// Asks the server for its revisions. Whatever a modern server would not say
    /// counts as no. One that cannot be reached, ends or hangs up is no answer, and
    /// silence is none (`None`).
    async fn discover(&self, worker: &Worker) -> Result<Option<bool>, Fault> {
        let message = Outgoing::own_modern(r#""provost-discover""#, "server/discover", "");
        let message = message.ok_or_else(Fault::not_sent)?;
        let message = Cleared::own("the era of a server is found out", message);
        let limit = worker.shared.settings.result_limit;
        let asked = async {
            self.forward(worker, message)
                .await?
                .answer(limit, &self.backend.account)
                .await
        };
        match tokio::time::timeout(DISCOVER_TIMEOUT, asked).await {
            Err(_) => Ok(None),
            Ok(Ok(answer)) => Ok(Some(speaks_modern(&answer))),
            Ok(Err(fault)) => match fault.kind {
                _ if !fault.sent => Err(fault),
                FaultKind::Status(status) if answer::hides_the_era(status) => Err(fault),
                FaultKind::NoRoom(_)
                | FaultKind::Down
                | FaultKind::Unusable
                | FaultKind::Absent
                | FaultKind::NoProcess(_)
                | FaultKind::OpenedOtherwise
                | FaultKind::Pausing
                | FaultKind::Outdated => Err(fault),
                FaultKind::Slow => Ok(None),
                FaultKind::Status(_) | FaultKind::BadAnswer | FaultKind::SessionLost => {
                    Ok(Some(false))
                }
            },
        }
    }

    /// Makes sure that the headers of a tool are known, if the server names it.
    pub(crate) async fn know_tool(&self, worker: &Worker, tool: &str) -> Result<(), Fault> {
        let eras = &self.backend.eras;
        if eras.is_known(tool) {
            return Ok(());
        }
        let _asking = deadline::lock(worker.shared.settings.call_timeout, &eras.asking)
            .await
            .map_err(|_| Fault::queue_timeout())?;
        if eras.is_known(tool) {
            return Ok(());
        }
        let listed = tokio::time::timeout(TOOLS_TIMEOUT, self.list_tools(worker));
        listed.await.unwrap_or_else(|_| Err(Fault::slow()))?;
        eras.listed();
        Ok(())
    }

    async fn list_tools(&self, worker: &Worker) -> Result<(), Fault> {
        let limit = worker.shared.settings.result_limit;
        let mut rest = String::new();
        for _ in 0..MOST_PAGES {
            let message = Outgoing::own_modern(r#""provost-tools""#, "tools/list", &rest);
            let message = message.ok_or_else(Fault::bad_answer)?;
            let message = Cleared::own("the headers of a tool are looked up", message);
            let exchange = self.forward(worker, message).await?;
            let answer = exchange.answer(limit, &self.backend.account).await?;
            let parsed = envelope::parse_upstream(&answer).map_err(|_| Fault::bad_answer())?;
            let Ok(Message::Response {
                answer: Answer::Result(result),
                ..
            }) = envelope::read(&parsed)
            else {
                // A server without tools has none with headers.
                return Ok(());
            };
            self.backend.eras.learn(result, &mut Folder::default());
            let next = result
                .get("nextCursor")
                .map(|next| format!(r#","cursor":{}"#, next.raw()));
            match next {
                Some(next) if next != rest => rest = next,
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

/// Whether an answer to `server/discover` is one of a modern server.
fn speaks_modern(answer: &Bytes) -> bool {
    let Ok(parsed) = envelope::parse_upstream(answer) else {
        return false;
    };
    let names = |list: Option<Value<'_>>| {
        list.is_some_and(|list| {
            list.elements()
                .any(|version| version.as_str().as_deref() == Some(protocol::MODERN))
        })
    };
    if let Some(result) = parsed.root().get("result") {
        return names(result.get("supportedVersions"));
    }
    let Some(error) = parsed.root().get("error") else {
        return false;
    };
    let modern = error
        .get("code")
        .is_some_and(|code| answer::is_modern_code(code.raw()));
    let supported = error.get("data").and_then(|data| data.get("supported"));
    // A list of revisions says more than the code that came with it.
    modern && (supported.is_none() || names(supported))
}
