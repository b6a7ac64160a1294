//! What was looked at while a call was judged; empty unless somebody asks.

use serde::Serialize;

use crate::amount::Amount;
use crate::call::Call;
use crate::document::rules::{Increment, LimitRule, Rule, Standing};
use crate::limit::{PolicyRef, RuleId};
use crate::path::{Outcome, Over};
use crate::work::Work;

/// Collects steps, or nothing at no cost.
pub(crate) struct Trail(Option<Vec<Looked>>);

/// What one policy said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    /// The policy.
    pub policy: PolicyRef,
    /// How it stands to the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// The rules that were looked at, in order.
    pub steps: Vec<Step>,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule.
    pub rule: RuleId,
    /// What it came to.
    pub finding: Finding,
    /// Its conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Look>,
}

/// What a rule came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It has nothing against the call.
    Passed,
    /// It refuses the call.
    Refused,
    /// It wants a person to decide.
    Asks,
    /// It charges a counter.
    Charges,
    /// It cannot tell, which refuses the call.
    CannotTell,
}

/// One condition, or what a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// What was asked.
    pub asked: String,
    /// The values that were there, shortened.
    pub seen: String,
    /// What came of it.
    pub outcome: &'static str,
}

/// Values are shown up to this many characters.
const SHOWN: usize = 80;

// === impl Trail ===

impl Trail {
    pub(crate) fn off() -> Self {
        Self(None)
    }

    pub(crate) fn on() -> Self {
        Self(Some(Vec::new()))
    }

    pub(crate) fn into_looked(self) -> Vec<Looked> {
        self.0.unwrap_or_default()
    }

    pub(super) fn enter(&mut self, policy: impl FnOnce() -> PolicyRef) {
        if let Some(policies) = &mut self.0 {
            policies.push(Looked {
                policy: policy(),
                standing: None,
                steps: Vec::new(),
            });
        }
    }

    pub(super) fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(looked) = self.0.as_mut().and_then(|policies| policies.last_mut()) {
            looked.steps.push(step());
        }
    }

    /// A refusal ends the list, with the rule's own step where there is one.
    pub(super) fn refused(&mut self, rule: &RuleId) {
        let noted = self
            .0
            .as_ref()
            .and_then(|policies| policies.last()?.steps.last());
        if noted.is_none_or(|step| step.rule != *rule) {
            self.note(|| Step::plain(rule.clone(), Finding::Refused));
        }
    }

    pub(super) fn standing(&mut self, tool: &str, standing: Standing<'_>) {
        if let Some(looked) = self.0.as_mut().and_then(|policies| policies.last_mut()) {
            looked.standing = Some(match standing {
                Standing::Hidden => format!("`{tool}` is hidden"),
                Standing::Lookalike => format!("`{tool}` only looks like a known name"),
                Standing::Unlisted => format!("`{tool}` is not listed and the default is deny"),
                Standing::Open => format!("`{tool}` is not listed and the default is allow"),
                Standing::Listed(block) if block.key == tool => format!("`{tool}` is listed"),
                Standing::Listed(block) => format!("`{tool}` is listed by `{}`", block.key),
            });
        }
    }
}

// === impl Step ===

impl Step {
    pub(super) fn plain(rule: RuleId, finding: Finding) -> Self {
        Self {
            rule,
            finding,
            conditions: Vec::new(),
        }
    }

    pub(super) fn rule(rule: &Rule, call: &Call<'_>, over: Over, finding: Finding) -> Self {
        // Explaining costs nobody else anything.
        let work = &mut Work::default();
        let conditions = rule.predicate.conditions.iter().map(|condition| {
            let mut seen = Vec::new();
            condition.path.look(
                call.arguments,
                over,
                &Outcome::Absent,
                work,
                &mut |value, _| {
                    // A list may be long; more than this is cut off anyway.
                    if seen.len() < SHOWN {
                        let words = value.map(|value| shorten(value.raw()));
                        seen.push(words.unwrap_or_else(|| "nothing".to_owned()));
                    }
                    Outcome::Fails
                },
            );
            let outcome = match condition.look(call.arguments, over, work) {
                Outcome::Holds => "holds",
                Outcome::Fails => "does not hold",
                Outcome::Absent => "is absent",
                Outcome::CannotTell(why) => why,
            };
            Look {
                asked: condition.to_string(),
                seen: shorten(&seen.join(", ")),
                outcome,
            }
        });
        Self {
            rule: rule.id.clone(),
            finding,
            conditions: conditions.collect(),
        }
    }

    pub(super) fn limit(
        limit: &LimitRule,
        call: &Call<'_>,
        amount: &Result<Amount, String>,
    ) -> Self {
        let seen = match &limit.increment {
            Increment::Fixed(amount) => amount.to_string(),
            Increment::From(path) => path
                .single(call.arguments)
                .map_or_else(|| "nothing".to_owned(), |value| shorten(value.raw())),
        };
        let asked = match &limit.increment {
            Increment::Fixed(_) => format!("`{}` up to {}", limit.counter, limit.max),
            Increment::From(path) => {
                format!("`{}` up to {}, by `{path}`", limit.counter, limit.max)
            }
        };
        let (finding, outcome) = match amount {
            Ok(_) => (Finding::Charges, "is charged if there is room"),
            Err(_) => (Finding::Refused, "is not an amount"),
        };
        Self {
            rule: limit.id.clone(),
            finding,
            conditions: vec![Look {
                asked,
                seen,
                outcome,
            }],
        }
    }
}

/// The beginning of a long text.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
