//! Intercept's policy as types, and every check that Intercept makes.

mod rule;

use std::collections::{HashMap, HashSet};

use crate::yaml::{self, Content, Node, Place};
use provost_policy::document::{did_you_mean, in_words};

use super::note::Note;

/// A whole policy of Intercept.
pub(super) struct Policy {
    pub(super) description: Option<String>,
    pub(super) default: Default,
    /// Whether something was not understood that may be about every call.
    pub(super) unclear: bool,
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
    /// Without those of a tool that is `unclear`.
    pub(super) rules: Vec<Rule>,
    /// Whether something in it was not understood.
    pub(super) unclear: bool,
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

/// Reads and checks a policy. What was not understood in it comes beside it,
/// and the rules it was in are not in the policy.
///
/// # Errors
///
/// What is no policy of Intercept at all.
pub(super) fn policy(text: &str, notes: &mut Vec<Note>) -> Result<(Policy, Vec<Note>), Vec<Note>> {
    let root = yaml::read(text).map_err(|error| vec![Note::at(error.place, "", error.message)])?;
    let mut reader = Reader {
        problems: Vec::new(),
        about: About::EveryCall,
        notes,
    };
    let mut policy = reader.policy(&root);
    check_references(&policy, &mut reader);
    let problems = reader.problems;
    let is_about = |about: &About| problems.iter().any(|(found, _)| found == about);
    let is_none = is_about(&About::TheFile);
    policy.unclear = is_about(&About::EveryCall);
    for tool in &mut policy.tools {
        tool.unclear = is_about(&About::of(&tool.name));
        if tool.unclear {
            tool.rules.clear();
        }
    }
    let problems = problems.into_iter().map(|(_, problem)| problem).collect();
    if is_none {
        Err(problems)
    } else {
        Ok((policy, problems))
    }
}

/// Which calls a part of a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum About {
    /// The file is no policy of Intercept.
    TheFile,
    EveryCall,
    Tool(String),
}

struct Reader<'n> {
    problems: Vec<(About, Note)>,
    /// What is being read.
    about: About,
    notes: &'n mut Vec<Note>,
}

// === impl About ===

impl About {
    fn of(tool: &str) -> Self {
        if tool == "*" {
            Self::EveryCall
        } else {
            Self::Tool(tool.to_owned())
        }
    }
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
            let message = format!("must be `1`, not `{version}`");
            let problem = Note::at(top.place("version"), "version", message);
            self.problems.push((About::TheFile, problem));
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
            unclear: false,
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
        let mut tools = Vec::new();
        for (key, body) in self.map(node, "tools") {
            self.about = About::of(&key.name);
            tools.push(self.tool(key, body));
        }
        self.about = About::EveryCall;
        tools
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
                self.error(state.place, rule.path.as_str(), message);
            }
        }
        Tool {
            place: key.place,
            name: key.name.clone(),
            rules,
            unclear: false,
        }
    }

    fn map<'a>(&mut self, node: &'a Node, path: &str) -> &'a [(yaml::Key, Node)] {
        match &node.content {
            Content::Map(members) => members,
            Content::Null => &[],
            _ => {
                let message = format!("must be a map, not {}", node.what());
                self.error(node.place, path, message);
                &[]
            }
        }
    }

    fn members<'a>(&mut self, node: &'a Node, path: &str, known: &[&str]) -> Members<'a> {
        for (key, _) in self.map(node, path) {
            if !known.contains(&key.name.as_str()) {
                let path = if path.is_empty() {
                    key.name.clone()
                } else {
                    format!("{path}.{}", key.name)
                };
                self.error(key.place, path, unknown(&key.name, known));
            }
        }
        Members {
            node,
            path: path.to_owned(),
        }
    }

    fn elements<'a>(&mut self, node: Option<&'a Node>, path: &str) -> &'a [Node] {
        match node.map(|node| &node.content) {
            None | Some(Content::Null) => &[],
            Some(Content::List(elements)) => elements,
            Some(_) => {
                let place = node.map(|node| node.place).unwrap_or_default();
                self.error(place, path, "must be a list");
                &[]
            }
        }
    }

    fn error(&mut self, place: Place, path: impl Into<String>, message: impl Into<String>) {
        let problem = Note::at(place, path, message);
        self.problems.push((self.about.clone(), problem));
    }

    fn note(&mut self, place: Place, path: &str, message: &str) {
        self.notes.push(Note::at(place, path, message));
    }
}

/// The members of one map.
struct Members<'a> {
    node: &'a Node,
    path: String,
}

// === impl Members ===

impl<'a> Members<'a> {
    fn get(&self, name: &str) -> Option<&'a Node> {
        self.node.member(name)
    }

    fn place(&self, name: &str) -> Place {
        self.node.place_of(name)
    }

    fn text(&self, reader: &mut Reader<'_>, name: &str) -> Option<String> {
        let node = self.get(name)?;
        if matches!(node.content, Content::List(_) | Content::Map(_)) {
            let message = format!("`{name}` must be text, not {}", node.what());
            reader.error(node.place, self.path.as_str(), message);
        }
        node.as_text().map(str::to_owned)
    }
}

/// Fields of this language that Intercept's has nothing like.
const OURS: [&str; 7] = [
    "$schema",
    "all_tools",
    "methods",
    "require",
    "deny_if",
    "approve_if",
    "limits",
];

fn unknown(name: &str, known: &[&str]) -> String {
    if OURS.contains(&name) {
        return format!(
            "`{name}` is a field of Provost's own policies, which need no import; Intercept has none of that name here"
        );
    }
    match did_you_mean(name, known.iter().copied()) {
        Some(meant) => {
            format!("Intercept has no field `{name}` here; did you mean `{meant}`?")
        }
        None => format!(
            "Intercept has no field `{name}` here; known ones are {}",
            in_words(known)
        ),
    }
}

/// A condition on a counter needs a rule that counts it.
fn check_references(policy: &Policy, reader: &mut Reader<'_>) {
    let counted: HashSet<String> = policy
        .tools
        .iter()
        .flat_map(|tool| tool.rules.iter().map(move |rule| (tool, rule)))
        .filter_map(|(tool, rule)| Some(state_path(&tool.name, &rule.state.as_ref()?.counter)))
        .collect();
    for tool in &policy.tools {
        reader.about = About::of(&tool.name);
        let conditions = tool.rules.iter().flat_map(|rule| &rule.conditions);
        for condition in conditions.filter(|condition| condition.path.starts_with("state.")) {
            if !counted.contains(&condition.path) {
                let message = format!(
                    "refers to `{}`, but no state block counts it",
                    condition.path
                );
                reader.error(condition.place, condition.at.as_str(), message);
            }
        }
    }
}

/// How conditions read a tool's counter; the one of `"*"` is everybody's.
pub(super) fn state_path(tool: &str, counter: &str) -> String {
    let scope = if tool == "*" { "_global" } else { tool };
    format!("state.{scope}.{counter}")
}
