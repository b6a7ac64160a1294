//! Writes a policy in its canonical form: fields in a fixed order, two spaces
//! of indentation, empty parts left out.

use provost_policy::document::Literal;
use provost_policy::document::parts::{
    AllTools, Body, Condition, Limit, Predicate, RateLimit, Tool,
};
use provost_policy::glob::Names;
use provost_policy::words::Word;
use provost_policy::{Amount, Policy, Text};

/// The document in its canonical form, with a line break at the end. Reading
/// it gives the same policy, and printing that the same text.
pub fn to_json(policy: &Policy) -> String {
    let mut text = document(policy.body()).to_pretty();
    text.push('\n');
    text
}

/// Members of an object in the making.
#[derive(Default)]
struct Members(Vec<(String, Literal)>);

fn document(body: &Body) -> Literal {
    Members::default()
        .with("$schema", body.schema.as_ref().map(text))
        .with("version", Some(word(body.version)))
        .with("description", body.description.as_ref().map(text))
        .with("default", Some(word(body.default)))
        .with("hide", names(&body.hide))
        .with(
            "methods",
            non_empty(
                Members::default()
                    .with("allow", names(&body.methods.allow))
                    .with("deny", names(&body.methods.deny)),
            ),
        )
        .with("all_tools", non_empty(all_tools(&body.all_tools)))
        .with(
            "tools",
            non_empty(Members(
                body.tools
                    .iter()
                    .map(|(key, rules)| (key.to_string(), tool(rules)))
                    .collect(),
            )),
        )
        .done()
}

// === impl Members ===

impl Members {
    fn with(mut self, key: &str, value: Option<Literal>) -> Self {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
        self
    }

    fn done(self) -> Literal {
        Literal::Object(self.0)
    }
}

fn all_tools(rules: &AllTools) -> Members {
    Members::default()
        .with("require", list(&rules.require, predicate))
        .with("deny_if", list(&rules.deny_if, predicate))
        .with("approve_if", list(&rules.approve_if, predicate))
        .with("limits", list(&rules.limits, limit))
}

fn tool(tool: &Tool) -> Literal {
    Members::default()
        .with("description", tool.description.as_ref().map(text))
        .with("action", tool.action.map(word))
        .with("reason", tool.reason.as_ref().map(text))
        .with("require", list(&tool.require, predicate))
        .with("deny_if", list(&tool.deny_if, predicate))
        .with("approve_if", list(&tool.approve_if, predicate))
        .with("rate_limit", tool.rate_limit.as_ref().map(rate_limit))
        .with("limits", list(&tool.limits, limit))
        .done()
}

fn predicate(predicate: &Predicate) -> Literal {
    Members::default()
        .with(
            "conditions",
            Some(Literal::Array(
                predicate.conditions.iter().map(condition).collect(),
            )),
        )
        .with("on_deny", predicate.on_deny.as_ref().map(text))
        .done()
}

fn condition(condition: &Condition) -> Literal {
    Members::default()
        .with("path", Some(Literal::text(condition.path.as_str())))
        .with("op", Some(word(condition.op)))
        .with("value", Some(condition.value.clone()))
        .done()
}

fn limit(limit: &Limit) -> Literal {
    match limit {
        Limit::Concurrent(limit) => Members::default()
            .with("counter", Some(text(&limit.counter)))
            .with(
                "concurrent",
                Some(Literal::Number(limit.concurrent.to_string())),
            )
            .with("scope", limit.scope.map(word))
            .done(),
        Limit::Window(limit) => Members::default()
            .with("counter", Some(text(&limit.counter)))
            .with("window", Some(text(&limit.window.written)))
            .with("max", Some(amount(limit.max)))
            .with("scope", limit.scope.map(word))
            .with("increment", limit.increment.map(amount))
            .with(
                "increment_from",
                limit
                    .increment_from
                    .as_ref()
                    .map(|path| Literal::text(path.as_str())),
            )
            .with("alignment", limit.alignment.map(word))
            .with("refund", limit.refund.map(word))
            .done(),
    }
}

fn rate_limit(limit: &RateLimit) -> Literal {
    Members::default()
        .with("max", Some(amount(limit.max)))
        .with("window", Some(Literal::Number(limit.window.to_string())))
        .done()
}

fn amount(amount: Amount) -> Literal {
    Literal::Number(amount.to_string())
}

fn text(text: &Text) -> Literal {
    Literal::text(text)
}

fn names(names: &Names) -> Option<Literal> {
    list(names.written(), text)
}

fn list<T>(items: &[T], print: impl Fn(&T) -> Literal) -> Option<Literal> {
    (!items.is_empty()).then(|| Literal::Array(items.iter().map(print).collect()))
}

fn non_empty(members: Members) -> Option<Literal> {
    (!members.0.is_empty()).then(|| members.done())
}

fn word<T: Word>(member: T) -> Literal {
    Literal::text(member.name())
}

#[cfg(test)]
pub(crate) mod tests;
