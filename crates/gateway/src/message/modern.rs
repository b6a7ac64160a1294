//! The modern era (2026-07-28): what a request says of itself, in its `_meta`
//! and in the headers that travel beside it.
//!
//! Nothing in here decides from a header. What the body says is judged and
//! forwarded; the headers must agree with it, and are written anew for the
//! upstream, because others on the way may decide from them.

pub(crate) mod annotations;
pub(crate) mod claims;
pub(crate) mod declared;
pub(crate) mod sentinel;

pub(crate) use annotations::ToolHeaders;
pub(crate) use claims::Claims;
pub(crate) use declared::Declared;

use hyper::header::{HeaderMap, HeaderValue};
use provost_policy::json::Value;

use crate::text::headers::{METHOD, NAME, PROTOCOL_VERSION};
use crate::text::protocol;

/// The member of `params` that the header `Mcp-Name` repeats.
fn named_by(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        "resources/read" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some("taskId"),
        _ => None,
    }
}

/// The headers of a request, computed from the body that was judged.
pub(crate) fn headers(
    method: &str,
    params: Option<Value<'_>>,
    tool: Option<&ToolHeaders>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let version = HeaderValue::from_static(protocol::MODERN);
    headers.insert(PROTOCOL_VERSION, version);
    if let Some(value) = sentinel::encode(method) {
        headers.insert(METHOD, value);
    }
    let name = named_by(method)
        .and_then(|member| params?.get(member)?.as_str())
        .and_then(|name| sentinel::encode(&name));
    if let Some(name) = name {
        headers.insert(NAME, name);
    }
    if let Some(tool) = tool {
        let arguments = params.and_then(|params| params.get("arguments"));
        for (name, value) in tool.values(arguments) {
            headers.insert(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests;
