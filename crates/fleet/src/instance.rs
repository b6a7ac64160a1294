//! What an instance is called.

use std::fmt;
use std::str::FromStr;

/// The name of one running agent: 1 to 64 letters (ASCII), digits, `_` and `-`, not
/// beginning with `-`. It is safe as the name of a directory and as one word of a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(String);

/// A text that cannot be the name of an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance is named by 1 to 64 letters, digits, `_` and `-`")]
pub struct NoInstanceId;

/// The most characters of a name.
const LONGEST: usize = 64;

// === impl InstanceId ===

impl InstanceId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for InstanceId {
    type Err = NoInstanceId;

    fn from_str(text: &str) -> Result<Self, NoInstanceId> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let named = !text.is_empty() && text.len() <= LONGEST && !text.starts_with('-');
        match named && text.bytes().all(fits) {
            true => Ok(Self(text.to_owned())),
            false => Err(NoInstanceId),
        }
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
