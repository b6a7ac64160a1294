//! What a server says besides responses, and how its requests are answered.

use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// How requests of the server are answered: method and params in, `{"result": …}` or `{"error": …}` out.
type Answering = Arc<dyn Fn(&str, &Value) -> Value + Send + Sync>;

/// What the server said besides responses, and how its requests are answered.
#[derive(Clone)]
pub(super) struct Inbox {
    pub(super) messages: Arc<Mutex<Vec<Value>>>,
    pub(super) answering: Arc<Mutex<Answering>>,
}

/// Answers every question of a server: a fixed sample, an accepted form, one root.
pub fn polite(method: &str, params: &Value) -> Value {
    match method {
        "sampling/createMessage" => json!({"result": {
            "role": "assistant", "model": "test-model", "stopReason": "endTurn",
            "content": {"type": "text", "text": format!("you said {}", params["messages"][0]["content"]["text"])},
        }}),
        "elicitation/create" => {
            json!({"result": {"action": "accept", "content": {"answer": "fine"}}})
        }
        "roots/list" => {
            json!({"result": {"roots": [{"uri": "file:///srv/project", "name": "project"}]}})
        }
        "ping" => json!({"result": {}}),
        _ => json!({"error": {"code": -32601, "message": "unknown method"}}),
    }
}

// === impl Inbox ===

impl Default for Inbox {
    fn default() -> Inbox {
        let answering: Answering = Arc::new(polite);
        Inbox {
            messages: Arc::default(),
            answering: Arc::new(Mutex::new(answering)),
        }
    }
}

impl Inbox {
    /// Keeps a message that is no response; for a request, returns the response to send.
    pub(super) fn take(&self, message: Value) -> Option<Value> {
        let answering = Arc::clone(&*self.answering.lock().unwrap());
        let reply = message.get("id").map(|id| {
            let mut reply = answering(
                message["method"].as_str().unwrap_or_default(),
                &message["params"],
            );
            reply["jsonrpc"] = json!("2.0");
            reply["id"] = id.clone();
            reply
        });
        self.messages.lock().unwrap().push(message);
        reply
    }
}

/// Whether a message is a response.
pub(super) fn is_response(message: &Value) -> bool {
    message.get("method").is_none()
}
