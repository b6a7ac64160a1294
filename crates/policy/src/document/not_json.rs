//! A text that is no JSON: what it was probably meant to be, and what to do about it.

use crate::json::{JsonError, Problem};
use crate::yaml::{self, Kind, Node};

/// What is wrong, where, and what helps.
pub(super) struct Slip {
    pub(super) offset: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// What people who write JSON by hand do, as far as it is seen at the place of the error.
pub(super) fn slip(text: &str, error: &JsonError) -> Slip {
    let rest = text.get(error.offset..).unwrap_or_default();
    let before = text.get(..error.offset).unwrap_or_default().trim_end();
    let (offset, message, hint) = if error.problem == Problem::Bom {
        let hint =
            "save it as UTF-8 without a byte order mark: readers disagree about what one means";
        (error.offset, error.problem.to_string(), hint)
    } else if let Some(hint) = of_yaml(text) {
        (error.offset, error.problem.to_string(), hint)
    } else if rest.starts_with(['}', ']']) && before.ends_with(',') {
        let message = "a comma with nothing behind it";
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
    let has_rules = |tools: &Node| match &tools.kind {
        Kind::Map(tools) => tools.iter().any(|(_, tool)| tool.member("rules").is_some()),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => false,
    };
    match root.kind {
        Kind::Map(_) if root.member("tools").is_some_and(has_rules) => Some(
            "policies are JSON, and this is one of Intercept in YAML: `provost policy import FILE --output policy.json` converts it",
        ),
        Kind::Map(_) => Some(
            "policies are JSON, and this is YAML: `yq -o=json . FILE > policy.json` converts it",
        ),
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::List(_) => None,
    }
}
