//! A line of a conversation, as far as it is looked at: what is wrong with one the gateway says. And
//! the lines that a bridge writes itself.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What becomes of a line of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::bridge) enum Heard {
    /// The agent gets it.
    Pass,
    /// The agent gets it, and has the whole list of tools then.
    Listed,
    /// The agent gets it, and has no session.
    Refused,
    /// The agent has had it before.
    Drop,
    /// The session is open again; the agent has had this before.
    OpenedAgain,
    /// The session cannot be opened again, and why.
    NotOpened(String),
}

/// The parts of a JSON-RPC message that matter here. Each is taken apart only when it is looked at: a
/// server may send any number, any text.
#[derive(Deserialize)]
pub(super) struct Parts<'l> {
    #[serde(borrow)]
    id: Option<&'l RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<Cow<'l, str>>,
    #[serde(borrow)]
    params: Option<&'l RawValue>,
    #[serde(borrow)]
    result: Option<&'l RawValue>,
    #[serde(borrow)]
    error: Option<&'l RawValue>,
}

/// What was answered instead of a result.
#[derive(Deserialize)]
pub(super) struct Problem<'l> {
    #[serde(borrow)]
    message: Option<&'l RawValue>,
    #[serde(borrow)]
    data: Option<&'l RawValue>,
}

#[derive(Deserialize)]
struct Data<'l> {
    #[serde(borrow, rename = "dev.provost/decision")]
    decision: &'l RawValue,
}

#[derive(Deserialize)]
struct Decided {
    #[serde(rename = "notSent")]
    not_sent: bool,
}

#[derive(Deserialize)]
struct Target<'l> {
    #[serde(borrow, rename = "requestId")]
    request: &'l RawValue,
}

#[derive(Deserialize)]
struct Resource {
    uri: String,
}

#[derive(Deserialize)]
struct ListPage {
    #[serde(rename = "nextCursor")]
    next: Option<serde::de::IgnoredAny>,
}

// === impl Parts ===

impl<'l> Parts<'l> {
    /// Nothing for a line that is no message.
    pub(super) fn read(line: &'l [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }

    /// Its id, as it is kept.
    pub(super) fn id(&self) -> Option<String> {
        self.id.map(key)
    }

    pub(super) fn params<T: Deserialize<'l>>(&self) -> Option<T> {
        understood(self.params)
    }

    pub(super) fn result<T: Deserialize<'l>>(&self) -> Option<T> {
        understood(self.result)
    }

    pub(super) fn is_result(&self) -> bool {
        self.result.is_some()
    }

    pub(super) fn problem(&self) -> Option<Problem<'l>> {
        understood(self.error)
    }

    /// The resource that a request is about.
    pub(super) fn resource(&self) -> Option<String> {
        self.params().map(|Resource { uri }| uri)
    }

    /// The id of the request that is cancelled.
    pub(super) fn cancelled(&self) -> Option<String> {
        self.params().map(|target: Target<'_>| key(target.request))
    }

    /// Whether nothing of a list comes after this answer.
    pub(super) fn is_last_page(&self) -> bool {
        matches!(self.result(), Some(ListPage { next: None }))
    }
}

fn understood<'l, T: Deserialize<'l>>(part: Option<&'l RawValue>) -> Option<T> {
    serde_json::from_str(part?.get()).ok()
}

/// An id as it is kept: the same for a text however it is escaped.
fn key(id: &RawValue) -> String {
    match serde_json::from_str::<String>(id.get()) {
        Ok(text) => serde_json::Value::from(text).to_string(),
        Err(_) => id.get().to_owned(),
    }
}

/// Whether a line of the agent wants an answer, if it is only why it cannot be read.
pub(in crate::bridge) fn asks(line: &[u8]) -> bool {
    Parts::read(line).is_none_or(|parts| parts.method.is_some() == parts.id.is_some())
}

// === impl Problem ===

impl Problem<'_> {
    pub(super) fn message(&self) -> String {
        understood(self.message).unwrap_or_default()
    }

    /// Whether a daemon that is leaving says that it has not begun with the request.
    pub(super) fn is_of_a_stop(&self) -> bool {
        let data: Option<Data<'_>> = understood(self.data);
        let decided = data.and_then(|data| understood(Some(data.decision)));
        decided.is_some_and(|decided: Decided| decided.not_sent)
    }
}

/// An answer of the bridge itself. The number is JSON-RPC's for an error inside the server.
pub(super) fn error_line(id: &str, why: &str) -> Vec<u8> {
    let why = serde_json::Value::from(why);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32603,"message":{why}}}}}"#)
        .into_bytes()
}

pub(super) fn cancelled_line(id: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the server that asked is gone"}}}}"#
    )
    .into_bytes()
}

pub(super) fn changed_line(list: &str, subscription: Option<&str>) -> Vec<u8> {
    let params = subscription.map(|id| {
        format!(r#","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#)
    });
    let params = params.unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/{list}/list_changed"{params}}}"#)
        .into_bytes()
}
