//! The output schemas. A test holds them against what the answers are written as.

use provost_store::fleet::{InstanceState, MessageState, Priority, TaskState, Workspace};
use serde_json::{Value, json};

use crate::tools::field::ROLES;
use crate::tools::tool::Tool;

/// What a tool answers.
pub(super) fn schema(tool: Tool) -> Value {
    match tool {
        Tool::Spawn => object(
            json!({
                "instanceId": text(), "paneId": text(), "projectPath": text(),
                "status": states(), "taskId": text(),
            }),
            &["instanceId", "paneId", "projectPath", "status"],
        ),
        Tool::Send => object(
            json!({
                "success": flag(), "messageId": text(),
                "status": words(&MessageState::ALL.map(MessageState::word)), "taskId": text(),
            }),
            &["success", "messageId", "status"],
        ),
        Tool::Read => object(
            json!({
                "output": text(), "timestamp": moment(), "cursor": text(), "status": states(),
                "exitCode": count(), "exitSignal": count(), "reason": text(),
            }),
            &["output", "timestamp", "cursor", "status"],
        ),
        Tool::List => object(
            json!({"instances": {"type": "array", "items": instance()}}),
            &["instances"],
        ),
        Tool::Terminate => object(
            json!({"success": flag(), "terminated": {"type": "array", "items": text()}}),
            &["success", "terminated"],
        ),
        Tool::Restart => object(
            json!({"status": words(&["already_running", "restarted"]), "instanceId": text()}),
            &["status", "instanceId"],
        ),
        Tool::EnhancedSend => object(
            json!({
                "success": flag(), "messageId": text(), "queueLength": count(), "copies": count(),
            }),
            &["success", "messageId", "queueLength", "copies"],
        ),
        Tool::EnhancedRead => object(
            json!({
                "messages": {"type": "array", "items": message()},
                "totalUnread": count(), "oldestUnread": moment(),
            }),
            &["messages", "totalUnread"],
        ),
        Tool::Subscribe => object(
            json!({"success": flag(), "pattern": text(), "activeSubscriptions": count()}),
            &["success", "pattern", "activeSubscriptions"],
        ),
        Tool::Unsubscribe => object(
            json!({"success": flag(), "pattern": text()}),
            &["success", "pattern"],
        ),
        Tool::GetProgress => object(
            json!({"instanceId": text(), "progress": progress(), "message": text()}),
            &["instanceId", "progress", "message"],
        ),
        Tool::Wait => object(
            json!({"finished": flag(), "token": text(), "task": task(), "instance": instance()}),
            &["finished"],
        ),
        Tool::Cancel => object(
            json!({"success": flag(), "taskId": text()}),
            &["success", "taskId"],
        ),
        Tool::ReportResult => object(
            json!({"success": flag(), "taskId": text(), "status": task_states()}),
            &["success", "taskId", "status"],
        ),
    }
}

fn instance() -> Value {
    object(
        json!({
            "instanceId": text(), "role": words(ROLES), "parentId": {"type": ["string", "null"]},
            "workDir": text(), "projectPath": text(),
            "workspaceMode": words(&Workspace::ALL.map(Workspace::word)),
            "agent": text(), "status": states(), "created": moment(), "ended": moment(),
            "exitCode": count(), "exitSignal": count(), "reason": text(),
            "tokens": count(), "cost": {"type": "number"},
        }),
        &[
            "instanceId",
            "role",
            "parentId",
            "workDir",
            "projectPath",
            "workspaceMode",
            "agent",
            "status",
            "created",
            "tokens",
            "cost",
        ],
    )
}

fn task() -> Value {
    object(
        json!({
            "taskId": text(), "instanceId": text(), "name": text(), "status": task_states(),
            "attempts": count(), "result": {}, "reason": text(), "created": moment(),
            "ended": moment(), "tokens": count(), "cost": {"type": "number"},
        }),
        &[
            "taskId",
            "instanceId",
            "name",
            "status",
            "attempts",
            "created",
            "tokens",
            "cost",
        ],
    )
}

fn message() -> Value {
    object(
        json!({
            "id": text(), "from": text(), "to": text(), "content": text(), "timestamp": moment(),
            "priority": words(&Priority::ALL.map(Priority::word)), "read": flag(),
            "isSubscription": flag(), "originalTarget": text(),
        }),
        &[
            "id",
            "from",
            "to",
            "content",
            "timestamp",
            "priority",
            "read",
        ],
    )
}

fn progress() -> Value {
    let names = [
        "total",
        "completed",
        "inProgress",
        "pending",
        "failed",
        "completionRate",
    ];
    let counts: serde_json::Map<String, Value> = names
        .map(|name| (name.to_owned(), count()))
        .into_iter()
        .collect();
    object(counts.into(), &names)
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn moment() -> Value {
    json!({"type": "string", "format": "date-time"})
}

fn flag() -> Value {
    json!({"type": "boolean"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn words(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn states() -> Value {
    words(&InstanceState::ALL.map(InstanceState::word))
}

fn task_states() -> Value {
    words(&TaskState::ALL.map(TaskState::word))
}
