//! What is judged: one call, and who makes it.

use serde::{Deserialize, Serialize};

use crate::json::Value;
use crate::text::Text;

/// One governed request, borrowed from its message.
#[derive(Debug, Clone, Copy)]
pub struct Call<'c> {
    /// The method, such as `tools/call`.
    pub method: &'c str,
    /// The tool's name, for `tools/call`.
    pub tool: Option<&'c str>,
    /// The arguments; absent means the same as `{}`.
    pub arguments: Option<Value<'c>>,
}

/// Who makes a call. Read from the grant, never from what the caller says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Caller {
    /// The grant's id.
    pub grant: Text,
    /// The server's id.
    pub server: Text,
    /// The session's id, where the protocol era has sessions.
    pub session: Option<Text>,
}

/// A point in time on two lines, both in microseconds.
///
/// This crate reads no clock; moments come in as arguments.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Moment {
    /// A line that never goes backwards, across restarts too; about unix time.
    pub steady: u64,
    /// Unix time by the wall clock, which people may set.
    pub wall: u64,
}
