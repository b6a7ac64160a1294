//! The policy language, version 1: its parts, and reading and checking documents.

mod check;
mod diagnostic;
mod literal;
mod named_keys;
pub mod parts;
mod place;
mod read;
mod read_limits;
pub(crate) mod rules;

pub use diagnostic::{Diagnostic, Severity, did_you_mean};
pub use literal::Literal;
pub use place::{escape_pointer, in_words};

use crate::json::Folder;
use crate::limit::RuleId;
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
            Standing::Listed(block) => block.rules.named_keys.names_key(key),
            Standing::Hidden | Standing::Lookalike | Standing::Unlisted | Standing::Open => false,
        };
        of_tool || self.rules.all_tools.named_keys.names_key(key)
    }

    /// The document by its parts.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The key in `tools` that decides about calls of the tool.
    pub fn deciding_key(&self, tool: &str, folder: &mut Folder) -> Option<&Text> {
        match self.rules.standing(tool, folder) {
            Standing::Listed(block) => Some(&block.key),
            Standing::Hidden | Standing::Lookalike | Standing::Unlisted | Standing::Open => None,
        }
    }

    /// The counters that a call of the tool charges, each with its limit.
    pub fn counters_of(&self, tool: &str, folder: &mut Folder) -> Vec<(&Text, &RuleId)> {
        let of_tool = match self.rules.standing(tool, folder) {
            Standing::Listed(block) => block.rules.limits.as_slice(),
            Standing::Open => &[],
            Standing::Hidden | Standing::Lookalike | Standing::Unlisted => return Vec::new(),
        };
        let limits = of_tool.iter().chain(&self.rules.all_tools.limits);
        limits.map(|limit| (&limit.counter, &limit.id)).collect()
    }

    /// All counters, each with every limit of it; those of tools first.
    pub fn counters(&self) -> impl Iterator<Item = (&Text, &RuleId)> {
        self.rules.limits().map(|limit| (&limit.counter, &limit.id))
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
