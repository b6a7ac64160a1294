//! The JSON-RPC envelope, read strictly: what cannot be understood in exactly
//! one way is refused, so that no upstream can read a message differently from
//! the one that was judged.

use std::borrow::Cow;

use bytes::Bytes;
use provost_policy::json::{self, Bounds, Document, Folder, JsonError, Kind, Problem, Value};
use provost_policy::lengths;

use crate::text::meta;
use crate::text::meta::DECISION_KEY;

/// Longest id, or progress token, that is carried, in bytes of its JSON text.
const LONGEST_ID: usize = 256;

/// One message with borrowed parts.
#[derive(Debug, Clone)]
pub(crate) enum Message<'d> {
    /// A request: it has a method and an id.
    Request {
        id: Id<'d>,
        method: Cow<'d, str>,
        params: Option<Value<'d>>,
    },
    /// A notification: it has a method and no id.
    Notification {
        method: Cow<'d, str>,
        params: Option<Value<'d>>,
    },
    /// An answer to a request.
    Response { id: Id<'d>, answer: Answer<'d> },
}

impl<'d> Message<'d> {
    /// What a record calls it.
    pub(crate) fn method(&self) -> &str {
        match self {
            Self::Request { method, .. } | Self::Notification { method, .. } => method,
            Self::Response { .. } => "(answer)",
        }
    }

    /// The id of a request: it wants an answer.
    pub(crate) fn request_id(&self) -> Option<Id<'d>> {
        match self {
            Self::Request { id, .. } => Some(*id),
            Self::Notification { .. } | Self::Response { .. } => None,
        }
    }
}

/// The two forms of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'d> {
    Result(Value<'d>),
    Error(Value<'d>),
}

/// A request id: the exact text, and a key under which equal ids are equal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id<'d>(Value<'d>);

impl<'d> Id<'d> {
    /// The bytes as they were sent; ids are echoed exactly.
    pub(crate) fn raw(self) -> &'d str {
        self.0.raw()
    }

    /// Equal for equal ids, whatever escapes they are written with.
    pub(crate) fn key(self) -> IdKey {
        id_key(self.0)
    }

    /// Where the id stands in the message.
    pub(crate) fn span(self) -> std::ops::Range<usize> {
        self.0.span()
    }
}

/// A request id in a form that can be compared and kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum IdKey {
    Number(Box<str>),
    Text(Box<str>),
}

/// The key of an id value; for `requestId` members as well.
pub(crate) fn id_key(value: Value<'_>) -> IdKey {
    match value.as_str() {
        Some(text) => IdKey::Text(text.as_ref().into()),
        None => IdKey::Number(value.raw().into()),
    }
}

/// Why a message was refused before anybody judged it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// Not JSON as RFC 8259 has it, or JSON that two readers may read differently.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// JSON, but not a JSON-RPC 2.0 message.
    #[error("{problem}")]
    Envelope {
        problem: String,
        /// The JSON text of the id, when it could be read.
        id: Option<String>,
    },
}

/// Whether a text is no JSON at all; otherwise it is JSON that is refused.
pub(crate) fn is_syntax(error: &JsonError) -> bool {
    match error.problem {
        Problem::DuplicateKey { .. }
        | Problem::TooDeep { .. }
        | Problem::TooMany { .. }
        | Problem::TooLong => false,
        Problem::Syntax { .. }
        | Problem::End
        | Problem::Trailing
        | Problem::Number
        | Problem::Escape
        | Problem::Surrogate
        | Problem::Control
        | Problem::Bom
        | Problem::Utf8 => true,
    }
}

/// Reads the text of one message of an agent. The document borrows `text`.
pub(crate) fn parse(text: &[u8]) -> Result<Document<'_>, Malformed> {
    Ok(json::read(text, bounds(200_000))?)
}

/// The same for an upstream, whose results may be large.
pub(crate) fn parse_upstream(text: &[u8]) -> Result<Document<'_>, Malformed> {
    Ok(json::read(text, bounds(2_000_000))?)
}

const fn bounds(nodes: u32) -> Bounds {
    Bounds { depth: 128, nodes }
}

/// Reads the envelope of a parsed message.
pub(crate) fn read<'d>(document: &'d Document<'_>) -> Result<Message<'d>, Malformed> {
    let root = document.root();
    match root.kind() {
        Kind::Object => {}
        Kind::Array => {
            return refuse(
                "batches are not accepted; send each message by itself",
                None,
            );
        }
        Kind::Null | Kind::Bool | Kind::Number | Kind::String => {
            return refuse("a message must be an object", None);
        }
    }
    let (mut version, mut id, mut method, mut params) = (None, None, None, None);
    let (mut result, mut error) = (None, None);
    let mut unknown = None;
    for member in root.members() {
        match member.name().as_ref() {
            "jsonrpc" => version = Some(member.value),
            "id" => id = Some(member.value),
            "method" => method = Some(member.value),
            "params" => params = Some(member.value),
            "result" => result = Some(member.value),
            "error" => error = Some(member.value),
            other => unknown = Some(other.to_owned()),
        }
    }
    let shown = id
        .filter(|id| id_problem(*id).is_none())
        .map(|id| id.raw().to_owned());
    if let Some(name) = unknown {
        return refuse(format!("unknown member `{}`", name.escape_debug()), shown);
    }
    if version.and_then(Value::as_str).as_deref() != Some("2.0") {
        return refuse("`jsonrpc` must be \"2.0\"", shown);
    }
    if let Some(problem) = id.and_then(id_problem) {
        return refuse(problem, None);
    }
    let id = id.map(Id);
    match (method, result, error) {
        (Some(method), None, None) => {
            let Some(method) = method.as_str() else {
                return refuse("`method` must be a string", shown);
            };
            if method.len() > lengths::METHOD_NAME {
                return refuse("`method` is too long", shown);
            }
            if params.is_some_and(|params| params.kind() != Kind::Object) {
                return refuse("`params` must be an object", shown);
            }
            if let Some(problem) = params.and_then(params_problem) {
                return refuse(problem, shown);
            }
            Ok(match id {
                Some(id) => Message::Request { id, method, params },
                None => Message::Notification { method, params },
            })
        }
        (None, Some(_), None) | (None, None, Some(_)) if params.is_some() => {
            refuse("an answer has no `params`", shown)
        }
        (None, Some(result), None) => response(id, Answer::Result(result), shown),
        (None, None, Some(error)) => response(id, Answer::Error(error), shown),
        (Some(_), _, _) => refuse("a message cannot be a request and an answer", shown),
        (None, Some(_), Some(_)) => refuse("an answer has a result or an error, not both", shown),
        (None, None, None) => refuse("`method` is missing", shown),
    }
}

fn response<'d>(
    id: Option<Id<'d>>,
    answer: Answer<'d>,
    shown: Option<String>,
) -> Result<Message<'d>, Malformed> {
    match id {
        Some(id) => Ok(Message::Response { id, answer }),
        None => refuse("an answer needs an `id`", shown),
    }
}

fn id_problem(id: Value<'_>) -> Option<&'static str> {
    if id.raw().len() > LONGEST_ID {
        return Some("`id` is too long");
    }
    match id.kind() {
        Kind::String => None,
        // Integers only: a float would come back in another form from many a server.
        // Many a server answers `-0` with `0`.
        Kind::Number if id.raw() == "-0" => Some("`id` must not be `-0`"),
        Kind::Number if id.raw().len() <= 20 && !id.raw().contains(['.', 'e', 'E']) => None,
        Kind::Number => Some("`id` must be an integer of at most 19 digits"),
        Kind::Null | Kind::Bool | Kind::Array | Kind::Object => {
            Some("`id` must be a string or an integer")
        }
    }
}

/// What is wrong with a progress token. It is written like an id and is as short:
/// it goes into every notification that is made for it.
pub(crate) fn token_problem(params: Option<Value<'_>>) -> Option<&'static str> {
    let token = params?.get("_meta")?.get("progressToken")?;
    id_problem(token).map(|_| {
        "`params._meta.progressToken` must be a string of at most 256 bytes or an integer of at most 19 digits"
    })
}

/// Members of `params`, and of objects inside of it, from which anything is
/// decided: what is called, of which era it is, what may be asked in return, what
/// is subscribed to. A key that only looks like one of them is refused: another
/// reader might take it for the real one.
const DECIDING: &[(&[&str], &[&str])] = &[
    (
        &[],
        &[
            "name",
            "arguments",
            "uri",
            "_meta",
            "task",
            "taskId",
            "requestState",
            "inputResponses",
            "notifications",
            "protocolVersion",
            "capabilities",
            "requestId",
            "progressToken",
        ],
    ),
    (
        &["_meta"],
        &[
            meta::VERSION,
            meta::CAPABILITIES,
            meta::SUBSCRIPTION,
            DECISION_KEY,
            "progressToken",
        ],
    ),
    (&["_meta", meta::CAPABILITIES], CAPABILITIES),
    (&["_meta", meta::CAPABILITIES, "elicitation"], MODES),
    (&["_meta", meta::CAPABILITIES, "sampling"], &["tools"]),
    (&["_meta", meta::CAPABILITIES, "extensions"], &[meta::TASKS]),
    (&["capabilities"], CAPABILITIES),
    (&["capabilities", "elicitation"], MODES),
    (&["capabilities", "sampling"], &["tools"]),
];

const CAPABILITIES: &[&str] = &["sampling", "elicitation", "roots", "tasks", "extensions"];
const MODES: &[&str] = &["form", "url"];

fn params_problem(params: Value<'_>) -> Option<String> {
    let mut folder = Folder::default();
    if let Err(problem) = folder.distinct_keys(params) {
        return Some(format!("`params` {problem}"));
    }
    DECIDING.iter().find_map(|(at, names)| {
        let mut here = Some(params);
        for name in *at {
            here = here.and_then(|here| here.get(name));
        }
        let problem = folder.exact_keys(here?, names).err()?;
        let place: String = at.iter().map(|name| format!(".{name}")).collect();
        Some(format!("`params{place}` {problem}"))
    })
}

fn refuse<T>(problem: impl Into<String>, id: Option<String>) -> Result<T, Malformed> {
    Err(Malformed::Envelope {
        problem: problem.into(),
        id,
    })
}

/// Whether a message of an upstream is an answer.
pub(crate) fn is_answer(message: &Bytes) -> bool {
    parse_upstream(message).is_ok_and(|parsed| answer(&parsed).is_some())
}

/// Whether a message of an upstream is an answer that is no error.
pub(crate) fn is_result(message: &Bytes) -> bool {
    parse_upstream(message).is_ok_and(|parsed| matches!(answer(&parsed), Some(Answer::Result(_))))
}

/// Whether a message of an agent is an answer that is an error.
pub(crate) fn is_error(message: &Bytes) -> bool {
    parse(message).is_ok_and(|parsed| matches!(answer(&parsed), Some(Answer::Error(_))))
}

fn answer<'d>(document: &'d Document<'_>) -> Option<Answer<'d>> {
    match read(document).ok()? {
        Message::Response { answer, .. } => Some(answer),
        Message::Request { .. } | Message::Notification { .. } => None,
    }
}

#[cfg(test)]
mod tests;
