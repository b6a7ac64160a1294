//! What each era of the protocol knows: versions, methods, notifications, and
//! which of them are housekeeping.
//!
//! Legacy is 2024-11-05 … 2025-11-25: sessions, and requests in both directions.
//! Modern is 2026-07-28: every request stands alone and says what it is.

use provost_policy::lengths;

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

/// The revision of the modern era.
pub(crate) const MODERN: &str = "2026-07-28";

/// The revisions of the legacy era, newest first.
pub(crate) const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// Whether a revision is spoken here.
pub(crate) fn is_spoken(version: &str) -> bool {
    version == MODERN || LEGACY.contains(&version)
}

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
    Discover,
    /// `subscriptions/listen` for changes of lists.
    Listen,
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
    /// `subscriptions/listen` for resources: judged as `resources/subscribe`.
    Subscribe,
    /// Anything else, known to the protocol: judged by `methods`.
    Method,
    /// Not of this protocol: needs an explicit `methods.allow`.
    Unknown,
}

/// Whether a tool of that name is carried: one that reads as a path, or that
/// steers whoever shows it, is no name in any revision of the protocol.
pub(crate) fn is_tool_name(name: &str) -> bool {
    !name.is_empty()
        && lengths::fits_tool_name(name)
        && !name.contains("..")
        && !name.contains('/')
        && !name.contains(char::is_control)
}

/// The task requests of both eras.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskMethod {
    /// `tasks/get`, `tasks/result`, `tasks/update`, `tasks/cancel`: name one task.
    One,
    /// `tasks/list`: answered with the caller's own tasks only.
    List,
}

/// Sorts a request of an agent by what its era knows. `subscriptions/listen` is
/// sorted as if it asked for no resources.
pub(crate) fn request_kind(era: Era, method: &str) -> RequestKind {
    match era {
        Era::Legacy => legacy_kind(method),
        Era::Modern => modern_kind(method),
    }
}

fn modern_kind(method: &str) -> RequestKind {
    use Housekeeping as H;
    match method {
        "server/discover" => RequestKind::Housekeeping(H::Discover),
        "subscriptions/listen" => RequestKind::Housekeeping(H::Listen),
        "tools/list" => RequestKind::Housekeeping(H::ListTools),
        "resources/list" => RequestKind::Housekeeping(H::ListResources),
        "resources/templates/list" => RequestKind::Housekeeping(H::ListTemplates),
        "prompts/list" => RequestKind::Housekeeping(H::ListPrompts),
        "tools/call" => RequestKind::CallTool,
        "tasks/get" | "tasks/update" | "tasks/cancel" => RequestKind::Task(TaskMethod::One),
        "resources/read" | "prompts/get" | "completion/complete" => RequestKind::Method,
        _ => RequestKind::Unknown,
    }
}

fn legacy_kind(method: &str) -> RequestKind {
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

/// What an upstream may ask of an agent (as a request in the legacy era, in its
/// result in the modern one), with the client capability that the agent must
/// have declared.
pub(crate) fn upstream_request(era: Era, method: &str) -> Option<Option<&'static str>> {
    match method {
        "sampling/createMessage" => Some(Some("sampling")),
        "elicitation/create" => Some(Some("elicitation")),
        "roots/list" => Some(Some("roots")),
        _ if era == Era::Modern => None,
        "ping" => Some(None),
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
    Acknowledged,
}

/// A notification of an agent, if the era knows it in that direction.
pub(crate) fn agent_notification(era: Era, method: &str) -> Option<KnownNotification> {
    if era == Era::Modern {
        return (method == "notifications/cancelled").then_some(KnownNotification::Cancelled);
    }
    Some(match method {
        "notifications/initialized" => KnownNotification::Initialized,
        "notifications/cancelled" => KnownNotification::Cancelled,
        "notifications/progress" => KnownNotification::Progress,
        "notifications/roots/list_changed" => KnownNotification::RootsChanged,
        "notifications/tasks/status" => KnownNotification::TaskStatus,
        _ => return None,
    })
}

/// Where a message of an upstream comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    /// Anywhere in a session of the legacy era.
    Session,
    /// With the answer to a request of the modern era.
    Call,
    /// With the answer to a `subscriptions/listen`.
    Subscription,
}

/// A notification of an upstream, if it is known where it came in.
pub(crate) fn upstream_notification(channel: Channel, method: &str) -> Option<KnownNotification> {
    use Channel as C;
    use KnownNotification as K;
    Some(match (channel, method) {
        (C::Session | C::Call, "notifications/progress") => K::Progress,
        (C::Session | C::Call, "notifications/message") => K::LogMessage,
        (C::Session | C::Subscription, "notifications/resources/updated") => K::ResourceUpdated,
        (
            C::Session | C::Subscription,
            "notifications/resources/list_changed"
            | "notifications/tools/list_changed"
            | "notifications/prompts/list_changed",
        ) => K::ListChanged,
        (C::Session, "notifications/elicitation/complete") => K::ElicitationComplete,
        (C::Session, "notifications/tasks/status") => K::TaskStatus,
        (C::Subscription, "notifications/tasks") => K::TaskStatus,
        (C::Subscription, "notifications/subscriptions/acknowledged") => K::Acknowledged,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
