//! A conversation, as the three APIs have it in common.

use serde_json::Value;

/// What a request says.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    /// The model that is asked for, where the body names it.
    pub(super) model: String,
    /// Whether the answer is wanted as a stream.
    pub(super) streamed: bool,
    /// What was said, without what the model said.
    pub(super) said: Vec<Said>,
    /// The tools that the client has.
    pub(super) offered: Vec<Tool>,
}

/// By somebody other than the model.
#[derive(Debug)]
pub(super) enum Said {
    User(String),
    Tool(String),
}

/// A tool, as the client names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    /// Where it belongs, for clients that say it beside the name.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

/// What the model says next.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Different for each answer of a conversation.
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) call: Option<Call>,
}

/// A tool that is to be called.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) tool: Tool,
    pub(super) arguments: Value,
}

/// The text of a list of parts, or of a text.
pub(super) fn text(content: &Value) -> String {
    let parts = content.as_array().into_iter().flatten();
    let parts = parts.filter_map(|part| part["text"].as_str());
    content
        .as_str()
        .map(str::to_owned)
        .unwrap_or_else(|| parts.collect::<Vec<_>>().join("\n"))
}

/// The parts of a content one by one; a text is one part.
pub(super) fn texts(content: &Value) -> Vec<String> {
    match content {
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(|part| part["text"].as_str());
            texts.map(str::to_owned).collect()
        }
        other => vec![text(other)],
    }
}

/// A stream of events, each under the name that stands in its `type`.
pub(super) fn events(events: &[Value]) -> String {
    let line = |event: &Value| match event["type"].as_str() {
        Some(kind) => format!("event: {kind}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    };
    events.iter().map(line).collect()
}

// === impl Tool ===

impl Tool {
    pub(super) fn named(name: &Value) -> Option<Tool> {
        Some(Tool {
            namespace: None,
            name: name.as_str()?.to_owned(),
        })
    }

    /// The name in full, as it stands in the log.
    pub(super) fn full(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{namespace}__{}", self.name),
            None => self.name.clone(),
        }
    }
}

/// Whether a name in full is that of this tool of this MCP server. Clients put different signs between the words, and
/// different words before them.
pub(super) fn is_tool_of(full: &str, server: &str, tool: &str) -> bool {
    let own = words(full);
    let wanted = words(&format!("{server}_{tool}"));
    own.len() > wanted.len() && own.ends_with(&wanted)
}

fn words(name: &str) -> Vec<String> {
    let words = name.split(|sign: char| !sign.is_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}
