//! The headers of the protocol, towards agents and servers alike.

use hyper::header::HeaderName;

/// Carries the id of a session.
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// Carries the negotiated revision of the protocol.
pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// Carries the id of the last event an agent saw.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// Carries the method of a request.
pub(crate) const METHOD: HeaderName = HeaderName::from_static("mcp-method");
/// Carries what a request names: a tool, a prompt, a resource, a task.
pub(crate) const NAME: HeaderName = HeaderName::from_static("mcp-name");
