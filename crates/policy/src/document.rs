//! The policy language, version 1: reading, checking and printing documents.

mod check;
mod diagnostic;
pub(crate) mod literal;
mod not_json;
mod offer;
pub(crate) mod parts;
pub(crate) mod place;
mod print;
mod read;
mod read_limits;
pub(crate) mod rules;
mod schema;
mod shape;
mod unused;
mod warn;

pub(crate) use diagnostic::did_you_mean;
pub use diagnostic::{Diagnostic, Severity};
pub use offer::Offer;
pub(crate) use place::in_words;
pub(crate) use read_limits::window_words;

use crate::json::Folder;
use crate::method::{MethodKind, method_kind};
use crate::text::Text;
use parts::{Body, Posture};
use rules::{Rules, Standing};

/// A policy, checked and ready to judge calls.
#[derive(Debug, Clone)]
pub struct Policy {
    /// As it was written: warnings name lines and columns.
    text: Text,
    body: Body,
    rules: Rules,
}

// === impl Policy ===

impl Policy {
    /// Reads a document. What is wrong with it is reported all at once.
    pub fn parse(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let body = read::body(text)?;
        let rules = Rules::new(&body);
        Ok(Self {
            text: text.into(),
            body,
            rules,
        })
    }

    /// The document in its canonical form, with a line break at the end.
    /// Reading it gives the same policy, and printing that the same text.
    pub fn to_json(&self) -> String {
        let mut text = print::document(&self.body).to_pretty();
        text.push('\n');
        text
    }

    /// The JSON Schema (draft 2020-12) of the language.
    pub fn schema() -> serde_json::Value {
        schema::schema()
    }

    /// What works, but perhaps not as meant: rules that an agent can get past,
    /// that are never reached, or that name tools and arguments which the
    /// server (given its `offer`) does not have.
    pub fn warnings(&self, offer: Option<&Offer>) -> Vec<Diagnostic> {
        warn::warnings(self, offer)
    }

    /// The document as it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What the author says it is for.
    pub fn description(&self) -> Option<&str> {
        self.body.description.as_deref()
    }

    /// Whether `tools/list` shows the tool. Tools that are denied by an
    /// action or a rule stay visible, so that the agent learns why.
    pub fn tool_listed(&self, tool: &str, folder: &mut Folder) -> bool {
        match self.rules.standing(tool, folder) {
            Standing::Listed(_) | Standing::Open => true,
            Standing::Hidden | Standing::Lookalike | Standing::Unlisted => false,
        }
    }

    /// Whether `resources/list`, `resources/templates/list` and
    /// `prompts/list` show anything: they do when what they list can be used.
    pub fn method_listed(&self, list_method: &str) -> bool {
        match list_method {
            "resources/list" | "resources/templates/list" => self.method_allowed("resources/read"),
            "prompts/list" => self.method_allowed("prompts/get"),
            _ => true,
        }
    }

    /// Whether a request other than `tools/call` is let through.
    pub fn method_allowed(&self, method: &str) -> bool {
        let methods = &self.body.methods;
        let allowed = methods.allow.matches(method);
        match method_kind(method) {
            MethodKind::ToolCall | MethodKind::Housekeeping => true,
            _ if methods.deny.matches(method) => false,
            MethodKind::Task => true,
            MethodKind::Governed => allowed || self.body.default == Posture::Allow,
            MethodKind::Unknown => allowed,
        }
    }

    /// Whether a rule for the tool names this top-level key of the arguments.
    pub fn names_key(&self, tool: &str, key: &str) -> bool {
        let of_tool = match self.rules.standing(tool, &mut Folder::default()) {
            Standing::Listed(block) => block.rules.shape.names_key(key),
            Standing::Hidden | Standing::Lookalike | Standing::Unlisted | Standing::Open => false,
        };
        of_tool || self.rules.all_tools.shape.names_key(key)
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }
}

impl PartialEq for Policy {
    // The rules follow from the body, and spelling does not count.
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body
    }
}

#[cfg(test)]
mod tests;
