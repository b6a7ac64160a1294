//! Tasks: units of work with a result.

use rusqlite::{Connection, OptionalExtension, Row, Transaction};

use super::file::Numbered;
use super::instance::{self, range_below, require_living};
use super::{FleetDatabase, FleetError, InstanceId, Spent, TaskId, TaskState};
use crate::database::{int, uint};

/// Tasks of one instance that have not ended.
const MOST_OPEN: u64 = 100;

/// What is read of a row.
const COLUMNS: &str = "number, instance, name, instruction, schema, state, attempts, result, reason, \
     tokens, micros, created, started, ended";

/// A task to give to an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Who does it.
    pub instance: InstanceId,
    /// What people call it.
    pub name: String,
    /// What is to be done.
    pub instruction: String,
    /// The JSON Schema of its result, as text.
    pub schema: Option<String>,
}

/// A task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its name.
    pub id: TaskId,
    /// Who does it.
    pub instance: InstanceId,
    /// What people call it.
    pub name: String,
    /// What is to be done.
    pub instruction: String,
    /// The JSON Schema of its result, as text.
    pub schema: Option<String>,
    /// How far it has come.
    pub state: TaskState,
    /// How often it was begun.
    pub attempts: u32,
    /// Its result, as JSON.
    pub result: Option<String>,
    /// Why it ended without one, if it did.
    pub reason: Option<String>,
    /// What it has used.
    pub spent: Spent,
    /// When it was given, unix time in microseconds.
    pub created: u64,
    /// When it was last begun, unix time in microseconds.
    pub started: Option<u64>,
    /// When it ended, unix time in microseconds.
    pub ended: Option<u64>,
}

/// What becomes of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskStep {
    /// Queued → running: one more attempt.
    Start,
    /// Running → queued: the attempt came to nothing, another may follow.
    Requeue,
    /// Running → done.
    Finish {
        /// Its result, as JSON.
        result: String,
    },
    /// Running → failed.
    Fail {
        /// Why, in words.
        reason: String,
    },
    /// Running → timed out.
    TimeOut,
    /// Queued or running → cancelled.
    Cancel {
        /// Why, in words.
        reason: String,
    },
}

// === impl FleetDatabase ===

impl FleetDatabase {
    /// Gives a task to an instance; it is queued.
    pub fn put_task(&self, task: &NewTask, now: u64) -> Result<TaskId, FleetError> {
        self.change(|tx| {
            require_living(tx, &task.instance)?;
            let mut statement = tx.prepare_cached(
                "SELECT count(*) FROM tasks INDEXED BY open_tasks WHERE ended IS NULL AND instance = ?1",
            )?;
            let open = statement.query_row([&task.instance], |row| row.get(0)).map(uint)?;
            if open >= MOST_OPEN {
                return Err(FleetError::TooMany {
                    id: task.instance.clone(),
                    what: "open tasks",
                    most: MOST_OPEN,
                });
            }
            let id = TaskId(Numbered::Task.give(tx)?);
            let mut statement = tx.prepare_cached(
                "INSERT INTO tasks (number, instance, name, instruction, schema, state, attempts, tokens, micros, created)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0, ?7)",
            )?;
            statement.execute((
                id,
                &task.instance,
                &task.name,
                &task.instruction,
                &task.schema,
                TaskState::Queued,
                int(now),
            ))?;
            Ok(id)
        })
    }

    /// One task.
    pub fn task(&self, id: TaskId) -> Result<Option<Task>, FleetError> {
        self.read(|connection| find(connection, id))
    }

    /// The tasks of an instance, oldest first.
    pub fn tasks_of(&self, instance: &InstanceId) -> Result<Vec<Task>, FleetError> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM tasks WHERE instance = ?1 ORDER BY number");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([instance], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The tasks of an instance that have not ended, oldest first.
    pub fn open_tasks(&self, instance: &InstanceId) -> Result<Vec<Task>, FleetError> {
        self.read(|connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM tasks INDEXED BY open_tasks
                 WHERE ended IS NULL AND instance = ?1 ORDER BY number"
            );
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([instance], from_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// How many tasks an instance and all that ever was below it have in each state.
    pub fn task_counts(&self, top: &InstanceId) -> Result<Vec<(TaskState, u64)>, FleetError> {
        self.read(|connection| {
            let top = instance::find(connection, top)?
                .ok_or_else(|| instance::no(top))?;
            let (below, end) = range_below(&top.lineage);
            let mut statement = connection.prepare_cached(
                "SELECT tasks.state, count(*) FROM tasks JOIN instances ON instances.id = tasks.instance
                 WHERE root = ?1 AND lineage >= ?2 AND lineage < ?3 GROUP BY tasks.state",
            )?;
            let rows = statement.query_map((top.root.as_str(), below, end), |row| {
                Ok((row.get(0)?, uint(row.get(1)?)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Takes a task one step further. It is refused when the task is in another state than
    /// the one the step begins with: a result is given once.
    pub fn step_task(&self, id: TaskId, step: &TaskStep, now: u64) -> Result<Task, FleetError> {
        self.change(|tx| {
            let found = find(tx, id)?.ok_or(FleetError::NoTask { id })?;
            let (from, to) = step.ends();
            let may_be_queued = matches!(step, TaskStep::Cancel { .. });
            if found.state != from && !(may_be_queued && found.state == TaskState::Queued) {
                return Err(FleetError::OtherState {
                    id: id.to_string(),
                    is: found.state.word(),
                    wanted: from.word(),
                });
            }
            let now = int(now);
            let (started, ended, attempts) = match step {
                TaskStep::Start => (Some(now), None, found.attempts.saturating_add(1)),
                TaskStep::Requeue => (None, None, found.attempts),
                TaskStep::Finish { .. }
                | TaskStep::Fail { .. }
                | TaskStep::TimeOut
                | TaskStep::Cancel { .. } => (found.started.map(int), Some(now), found.attempts),
            };
            let (result, reason) = match step {
                TaskStep::Finish { result } => (Some(result), None),
                TaskStep::Fail { reason } | TaskStep::Cancel { reason } => (None, Some(reason)),
                TaskStep::Start | TaskStep::Requeue | TaskStep::TimeOut => (None, None),
            };
            let mut statement = tx.prepare_cached(
                "UPDATE tasks SET state = ?2, attempts = ?3, started = ?4, ended = ?5, result = ?6, reason = ?7
                 WHERE number = ?1",
            )?;
            statement.execute((id, to, attempts, started, ended, result, reason))?;
            find(tx, id)?.ok_or(FleetError::NoTask { id })
        })
    }
}

// === impl TaskStep ===

impl TaskStep {
    /// The state it begins with, and the one it leads to.
    const fn ends(&self) -> (TaskState, TaskState) {
        let to = match self {
            Self::Start => return (TaskState::Queued, TaskState::Running),
            Self::Requeue => TaskState::Queued,
            Self::Finish { .. } => TaskState::Done,
            Self::Fail { .. } => TaskState::Failed,
            Self::TimeOut => TaskState::TimedOut,
            Self::Cancel { .. } => TaskState::Cancelled,
        };
        (TaskState::Running, to)
    }
}

/// What an instance had to do when it was ended for good is called off.
pub(super) fn cancel_all(tx: &Transaction<'_>, of: &InstanceId, now: u64) -> rusqlite::Result<()> {
    let mut statement = tx.prepare_cached(
        "UPDATE tasks SET state = 'cancelled', ended = ?2, reason = 'the instance was terminated'
         WHERE instance = ?1 AND ended IS NULL",
    )?;
    statement.execute((of, int(now)))?;
    Ok(())
}

fn find(connection: &Connection, id: TaskId) -> Result<Option<Task>, FleetError> {
    let sql = format!("SELECT {COLUMNS} FROM tasks WHERE number = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    Ok(statement.query_row([id], from_row).optional()?)
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Task> {
    Ok(Task {
        id: row.get("number")?,
        instance: row.get("instance")?,
        name: row.get("name")?,
        instruction: row.get("instruction")?,
        schema: row.get("schema")?,
        state: row.get("state")?,
        attempts: row.get("attempts")?,
        result: row.get("result")?,
        reason: row.get("reason")?,
        spent: Spent {
            tokens: uint(row.get("tokens")?),
            micros: uint(row.get("micros")?),
        },
        created: uint(row.get("created")?),
        started: row.get::<_, Option<i64>>("started")?.map(uint),
        ended: row.get::<_, Option<i64>>("ended")?.map(uint),
    })
}
