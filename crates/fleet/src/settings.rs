//! What an operator decides about the fleet.

use std::collections::BTreeMap;
use std::ffi::OsString;

use crate::places::Places;
use crate::refusal::Refusal;
use crate::rules::Limits;

/// What an operator decides about the fleet.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where instances may work.
    pub places: Places,
    /// How many there may be.
    pub limits: Limits,
    /// The programs that are agents, by the names they are asked for with: each a program
    /// and its arguments.
    pub agents: BTreeMap<String, Vec<OsString>>,
    /// Which of them is started where none is asked for.
    pub agent: String,
    /// The environment of every agent; what tells an instance who it is comes on top.
    pub environment: Vec<(OsString, OsString)>,
}

// === impl Settings ===

impl Settings {
    /// The agent of a new instance: its name, if there is one of this name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn agent(&self, asked: Option<&str>) -> Result<String, Refusal> {
        let name = asked.unwrap_or(&self.agent);
        match self.agents.contains_key(name) {
            true => Ok(name.to_owned()),
            false => Err(Refusal::Agent {
                name: name.to_owned(),
                known: self.agents.keys().cloned().collect(),
            }),
        }
    }
}
