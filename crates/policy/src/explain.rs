//! Why a call is judged the way it is: every rule that was looked at, in
//! order, what it saw and what it came to.

use std::fmt;

use serde::Serialize;

use crate::call::{Call, Caller};
use crate::judge::{Enforced, Finding, Looked, Trail, Verdict, judge_with};
use crate::limit::{Charge, PolicyRef, RuleId};
use crate::text::Text;
use crate::work::Work;

/// A judgement with its reasons. Contains values of arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// The rules that decided: the one that refused, or all that ask.
    pub rules: Vec<Decider>,
    /// What the agent is told, unless the call is allowed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the call charges, if there is room.
    pub charges: Vec<Charge>,
    /// What was looked at, policy by policy, the caller's own first.
    pub policies: Vec<PolicyReport>,
}

/// Yes, no, or a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The call goes on, if the limits have room.
    Allow,
    /// A person decides.
    Ask,
    /// The call is refused.
    Deny,
}

/// A rule that decided, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decider {
    /// The rule.
    pub rule: RuleId,
    /// The policy it stands in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyRef>,
}

/// What one policy said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyReport {
    /// The policy.
    pub policy: PolicyRef,
    /// How it stands to the tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standing: Option<String>,
    /// The rules that were looked at, in order.
    pub steps: Vec<StepReport>,
}

/// One rule that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// The rule.
    pub rule: RuleId,
    /// What it came to.
    pub finding: Finding,
    /// Its conditions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionReport>,
}

/// One condition, or what a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConditionReport {
    /// What was asked.
    pub asked: String,
    /// The values that were there, shortened.
    pub seen: String,
    /// What came of it.
    pub outcome: Text,
}

/// Judges a call like [`crate::judge::judge`], and says why.
pub fn explain(chain: &[Enforced<'_>], call: &Call<'_>, caller: &Caller) -> Explanation {
    let mut trail = Trail::on();
    let verdict = judge_with(chain, call, caller, &mut Work::default(), &mut trail);
    let policies = trail
        .into_looked()
        .into_iter()
        .map(PolicyReport::from)
        .collect();
    match verdict {
        Verdict::Allow(allowed) => Explanation {
            decision: Decision::Allow,
            rules: Vec::new(),
            message: None,
            charges: allowed.charges,
            policies,
        },
        Verdict::Ask(asked) => Explanation {
            decision: Decision::Ask,
            rules: asked
                .rules
                .into_iter()
                .map(|(rule, policy)| Decider {
                    rule,
                    policy: Some(policy),
                })
                .collect(),
            message: Some(asked.message),
            charges: asked.charges,
            policies,
        },
        Verdict::Deny(refusal) => Explanation {
            decision: Decision::Deny,
            rules: vec![Decider {
                rule: refusal.rule,
                policy: refusal.policy,
            }],
            message: Some(refusal.message),
            charges: Vec::new(),
            policies,
        },
    }
}

// === impl PolicyReport ===

impl From<Looked> for PolicyReport {
    fn from(looked: Looked) -> Self {
        let steps = looked.steps.into_iter().map(|step| StepReport {
            rule: step.rule,
            finding: step.finding,
            conditions: step
                .looks
                .into_iter()
                .map(|look| ConditionReport {
                    asked: look.asked,
                    seen: look.seen,
                    outcome: Text::fixed(look.outcome),
                })
                .collect(),
        });
        Self {
            policy: looked.policy,
            standing: looked.standing,
            steps: steps.collect(),
        }
    }
}

// === impl Explanation ===

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decision = match self.decision {
            Decision::Allow => "allow",
            Decision::Ask => "ask",
            Decision::Deny => "deny",
        };
        f.write_str(decision)?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        for decider in &self.rules {
            write!(f, "\n  by {}", decider.rule)?;
            if let Some(policy) = &decider.policy {
                write!(f, " of {}", in_words(policy))?;
            }
        }
        for report in &self.policies {
            write!(f, "\n\n{report}")?;
        }
        Ok(())
    }
}

impl fmt::Display for PolicyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_words(&self.policy))?;
        if let Some(standing) = &self.standing {
            write!(f, "\n  {standing}")?;
        }
        for step in &self.steps {
            write!(f, "\n  {:<12} {}", step.finding.words(), step.rule)?;
            for condition in &step.conditions {
                let ConditionReport {
                    asked,
                    seen,
                    outcome,
                } = condition;
                write!(f, "\n{:15}{asked}: saw {seen}, {outcome}", "")?;
            }
        }
        Ok(())
    }
}

fn in_words(policy: &PolicyRef) -> String {
    format!(
        "policy `{}` version {} for grant `{}`",
        policy.name, policy.version, policy.grant
    )
}

#[cfg(test)]
mod tests;
