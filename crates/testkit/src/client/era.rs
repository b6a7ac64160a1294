//! What a client of the modern era adds to its messages, and what it keeps of the answers.

use crate::modern::{self, Annotation, meta};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

/// What makes a client modern.
#[derive(Default)]
pub(super) struct Modern {
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) capabilities: Value,
    pub(super) log_level: Option<String>,
    /// Annotations of the tools that were listed.
    annotations: HashMap<String, Vec<Annotation>>,
    /// Requests that may be given up, by id.
    running: HashMap<String, Arc<Notify>>,
}

impl Default for State {
    fn default() -> State {
        State {
            capabilities: json!({"sampling": {}, "elicitation": {"form": {}}, "roots": {}}),
            log_level: None,
            annotations: HashMap::new(),
            running: HashMap::new(),
        }
    }
}

// === impl Modern ===

impl Modern {
    /// Adds the envelope to a request, where the test gave none of its own.
    pub(super) fn wrap(&self, message: &mut Value) {
        let state = self.state.lock().unwrap();
        let mut envelope = modern::envelope(state.capabilities.clone());
        if let Some(level) = &state.log_level {
            envelope[meta::LOG_LEVEL] = json!(level);
        }
        if !message["params"].is_object() {
            message["params"] = json!({});
        }
        if let Some(own) = message["params"]["_meta"].as_object() {
            own.iter()
                .for_each(|(key, value)| envelope[key] = value.clone());
        }
        message["params"]["_meta"] = envelope;
    }

    /// The headers that a message needs.
    pub(super) fn headers(&self, message: &Value) -> Vec<(String, String)> {
        let mut headers = modern::standard_headers(message);
        if message["method"] == "tools/call" {
            let state = self.state.lock().unwrap();
            let tool = message["params"]["name"].as_str().unwrap_or_default();
            if let Some(annotations) = state.annotations.get(tool) {
                let arguments = &message["params"]["arguments"];
                headers.extend(modern::param_headers(annotations, arguments));
            }
        }
        headers
    }

    pub(super) fn learn(&self, tools: &[Value]) {
        let known = |tool: &Value| {
            let annotations = modern::annotations(&tool["inputSchema"]).ok()?;
            Some((tool["name"].as_str()?.to_owned(), annotations))
        };
        let mut state = self.state.lock().unwrap();
        state.annotations.extend(tools.iter().filter_map(known));
    }

    /// Rings when the request with this id is given up.
    pub(super) fn begin(&self, id: &Value) -> Arc<Notify> {
        let given_up = Arc::new(Notify::new());
        let mut state = self.state.lock().unwrap();
        state.running.insert(id.to_string(), Arc::clone(&given_up));
        given_up
    }

    pub(super) fn end(&self, id: &Value) {
        self.state.lock().unwrap().running.remove(&id.to_string());
    }

    /// Gives a request up; whether there was one.
    pub(super) fn give_up(&self, id: &Value) -> bool {
        let running = self.state.lock().unwrap().running.remove(&id.to_string());
        running.inspect(|given_up| given_up.notify_one()).is_some()
    }
}
