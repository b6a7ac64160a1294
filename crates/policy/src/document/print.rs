//! Writes a policy in its canonical form: fields in a fixed order, two spaces
//! of indentation, empty parts left out.

use super::literal::Literal;
use super::parts::{
    Action, AllTools, Body, Condition, Limit, Posture, Predicate, RateLimit, Scope, Tool,
};
use crate::amount::Amount;
use crate::glob::Names;
use crate::limit::{Alignment, RefundRule};
use crate::text::Text;

/// Members of an object in the making.
#[derive(Default)]
struct Members(Vec<(String, Literal)>);

/// The canonical document.
pub(super) fn document(body: &Body) -> Literal {
    Members::default()
        .with("$schema", body.schema.as_ref().map(text))
        .with("version", Some(Literal::text("1")))
        .with("description", body.description.as_ref().map(text))
        .with("default", Some(Literal::text(posture(body.default))))
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
        .with(
            "action",
            tool.action.map(|action| Literal::text(action_name(action))),
        )
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
        .with("op", Some(Literal::text(condition.op.name())))
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
            .with(
                "scope",
                limit.scope.map(|scope| Literal::text(scope_name(scope))),
            )
            .done(),
        Limit::Window(limit) => Members::default()
            .with("counter", Some(text(&limit.counter)))
            .with("window", Some(text(&limit.window.written)))
            .with("max", Some(amount(limit.max)))
            .with(
                "scope",
                limit.scope.map(|scope| Literal::text(scope_name(scope))),
            )
            .with("increment", limit.increment.map(amount))
            .with(
                "increment_from",
                limit
                    .increment_from
                    .as_ref()
                    .map(|path| Literal::text(path.as_str())),
            )
            .with(
                "alignment",
                limit
                    .alignment
                    .map(|alignment| Literal::text(alignment_name(alignment))),
            )
            .with(
                "refund",
                limit
                    .refund
                    .map(|refund| Literal::text(refund_name(refund))),
            )
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

fn posture(posture: Posture) -> &'static str {
    match posture {
        Posture::Allow => "allow",
        Posture::Deny => "deny",
    }
}

fn action_name(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::RequireApproval => "require_approval",
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Grant => "grant",
        Scope::Server => "server",
        Scope::Session => "session",
    }
}

fn alignment_name(alignment: Alignment) -> &'static str {
    match alignment {
        Alignment::Sliding => "sliding",
        Alignment::Calendar => "calendar",
    }
}

fn refund_name(refund: RefundRule) -> &'static str {
    match refund {
        RefundRule::NotSent => "not_sent",
        RefundRule::Failed => "failed",
    }
}
