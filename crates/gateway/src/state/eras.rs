//! Which eras a server speaks, found by asking it, and what is known of its
//! tools' headers.
//!
//! An era belongs to the server, so one answer serves all sessions. It is asked
//! again after anything that went wrong, because a server that was restarted may
//! be another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use provost_policy::json::{Folder, KnownNames, Value};
use provost_policy::lengths;
use tracing::debug;

use crate::exchange::route::Route;
use crate::host::deadline;
use crate::host::turns::Turns;
use crate::message::answer;
use crate::message::fault::{Fault, FaultKind};
use crate::message::modern::ToolHeaders;
use crate::message::outgoing::Outgoing;
use crate::message::permit::Permit;
use crate::state::worker::Worker;
use crate::text::envelope::{self, Answer, Message};
use crate::text::era::Era;
use crate::text::protocol;

/// How long a server may take over `server/discover`: some never answer what
/// they do not know, others take a while to start.
const LATEST: Duration = Duration::from_secs(30);
/// How long an agent waits for it that may turn to the other era; such agents
/// give up by themselves after ten seconds.
const HASTE: Duration = Duration::from_secs(7);
/// Looking up the headers of a tool.
const PATIENCE: Duration = Duration::from_secs(5);
/// A server that did not speak the modern era is asked again after this long.
const AGAIN: Duration = Duration::from_secs(30);
/// Pages of a list of tools that are followed.
const MOST_PAGES: usize = 100;
/// Tools remembered for a server; enough for any honest one.
const MOST_TOOLS: usize = 10_000;
/// A tool that no list names is not looked for more often.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How often in a minute doubts about a server make it be asked again: whatever
/// it answers, it costs nobody a question per call.
const DISCOVERIES: u32 = 4;
/// The same for its list of tools.
const LISTS: u32 = 20;

/// What was found out about one server.
#[derive(Default)]
pub(crate) struct Eras {
    // A std mutex: sections are look-ups and inserts, never across an await.
    found: Mutex<Found>,
    /// Held while a server is asked, so that it is asked once.
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Found {
    /// It has opened a session of the legacy era.
    legacy: bool,
    modern: Option<(bool, Instant)>,
    /// Something went wrong since: to be asked for again, when it may be.
    doubted: bool,
    asked_again: Turns<DISCOVERIES>,
    tools_doubted: bool,
    listed_again: Turns<LISTS>,
    /// The headers of each tool; none for tools whose annotations are invalid.
    tools: HashMap<String, Option<Arc<ToolHeaders>>>,
    /// The same tools, to find the one that another name only looks like.
    names: KnownNames,
    looked: Option<Instant>,
}

// === impl Found ===

impl Found {
    fn forget_tools(&mut self) {
        self.tools_doubted = false;
        self.tools.clear();
        self.names.clear();
        self.looked = None;
    }
}

// === impl Eras ===

impl Eras {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server speaks the modern era, if that is known and, as far as
    /// it may be asked again, not doubted.
    fn modern(&self) -> Option<bool> {
        let mut found = self.found();
        if found.doubted && found.modern.is_some() && found.asked_again.take() {
            found.modern = None;
            found.doubted = false;
            found.forget_tools();
        }
        let (modern, since) = found.modern?;
        (modern || since.elapsed() < AGAIN).then_some(modern)
    }

    fn note(&self, modern: bool) {
        let mut found = self.found();
        found.modern = Some((modern, Instant::now()));
        found.doubted = false;
    }

    /// The server opened a session of the legacy era.
    pub(crate) fn opened(&self) {
        self.found().legacy = true;
    }

    /// The eras that are known so far; nobody is asked.
    pub(crate) fn known(&self) -> Vec<Era> {
        let found = self.found();
        let modern = found.modern.is_some_and(|(modern, _)| modern);
        let eras = [(Era::Legacy, found.legacy), (Era::Modern, modern)];
        let known = eras.into_iter().filter(|(_, known)| *known);
        known.map(|(era, _)| era).collect()
    }

    /// Something went wrong: the server is asked again before the next request.
    pub(crate) fn doubt(&self) {
        self.found().doubted = true;
    }

    /// The server's tools changed, or it disagrees about their headers.
    pub(crate) fn doubt_tools(&self) {
        self.found().tools_doubted = true;
    }

    /// Takes note of a page of the server's own list of tools.
    pub(crate) fn learn(&self, result: Value<'_>, folder: &mut Folder) {
        let Some(tools) = result.get("tools") else {
            return;
        };
        let mut found = self.found();
        if found.tools_doubted {
            found.forget_tools();
        }
        for tool in tools.elements().take(MOST_TOOLS) {
            if let Some(name) = tool.get("name").and_then(Value::as_str)
                && (found.tools.len() < MOST_TOOLS || found.tools.contains_key(name.as_ref()))
                && lengths::is_tool_name(&name)
                && found.names.insert(&name, folder).is_ok()
            {
                let headers = ToolHeaders::read(tool.get("inputSchema"))
                    .ok()
                    .map(Arc::new);
                found.tools.insert(name.into_owned(), headers);
            }
        }
    }

    /// The headers that a tool wants; none when it is not known or wants none.
    /// `Err` when its annotations are invalid, so that nobody may call it.
    pub(crate) fn headers(&self, tool: &str) -> Result<Option<Arc<ToolHeaders>>, ()> {
        match self.found().tools.get(tool) {
            None => Ok(None),
            Some(Some(headers)) => Ok(Some(Arc::clone(headers))),
            Some(None) => Err(()),
        }
    }

    /// The tool of this server that `name` only looks like.
    pub(crate) fn twin(&self, name: &str) -> Option<String> {
        let found = self.found();
        let twin = found.names.twin(name, &mut Folder::default());
        // What cannot be folded may look like anything.
        twin.unwrap_or(Some(name)).map(str::to_owned)
    }

    /// Whether `differs` holds for any tool the server is known to have.
    pub(crate) fn any_tool(&self, differs: impl FnMut(&str) -> bool) -> bool {
        self.found().names.iter().any(differs)
    }

    fn is_known(&self, tool: &str) -> bool {
        let mut found = self.found();
        if found.tools_doubted && found.listed_again.take() {
            found.forget_tools();
        }
        let just = found
            .looked
            .is_some_and(|looked| looked.elapsed() < LOOK_AGAIN);
        just || found.tools.contains_key(tool)
    }
}

// === impl Route ===

impl Route {
    /// Whether the server speaks the modern era; asks it when that is not known.
    /// A server that is silent for too long is taken for one that does not, until
    /// it answers after all.
    pub(crate) async fn is_modern(&self, worker: &Worker) -> Result<bool, Fault> {
        self.is_modern_within(LATEST, worker).await
    }

    /// The same for an agent that only asks in order to choose its era.
    pub(crate) async fn is_modern_in_haste(&self, worker: &Worker) -> Result<bool, Fault> {
        self.is_modern_within(HASTE, worker).await
    }

    async fn is_modern_within(&self, patience: Duration, worker: &Worker) -> Result<bool, Fault> {
        let eras = &self.site.eras;
        if let Some(known) = eras.modern() {
            return Ok(known);
        }
        let until = Instant::now() + patience;
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
                let server = &route.site.server.name;
                debug!(server.name = %server, modern, "Found out which era server `{server}` speaks");
                route.site.eras.note(modern);
            }
            let modern = found == Some(true);
            if !modern {
                route.part(&background, Era::Modern);
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
        let permit = Permit::own("the era of a server is found out");
        let limit = worker.shared.settings.result_limit;
        let asked = async {
            self.modern_request(worker, &permit, &message)
                .await?
                .answer(limit, &self.site.account)
                .await
        };
        match tokio::time::timeout(LATEST, asked).await {
            Err(_) => Ok(None),
            Ok(Ok(answer)) => Ok(Some(speaks_modern(&answer))),
            Ok(Err(fault)) => match fault.kind {
                _ if !fault.sent => Err(fault),
                FaultKind::Status(401 | 403 | 429 | 500..)
                | FaultKind::NoRoom(_)
                | FaultKind::Down
                | FaultKind::Unusable
                | FaultKind::NoProcess(_)
                | FaultKind::OpenedOtherwise
                | FaultKind::Pausing
                | FaultKind::Outdated => Err(fault),
                FaultKind::Slow => Ok(None),
                FaultKind::Status(_) | FaultKind::Lies | FaultKind::SessionLost => Ok(Some(false)),
            },
        }
    }

    /// Makes sure that the headers of a tool are known, if the server names it.
    pub(crate) async fn know_tool(&self, worker: &Worker, tool: &str) -> Result<(), Fault> {
        let eras = &self.site.eras;
        if eras.is_known(tool) {
            return Ok(());
        }
        let _asking = deadline::lock(worker.shared.settings.call_timeout, &eras.asking)
            .await
            .map_err(|_| Fault::no_turn())?;
        if eras.is_known(tool) {
            return Ok(());
        }
        let listed = tokio::time::timeout(PATIENCE, self.list_tools(worker));
        listed.await.unwrap_or_else(|_| Err(Fault::slow()))?;
        eras.found().looked = Some(Instant::now());
        Ok(())
    }

    async fn list_tools(&self, worker: &Worker) -> Result<(), Fault> {
        let permit = Permit::own("the headers of a tool are looked up");
        let limit = worker.shared.settings.result_limit;
        let mut rest = String::new();
        for _ in 0..MOST_PAGES {
            let message = Outgoing::own_modern(r#""provost-tools""#, "tools/list", &rest);
            let message = message.ok_or_else(Fault::lies)?;
            let exchange = self.modern_request(worker, &permit, &message).await?;
            let answer = exchange.answer(limit, &self.site.account).await?;
            let parsed = envelope::parse_upstream(&answer).map_err(|_| Fault::lies())?;
            let Ok(Message::Response {
                answer: Answer::Result(result),
                ..
            }) = envelope::read(&parsed)
            else {
                // A server without tools has none with headers.
                return Ok(());
            };
            self.site.eras.learn(result, &mut Folder::default());
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
