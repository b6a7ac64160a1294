//! What the tools answer, typed, and how an answer or a failure goes over MCP.

use jiff::Timestamp;
use provost_store::fleet::{
    Exit, Instance, InstanceState, Message, MessageState, Sender, Spent, Task, TaskState,
};
use serde::Serialize;
use serde_json::{Value, json};

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

/// An instance in a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRow {
    /// Its id.
    pub instance_id: String,
    /// The word of its role.
    pub role: &'static str,
    /// Who leads it; null where that is a person.
    pub parent_id: Option<String>,
    /// The directory that was asked for.
    pub work_dir: String,
    /// Where it works.
    pub project_path: String,
    /// The word of its way to work.
    pub workspace_mode: &'static str,
    /// The kind of its agent.
    pub agent: String,
    /// The word of its state.
    pub status: &'static str,
    /// When it was made.
    pub created: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The code it ended with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<u8>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_signal: Option<u8>,
    /// Why it ended, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Tokens it and all below it have used.
    pub tokens: u64,
    /// Dollars they have cost.
    pub cost: f64,
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

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxMessage {
    /// Its id.
    pub id: String,
    /// The id of the instance, or the label of the person, that sent it.
    pub from: String,
    /// Whose mailbox it is in.
    pub to: String,
    /// What it says.
    pub content: String,
    /// When it was sent.
    pub timestamp: String,
    /// The word of its priority.
    pub priority: &'static str,
    /// Whether it had been read before.
    pub read: bool,
    /// Whether it is the copy of a subscriber.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_subscription: Option<bool>,
    /// Whom it was meant for, then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_target: Option<String>,
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

/// A task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRow {
    /// Its id.
    pub task_id: String,
    /// Who does it.
    pub instance_id: String,
    /// What people call it.
    pub name: String,
    /// The word of its state.
    pub status: &'static str,
    /// How often it was begun.
    pub attempts: u32,
    /// Its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was given.
    pub created: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Tokens it has used.
    pub tokens: u64,
    /// Dollars it has cost.
    pub cost: f64,
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
    /// The result of the call as MCP has it: structured, and the same JSON as text.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn result(&self) -> serde_json::Result<Value> {
        let structured = serde_json::to_value(self)?;
        let text = serde_json::to_string_pretty(&structured)?;
        Ok(json!({
            "content": [{"type": "text", "text": text}],
            "structuredContent": structured,
            "isError": false,
        }))
    }

    /// The result of a call that failed, in words that say what to do: clients show them
    /// to their model, which an error of the protocol is not.
    pub fn failure(words: &str) -> Value {
        json!({"content": [{"type": "text", "text": words}], "isError": true})
    }
}

// === impl InstanceRow ===

impl From<&Instance> for InstanceRow {
    fn from(it: &Instance) -> Self {
        let (exit_code, exit_signal) = exit(it);
        Self {
            instance_id: it.id.to_string(),
            role: it.role.word(),
            parent_id: it.parent.as_ref().map(ToString::to_string),
            work_dir: it.work_dir.clone(),
            project_path: it.project.clone(),
            workspace_mode: it.workspace.word(),
            agent: it.agent.clone(),
            status: it.state.word(),
            created: moment(it.created),
            ended: it.ended.as_ref().map(|end| moment(end.at)),
            exit_code,
            exit_signal,
            reason: it.ended.as_ref().map(|end| end.why.clone()),
            tokens: it.spent.tokens,
            cost: dollars(it.spent),
        }
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

// === impl InboxMessage ===

impl From<&Message> for InboxMessage {
    fn from(it: &Message) -> Self {
        let from = match &it.from {
            Sender::Instance(id) => id.to_string(),
            Sender::Person(label) => label.clone(),
        };
        Self {
            id: it.id.to_string(),
            from,
            to: it.to.to_string(),
            content: it.text.clone(),
            timestamp: moment(it.created),
            priority: it.priority.word(),
            read: match it.state {
                MessageState::Queued => false,
                MessageState::Delivered | MessageState::Acknowledged | MessageState::Failed => true,
            },
            is_subscription: it.copy_of.as_ref().map(|_| true),
            original_target: it.copy_of.as_ref().map(ToString::to_string),
        }
    }
}

// === impl TaskRow ===

impl From<&Task> for TaskRow {
    fn from(it: &Task) -> Self {
        // It was JSON when it was taken.
        let result = it
            .result
            .as_deref()
            .and_then(|text| serde_json::from_str(text).ok());
        Self {
            task_id: it.id.to_string(),
            instance_id: it.instance.to_string(),
            name: it.name.clone(),
            status: it.state.word(),
            attempts: it.attempts,
            result,
            reason: it.reason.clone(),
            created: moment(it.created),
            ended: it.ended.map(moment),
            tokens: it.spent.tokens,
            cost: dollars(it.spent),
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

fn exit(it: &Instance) -> (Option<u8>, Option<u8>) {
    match it.ended.as_ref().and_then(|end| end.exit) {
        Some(Exit::Code(code)) => (Some(code), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

/// RFC 3339, in UTC.
fn moment(micros: u64) -> String {
    let moment = i64::try_from(micros)
        .ok()
        .and_then(|it| Timestamp::from_microsecond(it).ok());
    moment.unwrap_or(Timestamp::MAX).to_string()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "dollars are shown, not counted with"
)]
fn dollars(spent: Spent) -> f64 {
    spent.micros as f64 / 1_000_000.0
}
