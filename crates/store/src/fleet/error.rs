//! Why the fleet's rows could not be asked or changed.

use std::path::PathBuf;
use std::sync::Arc;

use super::{InstanceId, MessageId, TaskId};
use crate::error::damage_in;
use crate::{JournalError, StoreError};

/// The fleet's rows could not be asked or changed; nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FleetError {
    /// No such instance, or it was terminated.
    #[error("there is no instance `{id}`")]
    NoInstance {
        /// Its name.
        id: InstanceId,
    },
    /// No such message.
    #[error("there is no message `{id}`")]
    NoMessage {
        /// Its name.
        id: MessageId,
    },
    /// No such task.
    #[error("there is no task `{id}`")]
    NoTask {
        /// Its name.
        id: TaskId,
    },
    /// It is not in the state that the change begins with: somebody else was first.
    #[error("`{id}` is {is}, not {wanted}")]
    OtherState {
        /// Which instance, message or task.
        id: String,
        /// The state it is in.
        is: &'static str,
        /// The state the change begins with.
        wanted: &'static str,
    },
    /// Too much waits for an instance already.
    #[error("the mailbox of `{id}` is full: {waiting} messages with {bytes} bytes wait in it")]
    MailboxFull {
        /// Whose.
        id: InstanceId,
        /// Messages that wait.
        waiting: u64,
        /// Bytes of their texts.
        bytes: u64,
    },
    /// An instance has as many of something as one may have.
    #[error("`{id}` has {most} {what} already")]
    TooMany {
        /// Whose.
        id: InstanceId,
        /// Of what, in words.
        what: &'static str,
        /// As many as one may have.
        most: u64,
    },
    /// The file does not hold what was written.
    #[error("the database `fleet.db` is damaged: {0}")]
    Damaged(String),
    /// The file could not be created or renamed.
    #[error("the file `fleet.db` could not be used: {0}")]
    File(Arc<std::io::Error>),
    /// A newer program wrote the file.
    #[error("`{}` has schema {found}, this program knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema found.
        found: u32,
        /// The newest schema this program knows.
        known: u32,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl FleetError ===

impl From<rusqlite::Error> for FleetError {
    fn from(error: rusqlite::Error) -> Self {
        match damage_in(&error) {
            Some(what) => Self::Damaged(what),
            None => Self::Store(StoreError::Database(Arc::new(error))),
        }
    }
}

impl From<std::io::Error> for FleetError {
    fn from(error: std::io::Error) -> Self {
        Self::File(Arc::new(error))
    }
}

impl From<JournalError> for FleetError {
    fn from(error: JournalError) -> Self {
        Self::Store(error.into())
    }
}
