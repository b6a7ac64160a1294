//! The policy document that says what Intercept's policy said.

use serde_json::{Map, Value, json};

use crate::yaml::Place;

use super::go_regex;
use super::limits::Counters;
use super::note::Note;
use super::read::{Action, Condition, Default, Policy, Rule, Tool};

/// What an agent reads where a part of the policy was not understood.
const UNCLEAR: &str = "the policy for this call could not be imported in full";

/// Writes the document, notes what it says otherwise, and tells what it cannot
/// say: the calls that this is about are refused.
pub(super) fn policy(policy: &Policy, notes: &mut Vec<Note>, dropped: &mut Vec<Note>) -> String {
    let counters = Counters::of(policy);
    let mut writer = Writer {
        counters: &counters,
        notes,
        dropped,
    };
    let document = writer.document(policy);
    // `{:#}` of a JSON value is pretty-printed and cannot fail.
    format!("{document:#}\n")
}

struct Writer<'w, 'p> {
    counters: &'w Counters<'p>,
    notes: &'w mut Vec<Note>,
    dropped: &'w mut Vec<Note>,
}

// === impl Writer ===

impl Writer<'_, '_> {
    fn document(&mut self, policy: &Policy) -> Value {
        let mut document = Map::new();
        document.insert("version".to_owned(), json!("1"));
        if let Some(description) = &policy.description {
            document.insert("description".to_owned(), description.as_str().into());
        }
        let default = match policy.default {
            Default::Allow if !policy.unclear => "allow",
            Default::Allow | Default::Deny => "deny",
        };
        document.insert("default".to_owned(), default.into());
        if !policy.hide.is_empty() {
            for (place, name) in policy.hide.iter().filter(|(_, name)| name != "*") {
                self.pattern(*place, "hide", name);
            }
            let names = policy
                .hide
                .iter()
                .map(|(_, name)| name.as_str())
                .collect::<Vec<_>>();
            document.insert("hide".to_owned(), json!(names));
        }
        let mut all_tools = Map::new();
        let mut tools = Map::new();
        for tool in &policy.tools {
            if tool.name == "*" {
                all_tools = self.all_tools(tool);
            } else {
                let block = self.tool(tool, policy.default);
                tools.insert(tool.name.clone(), Value::Object(block));
            }
        }
        if policy.unclear {
            all_tools = refuse_all();
        }
        if !all_tools.is_empty() {
            document.insert("all_tools".to_owned(), Value::Object(all_tools));
        }
        document.insert("tools".to_owned(), Value::Object(tools));
        if let Some(place) = self.first_limit(policy) {
            self.notes.push(Note::at(
                place,
                "tools",
                "limits have scope `server`, because Intercept counts all callers together; write `grant` to count each grant by itself",
            ));
        }
        Value::Object(document)
    }

    fn first_limit(&self, policy: &Policy) -> Option<Place> {
        let limited = |rule: &&Rule| rule.state.is_some() && rule.action == Action::Evaluate;
        policy
            .tools
            .iter()
            .flat_map(|tool| &tool.rules)
            .find(limited)
            .map(|rule| rule.place)
    }

    /// The tool's rules; it is denied where one of them is missing.
    fn tool(&mut self, tool: &Tool, default: Default) -> Map<String, Value> {
        let before = self.dropped.len();
        let mut block = Map::new();
        self.name(tool, default);
        if let Some(deny) = tool.rules.iter().find(|rule| rule.action == Action::Deny) {
            for rule in tool.rules.iter().filter(|rule| rule.action != Action::Deny) {
                let message = "left out: the tool is denied anyway";
                self.notes
                    .push(Note::at(rule.place, rule.path.as_str(), message));
            }
            block.insert("action".to_owned(), json!("deny"));
            block.insert("reason".to_owned(), message_of(deny).into());
            return block;
        }
        let always = |rule: &&Rule| {
            rule.action == Action::RequireApproval && self.kept(&rule.conditions).next().is_none()
        };
        if let Some(ask) = tool.rules.iter().find(always) {
            block.insert("action".to_owned(), json!("require_approval"));
            block.insert("reason".to_owned(), message_of(ask).into());
        }
        self.rules(tool, &mut block);
        if tool.unclear || self.dropped.len() > before {
            let refuse = [("action", "deny"), ("reason", UNCLEAR)];
            return refuse
                .map(|(name, value)| (name.to_owned(), json!(value)))
                .into_iter()
                .collect();
        }
        block
    }

    /// Its rules are for every call, and so is the refusal where one is missing.
    fn all_tools(&mut self, tool: &Tool) -> Map<String, Value> {
        let before = self.dropped.len();
        let mut block = Map::new();
        self.rules(tool, &mut block);
        if self.dropped.len() > before {
            return refuse_all();
        }
        block
    }

    fn rules(&mut self, tool: &Tool, block: &mut Map<String, Value>) {
        let (mut require, mut deny_if, mut approve_if) = (Vec::new(), Vec::new(), Vec::new());
        for rule in &tool.rules {
            match rule.action {
                Action::Evaluate => require.extend(self.require(rule)),
                Action::Deny => deny_if.push(predicate(Vec::new(), rule)),
                Action::RequireApproval => approve_if.extend(self.approve(tool, rule)),
            }
        }
        let limits = self.counters.limits(tool, self.notes, self.dropped);
        let lists = [
            ("require", require),
            ("deny_if", deny_if),
            ("approve_if", approve_if),
            ("limits", limits),
        ];
        for (name, list) in lists {
            if !list.is_empty() {
                block.insert(name.to_owned(), Value::Array(list));
            }
        }
    }

    /// What an `evaluate` rule asks of the arguments must hold.
    fn require(&mut self, rule: &Rule) -> Option<Value> {
        let conditions: Vec<Value> = self.kept(&rule.conditions).map(condition).collect();
        for kept in self.kept(&rule.conditions) {
            self.notes.extend(differences(kept));
        }
        (!conditions.is_empty()).then(|| predicate(conditions, rule))
    }

    fn approve(&mut self, tool: &Tool, rule: &Rule) -> Option<Value> {
        if let Some(state) = &rule.state {
            let message = "not kept: an approval does not count calls here";
            self.notes.push(Note::at(
                state.place,
                format!("{}.state", rule.path),
                message,
            ));
        }
        let mut conditions = Vec::new();
        for condition_read in &rule.conditions {
            if condition_read.path.starts_with("state.") {
                let message = "not kept: whether a person is asked cannot depend on a count here, so people are asked more often";
                self.notes.push(Note::at(
                    condition_read.place,
                    condition_read.at.as_str(),
                    message,
                ));
                continue;
            }
            // In `approve_if` an absent argument asks; in Intercept it does not.
            match condition_read.op.as_str() {
                "exists" => {}
                "neq" | "not_in" => {
                    let message = "asks here also when the argument is absent";
                    self.notes.push(Note::at(
                        condition_read.place,
                        condition_read.at.as_str(),
                        message,
                    ));
                }
                _ => conditions
                    .push(json!({"path": condition_read.path, "op": "exists", "value": true})),
            }
            self.notes.extend(differences(condition_read));
            conditions.push(condition(condition_read));
        }
        // Without conditions it is the tool's action; `all_tools` has none.
        (tool.name == "*" || !conditions.is_empty()).then(|| predicate(conditions, rule))
    }

    /// The conditions that are about arguments.
    fn kept<'c>(
        &self,
        conditions: &'c [Condition],
    ) -> impl Iterator<Item = &'c Condition> + use<'c> {
        conditions
            .iter()
            .filter(|condition| condition.path.starts_with("args."))
    }

    /// A name with `*` in it names more tools here than it did.
    fn name(&mut self, tool: &Tool, default: Default) {
        let path = format!("tools.{}", tool.name);
        match default {
            Default::Deny if tool.name.contains('*') => {
                let message = format!(
                    "`{}` was the name of one tool; here its `*` stands for any text, and would allow more",
                    tool.name
                );
                self.dropped.push(Note::at(tool.place, path, message));
            }
            Default::Allow | Default::Deny => self.pattern(tool.place, &path, &tool.name),
        }
    }

    fn pattern(&mut self, place: Place, path: &str, name: &str) {
        if name.contains('*') {
            let message =
                format!("`{name}` was the name of one tool; here its `*` stands for any text");
            self.notes.push(Note::at(place, path, message));
        }
    }
}

fn refuse_all() -> Map<String, Value> {
    let refuse = json!([{"conditions": [], "on_deny": UNCLEAR}]);
    Map::from_iter([("deny_if".to_owned(), refuse)])
}

fn predicate(conditions: Vec<Value>, rule: &Rule) -> Value {
    json!({"conditions": conditions, "on_deny": message_of(rule)})
}

/// Intercept's own words where the rule has none.
fn message_of(rule: &Rule) -> String {
    match &rule.on_deny {
        Some(text) if !text.is_empty() => text.clone(),
        Some(_) | None => format!("Denied by rule \"{}\"", rule.name),
    }
}

fn condition(condition: &Condition) -> Value {
    let value = match (&condition.value, condition.op.as_str()) {
        (Value::String(pattern), "regex") => go_regex::translate(pattern).into(),
        (value, _) => value.clone(),
    };
    json!({"path": condition.path, "op": condition.op, "value": value})
}

/// What this condition means here that it does not mean in Intercept.
fn differences(condition: &Condition) -> Vec<Note> {
    let note = |message: &str| Note::at(condition.place, condition.at.as_str(), message);
    let mut notes = Vec::new();
    if condition.path.contains(['[', ']']) {
        notes.push(note(
            "`[` and `]` were part of an argument's name; here they choose elements of a list",
        ));
    }
    let compared = match (&condition.value, condition.op.as_str()) {
        (Value::Array(list), "in" | "not_in") => list.as_slice(),
        (value, "eq" | "neq" | "contains") => std::slice::from_ref(value),
        _ => &[],
    };
    if compared
        .iter()
        .any(|value| value.is_array() || value.is_object())
    {
        notes.push(note(
            "lists and maps compare element by element here; Intercept compared how they print",
        ));
    }
    let number = |value: &Value| match value {
        Value::Number(_) => true,
        Value::String(text) => provost_policy::decimal::Decimal::parse(text).is_some(),
        _ => false,
    };
    if compared.iter().any(number) {
        notes.push(note(
            "a number compares by its value here, also when it stands in quotes; Intercept compared quoted ones letter by letter",
        ));
    }
    if matches!(condition.op.as_str(), "lt" | "lte" | "gt" | "gte") {
        notes.push(note("an argument that is a number in quotes compares as that number here; in Intercept the condition did not hold"));
    }
    notes
}
