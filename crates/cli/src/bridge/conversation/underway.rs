//! What is on its way between an agent and its server: enough to answer honestly for it when the
//! daemon in between is gone.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::message::{Parts, cancelled_line, changed_line, error_line};
use super::session::LISTS;

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

/// What is on its way.
#[derive(Default)]
pub(super) struct Underway {
    /// Requests of the agent without an answer, by the text of their id.
    in_flight: HashMap<String, Sent>,
    /// Counts the lines of the agent.
    sent: u64,
    /// Requests of the server that the agent has not answered.
    asked: HashSet<String>,
    /// Those of a server that is gone: their answers go nowhere.
    orphaned: HashSet<String>,
    /// What was said to nobody in particular last: why a line could not be read.
    complaint: Option<String>,
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

/// What an answer of the server is to the agent.
#[derive(Default)]
pub(super) struct Answered {
    /// A daemon that is leaving has not begun with the request; the next one gets it.
    pub(super) waits: bool,
    /// The agent has the whole list of tools with it.
    pub(super) listed: bool,
    /// A resource that is subscribed to now, and the line that did so.
    pub(super) subscribed: Option<(String, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Listens {
    #[serde(default)]
    notifications: HashMap<String, serde_json::Value>,
}

// === impl Underway ===

impl Underway {
    /// Counts a line of the agent. Each counts: one that cannot be read may be what the daemon
    /// complains of.
    pub(super) fn said(&mut self) {
        self.sent += 1;
    }

    /// The last word of a daemon tells why it went; anything else takes that back.
    pub(super) fn complain(&mut self, complaint: Option<String>) {
        self.complaint = complaint;
    }

    /// Takes note of a request of the agent.
    pub(super) fn requested(&mut self, line: &[u8], method: &str, id: String, parts: &Parts<'_>) {
        if method == "resources/unsubscribe"
            && let Some(uri) = parts.resource()
        {
            // One that is on its way counts for nothing any more.
            let on_their_way = self.in_flight.values_mut();
            on_their_way
                .filter(|sent| sent.subscribes.as_ref() == Some(&uri))
                .for_each(|sent| sent.subscribes = None);
        }
        let subscribes = method == "resources/subscribe";
        let sent = Sent {
            line: line.to_vec(),
            harmless: HARMLESS.contains(&method),
            unsent: false,
            lists_tools: method == "tools/list",
            subscribes: subscribes.then(|| parts.resource()).flatten(),
            number: self.sent,
        };
        self.in_flight.insert(id, sent);
    }

    /// Takes note of the agent's answer to a request of the server. False when nobody waits for it.
    pub(super) fn replied(&mut self, id: &str) -> bool {
        self.asked.remove(id);
        !self.orphaned.remove(id)
    }

    /// Takes note of a request of the server.
    pub(super) fn asked(&mut self, id: String) {
        self.asked.insert(id);
    }

    /// Takes note of an answer of the server.
    pub(super) fn answered(&mut self, id: &str, parts: &Parts<'_>) -> Answered {
        let stopping = parts
            .problem()
            .is_some_and(|problem| problem.is_of_a_stop());
        if let Some(sent) = self.in_flight.get_mut(id).filter(|_| stopping) {
            sent.unsent = true;
            return Answered {
                waits: true,
                ..Answered::default()
            };
        }
        let Some(sent) = self.in_flight.remove(id) else {
            return Answered::default();
        };
        Answered {
            waits: false,
            listed: sent.lists_tools && parts.is_last_page(),
            subscribed: sent
                .subscribes
                .filter(|_| parts.is_result())
                .map(|uri| (uri, sent.line)),
        }
    }

    /// Whether a request of the agent has no answer yet.
    pub(super) fn has(&self, id: &str) -> bool {
        self.in_flight.contains_key(id)
    }

    /// Whether the agent waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// The daemon is gone: what the agent has to be told. Requests that change nothing are kept.
    pub(super) fn lost(&mut self) -> Vec<Vec<u8>> {
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

    /// What is still to be answered, in the order in which it was asked: to be sent again.
    pub(super) fn again(&mut self) -> Vec<Vec<u8>> {
        let mut sent: Vec<_> = self.in_flight.values_mut().collect();
        sent.sort_by_key(|sent| sent.number);
        let line = |sent: &mut Sent| {
            sent.unsent = false;
            sent.line.clone()
        };
        sent.into_iter().map(line).collect()
    }

    /// Tells those who listen for changes of lists that there may have been some.
    pub(super) fn changes(&self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for (id, sent) in &self.in_flight {
            let listens = Parts::read(&sent.line);
            let listens = listens.filter(|parts| parts.method.as_deref() == Some(LISTEN));
            let Some(Listens { notifications }) = listens.and_then(|parts| parts.params()) else {
                continue;
            };
            let is_wanted = |list: &&str| {
                let wanted = notifications.get(&format!("{list}ListChanged"));
                wanted == Some(&serde_json::Value::Bool(true))
            };
            let wanted = LISTS.into_iter().filter(is_wanted);
            lines.extend(wanted.map(|list| changed_line(list, Some(id))));
        }
        lines
    }

    /// Answers everything that waits, with why nobody can: there is no daemon.
    pub(super) fn refuse_all(&mut self, why: &str) -> Vec<Vec<u8>> {
        let mut waiting: Vec<_> = self.in_flight.drain().collect();
        waiting.sort_by_key(|(_, sent)| sent.number);
        let answer = |(id, _): (String, Sent)| error_line(&id, why);
        waiting.into_iter().map(answer).collect()
    }
}
