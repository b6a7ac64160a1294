//! The mailboxes: each message goes one way through its states, each step names the state
//! it begins with, so that of two who try the same step one is refused.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::file::Numbered;
use super::instance::require_living;
use super::{FleetDatabase, FleetError, InstanceId, MessageId, MessageState, Priority};
use crate::database::{int, uint};

/// Messages that may wait for an instance.
const MOST_WAITING: u64 = 1_000;

/// Bytes of text that may wait for an instance.
const MOST_BYTES: u64 = 16 << 20;

/// Messages that are kept of a mailbox after they were settled.
const MOST_SETTLED: u64 = 100;

/// What is read of a row.
const COLUMNS: &str = "number, receiver, sender_kind, sender, text, priority, copy_of, state, reason, \
     created, delivered, settled";

/// Who sent a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Sender {
    /// An instance.
    Instance(InstanceId),
    /// A person, by the label of their grant.
    Person(String),
}

/// A message to put into a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMessage {
    /// For whom.
    pub to: InstanceId,
    /// From whom.
    pub from: Sender,
    /// What it says, byte for byte.
    pub text: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Whom it was meant for, where this is the copy of a subscriber.
    pub copy_of: Option<InstanceId>,
}

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its name.
    pub id: MessageId,
    /// For whom.
    pub to: InstanceId,
    /// From whom.
    pub from: Sender,
    /// What it says, byte for byte.
    pub text: String,
    /// How urgent it is.
    pub priority: Priority,
    /// Whom it was meant for, where this is the copy of a subscriber.
    pub copy_of: Option<InstanceId>,
    /// How far it has come.
    pub state: MessageState,
    /// Why it failed, if it did.
    pub reason: Option<String>,
    /// When it was put there, unix time in microseconds.
    pub created: u64,
    /// When it was last handed over, unix time in microseconds.
    pub delivered: Option<u64>,
    /// When it was acknowledged or failed, unix time in microseconds.
    pub settled: Option<u64>,
}

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageStep {
    /// Queued → delivered: it is being handed over.
    Deliver,
    /// Delivered → acknowledged: the agent took it.
    Acknowledge,
    /// Queued → acknowledged: the agent fetched it itself.
    Fetch,
    /// Delivered → queued: it certainly did not arrive.
    Requeue,
    /// Queued → failed, for this reason: it is not handed over any more.
    Drop {
        /// Why, in words.
        reason: String,
    },
    /// Delivered → failed, for this reason.
    Fail {
        /// Why, in words.
        reason: String,
    },
}

/// What waits for an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unread {
    /// How many messages.
    pub waiting: u64,
    /// When the oldest of them was put there, unix time in microseconds.
    pub oldest: Option<u64>,
}

// === impl FleetDatabase ===

impl FleetDatabase {
    /// Puts messages into mailboxes, all or none, and tells their names in the same order.
    pub fn put_messages(
        &self,
        messages: &[NewMessage],
        now: u64,
    ) -> Result<Vec<MessageId>, FleetError> {
        self.change(|tx| {
            messages
                .iter()
                .map(|message| put(tx, message, now))
                .collect()
        })
    }

    /// One message.
    pub fn message(&self, id: MessageId) -> Result<Option<Message>, FleetError> {
        self.read(|connection| find(connection, id))
    }

    /// The message that is handed over next: the most urgent, of those the first. `None`
    /// where none waits, or where one that was handed over is not settled yet: nothing
    /// overtakes it.
    pub fn next_message(&self, to: &InstanceId) -> Result<Option<Message>, FleetError> {
        self.read(|connection| {
            if !on_the_way(connection, to)?.is_empty() {
                return Ok(None);
            }
            let sql = format!(
                "SELECT {COLUMNS} FROM messages INDEXED BY queued
                 WHERE state = 'queued' AND receiver = ?1 ORDER BY priority, number LIMIT 1"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            Ok(statement.query_row([to], from_row).optional()?)
        })
    }

    /// The messages that were handed over and are not settled, in the order of their numbers.
    pub fn messages_on_the_way(&self, to: &InstanceId) -> Result<Vec<Message>, FleetError> {
        self.read(|connection| on_the_way(connection, to))
    }

    /// The messages that wait, in the order in which they are handed over; at most `most`.
    pub fn messages_waiting(&self, to: &InstanceId, most: u64) -> Result<Vec<Message>, FleetError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM messages INDEXED BY queued
                 WHERE state = 'queued' AND receiver = ?1 ORDER BY priority, number LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map((to, int(most)), from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The last messages of a mailbox whatever became of them, oldest first; at most `most`.
    pub fn messages_of(&self, to: &InstanceId, most: u64) -> Result<Vec<Message>, FleetError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM messages WHERE receiver = ?1 ORDER BY number DESC LIMIT ?2"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map((to, int(most)), from_row)?;
            let mut messages: Vec<Message> = rows.collect::<Result<_, _>>()?;
            messages.reverse();
            Ok(messages)
        })
    }

    /// What waits for an instance.
    pub fn unread(&self, to: &InstanceId) -> Result<Unread, FleetError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT count(*), min(created) FROM messages INDEXED BY queued
                 WHERE state = 'queued' AND receiver = ?1",
            )?;
            Ok(statement.query_row([to], |row| {
                Ok(Unread {
                    waiting: uint(row.get(0)?),
                    oldest: row.get::<_, Option<i64>>(1)?.map(uint),
                })
            })?)
        })
    }

    /// Takes a message one step further. It is refused when the message is in another state
    /// than the one the step begins with. Of what is settled a mailbox keeps the last 100.
    pub fn step_message(
        &self,
        id: MessageId,
        step: &MessageStep,
        now: u64,
    ) -> Result<Message, FleetError> {
        self.change(|tx| {
            let found = find(tx, id)?.ok_or(FleetError::NoMessage { id })?;
            let (from, to) = step.ends();
            if found.state != from {
                return Err(FleetError::OtherState {
                    id: id.to_string(),
                    is: found.state.word(),
                    wanted: from.word(),
                });
            }
            let now = Some(int(now));
            let before = found.delivered.map(int);
            let (delivered, settled, reason) = match step {
                MessageStep::Deliver => (now, None, None),
                MessageStep::Acknowledge => (before, now, None),
                MessageStep::Fetch => (now, now, None),
                MessageStep::Requeue => (None, None, None),
                MessageStep::Drop { reason } | MessageStep::Fail { reason } => {
                    (before, now, Some(reason))
                }
            };
            let mut statement = tx.prepare_cached(
                "UPDATE messages SET state = ?2, delivered = ?3, settled = ?4, reason = ?5
                 WHERE number = ?1",
            )?;
            statement.execute((id, to, delivered, settled, reason))?;
            if settled.is_some() {
                forget_old(tx, &found.to)?;
            }
            find(tx, id)?.ok_or(FleetError::NoMessage { id })
        })
    }
}

// === impl MessageStep ===

impl MessageStep {
    /// The state it begins with, and the one it leads to.
    const fn ends(&self) -> (MessageState, MessageState) {
        match self {
            Self::Deliver => (MessageState::Queued, MessageState::Delivered),
            Self::Acknowledge => (MessageState::Delivered, MessageState::Acknowledged),
            Self::Fetch => (MessageState::Queued, MessageState::Acknowledged),
            Self::Requeue => (MessageState::Delivered, MessageState::Queued),
            Self::Drop { .. } => (MessageState::Queued, MessageState::Failed),
            Self::Fail { .. } => (MessageState::Delivered, MessageState::Failed),
        }
    }
}

/// What was not settled when its receiver was ended for good will not arrive.
pub(super) fn fail_all(tx: &Transaction<'_>, to: &InstanceId, now: u64) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE messages SET state = 'failed', settled = ?2, reason = 'the instance was terminated'
         WHERE receiver = ?1 AND state IN ('queued', 'delivered')",
    )?;
    statement.execute((to, int(now)))?;
    Ok(())
}

/// Of what is settled the last are kept, so that a mailbox does not grow for ever.
fn forget_old(tx: &Transaction<'_>, to: &InstanceId) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "DELETE FROM messages WHERE settled IS NOT NULL AND receiver = ?1 AND number <= (
             SELECT number FROM messages INDEXED BY settled
             WHERE settled IS NOT NULL AND receiver = ?1 ORDER BY number DESC LIMIT 1 OFFSET ?2)",
    )?;
    statement.execute((to, int(MOST_SETTLED)))?;
    Ok(())
}

fn put(tx: &Transaction<'_>, message: &NewMessage, now: u64) -> Result<MessageId, FleetError> {
    require_living(tx, &message.to)?;
    let mut statement = tx.prepare_cached(
        "SELECT count(*), coalesce(sum(octet_length(text)), 0) FROM messages INDEXED BY queued
         WHERE state = 'queued' AND receiver = ?1",
    )?;
    let (waiting, bytes) = statement.query_row([&message.to], |row| {
        Ok((uint(row.get(0)?), uint(row.get(1)?)))
    })?;
    if waiting >= MOST_WAITING || bytes + message.text.len() as u64 > MOST_BYTES {
        let id = message.to.clone();
        return Err(FleetError::MailboxFull { id, waiting, bytes });
    }
    let id = MessageId(Numbered::Message.give(tx)?);
    let (kind, sender) = match &message.from {
        Sender::Instance(id) => ("instance", id.as_str()),
        Sender::Person(label) => ("person", label.as_str()),
    };
    let mut statement = tx.prepare_cached(
        "INSERT INTO messages (number, receiver, sender_kind, sender, text, priority, copy_of, state, created)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    statement.execute((
        id,
        &message.to,
        kind,
        sender,
        &message.text,
        message.priority,
        &message.copy_of,
        MessageState::Queued,
        int(now),
    ))?;
    Ok(id)
}

fn find(connection: &Connection, id: MessageId) -> Result<Option<Message>, FleetError> {
    let sql = format!("SELECT {COLUMNS} FROM messages WHERE number = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id], from_row).optional()?)
}

fn on_the_way(connection: &Connection, to: &InstanceId) -> Result<Vec<Message>, FleetError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM messages INDEXED BY on_the_way
         WHERE state = 'delivered' AND receiver = ?1 ORDER BY number"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map([to], from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Message> {
    let kind: String = row.get("sender_kind")?;
    let from = match kind.as_str() {
        "instance" => Sender::Instance(row.get("sender")?),
        _ => Sender::Person(row.get("sender")?),
    };
    Ok(Message {
        id: row.get("number")?,
        to: row.get("receiver")?,
        from,
        text: row.get("text")?,
        priority: row.get("priority")?,
        copy_of: row.get("copy_of")?,
        state: row.get("state")?,
        reason: row.get("reason")?,
        created: uint(row.get("created")?),
        delivered: row.get::<_, Option<i64>>("delivered")?.map(uint),
        settled: row.get::<_, Option<i64>>("settled")?.map(uint),
    })
}
