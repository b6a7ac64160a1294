//! What can stand in the journal. Nothing here carries an argument's value.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use provost_policy::{Amount, Charge, CounterId, Moment};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::chain::Hex;
use crate::CallId;
use crate::words::words;

/// One entry, as the path of a call hands it over. The store's own entries
/// (segment, start, stop, checkpoint) cannot be made outside.
#[derive(Debug, Clone)]
pub enum Entry<'a> {
    /// The call was allowed and its charges are reserved.
    Intent(Intent<'a>),
    /// The call was refused.
    Refused(Refused<'a>),
    /// How an intended call ended.
    Outcome(Outcome<'a>),
    /// Something that is no call, such as a failed start of a server.
    Admin(AdminAct<'a>),
}

words! {
    /// What was decided about a call.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Decision with as_str {
        /// It may go on.
        Allow = "allow",
        /// A person has to say yes, and nobody did.
        Ask = "ask",
        /// It may not.
        Deny = "deny",
    }
}

/// A call that is about to go upstream.
#[derive(Debug, Clone)]
pub struct Intent<'a> {
    /// Which call.
    pub call: CallId,
    /// When its charges were reserved.
    pub at: Moment,
    /// The grant's id.
    pub grant: &'a str,
    /// The grant's label.
    pub grant_label: &'a str,
    /// Who the agent's client says it is.
    pub client: Option<&'a str>,
    /// The server's name.
    pub server: &'a str,
    /// The method, such as `tools/call`.
    pub method: &'a str,
    /// The tool.
    pub tool: Option<&'a str>,
    /// The policy that decided.
    pub policy: Option<&'a str>,
    /// Its version.
    pub version: Option<u32>,
    /// The rule that decided; an allowed call may have none.
    pub rule: Option<&'a str>,
    /// The top-level keys of the arguments, sorted.
    pub keys: &'a [Cow<'a, str>],
    /// What was reserved.
    pub charges: &'a [Charge],
    /// What the shadow policy says.
    pub shadow: Option<Shadow<'a>>,
}

/// A call that was refused.
#[derive(Debug, Clone)]
pub struct Refused<'a> {
    /// Which call.
    pub call: CallId,
    /// When it was refused.
    pub at: Moment,
    /// The grant's id.
    pub grant: &'a str,
    /// The grant's label.
    pub grant_label: &'a str,
    /// Who the agent's client says it is.
    pub client: Option<&'a str>,
    /// The server's name.
    pub server: &'a str,
    /// The method, such as `tools/call`.
    pub method: &'a str,
    /// The tool.
    pub tool: Option<&'a str>,
    /// The policy that decided.
    pub policy: Option<&'a str>,
    /// Its version.
    pub version: Option<u32>,
    /// The grant whose policy that is: the call's own, or one it was minted
    /// below.
    pub policy_grant: Option<&'a str>,
    /// The rule that decided: every refusal has one.
    pub rule: &'a str,
    /// The top-level keys of the arguments, sorted.
    pub keys: &'a [Cow<'a, str>],
    /// `Ask` or `Deny`.
    pub decision: Decision,
    /// What the agent was told.
    pub message: &'a str,
    /// When asking again may help.
    pub retry_after_ms: Option<u64>,
    /// What the shadow policy says.
    pub shadow: Option<Shadow<'a>>,
}

/// What a shadow policy says about a call.
#[derive(Debug, Clone)]
pub struct Shadow<'a> {
    /// The policy.
    pub policy: &'a str,
    /// Its version.
    pub version: u32,
    /// What it would have decided.
    pub decision: Decision,
    /// The rule that would have decided.
    pub rule: Option<&'a str>,
    /// What the agent would have been told.
    pub message: Option<&'a str>,
    /// What was charged to the shadow's own counters.
    pub charges: &'a [Charge],
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Outcome<'a> {
    /// Which call.
    pub call: CallId,
    /// When it ended.
    pub at: Moment,
    /// How.
    pub status: Status,
    /// The upstream's HTTP status.
    pub upstream_status: Option<u16>,
    /// From the first byte upstream to the last byte back, in microseconds.
    pub latency_us: u64,
    /// What comes back of the window charges. Concurrent ones end with the
    /// call; they are not named here.
    pub refund: &'a [Refund],
}

/// Quota that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// The counter it was charged to.
    pub counter: CounterId,
    /// How much.
    pub amount: Amount,
    /// When it was charged: the intent's moment.
    pub at: Moment,
}

/// Something done to Provost rather than through it.
#[derive(Debug, Clone)]
pub struct AdminAct<'a> {
    /// When.
    pub at: Moment,
    /// Who did it.
    pub who: &'a str,
    /// What was done, such as `grant.mint`.
    pub what: &'a str,
    /// To what, such as `github/ci-runner`.
    pub target: &'a str,
    /// Details worth keeping. Never a secret.
    pub detail: Option<&'a str>,
}

/// How a call ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// A result.
    Ok,
    /// A result that says `isError`.
    ToolError,
    /// A JSON-RPC error from the upstream.
    RpcError,
    /// An HTTP status that is no answer.
    Http(u16),
    /// The upstream was too slow.
    Timeout,
    /// The agent cancelled it, or went away.
    Cancelled,
    /// The grant was revoked, got another token or expired while it was away.
    GrantEnded,
    /// The upstream could not be reached, or broke off.
    UpstreamDown,
    /// The upstream answered with what is no valid answer, or too much of it.
    BadAnswer,
    /// No byte of it went upstream.
    NotSent,
    /// Nobody knows: Provost stopped in between.
    Unknown,
}

/// The text is not the name of a status.
#[derive(Debug, thiserror::Error)]
#[error("not the name of a status")]
pub struct NotAStatus;

/// Which row: its table, then its primary key as SQLite writes it in JSON,
/// such as `grants["g-1"]`.
pub(crate) type RowKey = String;

/// Rows and their digests; `None` is a row that is not there.
pub(crate) type Rows = BTreeMap<RowKey, Option<Hex>>;

// === impl Decision ===

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Decision {
    type Err = NotADecision;

    fn from_str(text: &str) -> Result<Self, NotADecision> {
        let named = |decision: &Self| decision.as_str() == text;
        Self::ALL.into_iter().find(named).ok_or(NotADecision)
    }
}

/// The text is not the name of a decision.
#[derive(Debug, thiserror::Error)]
#[error("not a decision; decisions are `allow`, `ask` and `deny`")]
pub struct NotADecision;

// === impl Status ===

impl Status {
    /// The word in records; a status with a number has none.
    const fn word(self) -> Option<&'static str> {
        Some(match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::RpcError => "rpc_error",
            Self::Http(_) => return None,
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::GrantEnded => "grant_ended",
            Self::UpstreamDown => "upstream_down",
            Self::BadAnswer => "bad_answer",
            Self::NotSent => "not_sent",
            Self::Unknown => "unknown",
        })
    }

    /// What `Display` shows, mostly without allocating.
    pub(crate) fn name(self) -> Cow<'static, str> {
        self.word()
            .map_or_else(|| Cow::Owned(self.to_string()), Cow::Borrowed)
    }

    /// Writes what `Display` shows, without its machinery.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self.word() {
            Some(word) => out.extend_from_slice(word.as_bytes()),
            None => out.extend_from_slice(self.to_string().as_bytes()),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.word()) {
            (Self::Http(code), _) => write!(f, "http_{code}"),
            (_, word) => f.pad(word.unwrap_or_default()),
        }
    }
}

impl FromStr for Status {
    type Err = NotAStatus;

    fn from_str(text: &str) -> Result<Self, NotAStatus> {
        Ok(match text {
            "ok" => Self::Ok,
            "tool_error" => Self::ToolError,
            "rpc_error" => Self::RpcError,
            "timeout" => Self::Timeout,
            "cancelled" => Self::Cancelled,
            "grant_ended" => Self::GrantEnded,
            "upstream_down" => Self::UpstreamDown,
            "bad_answer" => Self::BadAnswer,
            "not_sent" => Self::NotSent,
            "unknown" => Self::Unknown,
            other => {
                let code = other.strip_prefix("http_").ok_or(NotAStatus)?;
                Self::Http(code.parse().map_err(|_| NotAStatus)?)
            }
        })
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
