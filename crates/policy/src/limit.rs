//! The plain types of limits and of the rules that set them.

use std::fmt;

use serde::{Deserialize, Serialize};

pub use crate::amount::{Amount, AmountError};
use crate::duration::Unit;
use crate::text::Text;
use crate::words::{Word, words};

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

words! {
    /// The windows that have a name, and those that a calendar can align.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Period {
        /// 60 seconds.
        Minute = "minute",
        /// 60 minutes.
        Hour = "hour",
        /// 24 hours, in a calendar those of UTC.
        Day = "day",
    }
}

words! {
    /// Where windows begin.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum Alignment {
        /// Never more than `max` in any interval of that length.
        #[default]
        Sliding = "sliding",
        /// UTC minutes, hours or days.
        Calendar = "calendar",
    }
}

words! {
    /// When quota comes back.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
    )]
    #[serde(rename_all = "snake_case")]
    pub enum RefundRule {
        /// Only when no byte of the call went upstream.
        #[default]
        NotSent = "not_sent",
        /// Also when the upstream answered with an error.
        Failed = "failed",
    }
}

/// The units in which a window's length may be written.
pub const WINDOW_UNITS: &[Unit] = &[Unit::Second, Unit::Minute, Unit::Hour, Unit::Day];

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

// === impl Period ===

impl Period {
    /// What a counter of it counts over.
    ///
    /// INVARIANT: a plain length divides the wall clock, and its counter is known by that
    /// length alone (`CounterId`). That is right for these three: `hour` and `60m` may
    /// share a counter, and both begin with the hour. It is wrong for a week, which would
    /// begin on Thursdays, as 1 January 1970 did, and share its counter with `7d`; and a
    /// month has no length. Such a period needs a variant of [`Window`] of its own, so
    /// that counters and journal tell it apart, and a start that `ledger/calendar.rs`
    /// knows.
    pub const fn window(self) -> Window {
        Window::Micros(match self {
            Self::Minute => Unit::Minute.micros(),
            Self::Hour => Unit::Hour.micros(),
            Self::Day => Unit::Day.micros(),
        })
    }

    /// The period of that window.
    pub fn of(window: Window) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|period| period.window() == window)
    }
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
    /// No policy can allow it.
    pub const BUILT_IN: Self = Self(Text::fixed("(built-in)"));
    /// The fleet does not give this to the role of who calls.
    pub const ROLE: Self = Self(Text::fixed("(role)"));
    /// A limit of the fleet itself: how many agents, and where.
    pub const FLEET_LIMIT: Self = Self(Text::fixed("(fleet limit)"));
    /// A person did not approve.
    pub const APPROVAL: Self = Self(Text::fixed("(approval)"));
    /// The grant was revoked.
    pub const REVOKED: Self = Self(Text::fixed("(revoked)"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d79_a_period_begins_where_people_expect_it() {
        for period in Period::ALL {
            match period.window() {
                // Only then does dividing the wall clock begin one with each midnight.
                Window::Micros(length) => {
                    let parts = Unit::Day.micros() % length;
                    assert_eq!(parts, 0, "`{}`: see Period::window", period.name());
                }
                Window::Concurrent => panic!("`{}` is no length of time", period.name()),
            }
            assert_eq!(Period::of(period.window()), Some(*period));
        }
    }
}
