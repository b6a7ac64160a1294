//! Records: what the journal says, as rows to search.

use serde::Serialize;

use crate::{CallId, Decision, Status, Store, StoreError};

/// Which records. Empty fields select everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The server's name.
    pub server: Option<String>,
    /// The grant's label or id.
    pub grant: Option<String>,
    /// The tool's name.
    pub tool: Option<String>,
    /// The decision.
    pub decision: Option<Decision>,
    /// One call.
    pub call: Option<CallId>,
    /// Not before, unix time in microseconds.
    pub since: Option<u64>,
    /// Not at or after, unix time in microseconds.
    pub until: Option<u64>,
    /// Only entries with a higher number: where the last page ended, or
    /// where one follows.
    pub after: Option<u64>,
    /// Only entries with a lower number.
    pub before: Option<u64>,
    /// In which order.
    pub order: Order,
    /// At most so many; 0 means all.
    pub limit: usize,
}

/// In which order records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// One governed call: what was decided, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Record {
    /// The number of its first entry in the journal.
    pub number: u64,
    /// Which call.
    pub call: CallId,
    /// When it was decided, unix time in microseconds.
    pub at: u64,
    /// The grant's id.
    pub grant: String,
    /// The grant's label.
    pub grant_label: String,
    /// The server's name.
    pub server: String,
    /// The method.
    pub method: String,
    /// The tool.
    pub tool: Option<String>,
    /// The policy that decided.
    pub policy: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// The decision.
    pub decision: Decision,
    /// The rule that decided.
    pub rule: Option<String>,
    /// What the agent was told, if it was refused.
    pub message: Option<String>,
    /// The top-level keys of the arguments, sorted.
    pub keys: Vec<String>,
    /// When asking again may help.
    pub retry_after_ms: Option<u64>,
    /// How an allowed call ended; `unknown` until its end is recorded.
    pub status: Option<Status>,
    /// The upstream's HTTP status.
    pub upstream_status: Option<u16>,
    /// How long the upstream took, in microseconds.
    pub latency_us: Option<u64>,
    /// What the shadow policy says.
    pub shadow: Option<ShadowRecord>,
}

/// What a shadow policy said about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct ShadowRecord {
    /// The policy.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// What it would have decided.
    pub decision: Decision,
    /// The rule that would have decided.
    pub rule: Option<String>,
    /// What the agent would have been told.
    pub message: Option<String>,
}

// === impl Store ===

impl Store {
    /// Records that match, folded up to this moment.
    pub fn records(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        let _ = filter;
        todo!()
    }
}
