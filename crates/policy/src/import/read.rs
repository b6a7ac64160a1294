//! Intercept's policy as types, and every check that Intercept makes.

mod rule;

use std::collections::{HashMap, HashSet};

use crate::yaml::{self, Kind, Node, Place};

use super::Note;

/// A whole policy of Intercept.
pub(super) struct Policy {
    pub(super) description: Option<String>,
    pub(super) default: Default,
    pub(super) hide: Vec<(Place, String)>,
    /// In the order of the file.
    pub(super) tools: Vec<Tool>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Default {
    Allow,
    Deny,
}

pub(super) struct Tool {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) rules: Vec<Rule>,
}

pub(super) struct Rule {
    pub(super) place: Place,
    /// Such as `tools.send.rules[0]`.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) action: Action,
    pub(super) on_deny: Option<String>,
    pub(super) conditions: Vec<Condition>,
    pub(super) state: Option<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Evaluate,
    Deny,
    RequireApproval,
}

pub(super) struct Condition {
    pub(super) place: Place,
    /// Such as `tools.send.rules[0].conditions[1]`.
    pub(super) at: String,
    /// What it looks at.
    pub(super) path: String,
    pub(super) op: String,
    pub(super) value: serde_json::Value,
}

pub(super) struct State {
    pub(super) place: Place,
    pub(super) counter: String,
    pub(super) window: String,
    pub(super) increment: Increment,
    /// Written as `rate_limit: 5/hour`.
    pub(super) shorthand: bool,
}

#[derive(Clone)]
pub(super) enum Increment {
    Fixed(i64),
    From(String),
}

/// Reads and checks a policy; everything found wrong comes back at once.
pub(super) fn policy(text: &str, notes: &mut Vec<Note>) -> Result<Policy, Vec<Note>> {
    let root = yaml::read(text).map_err(|error| vec![Note::at(error.place, "", error.message)])?;
    let mut reader = Reader {
        errors: Vec::new(),
        notes,
    };
    let policy = reader.policy(&root);
    check_references(&policy, &mut reader.errors);
    let mut errors = reader.errors;
    errors.sort_by_key(|error| (error.line, error.column));
    if errors.is_empty() {
        Ok(policy)
    } else {
        Err(errors)
    }
}

struct Reader<'n> {
    errors: Vec<Note>,
    notes: &'n mut Vec<Note>,
}

// === impl Reader ===

impl Reader<'_> {
    fn policy(&mut self, root: &Node) -> Policy {
        const KNOWN: &[&str] = &[
            "version",
            "description",
            "default",
            "hide",
            "tools",
            "approvals",
        ];
        let top = self.members(root, "", KNOWN);
        let version = top.text(self, "version").unwrap_or_default();
        if version != "1" {
            self.error(
                top.place("version"),
                "version",
                format!("must be `1`, not `{version}`"),
            );
        }
        let default = match top.text(self, "default").as_deref() {
            None | Some("" | "allow") => Default::Allow,
            Some("deny") => Default::Deny,
            Some(other) => {
                let message = format!("must be `allow` or `deny`, not `{other}`");
                self.error(top.place("default"), "default", message);
                Default::Deny
            }
        };
        if let Some(approvals) = top.get("approvals") {
            self.note(
                approvals.place,
                "approvals",
                "not kept: who is told of an approval and how long it waits is set on the daemon",
            );
        }
        Policy {
            description: top.text(self, "description"),
            default,
            hide: self.hide(top.get("hide")),
            tools: self.tools(top.get("tools")),
        }
    }

    fn hide(&mut self, list: Option<&Node>) -> Vec<(Place, String)> {
        let mut hide: Vec<(Place, String)> = Vec::new();
        for (index, node) in self.elements(list, "hide").iter().enumerate() {
            let path = format!("hide[{index}]");
            let Some(name) = node.as_text().filter(|name| !name.trim().is_empty()) else {
                self.error(node.place, path, "an entry must be the name of a tool");
                continue;
            };
            if hide.iter().any(|(_, known)| known == name) {
                self.error(node.place, path, format!("duplicate entry `{name}`"));
            } else {
                hide.push((node.place, name.to_owned()));
            }
        }
        hide
    }

    fn tools(&mut self, node: Option<&Node>) -> Vec<Tool> {
        let Some(node) = node else {
            return Vec::new();
        };
        let members = match &node.kind {
            Kind::Map(members) => members.as_slice(),
            Kind::Null => &[],
            _ => {
                self.error(
                    node.place,
                    "tools",
                    format!("must be a map, not {}", node.what()),
                );
                &[]
            }
        };
        members
            .iter()
            .map(|(key, body)| self.tool(key, body))
            .collect()
    }

    fn tool(&mut self, key: &yaml::Key, body: &Node) -> Tool {
        let path = format!("tools.{}", key.name);
        let fields = self.members(body, &path, &["rules"]);
        let list = self.elements(fields.get("rules"), &format!("{path}.rules"));
        let rules: Vec<Rule> = list
            .iter()
            .enumerate()
            .map(|(index, node)| self.rule(&key.name, &format!("{path}.rules[{index}]"), node))
            .collect();
        let mut counters: HashMap<&str, &str> = HashMap::new();
        for rule in &rules {
            let Some(state) = &rule.state else { continue };
            if let Some(first) = counters.insert(&state.counter, &rule.path) {
                let counter = &state.counter;
                let message = format!("duplicate state counter `{counter}`, also used by {first}");
                self.errors
                    .push(Note::at(state.place, rule.path.as_str(), message));
            }
        }
        Tool {
            place: key.place,
            name: key.name.clone(),
            rules,
        }
    }

    fn members<'a>(&mut self, node: &'a Node, path: &str, known: &[&str]) -> Members<'a> {
        let members = match &node.kind {
            Kind::Map(members) => members.as_slice(),
            Kind::Null => &[],
            _ => {
                self.error(
                    node.place,
                    path,
                    format!("must be a map, not {}", node.what()),
                );
                &[]
            }
        };
        for (key, _) in members {
            if !known.contains(&key.name.as_str()) {
                self.note(
                    key.place,
                    path,
                    &format!("`{}` means nothing there, left out", key.name),
                );
            }
        }
        Members {
            place: node.place,
            path: path.to_owned(),
            members,
        }
    }

    fn elements<'a>(&mut self, node: Option<&'a Node>, path: &str) -> &'a [Node] {
        match node.map(|node| &node.kind) {
            None | Some(Kind::Null) => &[],
            Some(Kind::List(elements)) => elements,
            Some(_) => {
                let place = node.map(|node| node.place).unwrap_or_default();
                self.error(place, path, "must be a list");
                &[]
            }
        }
    }

    fn error(&mut self, place: Place, path: impl Into<String>, message: impl Into<String>) {
        self.errors.push(Note::at(place, path, message));
    }

    fn note(&mut self, place: Place, path: &str, message: &str) {
        self.notes.push(Note::at(place, path, message));
    }
}

/// The members of one map.
struct Members<'a> {
    place: Place,
    path: String,
    members: &'a [(yaml::Key, Node)],
}

// === impl Members ===

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.members
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    fn place(&self, name: &str) -> Place {
        self.get(name).map_or(self.place, |node| node.place)
    }

    fn text(&self, reader: &mut Reader<'_>, name: &str) -> Option<String> {
        let node = self.get(name)?;
        if matches!(node.kind, Kind::List(_) | Kind::Map(_)) {
            let message = format!("`{name}` must be text, not {}", node.what());
            reader.error(node.place, self.path.as_str(), message);
        }
        node.as_text().map(str::to_owned)
    }
}

/// A condition on a counter needs a rule that counts it.
fn check_references(policy: &Policy, errors: &mut Vec<Note>) {
    let counted: HashSet<String> = policy
        .tools
        .iter()
        .flat_map(|tool| tool.rules.iter().map(move |rule| (tool, rule)))
        .filter_map(|(tool, rule)| Some(state_path(&tool.name, &rule.state.as_ref()?.counter)))
        .collect();
    let conditions = policy
        .tools
        .iter()
        .flat_map(|tool| &tool.rules)
        .flat_map(|r| &r.conditions);
    for condition in conditions.filter(|condition| condition.path.starts_with("state.")) {
        if !counted.contains(&condition.path) {
            let message = format!(
                "refers to `{}`, but no state block counts it",
                condition.path
            );
            errors.push(Note::at(condition.place, condition.at.as_str(), message));
        }
    }
}

/// How conditions read a tool's counter; the one of `"*"` is everybody's.
pub(super) fn state_path(tool: &str, counter: &str) -> String {
    let scope = if tool == "*" { "_global" } else { tool };
    format!("state.{scope}.{counter}")
}
