//! What a bridge remembers of the lines it carries: what its session is, and what is on its way.

mod message;
mod session;
mod underway;

use std::collections::HashSet;

use message::Parts;
pub(super) use message::{Heard, asks};
use session::Session;
use underway::Underway;

/// Both sides of a conversation between an agent and a server, as far as it has to be known.
#[derive(Default)]
pub(super) struct Conversation {
    session: Session,
    underway: Underway,
    /// Ids of what the bridge said again, whose answers the agent has had already.
    again: HashSet<String>,
    /// What was seen of why the agent has no session: for people, and not for the agent.
    seen: Vec<String>,
}

// === impl Conversation ===

impl Conversation {
    /// Takes note of a line of the agent. False when it must not go on: nobody waits for it.
    pub(super) fn said(&mut self, line: &[u8]) -> bool {
        self.underway.said();
        let Some(parts) = Parts::read(line) else {
            return true;
        };
        // It is not this line that could not be read.
        self.underway.complain(None);
        match (parts.method.as_deref(), parts.id()) {
            (Some(method), Some(id)) => {
                self.session.requested(line, method, &id, &parts);
                self.underway.requested(line, method, id, &parts);
                true
            }
            (Some("notifications/initialized"), None) => {
                self.session.is_ready(line);
                true
            }
            // What is answered cannot be cancelled, and another daemon has never heard of it.
            (Some("notifications/cancelled"), None) => {
                let target = parts.cancelled();
                target.is_none_or(|target| self.underway.has(&target))
            }
            (None, Some(id)) => self.underway.replied(&id),
            (Some(_) | None, None) => true,
        }
    }

    /// Takes note of a line of the daemon, and says what becomes of it.
    pub(super) fn heard(&mut self, line: &[u8]) -> Heard {
        let Some(parts) = Parts::read(line) else {
            return Heard::Pass;
        };
        let is_for_nobody = parts.method.is_none() && parts.id().is_none();
        let complaint = parts.problem().filter(|_| is_for_nobody);
        self.underway
            .complain(complaint.map(|problem| problem.message()));
        match (&parts.method, parts.id()) {
            (Some(_), Some(id)) => {
                self.underway.asked(id);
                Heard::Pass
            }
            (None, Some(id)) => self.answered(&id, &parts),
            (Some(_) | None, None) => Heard::Pass,
        }
    }

    fn answered(&mut self, id: &str, parts: &Parts<'_>) -> Heard {
        let again = self.again.remove(id);
        let mut otherwise = Heard::Drop;
        if !again {
            let answered = self.underway.answered(id, parts);
            if answered.waits {
                return Heard::Drop;
            }
            if let Some((uri, line)) = answered.subscribed {
                self.session.subscribed(uri, line);
            }
            otherwise = match answered.listed {
                true => Heard::Listed,
                false => Heard::Pass,
            };
        }
        self.session.answered(id, parts, again).unwrap_or(otherwise)
    }

    /// The daemon is gone: what the agent has to be told. Requests that change nothing are kept.
    pub(super) fn lost(&mut self) -> Vec<Vec<u8>> {
        self.again.clear();
        self.underway.lost()
    }

    /// Whether the agent waits for something that another daemon can answer.
    pub(super) fn waits(&self) -> bool {
        !self.underway.is_empty()
    }

    /// What opens the session again, if it was open: the agent's own words.
    pub(super) fn opening_again(&mut self) -> Option<Vec<u8>> {
        let (id, line) = self.session.opening()?;
        self.again.insert(id.to_owned());
        Some(line.to_vec())
    }

    /// What is said again once the session is open: that the agent is ready, what it arranged, and
    /// the requests that are still to be answered.
    pub(super) fn rest_again(&mut self) -> Vec<Vec<u8>> {
        let mut lines: Vec<_> = self
            .session
            .ready()
            .map(<[u8]>::to_vec)
            .into_iter()
            .collect();
        for arranged in self.session.arranged() {
            let id = Parts::read(arranged).and_then(|parts| parts.id());
            // One that is in flight is said again below.
            if let Some(id) = id.filter(|id| !self.underway.has(id)) {
                self.again.insert(id);
                lines.push(arranged.to_vec());
            }
        }
        lines.extend(self.underway.again());
        lines
    }

    /// Tells the agent that what it was told of the server may have changed.
    pub(super) fn changes(&self) -> Vec<Vec<u8>> {
        let mut lines = self.session.changes();
        lines.extend(self.underway.changes());
        lines
    }

    /// Whether a session has to be opened again before anything else is said.
    pub(super) fn is_open(&self) -> bool {
        self.session.is_open()
    }

    /// Why the agent has no session, if it asked for one.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.session.refusal()
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
        self.session.give_up_opening();
        self.underway.refuse_all(why)
    }
}

#[cfg(test)]
mod tests;
