//! What is built into the daemon and stands behind the gateway like a server: the
//! gateway speaks the protocol for it, and hands it typed calls.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use provost_policy::json::Value;
use provost_policy::{Call, Caller, RuleId};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::exchange::Exchange;
use super::lines::Lines;
use crate::host::budget::Account;
use crate::message::cleared::Cleared;
use crate::message::fault::Fault;
use crate::message::outgoing::Outgoing;
use crate::text::envelope::{self, Message};
use crate::text::era::Era;
use crate::text::meta;
use crate::text::protocol::{LEGACY, MODERN};

/// Messages about one call that wait for the relay. Progress that finds no room is
/// dropped: the next says more.
const WAITING: usize = 16;
/// Nothing of the protocol but tools is spoken for what is built in.
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;

/// A part of the daemon that has tools. Who calls is known from the grant alone:
/// nothing an agent says about itself gets here as anything but an argument.
pub trait Builtin: fmt::Debug + Send + Sync {
    /// How its tools are used, for the model.
    fn instructions(&self) -> &str;

    /// The tools of this caller: the array of `tools/list`.
    fn tools(&self, caller: &Caller) -> serde_json::Value;

    /// Why no policy can allow this call: the rule as records name it, and words for the
    /// agent. Asked while the call is judged, so it must not wait.
    fn refuses(&self, _call: &Call<'_>, _caller: &Caller) -> Option<(RuleId, String)> {
        None
    }

    /// Whether calls of a tool are judged by the caller's own policy alone: grants it was
    /// minted below are not asked, as an agent must be able to say that it is done.
    fn is_own_affair(&self, _tool: &str) -> bool {
        false
    }

    /// Carries out one call that was judged and recorded. Dropping what this returns
    /// cancels it.
    fn call(&self, call: ToolCall, caller: Caller, progress: Progress) -> Answering;
}

/// A call on its way to its answer.
pub type Answering = Pin<Box<dyn Future<Output = ToolAnswer> + Send>>;

/// The parts of the daemon that have tools, by the name of their server.
pub type Builtins = BTreeMap<&'static str, Arc<dyn Builtin>>;

/// A call of a tool.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The tool.
    pub name: String,
    /// Its arguments: the text of a JSON object, as the agent wrote it.
    pub arguments: String,
}

/// What came of a call.
#[derive(Debug, Clone)]
pub enum ToolAnswer {
    /// The structured result.
    Result(serde_json::Value),
    /// It failed: what happened and what to do, for the model.
    Error(String),
    /// There is no such tool.
    Unknown,
}

/// Says how far a call is. Costs nothing where the agent did not ask.
#[derive(Debug, Clone)]
pub struct Progress {
    token: Option<Arc<str>>,
    lines: mpsc::Sender<Bytes>,
}

/// A request, taken apart.
struct Request<'m> {
    era: Era,
    id: &'m str,
    method: &'m str,
    params: Option<Value<'m>>,
}

// === impl Progress ===

impl Progress {
    /// So much is done, of `total` where that is known, in words.
    pub fn say(&self, done: u64, total: Option<u64>, message: &str) {
        let Some(token) = &self.token else { return };
        let total = total.map_or(String::new(), |total| format!(r#","total":{total}"#));
        let message = serde_json::Value::from(message);
        let line = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":{done}{total},"message":{message}}}}}"#
        );
        // Whoever reads is slow, or gone; the call goes on.
        drop(self.lines.try_send(Bytes::from(line)));
    }
}

/// Sends a request to what is built in.
pub(crate) fn request(
    builtin: &Arc<dyn Builtin>,
    caller: Caller,
    message: Cleared<Outgoing>,
    account: &Arc<Account>,
) -> Result<Exchange, Fault> {
    let outgoing = message.message();
    let (era, id) = (outgoing.era(), outgoing.id().to_owned());
    let token = outgoing.token().map(Arc::from);
    let text = message.sending(account).body()?;
    let parsed = envelope::parse(&text).map_err(|_| Fault::not_sent())?;
    let Ok(Message::Request { method, params, .. }) = envelope::read(&parsed) else {
        return Err(Fault::not_sent());
    };
    let request = Request {
        era,
        id: &id,
        method: &method,
        params,
    };
    if let Some(answer) = request.housekeeping(&**builtin, &caller) {
        return Ok(Exchange::Message(answer));
    }
    let Some(call) = request.tool_call() else {
        return Ok(Exchange::Message(
            request.error(METHOD_NOT_FOUND, "only `tools/call` is known here"),
        ));
    };
    let (lines, answers) = mpsc::channel(WAITING);
    let progress = Progress {
        token,
        lines: lines.clone(),
    };
    let unknown = request.error(INVALID_PARAMS, &format!("there is no tool `{}`", call.name));
    let answering = builtin.call(call, caller, progress);
    let task = tokio::spawn(async move {
        let answer = match answering.await {
            ToolAnswer::Unknown => unknown,
            ToolAnswer::Result(result) => answer(era, &id, tool_result(result)),
            ToolAnswer::Error(text) => answer(
                era,
                &id,
                json!({"content": [{"type": "text", "text": text}], "isError": true}),
            ),
        };
        // The relay is gone when nobody wants the answer.
        drop(lines.send(answer).await);
    });
    Ok(Exchange::Lines(Lines::of_task(
        AbortOnDropHandle::new(task),
        answers,
    )))
}

/// The structured result, and the same as text for clients that read only that.
fn tool_result(result: serde_json::Value) -> serde_json::Value {
    json!({"content": [{"type": "text", "text": result.to_string()}], "structuredContent": result})
}

fn answer(era: Era, id: &str, mut result: serde_json::Value) -> Bytes {
    if let (Era::Modern, Some(result)) = (era, result.as_object_mut()) {
        result.insert("resultType".to_owned(), json!("complete"));
    }
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#
    ))
}

// === impl Request ===

impl Request<'_> {
    /// The answer to what needs no tool.
    fn housekeeping(&self, builtin: &dyn Builtin, caller: &Caller) -> Option<Bytes> {
        let info = json!({"name": "provost", "version": env!("CARGO_PKG_VERSION")});
        let result = match self.method {
            "initialize" => {
                let asked = self.params.and_then(|params| params.get("protocolVersion"));
                let asked = asked.and_then(Value::as_str).unwrap_or_default();
                let version = LEGACY.iter().find(|known| **known == asked);
                json!({
                    "protocolVersion": version.or(LEGACY.first()),
                    "capabilities": {"tools": {}},
                    "serverInfo": info,
                    "instructions": builtin.instructions(),
                })
            }
            "server/discover" => json!({
                "supportedVersions": [MODERN],
                "capabilities": {"tools": {}},
                "instructions": builtin.instructions(),
                "_meta": {meta::SERVER: info},
            }),
            "ping" => json!({}),
            "tools/list" => json!({"tools": builtin.tools(caller)}),
            _ => return None,
        };
        Some(answer(self.era, self.id, result))
    }

    fn tool_call(&self) -> Option<ToolCall> {
        let params = self.params.filter(|_| self.method == "tools/call")?;
        let arguments = params.get("arguments").map_or("{}", Value::raw);
        Some(ToolCall {
            name: params.get("name")?.as_str()?.into_owned(),
            arguments: arguments.to_owned(),
        })
    }

    fn error(&self, code: i32, message: &str) -> Bytes {
        let (id, message) = (self.id, serde_json::Value::from(message));
        Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#
        ))
    }
}
