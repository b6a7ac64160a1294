//! Which methods the protocol knows, and what a policy may say about them.

/// What kind of request a method is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MethodKind {
    /// A tool call: judged by `tools`, never by `methods`.
    ToolCall,
    /// Keeps a connection going; no policy stops it.
    Housekeeping,
    /// Known and governed: under `default: deny` it needs `methods.allow`.
    Governed,
    /// About the caller's own tasks; whose they are the gateway knows.
    Task,
    /// Unknown to the protocol: it always needs `methods.allow`.
    Unknown,
}

/// Methods that always pass.
pub const HOUSEKEEPING: &[&str] = &[
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "resources/list",
    "resources/templates/list",
    "prompts/list",
    "logging/setLevel",
    "resources/unsubscribe",
    "subscriptions/listen",
];

/// Methods that need `methods.allow` under `default: deny`; the last three
/// are asked by the upstream.
pub const GOVERNED: &[&str] = &[
    "resources/read",
    "resources/subscribe",
    "prompts/get",
    "completion/complete",
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
];

const TASKS: &[&str] = &[
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/cancel",
    "tasks/update",
];

/// The kind of a method; the name must be exact.
pub fn method_kind(method: &str) -> MethodKind {
    if method == "tools/call" {
        MethodKind::ToolCall
    } else if HOUSEKEEPING.contains(&method) {
        MethodKind::Housekeeping
    } else if GOVERNED.contains(&method) {
        MethodKind::Governed
    } else if TASKS.contains(&method) {
        MethodKind::Task
    } else {
        MethodKind::Unknown
    }
}
