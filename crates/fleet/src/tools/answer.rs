//! What the tools answer, typed.

use provost_store::fleet::{Instance, InstanceState, TaskState};
use serde::Serialize;
use serde_json::Value;

use crate::tools::row::{InboxMessage, InstanceRow, TaskRow, exit, moment};

/// What a tool answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// `spawn`
    Spawned(Spawned),
    /// `send`
    Sent(Sent),
    /// `read`
    Output(Output),
    /// `list`
    Listed(Listed),
    /// `terminate`
    Terminated(Terminated),
    /// `restart`
    Restarted(Restarted),
    /// `enhancedSend`
    EnhancedSent(EnhancedSent),
    /// `enhancedRead`
    Inbox(Inbox),
    /// `subscribe`
    Subscribed(Subscribed),
    /// `unsubscribe`
    Unsubscribed(Unsubscribed),
    /// `getProgress`
    Progress(Progress),
    /// `wait`
    Waited(Box<Waited>),
    /// `cancel`
    Cancelled(Cancelled),
    /// `report_result`
    Reported(Reported),
}

/// An instance was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spawned {
    /// Its id.
    pub instance_id: String,
    /// Its pane in the terminal.
    pub pane_id: String,
    /// Where it works.
    pub project_path: String,
    /// The word of its state.
    pub status: &'static str,
    /// Its first task, if it got one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

/// A text was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sent {
    /// It is on its way or there; what failed is no answer but a failure.
    pub success: bool,
    /// The message's id.
    pub message_id: String,
    /// How far it came: the word of its state.
    pub status: &'static str,
    /// The task it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<String>,
}

/// What an instance printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Output {
    /// The lines.
    pub output: String,
    /// When they were read.
    pub timestamp: String,
    /// Where to go on.
    pub cursor: String,
    /// The word of its state.
    pub status: &'static str,
    /// The code it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<u8>,
    /// Why it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The instances there are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// A row for each.
    pub instances: Vec<InstanceRow>,
}

/// Instances were ended for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Terminated {
    /// They are gone.
    pub success: bool,
    /// Their ids, in the order they were ended.
    pub terminated: Vec<String>,
}

/// An instance runs again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restarted {
    /// `restarted`, or `already_running` where nothing was done.
    pub status: &'static str,
    /// Its id.
    pub instance_id: String,
}

/// A message was put into a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EnhancedSent {
    /// It is in it.
    pub success: bool,
    /// The message's id.
    pub message_id: String,
    /// How many messages wait in it.
    pub queue_length: u64,
    /// How many subscribers got a copy.
    pub copies: u64,
}

/// A mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inbox {
    /// The messages.
    pub messages: Vec<InboxMessage>,
    /// How many were not read before.
    pub total_unread: u64,
    /// When the oldest of those was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_unread: Option<String>,
}

/// A subscription holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscribed {
    /// It holds.
    pub success: bool,
    /// Its pattern.
    pub pattern: String,
    /// How many subscriptions the instance has.
    pub active_subscriptions: u64,
}

/// A subscription holds no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unsubscribed {
    /// Whether there was one.
    pub success: bool,
    /// Its pattern.
    pub pattern: String,
}

/// How far tasks are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Whose.
    pub instance_id: String,
    /// In numbers.
    pub progress: ProgressCounts,
    /// In words.
    pub message: String,
}

/// Tasks by how far they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProgressCounts {
    /// All.
    pub total: u64,
    /// Those with a result.
    pub completed: u64,
    /// Those that run.
    pub in_progress: u64,
    /// Those that wait.
    pub pending: u64,
    /// Those that ended without a result.
    pub failed: u64,
    /// Of a hundred so many are completed.
    pub completion_rate: u64,
}

/// A wait is over, or goes on with its token.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Waited {
    /// Whether what was waited for has come.
    pub finished: bool,
    /// What to go on with where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The task, where one was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskRow>,
    /// The instance, where one was waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceRow>,
}

/// A task was called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancelled {
    /// It is.
    pub success: bool,
    /// Its id.
    pub task_id: String,
}

/// A result was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reported {
    /// It was.
    pub success: bool,
    /// Of which task.
    pub task_id: String,
    /// The word of the task's state now.
    pub status: &'static str,
}

// === impl Answer ===

impl Answer {
    /// The structured content of the result.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn structured(&self) -> serde_json::Result<Value> {
        serde_json::to_value(self)
    }
}

// === impl Output ===

impl Output {
    /// What was printed, read at `now` (unix time in microseconds), with how its instance is.
    pub fn of(it: &Instance, output: String, cursor: String, now: u64) -> Self {
        let (exit_code, exit_signal) = exit(it);
        Self {
            output,
            timestamp: moment(now),
            cursor,
            status: it.state.word(),
            exit_code,
            exit_signal,
            reason: it.ended.as_ref().map(|end| end.why.clone()),
        }
    }
}

// === impl Restarted ===

impl Restarted {
    /// An instance that was found in this state, and that runs now.
    pub fn from_state(id: String, before: InstanceState) -> Self {
        let status = match before.is_living() {
            true => "already_running",
            false => "restarted",
        };
        Self {
            status,
            instance_id: id,
        }
    }
}

// === impl Progress ===

impl Progress {
    /// Tasks counted by state.
    pub fn of(id: String, counts: &[(TaskState, u64)]) -> Self {
        let mut progress = ProgressCounts::default();
        for (state, count) in counts {
            progress.total += count;
            let place = match state {
                TaskState::Queued => &mut progress.pending,
                TaskState::Running => &mut progress.in_progress,
                TaskState::Done => &mut progress.completed,
                TaskState::Failed | TaskState::Cancelled | TaskState::TimedOut => {
                    &mut progress.failed
                }
            };
            *place += count;
        }
        let ProgressCounts {
            total, completed, ..
        } = progress;
        progress.completion_rate = (completed * 100).checked_div(total).unwrap_or(0);
        let message = match total {
            0 => "no tasks yet".to_owned(),
            _ => format!("{completed} of {total} tasks are done"),
        };
        Self {
            instance_id: id,
            progress,
            message,
        }
    }
}
