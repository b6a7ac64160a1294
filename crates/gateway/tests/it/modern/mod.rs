//! The modern era (2026-07-28): requests that stand alone, results that ask,
//! and subscriptions, between agents and servers that speak it.

mod discover;
mod eras;
mod fidelity;
mod fuzz;
mod headers;
mod isolation;
mod listen;
mod lists;
mod refusals;
mod results;
mod rounds;
mod stdio;
mod tasks;

use crate::harness::*;
use serde_json::{Value, json};

/// What a modern request has to say of itself.
const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"sampling":{},"elicitation":{},"roots":{}}"#;

/// A modern request as text, with params byte for byte except that `_meta`
/// stands at their end.
fn request(id: &str, method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{comma}"_meta":{{{META}}}}}}}"#
    )
}

/// A modern `tools/call` as text, with arguments byte for byte.
fn call(id: &str, tool: &str, arguments: &str) -> String {
    request(
        id,
        "tools/call",
        &format!(r#""name":"{tool}","arguments":{arguments}"#),
    )
}

/// Agent and server of the modern era, under a policy that allows everything.
fn open() -> Setup {
    Setup::modern(allow_all())
}

/// The HTTP status must be this one; over stdio there is none.
#[track_caller]
fn status_is(answer: &scene::Answer, expected: u16) {
    assert_eq!(answer.status.unwrap_or(expected), expected, "{answer:?}");
}

/// The code of an error.
#[track_caller]
fn code(answer: &Value) -> i64 {
    let code = answer["error"]["code"].as_i64();
    code.unwrap_or_else(|| panic!("no error: {answer}"))
}

impl Scene {
    /// What stands in the history about calls and other governed requests.
    async fn answered(&self, message: &str) -> Value {
        self.raw(message).await.message
    }

    /// Sends a modern request as the agent would, and returns all there is of
    /// the answer.
    async fn ask(&self, method: &str, params: Value) -> scene::Answer {
        let id = format!("asked {}", self.agent.next_id());
        let message = self.agent.wrapped(id, method, params);
        self.raw(message.to_string()).await
    }
}

/// No params besides `_meta`.
fn nothing() -> Value {
    json!({})
}
