//! The one place where a refusal or a failure becomes JSON-RPC and HTTP.

use bytes::Bytes;
use provost_policy::RuleId;
use provost_policy::judge::Refusal;
use serde_json::{Value, json};

use crate::host::budget::Full;
use crate::text::asking::Misasked;
use crate::text::brief::{SENTENCE, brief};
use crate::text::era::Era;
use crate::text::meta::{self, DECISION_KEY};
use crate::text::protocol;

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL: i32 = -32603;
const HEADER_MISMATCH: i32 = -32020;
const MISSING_CAPABILITY: i32 = -32021;
const UNSUPPORTED_VERSION: i32 = -32022;
/// A policy refused a method other than `tools/call`.
const REFUSED: i32 = 1403;
/// There is no room: too much is held, or on its way. Trying again later helps.
const BUSY: i32 = 1429;
/// A message was answered, whatever the answer says.
pub(crate) const OK: u16 = 200;
/// When to try again.
pub(crate) const RETRY_AFTER_MS: u64 = 1000;
/// The record cannot be written, so nothing may be forwarded.
const RECORD_UNAVAILABLE: i32 = 1503;

/// What goes back to an agent that is not an upstream's own answer.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// HTTP status on the HTTP face.
    pub(crate) http: u16,
    code: i32,
    message: String,
    data: Option<Value>,
}

impl Failure {
    fn new(http: u16, code: i32, message: impl Into<String>) -> Self {
        Self {
            http,
            code,
            message: brief(&message.into(), SENTENCE).into_owned(),
            data: None,
        }
    }

    fn with(self, data: Value) -> Self {
        let data = Some(data);
        Self { data, ..self }
    }

    /// A failure of the server behind.
    fn of_the_server(message: String) -> Self {
        Self::new(502, INTERNAL, message)
    }

    /// The text is not JSON, or JSON that two readers may read differently.
    pub(crate) fn parse(message: impl Into<String>) -> Self {
        Self::new(400, PARSE_ERROR, message)
    }

    /// JSON, but no message of this protocol.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(400, INVALID_REQUEST, message)
    }

    /// Two requests with one id cannot be told apart.
    pub(crate) fn id_in_use() -> Self {
        Self::invalid_request("another request with this `id` is still waiting for its answer")
    }

    /// A known method with parameters that cannot be accepted.
    pub(crate) fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(200, INVALID_PARAMS, message)
    }

    /// A revision of the protocol that is not spoken here, or not behind here.
    pub(crate) fn unsupported_version(asked: &str, supported: &[&str]) -> Self {
        let asked = brief(asked, SENTENCE);
        let text = format!(
            "protocol version `{}` is not supported",
            asked.escape_debug()
        );
        Self::new(400, UNSUPPORTED_VERSION, text)
            .with(json!({ "supported": supported, "requested": asked }))
    }

    /// A server that does not speak the era of the agent.
    pub(crate) fn other_era(server: &str, agents: Era) -> Self {
        let (speaks, hint, supported) = match agents {
            Era::Legacy => (
                "only the protocol of 2026-07-28",
                "use a client that speaks it",
                &[protocol::MODERN][..],
            ),
            Era::Modern => (
                "no protocol newer than 2025-11-25",
                "open a session with `initialize`",
                &protocol::LEGACY[..],
            ),
        };
        let text = format!("server `{server}` speaks {speaks}; {hint}");
        Self::new(400, UNSUPPORTED_VERSION, text).with(json!({ "supported": supported }))
    }

    /// What a server that knows no `server/discover` answers: with this, agents
    /// that speak both eras take the other one.
    pub(crate) fn no_discovery(server: &str) -> Self {
        let text = format!(
            "server `{server}` speaks no protocol newer than 2025-11-25; open a session with `initialize`"
        );
        Self::new(404, METHOD_NOT_FOUND, text)
    }

    /// A header that says something else than the body.
    pub(crate) fn header_mismatch(message: impl Into<String>) -> Self {
        Self::new(400, HEADER_MISMATCH, message)
    }

    /// A modern request that does not say what it has to say of itself.
    pub(crate) fn bad_meta(message: impl Into<String>) -> Self {
        Self::new(400, INVALID_PARAMS, message)
    }

    /// A request about tasks from an agent that did not say that it knows them.
    pub(crate) fn tasks_undeclared() -> Self {
        let problem = "this request needs the extension `io.modelcontextprotocol/tasks`, and the client did not declare it";
        Self::new(400, MISSING_CAPABILITY, problem)
            .with(json!({ "requiredCapabilities": { "extensions": { meta::TASKS: {} } } }))
    }

    /// A method that neither the protocol nor a rule knows.
    pub(crate) fn unknown_method(era: Era, method: &str, refusal: &Refusal) -> Self {
        let text = match protocol::lookalike(method) {
            Some(_) => refusal.message.clone(),
            None => format!(
                "method `{}` is not known and no rule allows it",
                method.escape_debug()
            ),
        };
        let http = match era {
            Era::Legacy => 200,
            Era::Modern => 404,
        };
        Self::new(http, METHOD_NOT_FOUND, text)
            .with(json!({ DECISION_KEY: decision("deny", refusal) }))
    }

    /// The agent's session is not known here (any more).
    pub(crate) fn unknown_session() -> Self {
        Self::new(
            404,
            INVALID_REQUEST,
            "session not found; send `initialize` again",
        )
    }

    /// The upstream cannot be reached, or broke the call off.
    pub(crate) fn upstream_down(server: &str) -> Self {
        Self::of_the_server(format!("server `{server}` is not available"))
    }

    /// The program of the upstream ended before it had done anything.
    pub(crate) fn not_running(server: &str, end: &str) -> Self {
        let text = format!("server `{server}` is not available: {end}");
        Self::of_the_server(text)
    }

    /// The program of the upstream ended while it had a call.
    pub(crate) fn ended_in_a_call(server: &str, end: &str) -> Self {
        let text = format!(
            "server `{server}` ended ({end}) during this call; whether it was carried out is not known"
        );
        Self::of_the_server(text)
    }

    /// The settings of the upstream cannot be used.
    pub(crate) fn upstream_unusable(server: &str) -> Self {
        Self::of_the_server(format!(
            "server `{server}` cannot be used: its settings are damaged, and whoever runs Provost has to repair them"
        ))
    }

    /// A part that this daemon was started without.
    pub(crate) fn absent(server: &str) -> Self {
        Self::of_the_server(format!(
            "the daemon that runs was started without `{server}`; whoever runs Provost can start it with a configuration that has it"
        ))
    }

    /// No process is started, because there are as many as there may be.
    pub(crate) fn no_process(server: &str, full: Full) -> Self {
        let text = match full {
            Full::Share => format!(
                "server `{server}` is not started: this grant has the most server processes that it may have; end another session first"
            ),
            Full::Whole => format!(
                "server `{server}` is not started: too many server processes are running; try again later"
            ),
        };
        Self::busy(text)
    }

    /// A process that others use was opened in another way.
    pub(crate) fn opened_otherwise(server: &str) -> Self {
        let text = format!(
            "server `{server}` runs one process for several sessions, and another session uses it with another protocol version or other capabilities; use the same ones, or have the server registered with a process for each session"
        );
        Self::new(409, INTERNAL, text)
    }

    /// A program that ends again and again is given a pause.
    pub(crate) fn pausing(server: &str) -> Self {
        Self::of_the_server(format!(
            "server `{server}` ended several times right after it was started; try again in half a minute"
        ))
    }

    /// The upstream did not answer in time.
    pub(crate) fn upstream_slow(server: &str) -> Self {
        Self::new(
            504,
            INTERNAL,
            format!("server `{server}` did not answer in time"),
        )
    }

    /// The upstream answered with something that is no answer.
    pub(crate) fn upstream_bad_answer(server: &str) -> Self {
        Self::of_the_server(format!(
            "server `{server}` sent an answer that cannot be read"
        ))
    }

    /// The upstream asked in its answer what it may not ask there.
    pub(crate) fn misasked(server: &str, problem: &Misasked) -> Self {
        Self::of_the_server(format!(
            "server `{server}` sent an answer that was refused: {problem}"
        ))
    }

    /// For an upstream that asks an agent who has no stream open for it.
    pub(crate) fn agent_away() -> Self {
        Self::new(200, INTERNAL, "the agent cannot be asked at the moment")
    }

    /// A bound of the gateway's own is reached.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self::new(503, INTERNAL, message)
    }

    /// The gateway is stopping, and no byte of the request went to a server: whoever carries the
    /// agent's words to the next daemon may say it there. No server can say so: from its answers
    /// the member is taken out.
    pub(crate) fn stopping() -> Self {
        Self::busy("the gateway is stopping").with(json!({ DECISION_KEY: { "notSent": true } }))
    }

    /// What a call was judged on changed while it waited for its server.
    pub(crate) fn outdated(server: &str) -> Self {
        let text = format!(
            "the policy or the settings changed while the call waited for server `{server}`; send it again"
        );
        Self::busy(text)
    }

    /// What does not fit into the memory of a grant, or of all of them.
    pub(crate) fn no_memory(full: Full) -> Self {
        Self::no_room(
            full,
            match full {
                Full::Share => {
                    "this grant has used up its share of the gateway's memory; read pending answers or end sessions, then try again"
                }
                Full::Whole => "the gateway's memory is used up; try again later",
            },
        )
    }

    /// One call more than a grant may have on its way, or than all of them may.
    pub(crate) fn too_many_calls(full: Full) -> Self {
        Self::no_room(
            full,
            match full {
                Full::Share => {
                    "this grant has too many calls in flight; wait for an answer, then try again"
                }
                Full::Whole => "too many calls are in flight; try again later",
            },
        )
    }

    /// One stream more than a grant may have open, or than there may be at all.
    pub(crate) fn too_many_streams(full: Full) -> Self {
        Self::no_room(
            full,
            match full {
                Full::Share => "this grant has too many open streams; close one, then try again",
                Full::Whole => "too many calls and streams are open; try again later",
            },
        )
    }

    /// One call more than may be on their way to a server.
    pub(crate) fn server_busy(server: &str, full: Full) -> Self {
        let text = format!("too many calls to server `{server}` are in flight; try again later");
        Self::no_room(full, text)
    }

    fn no_room(full: Full, message: impl Into<String>) -> Self {
        let http = match full {
            Full::Share => 429,
            Full::Whole => 503,
        };
        Self::new(http, BUSY, message).with(json!({ DECISION_KEY: {
            "decision": "deny", "rule": RuleId::BUSY.as_str(), "retryAfterMs": RETRY_AFTER_MS,
        } }))
    }

    /// A fault of our own.
    pub(crate) fn fault() -> Self {
        Self::new(
            500,
            INTERNAL,
            "the gateway failed because of a defect of its own; whether the request was carried out is not known",
        )
    }

    /// The record cannot be written.
    pub(crate) fn record_unavailable() -> Self {
        Self::new(
            503,
            RECORD_UNAVAILABLE,
            "the call cannot be recorded at the moment, so it was not forwarded",
        )
        .with(json!({
            DECISION_KEY: { "decision": "deny", "rule": RuleId::RECORD_UNAVAILABLE.as_str() }
        }))
    }

    /// A policy refused a method other than `tools/call`.
    pub(crate) fn refused(kind: &'static str, refusal: &Refusal) -> Self {
        Self::new(200, REFUSED, format!("[POLICY DENIED] {}", refusal.message))
            .with(json!({ DECISION_KEY: decision(kind, refusal) }))
    }

    /// The grant ended while its message was on its way, or waited.
    pub(crate) fn ended(refusal: &Refusal) -> Self {
        Self {
            http: 401,
            ..Self::refused("deny", refusal)
        }
    }

    /// What is wrong, in words.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// A request or notification outside of any session.
    pub(crate) fn no_session() -> Self {
        Self::invalid_request("no session; send `initialize` first")
    }

    /// The JSON-RPC error with the JSON text of an id (`None`: null).
    pub(crate) fn body(&self, id: Option<&str>) -> Bytes {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(data), Some(error)) = (&self.data, error.as_object_mut()) {
            error.insert("data".into(), data.clone());
        }
        envelope(id, "error", &error)
    }
}

/// The answer to a `ping`, to an agent or to a server.
pub(crate) fn pong(id: &str) -> Bytes {
    envelope(Some(id), "result", &json!({}))
}

/// A refused `tools/call`: a result that tells the model what happened, so that
/// it can do something else, rather than a protocol error that clients hide.
pub(crate) fn refused_call(era: Era, id: &str, kind: &'static str, refusal: &Refusal) -> Bytes {
    let mut result = json!({
        "content": [{ "type": "text", "text": format!("[POLICY DENIED] {}", refusal.message) }],
        "isError": true,
        "_meta": { DECISION_KEY: decision(kind, refusal) },
    });
    if let (Era::Modern, Some(members)) = (era, result.as_object_mut()) {
        members.insert("resultType".into(), json!("complete"));
    }
    envelope(Some(id), "result", &result)
}

/// The HTTP status with which an upstream's error goes on, by its code.
pub(crate) fn status_of(era: Era, code: Option<&str>) -> u16 {
    let code = code.and_then(|code| code.parse::<i32>().ok());
    match (era, code) {
        (Era::Modern, Some(METHOD_NOT_FOUND)) => 404,
        (Era::Modern, Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)) => 400,
        _ => 200,
    }
}

/// Whether an error to a modern request makes it doubtful that the server still
/// is what it was: it does not know the era, or sees a tool's headers differently.
/// Codes of its own and those about parameters do not; a server that answers an
/// unknown session with one of its own answers nobody in particular (id null).
pub(crate) fn doubts_the_era(code: &str) -> bool {
    let code = code.parse::<i32>().ok();
    matches!(
        code,
        Some(
            PARSE_ERROR
                | METHOD_NOT_FOUND
                | INVALID_REQUEST
                | HEADER_MISMATCH
                | UNSUPPORTED_VERSION
        )
    )
}

/// Whether a server answers so that refuses whoever asks, or fails: its era is not
/// known by that.
pub(crate) fn hides_the_era(status: u16) -> bool {
    matches!(status, 401 | 403 | 429 | 500..)
}

/// Whether the same may go well a little later.
pub(crate) fn passes_soon(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// Whether an error has a code that only servers of the modern era use.
pub(crate) fn is_modern_code(code: &str) -> bool {
    let code = code.parse::<i32>().ok();
    matches!(
        code,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_VERSION)
    )
}

fn decision(kind: &'static str, refusal: &Refusal) -> Value {
    let mut decision = json!({ "decision": kind, "rule": refusal.rule.to_string() });
    if let Some(members) = decision.as_object_mut() {
        if let Some(policy) = &refusal.policy {
            members.insert("policy".into(), json!(policy.name));
            members.insert("version".into(), json!(policy.version));
            members.insert("grant".into(), json!(policy.grant));
        }
        if let Some(wait) = refusal.retry_after_ms {
            members.insert("retryAfterMs".into(), json!(wait));
        }
    }
    decision
}

fn envelope(id: Option<&str>, kind: &str, body: &Value) -> Bytes {
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":{},"{kind}":{body}}}"#,
        id.unwrap_or("null"),
    ))
}
