//! What a bridge remembers of the lines it carries: enough to open the agent's session again with
//! another daemon, and to answer honestly for what was on its way when the first one went.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::value::RawValue;

/// What an agent is told of a request whose answer nobody can give any more.
const UNKNOWN: &str = "outcome unknown: the Provost daemon ended while this request was on its way. It may \
     or may not have been carried out: look before you repeat it. The session has been kept; go on with the next request.";

/// Requests that change nothing: they are sent again instead of being answered with an error.
const HARMLESS: [&str; 9] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "logging/setLevel",
    LISTEN,
];

/// The request of the modern era that stays open; what it brings is asked for again.
const LISTEN: &str = "subscriptions/listen";

/// Subscriptions that are asked for again; each takes a place among the grant's calls then.
const MOST_SUBSCRIBED: usize = 256;

/// The lists an agent may have, and the member of a server's capabilities that speaks of them.
const LISTS: [&str; 3] = ["tools", "prompts", "resources"];

/// Both sides of a conversation between an agent and a server, as far as it has to be known.
#[derive(Default)]
pub(super) struct Conversation {
    /// The agent's own `initialize`.
    opening: Option<Opening>,
    /// The agent's word that it is ready.
    ready: Option<Vec<u8>>,
    /// The last level of log messages it asked for.
    level: Option<Vec<u8>>,
    /// Resources it has subscribed to, with the line that did so.
    subscribed: BTreeMap<String, Vec<u8>>,
    /// Requests of the agent without an answer, by the text of their id.
    in_flight: HashMap<String, Sent>,
    /// Counts the lines of the agent.
    sent: u64,
    /// Requests of the server that the agent has not answered.
    asked: HashSet<String>,
    /// Those of a server that is gone: their answers go nowhere.
    orphaned: HashSet<String>,
    /// Ids of what the bridge said again, whose answers the agent has had already.
    again: HashSet<String>,
    /// What was said to nobody in particular last: why a line could not be read.
    complaint: Option<String>,
    /// Why the server did not open a session, if the agent has none.
    refusal: Option<String>,
    /// What was seen of that: for people, and not for the agent.
    seen: Vec<String>,
}

struct Opening {
    line: Vec<u8>,
    id: String,
    /// What came of it.
    answer: Option<Opened>,
}

/// What a server said when it opened a session.
struct Opened {
    version: String,
    /// The lists it announces changes of.
    lists: Vec<&'static str>,
}

struct Sent {
    line: Vec<u8>,
    /// It changes nothing, so it can be sent again and again.
    harmless: bool,
    /// It has gone nowhere yet, so it can be sent once more.
    unsent: bool,
    /// The resource it subscribes to, if its answer is good.
    subscribes: Option<String>,
    /// Whether it asks for the list of tools.
    lists_tools: bool,
    number: u64,
}

/// What becomes of a line of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The agent gets it.
    Pass,
    /// The agent gets it, and has the whole list of tools then.
    Listed,
    /// The agent gets it, and has no session.
    Refused,
    /// The agent has had it before.
    Drop,
    /// The session is open again; the agent has had this before.
    OpenedAgain,
    /// The session cannot be opened again, and why.
    NotOpened(String),
}

/// The parts of a JSON-RPC message that matter here. The rest is not looked at: what is wrong with a
/// message the gateway says.
#[derive(Deserialize)]
struct Parts<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'l, str>>,
    #[serde(borrow)]
    params: Option<&'l RawValue>,
    #[serde(borrow)]
    result: Option<&'l RawValue>,
    #[serde(borrow)]
    error: Option<&'l RawValue>,
}

/// Taken apart without looking at what does not matter: a server may send any number, any text.
#[derive(Deserialize)]
struct Problem<'l> {
    #[serde(borrow)]
    message: Option<&'l RawValue>,
    #[serde(borrow)]
    data: Option<&'l RawValue>,
}

#[derive(Deserialize)]
struct Data<'l> {
    #[serde(borrow, rename = "dev.provost/decision")]
    decision: &'l RawValue,
}

#[derive(Deserialize)]
struct Decided {
    #[serde(rename = "notSent")]
    not_sent: bool,
}

#[derive(Deserialize)]
struct Target<'l> {
    #[serde(borrow, rename = "requestId")]
    request: &'l RawValue,
}

#[derive(Deserialize)]
struct Resource {
    uri: String,
}

#[derive(Deserialize)]
struct Initialized {
    #[serde(rename = "protocolVersion")]
    version: String,
    #[serde(default)]
    capabilities: HashMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Listens {
    #[serde(default)]
    notifications: HashMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct ListPage {
    #[serde(rename = "nextCursor")]
    next: Option<serde::de::IgnoredAny>,
}

impl Problem<'_> {
    fn message(&self) -> String {
        let message = self
            .message
            .and_then(|text| serde_json::from_str(text.get()).ok());
        message.unwrap_or_default()
    }

    /// Whether a daemon that is leaving says that it has not begun with the request.
    fn is_of_a_stop(&self) -> bool {
        let data = self
            .data
            .and_then(|data| serde_json::from_str::<Data<'_>>(data.get()).ok());
        let decided =
            data.and_then(|data| serde_json::from_str::<Decided>(data.decision.get()).ok());
        decided.is_some_and(|decided| decided.not_sent)
    }
}

/// An id as it is kept: the same for a text however it is escaped.
fn key(id: &RawValue) -> String {
    match serde_json::from_str::<String>(id.get()) {
        Ok(text) => serde_json::Value::from(text).to_string(),
        Err(_) => id.get().to_owned(),
    }
}

fn read<'l, T: Deserialize<'l>>(text: &'l [u8]) -> Option<T> {
    serde_json::from_slice(text).ok()
}

fn params<'l, T: Deserialize<'l>>(parts: &Parts<'l>) -> Option<T> {
    serde_json::from_str(parts.params?.get()).ok()
}

fn problem<'l>(parts: &Parts<'l>) -> Option<Problem<'l>> {
    serde_json::from_str(parts.error?.get()).ok()
}

/// Whether a line of the agent wants an answer, if it is only why it cannot be read.
pub(super) fn asks(line: &[u8]) -> bool {
    read::<Parts<'_>>(line).is_none_or(|parts| parts.method.is_some() == parts.id.is_some())
}

/// Whether nothing of a list comes after this answer.
fn is_last_page(parts: &Parts<'_>) -> bool {
    let page = parts
        .result
        .map(|result| serde_json::from_str(result.get()));
    matches!(page, Some(Ok(ListPage { next: None })))
}

// === impl Conversation ===

impl Conversation {
    /// Takes note of a line of the agent. False when it must not go on: nobody waits for it.
    pub(super) fn said(&mut self, line: &[u8]) -> bool {
        // Each line counts: one that cannot be read may be what the daemon complains of.
        self.sent += 1;
        let Some(parts) = read::<Parts<'_>>(line) else {
            return true;
        };
        // It is not this line that could not be read.
        self.complaint = None;
        match (&parts.method, parts.id) {
            (Some(method), Some(id)) => self.requested(line, method, &key(id), &parts),
            (Some(method), None) => return self.notified(line, method, &parts),
            (None, Some(id)) => {
                let id = key(id);
                self.asked.remove(&id);
                return !self.orphaned.remove(&id);
            }
            (None, None) => {}
        }
        true
    }

    fn requested(&mut self, line: &[u8], method: &str, id: &str, parts: &Parts<'_>) {
        match method {
            "initialize" if self.opening.is_none() => {
                self.opening = Some(Opening {
                    line: line.to_vec(),
                    id: id.to_owned(),
                    answer: None,
                });
            }
            "logging/setLevel" => self.level = Some(line.to_vec()),
            "resources/unsubscribe" => {
                if let Some(Resource { uri }) = params(parts) {
                    self.subscribed.remove(&uri);
                    // One that is on its way counts for nothing any more.
                    let on_their_way = self.in_flight.values_mut();
                    on_their_way
                        .filter(|sent| sent.subscribes.as_ref() == Some(&uri))
                        .for_each(|sent| sent.subscribes = None);
                }
            }
            _ => {}
        }
        let sent = Sent {
            line: line.to_vec(),
            harmless: HARMLESS.contains(&method),
            unsent: false,
            lists_tools: method == "tools/list",
            subscribes: (method == "resources/subscribe")
                .then(|| params(parts).map(|Resource { uri }| uri))
                .flatten(),
            number: self.sent,
        };
        self.in_flight.insert(id.to_owned(), sent);
    }

    fn notified(&mut self, line: &[u8], method: &str, parts: &Parts<'_>) -> bool {
        match method {
            "notifications/initialized" => self.ready = Some(line.to_vec()),
            // What is answered cannot be cancelled, and another daemon has never heard of it.
            "notifications/cancelled" => {
                let target = params::<Target<'_>>(parts);
                return target
                    .is_none_or(|target| self.in_flight.contains_key(&key(target.request)));
            }
            _ => {}
        }
        true
    }

    /// Takes note of a line of the daemon, and says what becomes of it.
    pub(super) fn heard(&mut self, line: &[u8]) -> Heard {
        let Some(parts) = read::<Parts<'_>>(line) else {
            return Heard::Pass;
        };
        // Only the last word of a daemon tells why it went.
        self.complaint = None;
        match (&parts.method, parts.id) {
            (Some(_), Some(id)) => {
                self.asked.insert(key(id));
                Heard::Pass
            }
            (None, Some(id)) => self.answered(&key(id), &parts),
            (None, None) => {
                self.complaint = problem(&parts).map(|problem| problem.message());
                Heard::Pass
            }
            (Some(_), None) => Heard::Pass,
        }
    }

    fn answered(&mut self, id: &str, parts: &Parts<'_>) -> Heard {
        let again = self.again.remove(id);
        let mut listed = false;
        if !again {
            let stopping = problem(parts).is_some_and(|problem| problem.is_of_a_stop());
            if let Some(sent) = self.in_flight.get_mut(id).filter(|_| stopping) {
                // A daemon that is leaving has not begun with it; the next one gets it.
                sent.unsent = true;
                return Heard::Drop;
            }
            let sent = self.in_flight.remove(id);
            listed = sent.as_ref().is_some_and(|sent| sent.lists_tools) && is_last_page(parts);
            self.arranged(sent, parts);
        }
        let opening = self.opening.as_mut().filter(|opening| opening.id == id);
        let Some(opening) = opening.filter(|opening| again || opening.answer.is_none()) else {
            return match (again, listed) {
                (true, _) => Heard::Drop,
                (false, true) => Heard::Listed,
                (false, false) => Heard::Pass,
            };
        };
        let opened = parts
            .result
            .and_then(|result| serde_json::from_str::<Initialized>(result.get()).ok());
        let refusal = || match problem(parts) {
            Some(problem) => problem.message(),
            None => "the server's answer to `initialize` cannot be read".to_owned(),
        };
        match (&opening.answer, opened) {
            (None, None) => {
                self.refusal = Some(refusal());
                // The agent may try once more.
                self.opening = None;
                Heard::Refused
            }
            (None, Some(opened)) => {
                opening.answer = Some(Opened::new(&opened));
                self.refusal = None;
                Heard::Pass
            }
            (Some(_), None) => Heard::NotOpened(refusal()),
            (Some(before), Some(now)) if before.version != now.version => {
                Heard::NotOpened(format!(
                    "the server now speaks protocol version {}, and this session uses {}: reconnect the agent",
                    now.version, before.version
                ))
            }
            (Some(_), Some(_)) => Heard::OpenedAgain,
        }
    }

    /// Remembers a subscription that was granted, to ask for it again.
    fn arranged(&mut self, sent: Option<Sent>, parts: &Parts<'_>) {
        let Some(sent) = sent.filter(|_| parts.result.is_some()) else {
            return;
        };
        if let Some(uri) = sent.subscribes
            && (self.subscribed.len() < MOST_SUBSCRIBED || self.subscribed.contains_key(&uri))
        {
            self.subscribed.insert(uri, sent.line);
        }
    }

    /// The daemon is gone: what the agent has to be told. Requests that change nothing are kept.
    pub(super) fn lost(&mut self) -> Vec<Vec<u8>> {
        self.again.clear();
        let complaint = self.complaint.take();
        let newest = self.sent;
        let mut told = Vec::new();
        self.in_flight.retain(|id, sent| {
            // Only the last line can have been the one that was not read.
            let why = complaint.as_deref().filter(|_| sent.number == newest);
            if (sent.harmless || sent.unsent) && why.is_none() {
                return true;
            }
            told.push((sent.number, error_line(id, why.unwrap_or(UNKNOWN))));
            false
        });
        told.sort();
        let mut told: Vec<_> = told.into_iter().map(|(_, line)| line).collect();
        for id in self.asked.drain() {
            told.push(cancelled_line(&id));
            self.orphaned.insert(id);
        }
        told
    }

    /// Whether the agent waits for something that another daemon can answer.
    pub(super) fn waits(&self) -> bool {
        !self.in_flight.is_empty()
    }

    /// What opens the session again, if it was open: the agent's own words.
    pub(super) fn opening_again(&mut self) -> Option<Vec<u8>> {
        let opening = self
            .opening
            .as_ref()
            .filter(|opening| opening.answer.is_some())?;
        self.again.insert(opening.id.clone());
        Some(opening.line.clone())
    }

    /// What is said again once the session is open: that the agent is ready, what it arranged, and
    /// the requests that are still to be answered.
    pub(super) fn rest_again(&mut self) -> Vec<Vec<u8>> {
        let mut lines: Vec<_> = self.ready.iter().cloned().collect();
        for arranged in self.level.iter().chain(self.subscribed.values()) {
            let id = read::<Parts<'_>>(arranged).and_then(|parts| parts.id.map(key));
            // One that is in flight is said again below.
            if let Some(id) = id.filter(|id| !self.in_flight.contains_key(id)) {
                self.again.insert(id);
                lines.push(arranged.clone());
            }
        }
        let mut sent: Vec<_> = self.in_flight.values_mut().collect();
        sent.sort_by_key(|sent| sent.number);
        lines.extend(sent.into_iter().map(|sent| {
            sent.unsent = false;
            sent.line.clone()
        }));
        lines
    }

    /// Tells the agent that what it was told of the server may have changed.
    pub(super) fn changes(&self) -> Vec<Vec<u8>> {
        let opened = self
            .opening
            .as_ref()
            .and_then(|opening| opening.answer.as_ref());
        let mut lines: Vec<_> = opened
            .into_iter()
            .flat_map(|opened| &opened.lists)
            .map(|list| changed_line(list, None))
            .collect();
        for (id, sent) in &self.in_flight {
            let listens = read::<Parts<'_>>(&sent.line);
            let Some(listens) = listens.filter(|parts| parts.method.as_deref() == Some(LISTEN))
            else {
                continue;
            };
            let wanted = params::<Listens>(&listens).map(|listens| listens.notifications);
            for list in LISTS {
                let member = format!("{list}ListChanged");
                let wanted = wanted.as_ref().and_then(|wanted| wanted.get(&member));
                if wanted == Some(&serde_json::Value::Bool(true)) {
                    lines.push(changed_line(list, Some(id)));
                }
            }
        }
        lines
    }

    /// Whether a session has to be opened again before anything else is said.
    pub(super) fn is_open(&self) -> bool {
        self.opening
            .as_ref()
            .is_some_and(|opening| opening.answer.is_some())
    }

    /// Why the agent has no session, if it asked for one.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// What was seen of why the agent has no session.
    pub(super) fn seen(&self) -> &[String] {
        &self.seen
    }

    pub(super) fn saw(&mut self, seen: Vec<String>) {
        self.seen = seen;
    }

    /// Answers everything that waits, with why nobody can: there is no daemon.
    pub(super) fn refuse_all(&mut self, why: &str) -> Vec<Vec<u8>> {
        let mut waiting: Vec<_> = self.in_flight.drain().collect();
        waiting.sort_by_key(|(_, sent)| sent.number);
        if self
            .opening
            .as_ref()
            .is_some_and(|opening| opening.answer.is_none())
        {
            self.opening = None;
        }
        let answer = |(id, _): (String, Sent)| error_line(&id, why);
        waiting.into_iter().map(answer).collect()
    }
}

// === impl Opened ===

impl Opened {
    fn new(answer: &Initialized) -> Self {
        let announces = |list: &&str| {
            let capability = answer.capabilities.get(*list);
            let announced = capability.and_then(|capability| capability.get("listChanged"));
            announced == Some(&serde_json::Value::Bool(true))
        };
        Opened {
            version: answer.version.clone(),
            lists: LISTS.into_iter().filter(announces).collect(),
        }
    }
}

/// An answer of the bridge itself. The number is JSON-RPC's for an error inside the server.
fn error_line(id: &str, why: &str) -> Vec<u8> {
    let why = serde_json::Value::from(why);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":{why}}}}}"#)
        .into_bytes()
}

fn cancelled_line(id: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the server that asked is gone"}}}}"#
    )
    .into_bytes()
}

fn changed_line(list: &str, subscription: Option<&str>) -> Vec<u8> {
    let params = subscription.map(|id| {
        format!(r#","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#)
    });
    let params = params.unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/{list}/list_changed"{params}}}"#)
        .into_bytes()
}

#[cfg(test)]
mod tests;
