//! What administration answers: plain views, the same over the socket and in `--json`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Transport, WireSecret};
use crate::when::Time;

/// The answer to a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "response", content = "value", rename_all = "snake_case")]
pub(crate) enum Response {
    /// Nothing to tell.
    Done,
    /// One server.
    Server(ServerView),
    /// Servers.
    Servers(Vec<ServerView>),
    /// One policy; `text` only where it was asked for.
    Policy(PolicyView),
    /// Policies.
    Policies(Vec<PolicyView>),
    /// Versions of a policy, newest first.
    Versions(Vec<VersionView>),
    /// One grant.
    Grant(GrantView),
    /// Grants.
    Grants(Vec<GrantView>),
    /// A grant with its token.
    Minted(Minted),
    /// Records, oldest first.
    Records(Vec<RecordView>),
    /// The chain as it was verified.
    Audit(AuditView),
    /// The end of the chain.
    Head(String),
    /// The archive that was written.
    Backup(BackupView),
    /// The version of the new key.
    Key(KeyView),
    /// The inside of the store.
    Inspection(Inspection),
}

/// A server as administration sees it; secrets by name only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerView {
    pub(crate) id: String,
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// How it is reached, the values of a query masked; nothing when that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) transport: Option<Transport>,
    pub(crate) headers: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) query: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) policies: Vec<String>,
    pub(crate) grants: usize,
    /// What of it cannot be read: while there is anything, its calls are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) unreadable: Vec<String>,
    /// What deserves a look: a secret in clear text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

/// A policy as administration sees it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PolicyView {
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Labels of the grants it is enforced on.
    pub(crate) enforced_on: Vec<String>,
    /// Labels of the grants it is a draft on.
    pub(crate) draft_on: Vec<String>,
    /// Whether a put or rollback made a new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changed: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

/// One version of a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct VersionView {
    pub(crate) version: u32,
    pub(crate) at: Time,
    pub(crate) by: String,
    pub(crate) current: bool,
    pub(crate) bytes: usize,
}

/// A grant as administration sees it, without its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GrantView {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) server: String,
    pub(crate) policy: Option<String>,
    pub(crate) shadow: Option<String>,
    pub(crate) state: GrantState,
    pub(crate) created: Time,
    pub(crate) expires: Option<Time>,
    /// What deserves a look: observe only, no policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) warning: Option<String>,
}

/// Whether a grant works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GrantState {
    Active,
    Expired,
    Revoked,
}

/// A grant with its token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Minted {
    pub(crate) token: WireSecret,
    pub(crate) grant: GrantView,
}

/// One record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RecordView {
    pub(crate) number: u64,
    /// Whose journal, and which timeline of it, the number is of.
    pub(crate) node: String,
    pub(crate) epoch: u32,
    pub(crate) at: Time,
    pub(crate) call: String,
    pub(crate) grant: String,
    pub(crate) grant_label: String,
    pub(crate) server: String,
    pub(crate) method: String,
    pub(crate) tool: Option<String>,
    pub(crate) decision: String,
    pub(crate) rule: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) version: Option<u32>,
    /// The grant whose policy refused, if it is not the call's own.
    pub(crate) policy_grant: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) keys: Vec<String>,
    pub(crate) retry_after_ms: Option<u64>,
    pub(crate) shadow: Option<ShadowView>,
    pub(crate) status: Option<String>,
    pub(crate) upstream_status: Option<u16>,
    pub(crate) latency_us: Option<u64>,
}

/// What a draft says about a call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ShadowView {
    pub(crate) policy: String,
    pub(crate) version: u32,
    pub(crate) decision: String,
    pub(crate) rule: Option<String>,
}

/// The chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AuditView {
    pub(crate) intact: bool,
    pub(crate) entries: u64,
    pub(crate) segments: u32,
    /// The first entry there is.
    pub(crate) first: u64,
    pub(crate) head: String,
    /// Everything that is wrong.
    pub(crate) damage: Vec<String>,
}

/// An archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BackupView {
    pub(crate) archive: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) with_key: bool,
    /// The end of the journal in it.
    pub(crate) head: String,
}

/// A key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyView {
    pub(crate) version: u32,
}

/// What `doctor` looks at inside the store.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Inspection {
    pub(crate) servers: usize,
    pub(crate) policies: usize,
    pub(crate) grants: usize,
    pub(crate) journal_entries: u64,
    pub(crate) troubles: Vec<Trouble>,
}

/// Something `doctor` points out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trouble {
    /// Whether it is broken, or only deserves a look.
    pub(crate) broken: bool,
    pub(crate) about: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// How a daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DaemonStatus {
    pub(crate) pid: u32,
    pub(crate) version: String,
    /// The agents' address, when the listener is open.
    pub(crate) listen: Option<String>,
    /// Whether agents use TLS.
    pub(crate) tls: bool,
    /// Whether `run` or `connect` started it, and it leaves with its last client.
    pub(crate) self_started: bool,
    /// Agents on the agent socket now.
    pub(crate) clients: usize,
    /// `None` when it works, otherwise why not.
    pub(crate) trouble: Option<String>,
    /// What is held and on its way; an older daemon does not say.
    #[serde(default)]
    pub(crate) load: Option<Load>,
}

/// What a daemon holds for others, and calls on their way, with their bounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    /// In bytes.
    pub(crate) memory_held: usize,
    pub(crate) memory_limit: usize,
    pub(crate) calls: usize,
    pub(crate) most_calls: usize,
    /// What found no room since the daemon started.
    pub(crate) no_room: u64,
}

/// How a daemon is, and what it looks after.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Overview {
    #[serde(flatten)]
    pub(crate) daemon: DaemonStatus,
    pub(crate) data: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) servers: Vec<ServerStanding>,
    /// Those that work now.
    pub(crate) grants: usize,
    pub(crate) last_minute: LastMinute,
    pub(crate) journal: JournalStanding,
}

/// A server as `status` shows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerStanding {
    pub(crate) name: String,
    /// `http`, `stdio`, or nothing when that cannot be read.
    pub(crate) kind: Option<String>,
    /// `legacy`, `modern`; empty until somebody has used or tested it since the daemon started.
    pub(crate) eras: Vec<String>,
    /// Whether its settings can be used.
    pub(crate) usable: bool,
}

/// What was recorded within the last minute.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LastMinute {
    pub(crate) calls: u64,
    pub(crate) denied: u64,
}

/// The journal.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct JournalStanding {
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// Whether no damage was found when the daemon started.
    pub(crate) intact_at_start: bool,
}

/// What a server said when it was tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upstream {
    pub(crate) server: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) protocols: Vec<String>,
    /// `legacy`, `modern`.
    pub(crate) eras: Vec<String>,
    pub(crate) tools: Vec<ToolView>,
    /// The names of the capabilities it declares.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) capabilities: Vec<String>,
    /// Its tools as it describes them; not shown, for whoever writes or checks a policy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) definitions: Vec<serde_json::Value>,
    /// Until it was open, in milliseconds.
    pub(crate) opened_ms: u64,
    /// The list of tools, in milliseconds.
    pub(crate) listed_ms: u64,
}

/// A tool of a server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ToolView {
    pub(crate) name: String,
    pub(crate) arguments: Vec<ArgumentView>,
}

/// An argument that a tool's schema names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ArgumentView {
    pub(crate) name: String,
    pub(crate) required: bool,
}
