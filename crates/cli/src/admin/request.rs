//! What administration can ask for.

use std::path::PathBuf;

use provost_store::Processes;
use serde::{Deserialize, Serialize};

use super::WireSecret;
use crate::daemon::config::Limits;
use crate::failure::Failure;
use crate::when::Micros;

/// Everything that is asked of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Request {
    /// Registers a server.
    ServerAdd {
        name: String,
        transport: Transport,
        headers: Vec<(String, WireSecret)>,
        query: Vec<(String, WireSecret)>,
        environment: Vec<(String, WireSecret)>,
    },
    /// Changes a server: what is `None` or not named stays.
    ServerSet {
        name: String,
        transport: Option<Transport>,
        headers: Vec<(String, WireSecret)>,
        query: Vec<(String, WireSecret)>,
        environment: Vec<(String, WireSecret)>,
        /// Names of headers, parts of the query and variables to forget.
        unset: Vec<String>,
    },
    /// All servers.
    ServerList,
    /// One server.
    ServerShow { name: String },
    /// Removes a server with its policies; its grants are revoked.
    ServerRemove { name: String },
    /// A new version of a policy.
    PolicyPut {
        server: String,
        name: String,
        text: String,
        description: Option<String>,
    },
    /// All policies, or those of one server.
    PolicyList { server: Option<String> },
    /// The text of a policy, in its current or another version.
    PolicyShow {
        server: String,
        name: String,
        version: Option<u32>,
    },
    /// The versions of a policy.
    PolicyHistory { server: String, name: String },
    /// Makes an older version the current one, as a new version.
    PolicyRollback {
        server: String,
        name: String,
        version: Option<u32>,
    },
    /// Deletes a policy that no grant uses.
    PolicyDelete { server: String, name: String },
    /// Gives a grant a policy.
    PolicyAttach {
        grant: GrantName,
        policy: String,
        shadow: Shadow,
        observe: Observe,
    },
    /// Takes a grant's policy away.
    PolicyDetach {
        grant: GrantName,
        shadow: Shadow,
        observe: Observe,
    },
    /// A new grant.
    GrantMint {
        server: String,
        label: String,
        policy: Option<String>,
        shadow: Shadow,
        lifetime: Option<Micros>,
    },
    /// All grants, or those of one server.
    GrantList { server: Option<String> },
    /// A new token for a grant.
    GrantRotate { grant: GrantName },
    /// The token of a grant.
    GrantReveal { grant: GrantName },
    /// Ends a grant and what was minted below it.
    GrantRevoke { grant: GrantName },
    /// Records.
    Log(LogQuery),
    /// Verifies the chain.
    AuditVerify { head: Option<String> },
    /// The head of the chain.
    AuditHead,
    /// Writes one archive.
    Backup { archive: PathBuf, with_key: bool },
    /// A new key for secrets and chain.
    KeyRotate,
    /// What `doctor` looks at inside the store.
    Inspect,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Transport {
    /// An HTTP endpoint.
    Http { url: String },
    /// A child process.
    Stdio {
        command: Vec<String>,
        directory: Option<PathBuf>,
        processes: Processes,
    },
}

/// Whether a policy is enforced or a draft beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Shadow {
    /// The policy decides.
    Enforced,
    /// The policy is judged and recorded, never enforced.
    Draft,
}

/// Whether a change may leave a grant that lets everything through and only observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Observe {
    /// It may: the person said so.
    Wanted,
    /// It may not: the change is refused.
    Refused,
}

/// A grant, by id or by label; the server tells equal labels apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantName {
    /// Its id or label.
    pub(crate) name: String,
    /// Its server.
    pub(crate) server: Option<String>,
}

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    /// Only this server, by name or id.
    pub(crate) server: Option<String>,
    /// Only this grant, by label or id.
    pub(crate) grant: Option<String>,
    /// Only this tool.
    pub(crate) tool: Option<String>,
    /// Only this decision.
    pub(crate) decision: Option<String>,
    /// Nothing older.
    pub(crate) since: Option<Micros>,
    /// Only what comes after this record: the next ones, oldest first.
    pub(crate) after: Option<u64>,
    /// Only what comes before this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<u64>,
    /// At most so many, the newest; never more than [`PAGE`](super::PAGE).
    pub(crate) limit: Option<u32>,
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuditFormat {
    /// One JSON document per line.
    Jsonl,
    /// Comma-separated values with a heading.
    Csv,
}

/// What is asked of the daemon itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Control {
    /// How it is.
    Status,
    /// How it is, and what it looks after.
    Overview,
    /// Open the agents' listener and stay.
    Listen {
        address: String,
        tls: Option<(PathBuf, PathBuf)>,
        behind_proxy: bool,
        allowed_hosts: Vec<String>,
        allowed_origins: Vec<String>,
        /// What must be so already: a running daemon changes no limits.
        limits: Box<Limits>,
    },
    /// Finish the calls in flight and end.
    Stop,
    /// Connect to a server, initialise, list its tools.
    TestServer { name: String },
    /// Stop, replace everything by an archive, start again.
    Restore {
        archive: PathBuf,
        /// Take it although nothing vouches for it.
        unverified: bool,
    },
}

/// What comes back over the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply<T> {
    /// It was done.
    Ok(T),
    /// It was not.
    Error(Failure),
}

// === impl Request ===

impl Request {
    /// Whether the gateway must look at the store again afterwards.
    pub(crate) fn changes_calls(&self) -> bool {
        match self {
            Request::ServerAdd { .. }
            | Request::ServerSet { .. }
            | Request::ServerRemove { .. }
            | Request::PolicyPut { .. }
            | Request::PolicyRollback { .. }
            | Request::PolicyDelete { .. }
            | Request::PolicyAttach { .. }
            | Request::PolicyDetach { .. }
            | Request::GrantMint { .. }
            | Request::GrantRotate { .. }
            | Request::GrantRevoke { .. }
            | Request::KeyRotate => true,
            Request::ServerList
            | Request::ServerShow { .. }
            | Request::PolicyList { .. }
            | Request::PolicyShow { .. }
            | Request::PolicyHistory { .. }
            | Request::GrantList { .. }
            | Request::GrantReveal { .. }
            | Request::Log(_)
            | Request::AuditVerify { .. }
            | Request::AuditHead
            | Request::Backup { .. }
            | Request::Inspect => false,
        }
    }
}

// === impl Reply ===

impl<T> From<Result<T, Failure>> for Reply<T> {
    fn from(result: Result<T, Failure>) -> Self {
        match result {
            Ok(value) => Reply::Ok(value),
            Err(failure) => Reply::Error(failure),
        }
    }
}

impl<T> Reply<T> {
    /// Back to a result.
    pub(crate) fn into_result(self) -> Result<T, Failure> {
        match self {
            Reply::Ok(value) => Ok(value),
            Reply::Error(failure) => Err(failure),
        }
    }
}
