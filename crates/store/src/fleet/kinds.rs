//! The closed sets of words in the fleet's rows.

use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::words::words;

words! {
    /// What somebody is in the fleet.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Role with word {
        /// A person's grant: the root of a tree.
        Operator = "operator",
        /// Leads managers and specialists.
        Executive = "executive",
        /// Leads specialists.
        Manager = "manager",
        /// Does one piece of work and reports its result.
        Specialist = "specialist",
    }
}

words! {
    /// Whose files an instance works on.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Workspace with word {
        /// A directory of its own.
        Isolated = "isolated",
        /// The directory itself, together with others.
        Shared = "shared",
    }
}

words! {
    /// What an instance is doing.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum InstanceState with word {
        /// Its agent was told to begin, and has not said that it did.
        Starting = "starting",
        /// It waits for work.
        Ready = "ready",
        /// It works.
        Busy = "busy",
        /// It waits for a person.
        Waiting = "waiting",
        /// It waits for its next message in a call that it holds open.
        Parked = "parked",
        /// Its last turn ended in an error; its agent runs.
        Failed = "failed",
        /// A person broke off what it did.
        Interrupted = "interrupted",
        /// Its agent ended by itself. It can be started again.
        Exited = "exited",
        /// Its agent, or its window, was taken away. It can be started again.
        Dead = "dead",
        /// It was ended for good; only history knows it.
        Terminated = "terminated",
    }
}

words! {
    /// How urgent a message is.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub enum Priority with word {
        /// Before all others.
        High = "high",
        /// In the order of coming.
        #[default]
        Normal = "normal",
        /// When nothing else waits.
        Low = "low",
    }
}

words! {
    /// How far a message has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum MessageState with word {
        /// It waits to be handed over.
        Queued = "queued",
        /// It was handed over; whether the agent took it is not known yet.
        Delivered = "delivered",
        /// The agent took it.
        Acknowledged = "acknowledged",
        /// It will not arrive.
        Failed = "failed",
    }
}

words! {
    /// How far a task has come.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum TaskState with word {
        /// It waits to be begun.
        Queued = "queued",
        /// It was handed to the instance.
        Running = "running",
        /// It has a result.
        Done = "done",
        /// It ended without one.
        Failed = "failed",
        /// Somebody called it off.
        Cancelled = "cancelled",
        /// It took too long.
        TimedOut = "timed_out",
    }
}

/// Reading a word back, from an argument or from a row.
macro_rules! read_back {
    ($($name:ident)+) => { $(
        impl $name {
            /// The member with this word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|member| member.word() == word)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(self.word().into())
            }
        }

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                let word = value.as_str()?;
                Self::from_word(word).ok_or_else(|| {
                    FromSqlError::Other(format!("`{}` is unknown", word.escape_default()).into())
                })
            }
        }
    )+ };
}

read_back!(Role Workspace InstanceState MessageState TaskState);

// === impl InstanceState ===

impl InstanceState {
    /// Whether its agent runs, as far as is known.
    pub const fn is_living(self) -> bool {
        match self {
            Self::Starting
            | Self::Ready
            | Self::Busy
            | Self::Waiting
            | Self::Parked
            | Self::Failed
            | Self::Interrupted => true,
            Self::Exited | Self::Dead | Self::Terminated => false,
        }
    }
}

// === impl Priority ===

impl Priority {
    /// The member with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.word() == word)
    }
}

// Kept as its place in the list, so that an index has the order of delivery.
impl ToSql for Priority {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok((*self as i64).into())
    }
}

impl FromSql for Priority {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let place = value.as_i64()?;
        let member = usize::try_from(place)
            .ok()
            .and_then(|at| Self::ALL.get(at).copied());
        member.ok_or(FromSqlError::OutOfRange(place))
    }
}
