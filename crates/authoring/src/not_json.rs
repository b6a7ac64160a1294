//! A text that is no JSON: what it was probably meant to be, and what to do about it.

use provost_policy::json::{self, Bounds, line_column};
use provost_policy::{Diagnostic, Policy, Severity};

use crate::yaml::{self, Content, Node};
use provost_policy::json::{JsonError, Problem};

/// Reads a policy as [`Policy::parse`] does, and says of a text that is no JSON what it was probably meant to be.
pub fn parse(text: &str) -> Result<Policy, Vec<Diagnostic>> {
    let Err(error) = json::read_collecting(text.as_bytes(), Bounds::default()) else {
        return Policy::parse(text);
    };
    let slip = slip(text, &error);
    let (line, column) = line_column(text.as_bytes(), slip.offset);
    Err(vec![Diagnostic {
        severity: Severity::Error,
        pointer: String::new(),
        line,
        column,
        message: slip.message,
        hint: slip.hint,
    }])
}

/// What is wrong, where, and what helps.
struct Slip {
    offset: usize,
    message: String,
    hint: Option<String>,
}

/// What people who write JSON by hand do, as far as it is seen at the place of the error.
fn slip(text: &str, error: &JsonError) -> Slip {
    let rest = text.get(error.offset..).unwrap_or_default();
    let before = text.get(..error.offset).unwrap_or_default().trim_end();
    let (offset, message, hint) = if error.problem == Problem::Bom {
        let hint =
            "save it as UTF-8 without a byte order mark: readers disagree about what one means";
        (error.offset, error.problem.to_string(), hint)
    } else if let Some(hint) = of_yaml(text) {
        (error.offset, error.problem.to_string(), hint)
    } else if rest.starts_with(['}', ']']) && before.ends_with(',') {
        let message = "a comma with nothing after it";
        let hint = "take it out: JSON has no comma before a closing `}` or `]`";
        (before.len() - 1, message.to_owned(), hint)
    } else if ["//", "/*", "#"].iter().any(|sign| rest.starts_with(sign)) {
        let message = "a comment";
        let hint = "take it out: JSON has no comments. `description` at the top of a policy is text for people";
        (error.offset, message.to_owned(), hint)
    } else if rest.starts_with(['\'', '‘', '’', '“', '”']) {
        let message = "a quotation mark that JSON does not know";
        let hint = "text and names stand in straight double quotes: `\"deny\"`";
        (error.offset, message.to_owned(), hint)
    } else {
        return Slip {
            offset: error.offset,
            message: error.problem.to_string(),
            hint: None,
        };
    };
    Slip {
        offset,
        message,
        hint: Some(hint.to_owned()),
    }
}

/// What to do with a document in YAML, if it is one.
fn of_yaml(text: &str) -> Option<&'static str> {
    if text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let root = yaml::read(text).ok()?;
    if root.member("cases").or(root.member("suites")).is_some() {
        return Some(
            "policies are JSON, and this is a file of cases: `provost policy test POLICY CASES` takes it behind the policy",
        );
    }
    let has_rules = |tools: &Node| match &tools.content {
        Content::Map(tools) => tools.iter().any(|(_, tool)| tool.member("rules").is_some()),
        Content::Null
        | Content::Bool(_)
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_) => false,
    };
    match root.content {
        Content::Map(_) if root.member("tools").is_some_and(has_rules) => Some(
            "policies are JSON, and this is one of Intercept in YAML: `provost policy import FILE --output policy.json` converts it",
        ),
        Content::Map(_) => Some(
            "policies are JSON, and this is YAML: `yq -o=json . FILE > policy.json` converts it",
        ),
        Content::Null
        | Content::Bool(_)
        | Content::Number(_)
        | Content::Text(_)
        | Content::List(_) => None,
    }
}

#[cfg(test)]
mod tests;
