//! Instances, messages and tasks as answers show them.

use jiff::Timestamp;
use provost_store::fleet::{Exit, Instance, Message, MessageState, Sender, Spent, Task};
use serde::Serialize;
use serde_json::Value;

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

/// The code and the signal that an instance ended with.
pub(super) fn exit(it: &Instance) -> (Option<u8>, Option<u8>) {
    match it.ended.as_ref().and_then(|end| end.exit) {
        Some(Exit::Code(code)) => (Some(code), None),
        Some(Exit::Signal(signal)) => (None, Some(signal)),
        None => (None, None),
    }
}

/// RFC 3339, in UTC.
pub(crate) fn moment(micros: u64) -> String {
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
