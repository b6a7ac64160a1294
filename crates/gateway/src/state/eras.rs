//! Which eras a server speaks, and what is known of its tools' headers, as far as
//! that was found out (`exchange/discovery.rs`).
//!
//! An era belongs to the server, so one answer serves all sessions. It is asked
//! again after anything that went wrong, because a server that was restarted may
//! be another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use provost_policy::json::{Folder, KnownNames, Value};
use provost_policy::lengths;

use crate::host::rate_limit::RateLimit;
use crate::message::modern::ToolHeaders;
use crate::text::era::Era;

/// A server that did not speak the modern era is asked again after this long.
const AGAIN: Duration = Duration::from_secs(30);
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
    pub(crate) asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Found {
    /// It has opened a session of the legacy era.
    legacy: bool,
    modern: Option<(bool, Instant)>,
    /// Something went wrong since: to be asked for again, when it may be.
    doubted: bool,
    asked_again: RateLimit<DISCOVERIES>,
    tools_doubted: bool,
    listed_again: RateLimit<LISTS>,
    /// The headers of each tool; none for tools whose annotations are invalid.
    tools: HashMap<String, Option<Arc<ToolHeaders>>>,
    /// The same tools, to find the one that another name only looks like.
    names: KnownNames,
    listed_at: Option<Instant>,
}

// === impl Found ===

impl Found {
    fn forget_tools(&mut self) {
        self.tools_doubted = false;
        self.tools.clear();
        self.names.clear();
        self.listed_at = None;
    }
}

// === impl Eras ===

impl Eras {
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the server speaks the modern era, if that is known and, as far as
    /// it may be asked again, not doubted.
    pub(crate) fn modern(&self) -> Option<bool> {
        let mut found = self.found();
        if found.doubted && found.modern.is_some() && found.asked_again.take() {
            found.modern = None;
            found.doubted = false;
            found.forget_tools();
        }
        let (modern, since) = found.modern?;
        (modern || since.elapsed() < AGAIN).then_some(modern)
    }

    /// What it answered when it was asked.
    pub(crate) fn note(&self, modern: bool) {
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

    /// All of its tools were looked at.
    pub(crate) fn listed(&self) {
        self.found().listed_at = Some(Instant::now());
    }

    /// Whether the headers of a tool are known, or were just looked for.
    pub(crate) fn is_known(&self, tool: &str) -> bool {
        let mut found = self.found();
        if found.tools_doubted && found.listed_again.take() {
            found.forget_tools();
        }
        let just = found
            .listed_at
            .is_some_and(|looked| looked.elapsed() < LOOK_AGAIN);
        just || found.tools.contains_key(tool)
    }
}
