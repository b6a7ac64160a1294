//! Intercept's counters as limits.
//!
//! Intercept keeps one counter per tool and name (`_global` for `"*"`) for
//! everybody, in calendar windows, and takes a count back when the upstream
//! answers with an error: scope `server`, alignment `calendar`, refund `failed`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::note::Note;
use super::read::{Action, Condition, Increment, Policy, Rule, State, Tool, state_path};

/// More than any limit may be.
const LARGEST: i64 = 1_000_000_000_000_000_000;

/// Every counter that is counted, by the path conditions read it with.
pub(super) struct Counters<'p> {
    known: HashMap<String, Counted<'p>>,
}

struct Counted<'p> {
    /// The tool that counts it, or `*`.
    tool: &'p str,
    /// What it is called here.
    name: String,
    window: &'p str,
    increment: Increment,
}

// === impl Counters ===

impl<'p> Counters<'p> {
    /// Finds the counters and gives each a name that says whose it is.
    pub(super) fn of(policy: &'p Policy) -> Self {
        let mut known = HashMap::new();
        let mut taken = HashSet::new();
        for tool in &policy.tools {
            let shorthands = tool
                .rules
                .iter()
                .filter(|r| r.state.as_ref().is_some_and(|s| s.shorthand));
            let only_one = shorthands.count() == 1;
            for rule in &tool.rules {
                let Some(state) = rule.state.as_ref().filter(|_| counts(tool, rule)) else {
                    continue;
                };
                let name = unused(&mut taken, name_of(tool, state, only_one));
                let (window, increment) = (state.window.as_str(), state.increment.clone());
                known.insert(
                    state_path(&tool.name, &state.counter),
                    Counted {
                        tool: &tool.name,
                        name,
                        window,
                        increment,
                    },
                );
            }
        }
        Self { known }
    }

    /// The limits that a tool's rules amount to, and what they cannot hold back.
    pub(super) fn limits(
        &self,
        tool: &Tool,
        notes: &mut Vec<Note>,
        dropped: &mut Vec<Note>,
    ) -> Vec<Value> {
        let mut limits = Limits { list: Vec::new() };
        for rule in tool
            .rules
            .iter()
            .filter(|rule| rule.action == Action::Evaluate)
        {
            let own = rule
                .state
                .as_ref()
                .filter(|state| self.own(tool, state, rule, notes));
            for condition in &rule.conditions {
                if !condition.path.starts_with("state.") {
                    continue;
                }
                let is_own = is_own(tool, rule, condition);
                let reserved = is_own && own.is_some_and(|_| is_reserved(tool, rule, condition));
                if is_own && own.is_none() && matches!(condition.op.as_str(), "lte" | "lt") {
                    continue;
                }
                match self.limit(tool, condition, reserved) {
                    Some((counted, max)) => limits.add(counted, max),
                    None => dropped.push(not_kept(condition)),
                }
            }
            if let Some(text) = rule
                .on_deny
                .as_ref()
                .filter(|_| own.is_some() && !has_args(rule))
            {
                let message = format!("`{text}` is not kept: a full limit has its own message");
                notes.push(Note::at(rule.place, rule.path.as_str(), message));
            }
        }
        limits.list
    }

    /// Whether the rule's own counter becomes a limit; tells why not.
    fn own(&self, tool: &Tool, state: &State, rule: &Rule, notes: &mut Vec<Note>) -> bool {
        let at = |message: String| Note::at(state.place, format!("{}.state", rule.path), message);
        let counter = &state.counter;
        if !rule
            .conditions
            .iter()
            .any(|condition| is_limit(tool, rule, condition))
        {
            notes.push(at(format!(
                "counter `{counter}` is left out: without a `lte` or `lt` condition on it, Intercept never counts it"
            )));
            return false;
        }
        match &state.increment {
            Increment::Fixed(increment) if *increment < 0 => {
                notes.push(at(format!(
                    "counter `{counter}` is left out: with a negative increment it is never full, and a limit here cannot count down"
                )));
                false
            }
            Increment::Fixed(_) => true,
            Increment::From(path) => {
                notes.push(at(format!(
                    "`{path}` is counted exactly here, and a negative amount is refused; Intercept cut fractions off and let negative amounts lower the counter"
                )));
                true
            }
        }
    }

    /// The counter and the most it may hold for this condition to hold.
    fn limit(
        &self,
        tool: &Tool,
        condition: &Condition,
        reserved: bool,
    ) -> Option<(&Counted<'p>, i64)> {
        let counted = self.known.get(&condition.path)?;
        // Another tool's counter cannot hold this one back: it would count its calls.
        if counted.tool != "*" && counted.tool != tool.name {
            return None;
        }
        let bound = condition.value.as_f64()?;
        if reserved {
            // As Intercept does: cut off, and one less for `lt`.
            let most = if condition.op == "lt" {
                bound.trunc() - 1.0
            } else {
                bound.trunc()
            };
            return Some((counted, whole(most)));
        }
        // A condition that only reads looks before this call is added.
        let Increment::Fixed(increment) = counted.increment else {
            return None;
        };
        let most = match condition.op.as_str() {
            "lte" => bound.floor(),
            "lt" => bound.ceil() - 1.0,
            _ => return None,
        };
        Some((counted, whole(most).saturating_add(increment)))
    }
}

/// The limits of one tool, each counter once with its strictest maximum.
struct Limits {
    list: Vec<Value>,
}

// === impl Limits ===

impl Limits {
    fn add(&mut self, counted: &Counted<'_>, max: i64) {
        let max = max.clamp(0, LARGEST);
        let known = self.list.iter_mut().find(|limit| {
            limit.get("counter").and_then(Value::as_str) == Some(counted.name.as_str())
        });
        if let Some(known) = known {
            let before = known.get("max").and_then(Value::as_i64).unwrap_or(max);
            if let Some(place) = known.get_mut("max") {
                *place = before.min(max).into();
            }
            return;
        }
        let mut limit = Map::new();
        limit.insert("counter".to_owned(), counted.name.as_str().into());
        limit.insert("window".to_owned(), counted.window.into());
        limit.insert("max".to_owned(), max.into());
        limit.insert("scope".to_owned(), json!("server"));
        match &counted.increment {
            Increment::Fixed(1) => {}
            Increment::Fixed(increment) => {
                limit.insert("increment".to_owned(), json!(increment));
            }
            Increment::From(path) => {
                limit.insert("increment_from".to_owned(), path.as_str().into());
            }
        }
        limit.insert("alignment".to_owned(), json!("calendar"));
        limit.insert("refund".to_owned(), json!("failed"));
        self.list.push(Value::Object(limit));
    }
}

/// Whether a rule's state block becomes a counter here.
fn counts(tool: &Tool, rule: &Rule) -> bool {
    let upwards = rule
        .state
        .as_ref()
        .is_some_and(|state| match state.increment {
            Increment::Fixed(increment) => increment > 0,
            Increment::From(_) => true,
        });
    upwards
        && rule.action == Action::Evaluate
        && rule
            .conditions
            .iter()
            .any(|condition| is_limit(tool, rule, condition))
}

/// Whether the condition reads the counter of its own rule.
fn is_own(tool: &Tool, rule: &Rule, condition: &Condition) -> bool {
    let path = rule
        .state
        .as_ref()
        .map(|state| state_path(&tool.name, &state.counter));
    path.is_some_and(|path| path == condition.path)
}

/// Whether this is a `lte` or `lt` on the rule's own counter.
fn is_limit(tool: &Tool, rule: &Rule, condition: &Condition) -> bool {
    matches!(condition.op.as_str(), "lte" | "lt") && is_own(tool, rule, condition)
}

/// Whether this is the condition that Intercept reserves by: the first of them.
fn is_reserved(tool: &Tool, rule: &Rule, condition: &Condition) -> bool {
    let first = rule
        .conditions
        .iter()
        .find(|condition| is_limit(tool, rule, condition));
    first.is_some_and(|first| std::ptr::eq(first, condition))
}

fn has_args(rule: &Rule) -> bool {
    rule.conditions
        .iter()
        .any(|condition| condition.path.starts_with("args."))
}

fn not_kept(condition: &Condition) -> Note {
    let (path, op) = (&condition.path, &condition.op);
    let message = format!(
        "the condition `{path} {op}` cannot be kept: a limit here holds back only the calls it counts, by a highest count"
    );
    Note::at(condition.place, condition.at.as_str(), message)
}

fn name_of(tool: &Tool, state: &State, only_one: bool) -> String {
    let everybody = tool.name == "*";
    let prefix = if everybody {
        String::new()
    } else {
        format!("{}_", tool.name.to_lowercase())
    };
    match (state.shorthand, everybody) {
        (true, true) => format!("calls_per_{}", state.window),
        (true, false) if only_one => format!("{prefix}rate"),
        (true, false) => format!("{prefix}rate_{}", state.window),
        (false, _) => format!("{prefix}{}", state.counter),
    }
}

/// The name, with a number behind it when another counter has it already.
fn unused(taken: &mut HashSet<String>, name: String) -> String {
    let numbered = (2..).map(|number| format!("{name}_{number}"));
    let free = std::iter::once(name.clone())
        .chain(numbered)
        .find(|name| !taken.contains(name));
    let free = free.unwrap_or(name);
    taken.insert(free.clone());
    free
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float is cut off at the ends of i64"
)]
fn whole(number: f64) -> i64 {
    number as i64
}
