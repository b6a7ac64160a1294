//! A request of an agent as it was read, and what a policy is asked about it.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use provost_policy::Text;
use provost_policy::json::{Kind, Value};

use crate::agent::session::Session;
use crate::message::modern::Claims;
use crate::state::present::Claim;
use crate::text::client::client;
use crate::text::envelope::Id;
use crate::text::protocol::RequestKind;

/// Who says that it sent a message, and its session if it has one.
#[derive(Clone)]
pub(crate) struct Agent {
    pub(crate) claim: Claim,
    pub(crate) session: Option<Arc<Session>>,
    /// What the headers of an HTTP request claim, when they name another revision
    /// than one of the legacy era.
    pub(crate) claims: Option<Arc<Claims>>,
}

/// A request as it was read.
pub(super) struct Request<'d> {
    pub(super) text: &'d Bytes,
    pub(super) id: Id<'d>,
    pub(super) method: Cow<'d, str>,
    pub(super) params: Option<Value<'d>>,
}

// === impl Agent ===

impl Agent {
    /// Who the client says it is, if its session knows.
    pub(super) fn client(&self) -> Option<Text> {
        self.session.as_ref()?.client()
    }
}

// === impl Request ===

impl Request<'_> {
    /// Who the client says it is: in its session, or at least in this request.
    pub(super) fn client(&self, agent: &Agent) -> Option<Text> {
        let known = agent.client();
        known.or_else(|| client(&self.method, self.params))
    }
}

/// The method a policy is asked about.
pub(super) fn judged_as<'r>(request: &'r Request<'_>, kind: RequestKind) -> &'r str {
    match kind {
        RequestKind::Subscribe => "resources/subscribe",
        RequestKind::Housekeeping(_)
        | RequestKind::CallTool
        | RequestKind::Task(_)
        | RequestKind::Method
        | RequestKind::Unknown => &request.method,
    }
}

pub(super) type Tool<'d> = (Option<Cow<'d, str>>, Option<Value<'d>>);

/// Name and arguments of a `tools/call`; of other methods the parameters that
/// stand where arguments stand.
pub(super) fn tool_call<'d>(
    request: &Request<'d>,
    kind: RequestKind,
) -> Result<Tool<'d>, &'static str> {
    if kind != RequestKind::CallTool {
        return Ok((None, None));
    }
    let Some(params) = request.params else {
        return Err("`params` with the name of the tool is missing");
    };
    let Some(name) = params.get("name").and_then(Value::as_str) else {
        return Err("`params.name` must be the name of the tool");
    };
    let arguments = params.get("arguments");
    if arguments.is_some_and(|arguments| arguments.kind() != Kind::Object) {
        return Err("`params.arguments` must be an object");
    }
    Ok((Some(name), arguments))
}
