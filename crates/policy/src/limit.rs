//! The plain types of limits and of the rules that set them.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::amount::{Amount, AmountError};
use crate::text::Text;

/// Which counter: editing a limit's `max` keeps its history, anything here
/// starts a new one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CounterId {
    /// Whose counter: a grant id, a server id or a session id.
    pub scope: Text,
    /// The server the call goes to.
    pub server: Text,
    /// The name the policy gave it.
    pub counter: Text,
    /// Over how long it counts.
    pub window: Window,
    /// Where its windows begin.
    pub alignment: Alignment,
}

/// Over how long a counter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// A length in microseconds; calendar windows are whole minutes, hours or days.
    Micros(u64),
    /// Calls in flight at this moment.
    Concurrent,
}

/// Where windows begin.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Alignment {
    /// Never more than `max` in any interval of that length.
    #[default]
    Sliding,
    /// UTC minutes, hours or days.
    Calendar,
}

/// When quota comes back.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RefundRule {
    /// Only when no byte of the call went upstream.
    #[default]
    NotSent,
    /// Also when the upstream answered with an error.
    Failed,
}

/// What one call uses of one counter. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// The counter.
    pub counter: CounterId,
    /// The most it may hold, this call included.
    pub max: Amount,
    /// What the call adds.
    pub amount: Amount,
    /// When it comes back.
    pub refund: RefundRule,
    /// The limit that asked for it.
    pub rule: RuleId,
    /// The policy that limit stands in.
    pub policy: PolicyRef,
}

/// Which rule decided: a JSON pointer into the policy, or a name in
/// parentheses for what no policy says.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleId(pub Text);

/// Which policy decided. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyRef {
    /// Its name on the server.
    pub name: Text,
    /// Its version.
    pub version: u32,
    /// The grant it is enforced for: the caller's, or an ancestor's.
    pub grant: Text,
}

// === impl RuleId ===

impl RuleId {
    /// The grant has no policy.
    pub const NO_POLICY: Self = Self(Text::fixed("(no policy)"));
    /// The tool is hidden.
    pub const HIDDEN: Self = Self(Text::fixed("(hidden)"));
    /// The tool or method is not listed and the default is deny.
    pub const DEFAULT_DENY: Self = Self(Text::fixed("(default deny)"));
    /// The policy does not allow the method.
    pub const METHOD: Self = Self(Text::fixed("(method)"));
    /// The message is not what the protocol says, or could be read in two ways.
    pub const ENVELOPE: Self = Self(Text::fixed("(envelope)"));
    /// A person did not approve.
    pub const APPROVAL: Self = Self(Text::fixed("(approval)"));
    /// The grant was revoked.
    pub const REVOKED: Self = Self(Text::fixed("(revoked)"));
    /// The caller's role does not open this.
    pub const ROLE: Self = Self(Text::fixed("(role)"));
    /// A limit of the fleet.
    pub const FLEET_LIMIT: Self = Self(Text::fixed("(fleet limit)"));
    /// What no policy can allow.
    pub const BUILT_IN: Self = Self(Text::fixed("(built-in)"));
    /// The tool's definition changed since it was accepted.
    pub const DRIFT: Self = Self(Text::fixed("(drift)"));
    /// The upstream could not be asked.
    pub const UPSTREAM: Self = Self(Text::fixed("(upstream)"));
    /// There is no room: too much memory is held, or too many calls are on their way.
    pub const BUSY: Self = Self(Text::fixed("(busy)"));
    /// The record of the call could not be written.
    pub const RECORD_UNAVAILABLE: Self = Self(Text::fixed("(record unavailable)"));

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl AsRef<str> for RuleId {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
