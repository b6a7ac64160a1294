//! What each tool takes, in one table: the input schemas and the reading of arguments are
//! both made from it.

use provost_store::fleet::{Priority, Role, Workspace};
use serde_json::{Map, Value, json};

use crate::tools::tool::Tool;

/// One argument of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) about: &'static str,
}

/// What an argument may be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A whole number, zero or more.
    Count,
    /// True or false.
    Flag,
    /// An object.
    Object,
    /// Any JSON value but null.
    Any,
}

/// The roles that can be started.
pub(super) const ROLES: &[&str] = &[
    Role::Executive.word(),
    Role::Manager.word(),
    Role::Specialist.word(),
];

const WORKSPACES: &[&str] = &[Workspace::Isolated.word(), Workspace::Shared.word()];

const PRIORITIES: &[&str] = &[
    Priority::High.word(),
    Priority::Normal.word(),
    Priority::Low.word(),
];

/// How a task can end that is reported.
pub(super) const ENDS: &[&str] = &["done", "failed"];

const fn required(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field {
        name,
        kind,
        is_required: true,
        about,
    }
}

const fn optional(name: &'static str, kind: Kind, about: &'static str) -> Field {
    Field {
        name,
        kind,
        is_required: false,
        about,
    }
}

const INSTANCE: Field = required(
    "instanceId",
    Kind::Text,
    "The id of the instance, from `spawn` or `list`.",
);

const TASK_NAME: Field = optional(
    "taskName",
    Kind::Text,
    "What people call the task. Default: the beginning of its text.",
);

const RESULT_SCHEMA: Field = optional(
    "resultSchema",
    Kind::Object,
    "A JSON Schema that the result of the task has to fit.",
);

const PRIORITY: Field = optional(
    "priority",
    Kind::Word(PRIORITIES),
    "How urgent it is. Default: normal.",
);

const SPAWN: &[Field] = &[
    required("role", Kind::Word(ROLES), "What the agent is to be."),
    required(
        "workDir",
        Kind::Text,
        "The absolute path of the directory that it works in or below.",
    ),
    required(
        "context",
        Kind::Text,
        "What it is told about its work, beside what its role says.",
    ),
    optional(
        "parentId",
        Kind::Text,
        "Who leads it: you or an instance below you. Default: you.",
    ),
    optional(
        "workspaceMode",
        Kind::Word(WORKSPACES),
        "`isolated`: a directory of its own below `workDir`. `shared`, for managers: `workDir` itself. Default: isolated.",
    ),
    optional(
        "agent",
        Kind::Text,
        "The kind of agent, such as `claude`. Default: what is configured for the role.",
    ),
    optional(
        "instruction",
        Kind::Text,
        "What it is to do first, handed over at its start. For a specialist it is a task whose result it reports.",
    ),
    TASK_NAME,
    RESULT_SCHEMA,
];

const SEND: &[Field] = &[
    INSTANCE,
    required("text", Kind::Text, "The text."),
    PRIORITY,
    TASK_NAME,
    RESULT_SCHEMA,
];

const READ: &[Field] = &[
    INSTANCE,
    optional(
        "lines",
        Kind::Count,
        "At most so many lines, the last ones. Default: 50.",
    ),
    optional(
        "follow",
        Kind::Flag,
        "Go on with what comes, as progress, until the call is cancelled or the instance has ended. Default: false.",
    ),
    optional(
        "cursor",
        Kind::Text,
        "Only what came after this place; from the answer before.",
    ),
];

const LIST: &[Field] = &[
    optional("role", Kind::Word(ROLES), "Only instances of this role."),
    optional(
        "parentId",
        Kind::Text,
        "Only the children of this instance.",
    ),
];

const TERMINATE: &[Field] = &[
    INSTANCE,
    optional(
        "cascade",
        Kind::Flag,
        "Also all instances below it. Default: false.",
    ),
];

const ENHANCED_SEND: &[Field] = &[
    required(
        "targetInstanceId",
        Kind::Text,
        "The id of the instance, from `spawn` or `list`.",
    ),
    required("message", Kind::Text, "The text."),
    PRIORITY,
];

const ENHANCED_READ: &[Field] = &[
    INSTANCE,
    optional(
        "unreadOnly",
        Kind::Flag,
        "Only what was not read. Default: true.",
    ),
    optional(
        "markAsRead",
        Kind::Flag,
        "Mark what is answered as read, in your own mailbox. Default: true.",
    ),
];

const SUBSCRIBE: &[Field] = &[
    required(
        "pattern",
        Kind::Text,
        "A regular expression on the ids of instances, such as `^mgr_`.",
    ),
    required(
        "instanceId",
        Kind::Text,
        "The instance that gets the copies.",
    ),
];

const WAIT: &[Field] = &[
    optional("taskId", Kind::Text, "The task to wait for."),
    optional("instanceId", Kind::Text, "The instance to wait for."),
    optional(
        "token",
        Kind::Text,
        "Goes on with a wait; from the answer before. Give one of `taskId`, `instanceId` and `token`.",
    ),
    optional(
        "seconds",
        Kind::Count,
        "Return after so many seconds at the latest. Default and most: 45.",
    ),
];

const CANCEL: &[Field] = &[
    required("taskId", Kind::Text, "The task."),
    optional("reason", Kind::Text, "Why, for who works on it."),
];

const REPORT_RESULT: &[Field] = &[
    required(
        "result",
        Kind::Any,
        "The result; it has to fit the task's schema, if there is one. Of a failure: why.",
    ),
    optional(
        "status",
        Kind::Word(ENDS),
        "Whether the task is done. Default: done.",
    ),
    optional(
        "taskId",
        Kind::Text,
        "Which task. Default: the one you work on.",
    ),
];

/// What a tool takes.
pub(super) const fn of(tool: Tool) -> &'static [Field] {
    match tool {
        Tool::Spawn => SPAWN,
        Tool::Send => SEND,
        Tool::Read => READ,
        Tool::List => LIST,
        Tool::Terminate => TERMINATE,
        Tool::Restart | Tool::GetProgress => &[INSTANCE],
        Tool::EnhancedSend => ENHANCED_SEND,
        Tool::EnhancedRead => ENHANCED_READ,
        Tool::Subscribe | Tool::Unsubscribe => SUBSCRIBE,
        Tool::Wait => WAIT,
        Tool::Cancel => CANCEL,
        Tool::ReportResult => REPORT_RESULT,
    }
}

/// The input schema. Members that are not in it are let be, as callers of old send some.
pub(super) fn schema(fields: &[Field]) -> Value {
    let property = |field: &Field| {
        let mut schema = match field.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Word(words) => json!({"type": "string", "enum": words}),
            Kind::Count => json!({"type": "number"}),
            Kind::Flag => json!({"type": "boolean"}),
            Kind::Object => json!({"type": "object"}),
            Kind::Any => json!({}),
        };
        if let Value::Object(members) = &mut schema {
            members.insert("description".to_owned(), field.about.into());
        }
        (field.name.to_owned(), schema)
    };
    let properties: Map<String, Value> = fields.iter().map(property).collect();
    let required: Vec<&str> = fields
        .iter()
        .filter(|it| it.is_required)
        .map(|it| it.name)
        .collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if let (Value::Object(members), false) = (&mut schema, required.is_empty()) {
        members.insert("required".to_owned(), required.into());
    }
    schema
}
