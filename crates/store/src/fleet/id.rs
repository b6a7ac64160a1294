//! What things of the fleet are called.

use std::fmt;
use std::str::FromStr;

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::database::{int, uint};

/// The name of one running agent: 1 to 64 letters (ASCII), digits, `_` and `-`, not
/// beginning with `-`. It is safe as the name of a directory and as one word of a line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId(String);

/// A text that cannot be the name of an instance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance is named by 1 to 64 letters, digits, `_` and `-`")]
pub struct NoInstanceId;

/// Which message: printed as `msg_7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub(crate) u64);

/// Which task: printed as `task_7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId(pub(crate) u64);

/// The most characters of an instance's name.
const LONGEST: usize = 64;

// === impl InstanceId ===

impl InstanceId {
    /// The name as text.
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

impl ToSql for InstanceId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for InstanceId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let id = value.as_str()?.parse();
        id.map_err(|error: NoInstanceId| FromSqlError::Other(error.into()))
    }
}

// === impl MessageId, TaskId ===

/// An id that is a number behind a prefix.
macro_rules! numbered {
    ($name:ident, $prefix:literal, $error:ident) => {
        #[doc = concat!("A text that is not `", $prefix, "` and a number.")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error("an id of this kind looks like `{}7`", $prefix)]
        pub struct $error;

        impl FromStr for $name {
            type Err = $error;

            fn from_str(text: &str) -> Result<Self, $error> {
                let digits = text.strip_prefix($prefix).ok_or($error)?;
                // One way to write each: `+7` and `007` are nobody's.
                let number = digits.parse().map_err(|_| $error)?;
                let id = Self(number);
                (id.to_string() == text).then_some(id).ok_or($error)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}", $prefix, self.0)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(int(self.0).into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                value.as_i64().map(|number| Self(uint(number)))
            }
        }
    };
}

numbered!(MessageId, "msg_", NoMessageId);
numbered!(TaskId, "task_", NoTaskId);
