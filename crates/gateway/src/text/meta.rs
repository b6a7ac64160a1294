//! The members of `_meta` that mean something here.

use provost_policy::json::Value;

/// The revision the request is written in.
pub(crate) const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// What the client can be asked.
pub(crate) const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Who the client says it is; nothing is decided from it.
pub(crate) const CLIENT: &str = "io.modelcontextprotocol/clientInfo";
/// Who a server says it is, in its results.
pub(crate) const SERVER: &str = "io.modelcontextprotocol/serverInfo";
/// Which subscription a notification belongs to.
pub(crate) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// The extension under which a call may become a task.
pub(crate) const TASKS: &str = "io.modelcontextprotocol/tasks";

/// Key of the member in `_meta` (or `data`) that explains a decision.
pub(crate) const DECISION_KEY: &str = "dev.provost/decision";

/// The revision a request names in its `_meta`: `None` when it names none.
pub(crate) fn version<'d>(params: Option<Value<'d>>) -> Option<Value<'d>> {
    params?.get("_meta")?.get(VERSION)
}
