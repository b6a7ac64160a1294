//! What an agent and its server have agreed on: enough to open the session again with another daemon.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::message::{Heard, Parts, changed_line};

/// Subscriptions that are asked for again; each takes a place among the grant's calls then.
const MOST_SUBSCRIBED: usize = 256;

/// The lists an agent may have, and the member of a server's capabilities that speaks of them.
pub(super) const LISTS: [&str; 3] = ["tools", "prompts", "resources"];

/// What both sides have agreed on.
#[derive(Default)]
pub(super) struct Session {
    /// The agent's own `initialize`.
    opening: Option<Opening>,
    /// The agent's word that it is ready.
    ready: Option<Vec<u8>>,
    /// The last level of log messages it asked for.
    level: Option<Vec<u8>>,
    /// Resources it has subscribed to, with the line that did so.
    subscribed: BTreeMap<String, Vec<u8>>,
    /// Why the server did not open a session, if the agent has none.
    refusal: Option<String>,
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

#[derive(Deserialize)]
struct Initialized {
    #[serde(rename = "protocolVersion")]
    version: String,
    #[serde(default)]
    capabilities: HashMap<String, serde_json::Value>,
}

// === impl Session ===

impl Session {
    /// Takes note of a request of the agent.
    pub(super) fn requested(&mut self, line: &[u8], method: &str, id: &str, parts: &Parts<'_>) {
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
                if let Some(uri) = parts.resource() {
                    self.subscribed.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// The agent says that it is ready.
    pub(super) fn is_ready(&mut self, line: &[u8]) {
        self.ready = Some(line.to_vec());
    }

    /// Remembers a subscription that was granted, to ask for it again.
    pub(super) fn subscribed(&mut self, uri: String, line: Vec<u8>) {
        if self.subscribed.len() < MOST_SUBSCRIBED || self.subscribed.contains_key(&uri) {
            self.subscribed.insert(uri, line);
        }
    }

    /// What an answer means for the session; nothing if it does not answer what opens it. `again`
    /// says that the bridge asked once more.
    pub(super) fn answered(&mut self, id: &str, parts: &Parts<'_>, again: bool) -> Option<Heard> {
        let opening = self.opening.as_mut().filter(|opening| opening.id == id);
        let opening = opening.filter(|opening| again || opening.answer.is_none())?;
        let refusal = || match parts.problem() {
            Some(problem) => problem.message(),
            None => "the server's answer to `initialize` cannot be read".to_owned(),
        };
        Some(match (&opening.answer, parts.result()) {
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
        })
    }

    fn opened(&self) -> Option<(&Opening, &Opened)> {
        let opening = self.opening.as_ref()?;
        Some((opening, opening.answer.as_ref()?))
    }

    /// Whether the server has opened it.
    pub(super) fn is_open(&self) -> bool {
        self.opened().is_some()
    }

    /// What opens it again, if it was open: the agent's own words, and their id.
    pub(super) fn opening(&self) -> Option<(&str, &[u8])> {
        let (opening, _) = self.opened()?;
        Some((&opening.id, &opening.line))
    }

    /// The agent's word that it is ready.
    pub(super) fn ready(&self) -> Option<&[u8]> {
        self.ready.as_deref()
    }

    /// The requests that arranged what holds in it.
    pub(super) fn arranged(&self) -> impl Iterator<Item = &[u8]> {
        let arranged = self.level.iter().chain(self.subscribed.values());
        arranged.map(Vec::as_slice)
    }

    /// Tells the agent that the lists the server announced may have changed.
    pub(super) fn changes(&self) -> Vec<Vec<u8>> {
        let lists = self.opened().map_or(&[][..], |(_, opened)| &opened.lists);
        lists.iter().map(|list| changed_line(list, None)).collect()
    }

    /// Why the agent has none, if it asked for one.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// What should open it was answered by the bridge: the agent may try once more.
    pub(super) fn give_up_opening(&mut self) {
        self.opening.take_if(|opening| opening.answer.is_none());
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
