//! The rows of the fleet: its instances, their messages, tasks and subscriptions.
//!
//! They stand in a file of their own, `fleet.db`: who asks or changes something here waits
//! for no fold of the journal. What returned is in the kernel, so `kill -9` takes nothing
//! back; a power cut may take the last moments. Who may do what is not known here.

mod ending;
mod error;
mod file;
mod id;
mod instance;
mod kinds;
mod message;
mod new;
mod spending;
mod standing;
mod subscription;
mod task;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::JournalError;
use crate::guard::lock;
use crate::locations::fleet_path;
pub use ending::End;
pub use error::FleetError;
pub use id::{InstanceId, MessageId, NoInstanceId, NoMessageId, NoTaskId, TaskId};
pub use instance::{Ended, Exit, Instance, Listing, Spent, Whose};
pub use kinds::{InstanceState, MessageState, Priority, Role, TaskState, Workspace};
pub use message::{Message, MessageStep, NewMessage, Sender, Unread};
pub use new::{Admitted, NewInstance};
pub use standing::{Standing, Subtree};
pub use subscription::Subscription;
pub use task::{NewTask, Task, TaskStep};

/// The fleet's rows. The file is opened when they are first asked for. Blocks, if only for
/// a moment.
#[derive(Debug)]
pub struct FleetDatabase {
    path: PathBuf,
    link: Mutex<Link>,
}

#[derive(Debug)]
enum Link {
    Unopened,
    Open(Connection),
    Closed,
}

// === impl FleetDatabase ===

impl FleetDatabase {
    pub(crate) fn new(data: &Path) -> Self {
        Self {
            path: fleet_path(data),
            link: Mutex::new(Link::Unopened),
        }
    }

    /// Writes out what stands in the database's own log, and refuses everything from here on.
    pub(crate) fn close(&self) {
        let link = std::mem::replace(&mut *lock(&self.link), Link::Closed);
        // The last connection that goes away writes it out.
        if let Link::Open(connection) = link
            && let Err((_, error)) = connection.close()
        {
            tracing::warn!(error = %error, "the fleet's database was not closed in order; the next start does what is left");
        }
    }

    /// Asks the rows. What turns out to be damaged is kept aside, and the fleet begins anew;
    /// who found it gets the error.
    fn read<T>(
        &self,
        ask: impl FnOnce(&mut Connection) -> Result<T, FleetError>,
    ) -> Result<T, FleetError> {
        let mut link = lock(&self.link);
        if let Link::Unopened = *link {
            *link = Link::Open(file::open(&self.path)?);
        }
        let Link::Open(connection) = &mut *link else {
            return Err(JournalError::Closed.into());
        };
        let answer = ask(connection);
        if let Err(FleetError::Damaged(what)) = &answer
            && file::is_damaged(connection)
        {
            // Closed before it is renamed.
            *link = Link::Unopened;
            *link = Link::Open(file::begin_anew(&self.path, what)?);
        }
        answer
    }

    /// Changes rows, all or none.
    fn change<T>(
        &self,
        make: impl FnOnce(&Transaction<'_>) -> Result<T, FleetError>,
    ) -> Result<T, FleetError> {
        self.read(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let made = make(&transaction)?;
            transaction.commit()?;
            Ok(made)
        })
    }
}

#[cfg(test)]
mod tests;
