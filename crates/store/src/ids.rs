//! Names that the store gives: of calls, grants and servers.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use provost_policy::Text;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Which call: 128 random bits, printed as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(u128);

/// Which grant. It stays the same when the token is rotated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub Text);

/// Which server. A server that is removed and added again has a new one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ServerId(pub Text);

/// The machine has no random numbers to give.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no random numbers: {0}")]
pub struct NoRandomness(getrandom::Error);

/// Fills an array from the system's source of randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(NoRandomness)?;
    Ok(bytes)
}

/// A short random name for a row.
pub(crate) fn random_name(prefix: &str) -> Result<Text, NoRandomness> {
    let number = u64::from_be_bytes(random::<8>()?);
    Ok(Text::from(format!("{prefix}{number:016x}")))
}

// === impl CallId ===

impl CallId {
    /// The id with this number: the gateway draws it from its own source of
    /// random numbers, because a system call for each call would be dear.
    pub const fn new(number: u128) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn number(self) -> u128 {
        self.0
    }
}

impl Borrow<Text> for GrantId {
    fn borrow(&self) -> &Text {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 32 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("not a call id; a call id is 32 hexadecimal digits")]
pub struct NotACallId;

impl FromStr for CallId {
    type Err = NotACallId;

    fn from_str(text: &str) -> Result<Self, NotACallId> {
        if text.len() != 32 || text.starts_with('+') {
            return Err(NotACallId);
        }
        u128::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| NotACallId)
    }
}

impl Serialize for CallId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CallId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

// === impl GrantId, ServerId ===

impl GrantId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl ServerId {
    /// The id's text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
