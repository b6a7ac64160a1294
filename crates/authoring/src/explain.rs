//! Why a call is judged the way it is: every rule that was looked at, in
//! order, what it saw and what it came to.

use std::fmt;

use serde::Serialize;

use provost_policy::call::{Call, Caller};
use provost_policy::judge::{Enforced, Finding, Looked, Verdict, judge_aloud};
use provost_policy::limit::{Charge, PolicyRef, RuleId};

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
    pub policies: Vec<Looked>,
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

/// Judges a call like [`provost_policy::judge::judge`], and says why.
pub fn explain(chain: &[Enforced<'_>], call: &Call<'_>, caller: &Caller) -> Explanation {
    let (verdict, policies) = judge_aloud(chain, call, caller);
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

// === impl Decision ===

impl Decision {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

// === impl Explanation ===

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.decision.word())?;
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        for decider in &self.rules {
            write!(f, "\n  by {}", decider.rule)?;
            if let Some(policy) = &decider.policy {
                write!(f, " of {}", in_words(policy))?;
            }
        }
        for looked in &self.policies {
            f.write_str("\n\n")?;
            write_looked(f, looked)?;
        }
        Ok(())
    }
}

fn write_looked(f: &mut fmt::Formatter<'_>, looked: &Looked) -> fmt::Result {
    f.write_str(&in_words(&looked.policy))?;
    if let Some(standing) = &looked.standing {
        write!(f, "\n  {standing}")?;
    }
    for step in &looked.steps {
        write!(f, "\n  {:<12} {}", finding_words(step.finding), step.rule)?;
        for look in &step.conditions {
            let (asked, seen, outcome) = (&look.asked, &look.seen, look.outcome);
            write!(f, "\n{:15}{asked}: saw {seen}, {outcome}", "")?;
        }
    }
    Ok(())
}

fn finding_words(finding: Finding) -> &'static str {
    match finding {
        Finding::Passed => "passed",
        Finding::Refused => "refused",
        Finding::Asks => "asks",
        Finding::Charges => "charges",
        Finding::CannotTell => "cannot tell",
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
