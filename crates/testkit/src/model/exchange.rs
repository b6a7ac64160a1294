//! What was asked, and how it was answered.

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::conversation;

/// A question, and how it was answered; `GET /log` gives all of them as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Exchange {
    /// The program that asked, in its own words.
    pub client: String,
    /// The model that it asked for.
    pub model: String,
    /// The prompt that is followed, without what the client says besides.
    pub prompt: String,
    /// The tools that it offered, as it names them.
    pub tools: Vec<String>,
    /// What the calls of the prompt came to so far.
    pub results: Vec<String>,
    /// Nothing while the answer is held back.
    pub answer: Option<Answered>,
}

/// What was answered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Answered {
    /// What was said.
    pub text: String,
    /// The tool that was called.
    pub call: Option<String>,
}

pub(super) type Log = Arc<Mutex<Vec<Exchange>>>;

// === impl Exchange ===

impl Exchange {
    /// Whether this tool of this MCP server was offered, under whatever name.
    pub fn offers(&self, server: &str, tool: &str) -> bool {
        let mut tools = self.tools.iter();
        tools.any(|own| conversation::is_tool_of(own, server, tool))
    }
}
