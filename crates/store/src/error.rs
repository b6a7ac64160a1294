//! What goes wrong when the store is asked, changed or opened.

mod opening;

use std::sync::Arc;

use rusqlite::ErrorCode;

use crate::JournalError;
use crate::ids::NoRandomness;
pub use opening::OpenError;

/// The store could not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the database could not be used: {0}")]
    Database(Arc<rusqlite::Error>),
    /// The database holds something other than what was written.
    #[error("the database `provost.db` is damaged: {0}")]
    DatabaseDamaged(String),
    /// The journal cannot be read.
    #[error("the journal could not be read: {0}")]
    Read(Arc<std::io::Error>),
    /// The journal cannot be written; without it nothing is changed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// What is exported could not be written.
    #[error("the export could not be written: {0}")]
    Export(Arc<std::io::Error>),
    /// A sealed value does not open.
    #[error("a sealed value could not be opened: {0}")]
    Sealed(String),
    /// The key file could not be written.
    #[error("the key file could not be written: {0}")]
    KeyFile(String),
    /// No random numbers.
    #[error("the system gave no random numbers")]
    NoRandomness,
    /// A row does not hold what it should.
    #[error("the database holds something unexpected: {0}")]
    Unexpected(String),
}

/// A change was refused; nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ChangeError {
    /// No server of that name.
    #[error("there is no server `{name}`")]
    NoServer {
        /// The name.
        name: String,
    },
    /// The server is a part of the daemon.
    #[error(
        "server `{name}` is built in: it can have grants and policies, and cannot be changed or removed"
    )]
    Builtin {
        /// Its name.
        name: String,
    },
    /// A server of that name exists.
    #[error("the name `{name}` is taken already")]
    ServerExists {
        /// The name.
        name: String,
    },
    /// The name is not allowed.
    #[error("`{name}` cannot be a name: {reason}")]
    Name {
        /// The name.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// A grant's label is empty or too long.
    #[error("a label has 1 to {most} characters")]
    LabelLength {
        /// As many as it may have.
        most: usize,
    },
    /// No policy of that name on the server.
    #[error("server `{server}` has no policy `{name}`")]
    NoPolicy {
        /// The server.
        server: String,
        /// The policy.
        name: String,
    },
    /// The policy has no such version.
    #[error("policy `{name}` on server `{server}` has no version {version}")]
    NoVersion {
        /// The server.
        server: String,
        /// The policy.
        name: String,
        /// The version.
        version: u32,
    },
    /// The policy's text is not a policy.
    #[error("policy `{name}` was refused: {}", problems.join("; "))]
    PolicyRefused {
        /// The policy.
        name: String,
        /// Each problem, with its place.
        problems: Vec<String>,
    },
    /// Grants use the policy.
    #[error("policy `{name}` on server `{server}` is used by {}", labels.join(", "))]
    PolicyInUse {
        /// The server.
        server: String,
        /// The policy.
        name: String,
        /// The grants' labels, in backticks.
        labels: Vec<String>,
    },
    /// No such grant.
    #[error("there is no grant `{name}`")]
    NoGrant {
        /// Its id or label.
        name: String,
    },
    /// Another live grant of the server has that label.
    #[error("server `{server}` has a grant `{label}` already")]
    GrantExists {
        /// The server.
        server: String,
        /// The label.
        label: String,
    },
    /// Grants of several servers have that label.
    #[error("several servers have a grant `{label}`")]
    GrantUnclear {
        /// The label.
        label: String,
    },
    /// What is stored is not what the journal says, and the change would keep
    /// the rest of it.
    #[error("`{row}` differs from what the journal says")]
    Differs {
        /// The row.
        row: String,
    },
    /// The time is not in the future.
    #[error("the expiry lies in the past")]
    Expired,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl StoreError ===

impl StoreError {
    /// The journal cannot be read.
    pub(crate) fn read(error: std::io::Error) -> Self {
        Self::Read(Arc::new(error))
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match damage_in(&error) {
            Some(what) => Self::DatabaseDamaged(what),
            None => Self::Database(Arc::new(error)),
        }
    }
}

impl From<NoRandomness> for StoreError {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

// === impl ChangeError ===

impl ChangeError {
    /// The name is not allowed.
    pub(crate) fn name(name: &str, reason: &'static str) -> Self {
        Self::Name {
            name: name.to_owned(),
            reason,
        }
    }

    /// What the user may do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::LabelLength { .. } => {
                Some("name who or what will use the grant, for example `alice-laptop` or `ci`")
            }
            Self::NoServer { .. } => Some("`provost server list` shows the servers"),
            Self::Builtin { .. } => {
                Some("`provost grant mint` and `provost policy put` take its name")
            }
            Self::ServerExists { .. } => {
                Some("choose another name, or change it with `provost server set`")
            }
            Self::NoPolicy { .. } => Some("`provost policy list` shows the policies"),
            Self::NoVersion { .. } => Some("`provost policy history` shows the versions"),
            Self::PolicyInUse { .. } => {
                Some("attach another policy to these grants first, or revoke them")
            }
            Self::NoGrant { .. } => Some("`provost grant list` shows the grants"),
            Self::GrantExists { .. } => {
                Some("choose another label, or revoke or rotate the other grant")
            }
            Self::GrantUnclear { .. } => {
                Some("say which with `--server NAME`, or use the grant's id")
            }
            Self::Differs { .. } => Some(
                "remove or revoke it and create it again; `provost audit verify` lists everything that differs",
            ),
            Self::Expired => Some("give a time in the future, or a length such as `30d`"),
            Self::Name { .. } | Self::PolicyRefused { .. } | Self::Store(_) => None,
        }
    }
}

impl From<rusqlite::Error> for ChangeError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<JournalError> for ChangeError {
    fn from(error: JournalError) -> Self {
        Self::Store(error.into())
    }
}

impl From<NoRandomness> for ChangeError {
    fn from(error: NoRandomness) -> Self {
        Self::Store(error.into())
    }
}

/// What is wrong with the content of the database, if that is why SQLite
/// refused; `None` where the cause is outside of it, such as a full disk.
pub(crate) fn damage_in(error: &rusqlite::Error) -> Option<String> {
    match error {
        rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
            ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::TypeMismatch
            // Such as a table that is not there.
            | ErrorCode::Unknown => Some(message.clone().unwrap_or_else(|| failure.to_string())),
            _ => None,
        },
        // Without the SQL, which helps nobody who did not write it.
        rusqlite::Error::SqlInputError { msg, .. } => Some(msg.clone()),
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::QueryReturnedNoRows => Some(error.to_string()),
        _ => None,
    }
}
