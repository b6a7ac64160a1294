//! One rule of Intercept.

use crate::import::go_regex;
use crate::yaml::{Content, Node, Place};
use provost_policy::path::Path;

use super::{Action, Condition, Increment, Members, Reader, Rule, State, state_path};

const OPERATORS: [&str; 11] = [
    "eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex", "contains", "exists",
];
const WINDOWS: [&str; 3] = ["minute", "hour", "day"];

// === impl Reader ===

impl Reader<'_> {
    pub(super) fn rule(&mut self, tool: &str, path: &str, node: &Node) -> Rule {
        const KNOWN: &[&str] = &[
            "name",
            "action",
            "rate_limit",
            "conditions",
            "on_deny",
            "reason",
            "state",
            "approval_timeout",
        ];
        let fields = self.members(node, path, KNOWN);
        let mut rule = Rule {
            place: node.place,
            path: path.to_owned(),
            name: fields.text(self, "name").unwrap_or_default(),
            action: self.action(&fields, path),
            on_deny: fields
                .text(self, "on_deny")
                .or_else(|| fields.text(self, "reason")),
            conditions: Vec::new(),
            state: fields
                .get("state")
                .and_then(|state| self.state(path, state)),
        };
        if let Some(timeout) = fields.get("approval_timeout") {
            self.note(
                timeout.place,
                path,
                "`approval_timeout` is not kept: how long an approval waits is set on the daemon",
            );
        }
        let conditions = self.elements(fields.get("conditions"), &format!("{path}.conditions"));
        for (index, condition) in conditions.iter().enumerate() {
            let at = format!("{path}.conditions[{index}]");
            rule.conditions.extend(self.condition(at, condition));
        }
        if let Some(limit) = fields
            .get("rate_limit")
            .filter(|limit| limit.as_text() != Some(""))
        {
            let alone = conditions.is_empty() && fields.get("state").is_none();
            self.rate_limit(tool, &mut rule, limit, alone);
            return rule;
        }
        if rule.name.is_empty() {
            self.error(node.place, path, "a rule must have a name");
        }
        match rule.action {
            Action::Deny if !conditions.is_empty() => {
                self.error(
                    node.place,
                    path,
                    "a rule that denies must not have conditions",
                );
            }
            Action::Evaluate if conditions.is_empty() => {
                self.error(
                    node.place,
                    path,
                    "a rule that evaluates needs at least one condition",
                );
            }
            Action::Evaluate | Action::Deny | Action::RequireApproval => {}
        }
        rule
    }

    fn action(&mut self, fields: &Members<'_>, path: &str) -> Action {
        match fields.text(self, "action").as_deref() {
            None | Some("" | "evaluate") => Action::Evaluate,
            Some("deny") => Action::Deny,
            Some("require_approval") => Action::RequireApproval,
            Some(other) => {
                let message = format!(
                    "action must be `evaluate`, `deny` or `require_approval`, not `{other}`"
                );
                self.error(fields.place("action"), path, message);
                Action::Deny
            }
        }
    }

    /// `rate_limit: 5/hour` is a condition and a counter in short.
    fn rate_limit(&mut self, tool: &str, rule: &mut Rule, node: &Node, alone: bool) {
        let (place, path) = (node.place, rule.path.clone());
        if !alone {
            let message = "rate_limit cannot be combined with conditions or state";
            self.error(place, path.as_str(), message);
        }
        if rule.action != Action::Evaluate {
            let message = "rate_limit cannot be used with another action than `evaluate`";
            self.error(place, path.as_str(), message);
        }
        let text = node.as_text().unwrap_or_default();
        let Some((count, window)) = text.split_once('/') else {
            let message = format!("rate_limit must look like `5/hour`, not `{text}`");
            self.error(place, path, message);
            return;
        };
        let count = match count.parse::<i64>() {
            Ok(count) if count > 0 => count,
            Ok(_) | Err(_) => {
                let message =
                    format!("the count of rate_limit must be a positive integer, not `{count}`");
                self.error(place, path, message);
                return;
            }
        };
        if !WINDOWS.contains(&window) {
            let message = format!(
                "the window of rate_limit must be `minute`, `hour` or `day`, not `{window}`"
            );
            self.error(place, path, message);
            return;
        }
        let counter = format!("_rate_{window}");
        rule.conditions = vec![Condition {
            place,
            at: path,
            path: state_path(tool, &counter),
            op: "lte".to_owned(),
            value: count.into(),
        }];
        let increment = Increment::Fixed(1);
        let window = window.to_owned();
        rule.state = Some(State {
            place,
            counter,
            window,
            increment,
            shorthand: true,
        });
    }

    fn state(&mut self, rule: &str, node: &Node) -> Option<State> {
        if matches!(node.content, Content::Null) {
            return None;
        }
        let path = format!("{rule}.state");
        let known = ["counter", "window", "increment", "increment_from"];
        let fields = self.members(node, &path, &known);
        let counter = fields.text(self, "counter").unwrap_or_default();
        if counter.is_empty() {
            self.error(node.place, path.as_str(), "counter must not be empty");
        }
        let window = fields.text(self, "window").unwrap_or_default();
        if !WINDOWS.contains(&window.as_str()) {
            let message = format!("window must be `minute`, `hour` or `day`, not `{window}`");
            self.error(fields.place("window"), path.as_str(), message);
        }
        let increment = match fields
            .text(self, "increment")
            .map(|text| text.parse::<i64>())
        {
            None | Some(Ok(0)) => 1,
            Some(Ok(increment)) => increment,
            Some(Err(_)) => {
                self.error(
                    fields.place("increment"),
                    path.as_str(),
                    "increment must be an integer",
                );
                1
            }
        };
        let from = fields
            .text(self, "increment_from")
            .filter(|from| !from.is_empty());
        if let Some(from) = from.as_ref().filter(|from| !from.starts_with("args.")) {
            let message = format!("increment_from must start with `args.`, not `{from}`");
            self.error(fields.place("increment_from"), path.as_str(), message);
        } else if let Some(from) = &from {
            self.argument(fields.place("increment_from"), &path, from);
        }
        let increment = from.map_or(Increment::Fixed(increment), Increment::From);
        Some(State {
            place: node.place,
            counter,
            window,
            increment,
            shorthand: false,
        })
    }

    /// A path into the arguments that this language can follow.
    fn argument(&mut self, place: Place, at: &str, path: &str) {
        if path.starts_with("args.")
            && let Err(why) = Path::parse(path)
        {
            self.error(place, at, format!("path `{path}` cannot be kept: {why}"));
        }
    }

    fn condition(&mut self, at: String, node: &Node) -> Option<Condition> {
        let fields = self.members(node, &at, &["path", "op", "value"]);
        let path = fields.text(self, "path").unwrap_or_default();
        if !path.starts_with("args.") && !path.starts_with("state.") {
            let message = format!("path must start with `args.` or `state.`, not `{path}`");
            self.error(fields.place("path"), at.as_str(), message);
        } else {
            self.argument(fields.place("path"), &at, &path);
        }
        let op = fields.text(self, "op").unwrap_or_default();
        if !OPERATORS.contains(&op.as_str()) {
            self.error(
                fields.place("op"),
                at.as_str(),
                format!("unknown operator `{op}`"),
            );
        }
        let value = fields.get("value").map(json).unwrap_or_default();
        let place = fields.place("value");
        let wanted = match op.as_str() {
            "in" | "not_in" if !value.is_array() => Some("a list"),
            "lt" | "lte" | "gt" | "gte" if !value.is_number() => Some("a number"),
            "exists" if !value.is_boolean() => Some("a boolean"),
            "regex" if !value.is_string() => Some("a string"),
            _ => None,
        };
        if let Some(wanted) = wanted {
            let message = format!("operator `{op}` requires {wanted} as value");
            self.error(place, at.as_str(), message);
        }
        if op == "regex"
            && let Some(pattern) = value.as_str()
            && regex::Regex::new(&go_regex::translate(pattern)).is_err()
        {
            self.error(place, at.as_str(), format!("invalid regex `{pattern}`"));
        }
        Some(Condition {
            place: node.place,
            at,
            path,
            op,
            value,
        })
    }
}

/// The value as JSON, numbers as Intercept holds them.
fn json(node: &Node) -> serde_json::Value {
    serde_json::from_str(&node.to_literal().to_line()).unwrap_or_default()
}
