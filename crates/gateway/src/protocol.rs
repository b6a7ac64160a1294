//! What the legacy protocol era (2024-11-05 … 2025-11-25) knows: versions,
//! methods, notifications, and which of them are housekeeping.

/// The revisions of the legacy era, newest first.
pub(crate) const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The notification that completes an opening of our own.
pub(crate) const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Requests that no policy decides: they open, close and describe a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Housekeeping {
    Initialize,
    Ping,
    ListTools,
    ListResources,
    ListTemplates,
    ListPrompts,
    SetLogLevel,
    Unsubscribe,
}

/// Where a request of an agent belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// Always passes (lists are filtered).
    Housekeeping(Housekeeping),
    /// `tools/call`: judged by the rules of the tool.
    CallTool,
    /// `tasks/*`: only for the caller's own tasks.
    Task(TaskMethod),
    /// Anything else, known to the protocol: judged by `methods`.
    Method,
    /// Not of this protocol: needs an explicit `methods.allow`.
    Unknown,
}

/// The task requests of 2025-11-25.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskMethod {
    /// `tasks/get`, `tasks/result`, `tasks/cancel`: name one task.
    One,
    /// `tasks/list`: answered with the caller's own tasks only.
    List,
}

/// Sorts a request of an agent.
pub(crate) fn request_kind(method: &str) -> RequestKind {
    use Housekeeping as H;
    match method {
        "initialize" => RequestKind::Housekeeping(H::Initialize),
        "ping" => RequestKind::Housekeeping(H::Ping),
        "tools/list" => RequestKind::Housekeeping(H::ListTools),
        "resources/list" => RequestKind::Housekeeping(H::ListResources),
        "resources/templates/list" => RequestKind::Housekeeping(H::ListTemplates),
        "prompts/list" => RequestKind::Housekeeping(H::ListPrompts),
        "logging/setLevel" => RequestKind::Housekeeping(H::SetLogLevel),
        "resources/unsubscribe" => RequestKind::Housekeeping(H::Unsubscribe),
        "tools/call" => RequestKind::CallTool,
        "tasks/get" | "tasks/result" | "tasks/cancel" => RequestKind::Task(TaskMethod::One),
        "tasks/list" => RequestKind::Task(TaskMethod::List),
        "resources/read" | "resources/subscribe" | "prompts/get" | "completion/complete" => {
            RequestKind::Method
        }
        _ => RequestKind::Unknown,
    }
}

/// The requests that an upstream may send to an agent, with the client
/// capability that the agent must have declared.
pub(crate) fn upstream_request(method: &str) -> Option<Option<&'static str>> {
    match method {
        "ping" => Some(None),
        "sampling/createMessage" => Some(Some("sampling")),
        "elicitation/create" => Some(Some("elicitation")),
        "roots/list" => Some(Some("roots")),
        "tasks/get" | "tasks/result" | "tasks/list" | "tasks/cancel" => Some(Some("tasks")),
        _ => None,
    }
}

/// A notification that the era knows in the direction it travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownNotification {
    Initialized,
    Cancelled,
    Progress,
    RootsChanged,
    TaskStatus,
    LogMessage,
    ResourceUpdated,
    ListChanged,
    ElicitationComplete,
}

/// A notification of an agent, if the era knows it in that direction.
pub(crate) fn agent_notification(method: &str) -> Option<KnownNotification> {
    Some(match method {
        "notifications/initialized" => KnownNotification::Initialized,
        "notifications/cancelled" => KnownNotification::Cancelled,
        "notifications/progress" => KnownNotification::Progress,
        "notifications/roots/list_changed" => KnownNotification::RootsChanged,
        "notifications/tasks/status" => KnownNotification::TaskStatus,
        _ => return None,
    })
}

/// A notification of an upstream, if the era knows it in that direction.
pub(crate) fn upstream_notification(method: &str) -> Option<KnownNotification> {
    Some(match method {
        "notifications/cancelled" => KnownNotification::Cancelled,
        "notifications/progress" => KnownNotification::Progress,
        "notifications/message" => KnownNotification::LogMessage,
        "notifications/resources/updated" => KnownNotification::ResourceUpdated,
        "notifications/resources/list_changed"
        | "notifications/tools/list_changed"
        | "notifications/prompts/list_changed" => KnownNotification::ListChanged,
        "notifications/elicitation/complete" => KnownNotification::ElicitationComplete,
        "notifications/tasks/status" => KnownNotification::TaskStatus,
        _ => return None,
    })
}
