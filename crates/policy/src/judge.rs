//! Judging a call: the one place where a yes, a question or a no is decided.
//!
//! Counters are not looked at here: an answer names what a call would charge,
//! and the ledger says whether there is room.

mod message;
mod trail;

use crate::amount::Amount;
use crate::call::{Call, Caller};
use crate::document::Policy;
use crate::document::parts::{Action, Scope};
use crate::document::rules::{Increment, Limit, Rule, RuleSet, Standing};
use crate::json::{Kind, folded_duplicate};
use crate::limit::{Charge, CounterId, PolicyRef, RuleId};
use crate::method::{MethodKind, method_kind};
use crate::path::{Outcome, Over};
use crate::text::Text;

pub use trail::Finding;
pub(crate) use trail::{Looked, Step, Trail};

/// A policy that binds a call: the caller's own, or an ancestor's.
#[derive(Debug, Clone, Copy)]
pub struct Enforced<'p> {
    /// The policy.
    pub policy: &'p Policy,
    /// Its name.
    pub name: &'p Text,
    /// Its version.
    pub version: u32,
    /// The id of the grant it is enforced for.
    pub grant: &'p Text,
    /// The id of the server the call goes to.
    pub server: &'p Text,
}

/// What the policies say about a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Yes, if the limits have room.
    Allow(Allowed),
    /// A person decides, if the limits have room.
    Ask(Asked),
    /// No.
    Deny(Refusal),
}

/// A yes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The rule that allowed it, where one did.
    pub rule: Option<RuleId>,
    /// The caller's own policy.
    pub policy: Option<PolicyRef>,
    /// What the call charges.
    pub charges: Vec<Charge>,
}

/// A question to a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Every rule that asks; at least one.
    pub rules: Vec<(RuleId, PolicyRef)>,
    /// Why, in words for the person and the agent.
    pub message: String,
    /// What the call charges when it is approved.
    pub charges: Vec<Charge>,
}

/// A no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The rule that refused.
    pub rule: RuleId,
    /// The policy it stands in.
    pub policy: Option<PolicyRef>,
    /// Why, in words for the agent.
    pub message: String,
    /// When trying again may help.
    pub retry_after_ms: Option<u64>,
}

/// Judges a call by every policy of the chain, the caller's own first, then
/// its ancestors'. All must allow; the first refusal wins; several questions
/// become one. No policy at all is a refusal.
pub fn judge(chain: &[Enforced<'_>], call: &Call<'_>, caller: &Caller) -> Verdict {
    judge_with(chain, call, caller, &mut Trail::off())
}

pub(crate) fn judge_with(
    chain: &[Enforced<'_>],
    call: &Call<'_>,
    caller: &Caller,
    trail: &mut Trail,
) -> Verdict {
    let Some(own) = chain.first() else {
        return Verdict::Deny(Refusal {
            rule: RuleId::NO_POLICY,
            policy: None,
            message: message::no_policy(),
            retry_after_ms: None,
        });
    };
    let mut yes = Yes::default();
    for enforced in chain {
        trail.enter(enforced);
        let judged = match method_kind(call.method) {
            MethodKind::ToolCall => judge_tool(enforced, call, caller, &mut yes, trail),
            _ => judge_method(enforced, call, trail),
        };
        if let Err(no) = judged {
            return Verdict::Deny(Refusal {
                rule: no.rule,
                policy: Some(enforced.reference()),
                message: no.message,
                retry_after_ms: None,
            });
        }
    }
    if yes.asking.is_empty() {
        return Verdict::Allow(Allowed {
            rule: None,
            policy: Some(own.reference()),
            charges: yes.charges,
        });
    }
    Verdict::Ask(Asked {
        rules: yes.asking,
        message: message::asked(&yes.reasons, call),
        charges: yes.charges,
    })
}

/// What allowing policies add up to.
#[derive(Default)]
struct Yes {
    asking: Vec<(RuleId, PolicyRef)>,
    reasons: Vec<Text>,
    charges: Vec<Charge>,
}

/// A refusal without the policy it stands in.
struct No {
    rule: RuleId,
    message: String,
}

// === impl Enforced ===

impl Enforced<'_> {
    /// The name under which it is recorded.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef {
            name: self.name.clone(),
            version: self.version,
            grant: self.grant.clone(),
        }
    }
}

// === impl Refusal ===

impl Refusal {
    /// The refusal of a call whose charge found no room.
    pub fn limit_reached(charge: &Charge, retry_after_ms: Option<u64>) -> Self {
        Self {
            rule: charge.rule.clone(),
            policy: Some(charge.policy.clone()),
            message: message::limit_reached(charge, retry_after_ms),
            retry_after_ms,
        }
    }
}

fn judge_method(enforced: &Enforced<'_>, call: &Call<'_>, trail: &mut Trail) -> Result<(), No> {
    let allowed = enforced.policy.method_allowed(call.method);
    trail.note(|| {
        Step::plain(
            RuleId::METHOD,
            if allowed {
                Finding::Passed
            } else {
                Finding::Refused
            },
        )
    });
    if allowed {
        return Ok(());
    }
    Err(No {
        rule: RuleId::METHOD,
        message: message::method(call.method),
    })
}

/// The order of the stages is part of the language.
fn judge_tool(
    enforced: &Enforced<'_>,
    call: &Call<'_>,
    caller: &Caller,
    yes: &mut Yes,
    trail: &mut Trail,
) -> Result<(), No> {
    let rules = enforced.policy.rules();
    let refuse = |trail: &mut Trail, rule: RuleId, message: String| {
        trail.note(|| Step::plain(rule.clone(), Finding::Refused));
        Err(No { rule, message })
    };
    // Whoever reads messages refuses these before; here nothing may depend on it.
    let Some(tool) = call.tool else {
        return refuse(trail, RuleId::ENVELOPE, message::no_tool());
    };
    if call
        .arguments
        .is_some_and(|arguments| arguments.kind() != Kind::Object)
    {
        return refuse(trail, RuleId::ENVELOPE, message::no_object());
    }
    let standing = rules.standing(tool);
    trail.standing(tool, standing);
    let block = match standing {
        Standing::Hidden => return refuse(trail, RuleId::HIDDEN, message::hidden(tool)),
        Standing::Lookalike => {
            return refuse(trail, RuleId::ENVELOPE, message::lookalike_tool(tool));
        }
        Standing::Unlisted => return refuse(trail, RuleId::DEFAULT_DENY, message::unlisted(tool)),
        Standing::Open => None,
        Standing::Listed(block) => Some(block),
    };
    if let Some(block) = block.filter(|block| block.action == Action::Deny) {
        return refuse(
            trail,
            block.action_rule.clone(),
            message::denied(tool, block.reason.as_ref()),
        );
    }
    // Tool rules before those for all tools, in every stage.
    let sets = || {
        block
            .map(|block| &block.rules)
            .into_iter()
            .chain([&rules.all_tools])
    };
    if let Some(key) = lookalike_argument(call, sets()) {
        return refuse(trail, RuleId::ENVELOPE, message::lookalike_argument(&key));
    }
    for rule in sets().flat_map(|set| &set.require) {
        require(rule, call, trail)?;
    }
    for rule in sets().flat_map(|set| &set.deny_if) {
        deny_if(rule, call, trail)?;
    }
    for limit in sets().flat_map(|set| &set.limits) {
        yes.charges
            .push(charge(limit, enforced, call, caller, trail)?);
    }
    if let Some(block) = block.filter(|block| block.action == Action::RequireApproval) {
        trail.note(|| Step::plain(block.action_rule.clone(), Finding::Asks));
        yes.asking
            .push((block.action_rule.clone(), enforced.reference()));
        yes.reasons.extend(block.reason.clone());
    }
    for rule in sets().flat_map(|set| &set.approve_if) {
        if asks(rule, call, trail)? {
            yes.asking.push((rule.id.clone(), enforced.reference()));
            yes.reasons.extend(rule.predicate.on_deny.clone());
        }
    }
    Ok(())
}

/// Keys that could be taken for each other, or for one that a rule names.
fn lookalike_argument<'r>(
    call: &Call<'_>,
    mut sets: impl Iterator<Item = &'r RuleSet>,
) -> Option<String> {
    let arguments = call.arguments?;
    folded_duplicate(arguments).or_else(|| sets.find_map(|set| set.shape.lookalike(arguments)))
}

fn require(rule: &Rule, call: &Call<'_>, trail: &mut Trail) -> Result<(), No> {
    let outcome = hold(rule, call, Over::Every, |outcome| {
        *outcome == Outcome::Holds
    });
    trail.note(|| {
        Step::rule(
            rule,
            call,
            Over::Every,
            match &outcome {
                Ok(true) => Finding::Passed,
                Ok(false) => Finding::Refused,
                Err(_) => Finding::CannotTell,
            },
        )
    });
    match outcome {
        Ok(true) => Ok(()),
        Ok(false) => Err(No {
            rule: rule.id.clone(),
            message: message::required(rule, call),
        }),
        Err(no) => Err(no),
    }
}

fn deny_if(rule: &Rule, call: &Call<'_>, trail: &mut Trail) -> Result<(), No> {
    let outcome = hold(rule, call, Over::Any, |outcome| *outcome == Outcome::Holds);
    trail.note(|| {
        Step::rule(
            rule,
            call,
            Over::Any,
            match &outcome {
                Ok(true) => Finding::Refused,
                Ok(false) => Finding::Passed,
                Err(_) => Finding::CannotTell,
            },
        )
    });
    match outcome {
        Ok(false) => Ok(()),
        Ok(true) => Err(No {
            rule: rule.id.clone(),
            message: message::forbidden(rule),
        }),
        Err(no) => Err(no),
    }
}

fn asks(rule: &Rule, call: &Call<'_>, trail: &mut Trail) -> Result<bool, No> {
    // Leaving an argument out must not be a way around a question.
    let counts = |outcome: &Outcome| matches!(outcome, Outcome::Holds | Outcome::Absent);
    let outcome = hold(rule, call, Over::Any, counts);
    trail.note(|| {
        Step::rule(
            rule,
            call,
            Over::Any,
            match &outcome {
                Ok(true) => Finding::Asks,
                Ok(false) => Finding::Passed,
                Err(_) => Finding::CannotTell,
            },
        )
    });
    outcome
}

/// Whether all conditions of a rule hold. Each one is looked at, so that a
/// value that cannot be compared refuses the call wherever it stands.
fn hold(
    rule: &Rule,
    call: &Call<'_>,
    over: Over,
    counts: impl Fn(&Outcome) -> bool,
) -> Result<bool, No> {
    let mut all = true;
    for condition in &rule.predicate.conditions {
        let outcome = condition.look(call.arguments, over);
        if let Outcome::CannotTell(why) = outcome {
            return Err(No {
                rule: rule.id.clone(),
                message: message::cannot_tell(rule, condition, why),
            });
        }
        all &= counts(&outcome);
    }
    Ok(all)
}

fn charge(
    limit: &Limit,
    enforced: &Enforced<'_>,
    call: &Call<'_>,
    caller: &Caller,
    trail: &mut Trail,
) -> Result<Charge, No> {
    let amount = match &limit.increment {
        Increment::Fixed(amount) => Ok(*amount),
        Increment::From(path) => match path.single(call.arguments) {
            None => Err("is missing".to_owned()),
            Some(value) => match value.as_number().map(Amount::parse) {
                None => Err("is no number".to_owned()),
                Some(parsed) => parsed.map_err(|why| format!("is {why}")),
            },
        },
    };
    trail.note(|| Step::limit(limit, call, &amount));
    let amount = amount.map_err(|why| No {
        rule: limit.id.clone(),
        message: message::amount(limit, &why),
    })?;
    // A session is the caller's; without one its own grant stands in.
    let scope = match limit.scope {
        Scope::Grant => enforced.grant,
        Scope::Server => enforced.server,
        Scope::Session => caller.session.as_ref().unwrap_or(enforced.grant),
    };
    Ok(Charge {
        counter: CounterId {
            scope: scope.clone(),
            server: enforced.server.clone(),
            counter: limit.counter.clone(),
            window: limit.window,
            alignment: limit.alignment,
        },
        max: limit.max,
        amount,
        refund: limit.refund,
        rule: limit.id.clone(),
        policy: enforced.reference(),
    })
}

#[cfg(test)]
mod tests;
