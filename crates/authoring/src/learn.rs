//! The smallest policy that allows what was done, from the records of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use provost_policy::duration::Unit;
use provost_policy::method::{MethodKind, method_kind};
use provost_policy::{Policy, lengths};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::scaffold::can_be_named;
use crate::{brief, to_json};

/// One record, as far as it teaches something.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'r> {
    /// When, in microseconds of unix time.
    pub at: u64,
    /// The method.
    pub method: &'r str,
    /// The tool, for `tools/call`.
    pub tool: Option<&'r str>,
    /// The keys of the arguments.
    pub keys: &'r [String],
    /// What became of it.
    pub end: End<'r>,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'r> {
    /// It was let through, and did not fail as far as is known.
    Passed,
    /// It was let through, and the server answered with an error or not at all.
    Failed,
    /// It was refused, by this rule.
    Refused(&'r str),
}

/// Reads records, oldest first, and keeps no more of them than it needs.
#[derive(Debug, Default)]
pub struct Learner {
    tools: BTreeMap<String, Seen>,
    methods: BTreeMap<String, u64>,
    refused: BTreeMap<(String, String), u64>,
    records: u64,
}

/// What was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Learnt {
    /// The document.
    #[serde(skip)]
    pub policy_json: String,
    /// How many records were read.
    pub records: u64,
    /// The tools that the policy allows.
    pub tools: Vec<String>,
    /// What is not in the policy, and why.
    pub left_out: Vec<LeftOut>,
}

/// Something that was tried and is not allowed by the policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct LeftOut {
    /// The tool, or the method.
    pub what: String,
    /// How often it was tried.
    pub calls: u64,
    /// Why it is not in the policy.
    pub why: String,
}

/// What was seen of one tool.
#[derive(Debug)]
struct Seen {
    passed: u64,
    failed: u64,
    last: u64,
    /// In every call.
    always: BTreeSet<String>,
    /// In any call.
    ever: BTreeSet<String>,
    minute: Peak,
    hour: Peak,
}

/// The most calls in any interval of a length. Calls of the same sixtieth of it are counted together, so the answer may
/// be a little too high, and is never too low.
#[derive(Debug)]
struct Peak {
    slot: u64,
    slots: VecDeque<(u64, u64)>,
    within: u64,
    most: u64,
}

/// So many different tools and methods are told apart; an agent that makes up names is not remembered for ever.
const MOST_NAMES: usize = 4_096;
/// So many different arguments of one tool.
const MOST_KEYS: usize = 256;
/// Characters of a name in text.
const NAME: usize = 64;
/// Arguments that are named in a description.
const ARGUMENTS: usize = 24;
/// The lowest limit: fewer calls than these say little about what is usual.
const FEWEST: u64 = 5;
/// The same for an hour: an agent that was watched for minutes must not be stopped by it.
const FEWEST_IN_HOUR: u64 = 20;

// === impl Learner ===

impl Learner {
    /// Takes in the next record.
    pub fn see(&mut self, record: &Observed<'_>) {
        self.records += 1;
        let what = record.tool.unwrap_or(record.method);
        let passed = match record.end {
            End::Refused(rule) => {
                let key = (what.to_owned(), rule.to_owned());
                if self.refused.len() < MOST_NAMES || self.refused.contains_key(&key) {
                    *self.refused.entry(key).or_default() += 1;
                }
                return;
            }
            End::Passed => true,
            End::Failed => false,
        };
        match (method_kind(record.method), record.tool) {
            (MethodKind::ToolCall, Some(tool)) => self.see_tool(tool, record, passed),
            (MethodKind::Governed | MethodKind::Unknown, _) => {
                if self.methods.len() < MOST_NAMES || self.methods.contains_key(what) {
                    *self.methods.entry(what.to_owned()).or_default() += 1;
                }
            }
            (MethodKind::ToolCall | MethodKind::Housekeeping | MethodKind::Task, _) => {}
        }
    }

    fn see_tool(&mut self, tool: &str, record: &Observed<'_>, passed: bool) {
        if !self.tools.contains_key(tool) {
            if self.tools.len() == MOST_NAMES {
                return;
            }
            self.tools.insert(tool.to_owned(), Seen::new(record.keys));
        }
        if let Some(seen) = self.tools.get_mut(tool) {
            seen.add(record, passed);
        }
    }

    /// The policy. `day` writes a moment as people write a day.
    pub fn finish(self, of: &str, day: impl Fn(u64) -> String) -> Learnt {
        let mut left_out: Vec<LeftOut> = Vec::new();
        let mut tools = Map::new();
        for (name, seen) in &self.tools {
            let calls = seen.passed + seen.failed;
            let mut leave = |why: &str| {
                left_out.push(LeftOut {
                    what: name.clone(),
                    calls,
                    why: why.to_owned(),
                });
            };
            if name.contains('*') || !lengths::is_tool_name(name) {
                leave("a policy cannot name such a tool");
            } else if seen.passed == 0 {
                leave("every call of it failed at the server");
            } else {
                tools.insert(name.clone(), seen.block(name, &day));
            }
        }
        let mut methods = Vec::new();
        for (name, calls) in &self.methods {
            if name.contains('*') {
                left_out.push(LeftOut {
                    what: name.clone(),
                    calls: *calls,
                    why: "a policy cannot name such a method".to_owned(),
                });
            } else {
                methods.push(name.clone());
            }
        }
        let refused = self.refused.into_iter();
        left_out.extend(refused.map(|((what, rule), calls)| LeftOut {
            what,
            calls,
            why: format!("it was refused, by {rule}"),
        }));
        let names = tools.keys().cloned().collect();
        let policy = json!({
            "version": "1",
            "description": format!(
                "Written by `provost policy learn` from {} records of {}: the tools that were called, and twice as often \
                 as they were at most. What was not called is refused.",
                self.records,
                brief::line(of, 2 * NAME)
            ),
            "default": "deny",
            "methods": { "allow": methods },
            "tools": tools,
        });
        let text = policy.to_string();
        Learnt {
            // The document is made of names that were checked; if it were refused all the same, people see it as it is.
            policy_json: Policy::parse(&text).map_or(text, |policy| to_json(&policy)),
            records: self.records,
            tools: names,
            left_out,
        }
    }
}

// === impl Seen ===

impl Seen {
    fn new(keys: &[String]) -> Self {
        Self {
            passed: 0,
            failed: 0,
            last: 0,
            always: keys.iter().take(MOST_KEYS).cloned().collect(),
            ever: BTreeSet::new(),
            minute: Peak::new(Unit::Minute.micros()),
            hour: Peak::new(Unit::Hour.micros()),
        }
    }

    fn add(&mut self, record: &Observed<'_>, passed: bool) {
        match passed {
            true => self.passed += 1,
            false => self.failed += 1,
        }
        self.last = self.last.max(record.at);
        self.minute.add(record.at);
        self.hour.add(record.at);
        self.always.retain(|key| record.keys.contains(key));
        for key in record.keys {
            if self.ever.len() < MOST_KEYS && !self.ever.contains(key) {
                self.ever.insert(key.clone());
            }
        }
    }

    fn block(&self, name: &str, day: &impl Fn(u64) -> String) -> Value {
        let exists = |path: String| json!({ "conditions": [{ "path": path, "op": "exists", "value": true }] });
        let require = self.always.iter().filter_map(|key| can_be_named(key));
        let require: Vec<Value> = require.map(exists).collect();
        let per_minute = head_room(self.minute.most);
        let per_hour = head_room(self.hour.most)
            .max(per_minute)
            .max(FEWEST_IN_HOUR);
        let counter = |window: &str| format!("{name}_per_{window}");
        json!({
            "description": self.description(day),
            "require": require,
            "limits": [
                { "counter": counter("minute"), "window": "minute", "max": per_minute },
                { "counter": counter("hour"), "window": "hour", "max": per_hour },
            ],
        })
    }

    fn description(&self, day: &impl Fn(u64) -> String) -> String {
        let times = |count: u64| match count {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        let mut text = format!(
            "Called {}, last on {}; at most {} in a minute and {} in an hour.",
            times(self.passed + self.failed),
            day(self.last),
            self.minute.most,
            self.hour.most
        );
        if self.failed > 0 {
            text.push_str(&format!(
                " The server answered {} with an error.",
                times(self.failed)
            ));
        }
        if !self.ever.is_empty() {
            let named = self.ever.iter().take(ARGUMENTS).map(|key| {
                let always = if self.always.contains(key) {
                    " (always)"
                } else {
                    ""
                };
                format!("`{}`{always}", brief::line(key, NAME))
            });
            let mut named: Vec<String> = named.collect();
            if self.ever.len() > ARGUMENTS {
                named.push(format!("and {} more", self.ever.len() - ARGUMENTS));
            }
            text.push_str(&format!(" Arguments: {}.", named.join(", ")));
        }
        text
    }
}

// === impl Peak ===

impl Peak {
    fn new(length: u64) -> Self {
        Self {
            slot: length / 60,
            slots: VecDeque::new(),
            within: 0,
            most: 0,
        }
    }

    fn add(&mut self, at: u64) {
        let now = at / self.slot;
        match self.slots.back_mut() {
            // The wall clock may be set back; then the calls count with the latest.
            Some((slot, count)) if *slot >= now => *count += 1,
            Some(_) | None => self.slots.push_back((now, 1)),
        }
        self.within += 1;
        let now = self.slots.back().map_or(now, |(slot, _)| *slot);
        // An interval of sixty slots touches sixty-one.
        while let Some((slot, count)) = self.slots.front().copied() {
            if slot + 60 >= now {
                break;
            }
            self.within -= count;
            self.slots.pop_front();
        }
        self.most = self.most.max(self.within);
    }
}

/// Twice as much, as a round number: 1, 2 or 5 with zeros behind it.
fn head_room(most: u64) -> u64 {
    let wanted = most.saturating_mul(2).max(FEWEST);
    let mut unit: u64 = 1;
    loop {
        for step in [1, 2, 5] {
            let round = unit.saturating_mul(step);
            if round >= wanted {
                return round;
            }
        }
        unit = unit.saturating_mul(10);
    }
}

#[cfg(test)]
mod tests;
