//! What each era of the protocol knows: versions, methods, notifications, and
//! which of them are housekeeping.

use provost_policy::json::Folder;

use crate::text::asking;
use crate::text::era::Era;

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

/// The task requests of both eras.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TaskMethod {
    /// `tasks/get`, `tasks/result`, `tasks/update`, `tasks/cancel`: name one task.
    One,
    /// `tasks/list`: answered with the caller's own tasks only.
    List,
}

/// Every request of an agent that an era knows. `subscriptions/listen` stands
/// here as if it asked for no resources.
#[rustfmt::skip]
pub(crate) const REQUESTS: &[(&[Era], &str, RequestKind)] = &[
    (BOTH, "tools/call", RequestKind::CallTool),
    (BOTH, "resources/read", RequestKind::Method),
    (BOTH, "prompts/get", RequestKind::Method),
    (BOTH, "completion/complete", RequestKind::Method),
    (LEGACY_ERA, "resources/subscribe", RequestKind::Method),
    (BOTH, "tools/list", keeps(Housekeeping::ListTools)),
    (BOTH, "resources/list", keeps(Housekeeping::ListResources)),
    (BOTH, "resources/templates/list", keeps(Housekeeping::ListTemplates)),
    (BOTH, "prompts/list", keeps(Housekeeping::ListPrompts)),
    (LEGACY_ERA, "initialize", keeps(Housekeeping::Initialize)),
    (LEGACY_ERA, "ping", keeps(Housekeeping::Ping)),
    (LEGACY_ERA, "logging/setLevel", keeps(Housekeeping::SetLogLevel)),
    (LEGACY_ERA, "resources/unsubscribe", keeps(Housekeeping::Unsubscribe)),
    (MODERN_ERA, "server/discover", keeps(Housekeeping::Discover)),
    (MODERN_ERA, "subscriptions/listen", keeps(Housekeeping::Listen)),
    // In the modern era of the tasks extension.
    (BOTH, "tasks/get", RequestKind::Task(TaskMethod::One)),
    (BOTH, "tasks/cancel", RequestKind::Task(TaskMethod::One)),
    (LEGACY_ERA, "tasks/result", RequestKind::Task(TaskMethod::One)),
    (LEGACY_ERA, "tasks/list", RequestKind::Task(TaskMethod::List)),
    (MODERN_ERA, "tasks/update", RequestKind::Task(TaskMethod::One)),
];

const BOTH: &[Era] = &[Era::Legacy, Era::Modern];
const LEGACY_ERA: &[Era] = &[Era::Legacy];
const MODERN_ERA: &[Era] = &[Era::Modern];

const fn keeps(kind: Housekeeping) -> RequestKind {
    RequestKind::Housekeeping(kind)
}

/// Sorts a request of an agent by what its era knows.
pub(crate) fn request_kind(era: Era, method: &str) -> RequestKind {
    let mut known = REQUESTS.iter();
    let known = known.find(|(eras, known, _)| *known == method && eras.contains(&era));
    known.map_or(RequestKind::Unknown, |(_, _, kind)| *kind)
}

/// The known method that a name only looks like.
pub(crate) fn lookalike(method: &str) -> Option<&'static str> {
    let requests = REQUESTS.iter().map(|(_, known, _)| *known);
    let agents = FROM_AGENTS.iter().map(|(_, known, _)| *known);
    let servers = FROM_SERVERS.iter().map(|(_, known, _)| *known);
    let asked = asking::ASKS.iter().map(|asks| asks.method);
    let known = || {
        let requests = requests.clone().chain(asked.clone());
        requests.chain(agents.clone()).chain(servers.clone())
    };
    if known().any(|known| known == method) {
        return None;
    }
    // The name of a method is short enough for any budget.
    let mut folder = Folder::default();
    let folded = folder.fold(method).ok()?;
    known().find(|known| known.eq_ignore_ascii_case(&folded))
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

/// Every notification of an agent that an era knows.
#[rustfmt::skip]
pub(crate) const FROM_AGENTS: &[(&[Era], &str, KnownNotification)] = &[
    (BOTH, "notifications/cancelled", KnownNotification::Cancelled),
    (LEGACY_ERA, "notifications/initialized", KnownNotification::Initialized),
    (LEGACY_ERA, "notifications/progress", KnownNotification::Progress),
    (LEGACY_ERA, "notifications/roots/list_changed", KnownNotification::RootsChanged),
    (LEGACY_ERA, "notifications/tasks/status", KnownNotification::TaskStatus),
];

/// A notification of an agent, if the era knows it in that direction.
pub(crate) fn agent_notification(era: Era, method: &str) -> Option<KnownNotification> {
    let mut known = FROM_AGENTS.iter();
    let known = known.find(|(eras, known, _)| *known == method && eras.contains(&era));
    known.map(|(_, _, notification)| *notification)
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

/// Every notification of an upstream, and where it may come in. Besides, both
/// sides may cancel: a server its questions, and the end of a subscription.
#[rustfmt::skip]
pub(crate) const FROM_SERVERS: &[(&[Channel], &str, KnownNotification)] = &[
    (WITH_ANSWERS, "notifications/progress", KnownNotification::Progress),
    (WITH_ANSWERS, "notifications/message", KnownNotification::LogMessage),
    (WITH_CHANGES, "notifications/resources/updated", KnownNotification::ResourceUpdated),
    (WITH_CHANGES, "notifications/resources/list_changed", KnownNotification::ListChanged),
    (WITH_CHANGES, "notifications/tools/list_changed", KnownNotification::ListChanged),
    (WITH_CHANGES, "notifications/prompts/list_changed", KnownNotification::ListChanged),
    (SESSION, "notifications/elicitation/complete", KnownNotification::ElicitationComplete),
    (SESSION, "notifications/tasks/status", KnownNotification::TaskStatus),
    (SUBSCRIPTION, "notifications/tasks", KnownNotification::TaskStatus),
    (SUBSCRIPTION, "notifications/subscriptions/acknowledged", KnownNotification::Acknowledged),
];

const WITH_ANSWERS: &[Channel] = &[Channel::Session, Channel::Call];
const WITH_CHANGES: &[Channel] = &[Channel::Session, Channel::Subscription];
const SESSION: &[Channel] = &[Channel::Session];
const SUBSCRIPTION: &[Channel] = &[Channel::Subscription];

/// A notification of an upstream, if it is known where it came in.
pub(crate) fn upstream_notification(channel: Channel, method: &str) -> Option<KnownNotification> {
    let mut known = FROM_SERVERS.iter();
    let known = known.find(|(channels, known, _)| *known == method && channels.contains(&channel));
    known.map(|(_, _, notification)| *notification)
}

#[cfg(test)]
mod tests;
