//! Judging a call: the one place where a yes, a question or a no is decided.
//!
//! Counters are not looked at here: an answer names what a call would charge,
//! and the ledger says whether there is room.

mod message;
mod trail;

use crate::amount::Amount;
use crate::call::{Call, Caller};
use crate::document::Policy;
use crate::document::parts::{Action, Condition, Scope};
use crate::document::rules::{Block, Increment, LimitRule, Rule, RuleSet, Rules, Standing};
use crate::json::{Kind, Value};
use crate::lengths;
use crate::limit::{Charge, CounterId, PolicyRef, RuleId};
use crate::method::{MethodKind, method_kind};
use crate::path::{Outcome, Over};
use crate::text::Text;
use crate::work::Work;

use trail::Trail;
pub use trail::{Finding, Look, Looked, Step};

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
    judge_within(chain, call, caller, &mut Work::default())
}

/// The same on a budget of the caller's: what does not fit is refused.
pub fn judge_within(
    chain: &[Enforced<'_>],
    call: &Call<'_>,
    caller: &Caller,
    work: &mut Work,
) -> Verdict {
    judge_with(chain, call, caller, work, &mut Trail::off())
}

/// The same without a budget, with every rule that was looked at on the way:
/// policy by policy, the caller's own first. The values of arguments are in it.
pub fn judge_aloud(
    chain: &[Enforced<'_>],
    call: &Call<'_>,
    caller: &Caller,
) -> (Verdict, Vec<Looked>) {
    let mut trail = Trail::on();
    let verdict = judge_with(chain, call, caller, &mut Work::default(), &mut trail);
    (verdict, trail.into_looked())
}

fn judge_with(
    chain: &[Enforced<'_>],
    call: &Call<'_>,
    caller: &Caller,
    work: &mut Work,
    trail: &mut Trail,
) -> Verdict {
    let Some(own) = chain.first() else {
        return Verdict::Deny(Refusal::by(RuleId::NO_POLICY, message::no_policy()));
    };
    let mut yes = Yes::default();
    work.next_call();
    for enforced in chain {
        trail.enter(|| enforced.reference());
        let judged = match method_kind(call.method) {
            MethodKind::ToolCall => judge_tool(enforced, call, caller, &mut yes, work, trail),
            _ => judge_method(enforced, call, trail),
        };
        if let Err(no) = judged {
            trail.refused(&no.rule);
            return Verdict::Deny(Refusal {
                policy: Some(enforced.reference()),
                ..no
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

// === impl Yes ===

impl Yes {
    fn ask(&mut self, rule: &RuleId, enforced: &Enforced<'_>, reason: Option<&Text>) {
        self.asking.push((rule.clone(), enforced.reference()));
        self.reasons.extend(reason.cloned());
    }
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
    /// A refusal that is not, or not yet, of any policy.
    pub fn by(rule: RuleId, message: impl Into<String>) -> Self {
        Self {
            rule,
            policy: None,
            message: message.into(),
            retry_after_ms: None,
        }
    }

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

fn judge_method(
    enforced: &Enforced<'_>,
    call: &Call<'_>,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    if !enforced.policy.method_allowed(call.method) {
        return Err(Refusal::by(RuleId::METHOD, message::method(call.method)));
    }
    trail.note(|| Step::plain(RuleId::METHOD, Finding::Passed));
    Ok(())
}

/// The order of the stages is part of the language.
fn judge_tool(
    enforced: &Enforced<'_>,
    call: &Call<'_>,
    caller: &Caller,
    yes: &mut Yes,
    work: &mut Work,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    let rules = enforced.policy.rules();
    let tool = readable(call)?;
    let block = by_name(rules, tool, work, trail)?;
    // Tool rules before those for all tools, in every stage.
    let of_tool = block.map(|block| &block.rules).into_iter();
    let sets = of_tool.chain([&rules.all_tools]);
    only_exact_keys(call, sets.clone(), work)?;
    for rule in sets.clone().flat_map(|set| &set.require) {
        require(rule, call, work, trail)?;
    }
    for rule in sets.clone().flat_map(|set| &set.deny_if) {
        deny_if(rule, call, work, trail)?;
    }
    for limit in sets.clone().flat_map(|set| &set.limits) {
        let charge = charge(limit, enforced, call, caller, trail)?;
        yes.charges.push(charge);
    }
    if let Some(block) = block.filter(|block| block.action == Action::RequireApproval) {
        trail.note(|| Step::plain(block.action_rule.clone(), Finding::Asks));
        yes.ask(&block.action_rule, enforced, block.reason.as_ref());
    }
    for rule in sets.flat_map(|set| &set.approve_if) {
        if asks(rule, call, work, trail)? {
            yes.ask(&rule.id, enforced, rule.predicate.on_deny.as_ref());
        }
    }
    Ok(())
}

/// Whoever reads messages refuses these before; here nothing may depend on it.
fn readable<'c>(call: &Call<'c>) -> Result<&'c str, Refusal> {
    let object = |arguments: Value<'_>| arguments.kind() == Kind::Object;
    if !call.arguments.is_none_or(object) {
        return Err(Refusal::by(RuleId::ENVELOPE, message::no_object()));
    }
    let tool = call
        .tool
        .ok_or_else(|| Refusal::by(RuleId::ENVELOPE, message::no_tool()))?;
    // Measured before it is compared with anything.
    if !lengths::fits_tool_name(tool) {
        Err(Refusal::by(RuleId::ENVELOPE, message::long_tool(tool)))
    } else if !lengths::is_tool_name(tool) {
        Err(Refusal::by(RuleId::ENVELOPE, message::not_a_tool(tool)))
    } else {
        Ok(tool)
    }
}

/// What is decided by the tool's name alone.
fn by_name<'p>(
    rules: &'p Rules,
    tool: &str,
    work: &mut Work,
    trail: &mut Trail,
) -> Result<Option<&'p Block>, Refusal> {
    let standing = rules.standing(tool, &mut work.names);
    trail.standing(tool, standing);
    match standing {
        Standing::Hidden => Err(Refusal::by(RuleId::HIDDEN, message::hidden(tool))),
        Standing::Lookalike => Err(Refusal::by(RuleId::ENVELOPE, message::lookalike_tool(tool))),
        Standing::Unlisted => Err(Refusal::by(RuleId::DEFAULT_DENY, message::unlisted(tool))),
        Standing::Open => Ok(None),
        Standing::Listed(block) if block.action == Action::Deny => Err(Refusal::by(
            block.action_rule.clone(),
            message::denied(tool, block.reason.as_ref()),
        )),
        Standing::Listed(block) => Ok(Some(block)),
    }
}

/// Refuses keys that could be taken for each other, or for one a rule names.
fn only_exact_keys<'r>(
    call: &Call<'_>,
    mut sets: impl Iterator<Item = &'r RuleSet>,
    work: &mut Work,
) -> Result<(), Refusal> {
    let Some(arguments) = call.arguments else {
        return Ok(());
    };
    let distinct = work.names.distinct_keys(arguments);
    distinct
        .and_then(|()| sets.try_for_each(|set| set.named_keys.exact_keys(arguments, work)))
        .map_err(|problem| Refusal::by(RuleId::ENVELOPE, message::keys(&problem)))
}

fn require(
    rule: &Rule,
    call: &Call<'_>,
    work: &mut Work,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    let findings = [Finding::Passed, Finding::Refused];
    let failed = first_that_fails(rule, call, Over::Every, holds, findings, work, trail)?;
    failed.map_or(Ok(()), |(condition, outcome)| {
        let missing = outcome == Outcome::Absent;
        let message = message::required(rule, condition, missing);
        Err(Refusal::by(rule.id.clone(), message))
    })
}

fn deny_if(
    rule: &Rule,
    call: &Call<'_>,
    work: &mut Work,
    trail: &mut Trail,
) -> Result<(), Refusal> {
    let findings = [Finding::Refused, Finding::Passed];
    match first_that_fails(rule, call, Over::Any, holds, findings, work, trail)? {
        Some(_) => Ok(()),
        None => Err(Refusal::by(rule.id.clone(), message::forbidden(rule))),
    }
}

fn asks(rule: &Rule, call: &Call<'_>, work: &mut Work, trail: &mut Trail) -> Result<bool, Refusal> {
    // Leaving an argument out must not be a way around a question.
    let counts = |outcome: &Outcome| holds(outcome) || *outcome == Outcome::Absent;
    let findings = [Finding::Asks, Finding::Passed];
    let failed = first_that_fails(rule, call, Over::Any, counts, findings, work, trail)?;
    Ok(failed.is_none())
}

fn holds(outcome: &Outcome) -> bool {
    *outcome == Outcome::Holds
}

/// The first condition that does not hold, by what counts as holding. Each one
/// is looked at, so that a value that cannot be compared refuses the call
/// wherever it stands. `findings` are what it means that all hold, and that one fails.
fn first_that_fails<'r>(
    rule: &'r Rule,
    call: &Call<'_>,
    over: Over,
    counts: impl Fn(&Outcome) -> bool,
    [all_hold, one_fails]: [Finding; 2],
    work: &mut Work,
    trail: &mut Trail,
) -> Result<Option<(&'r Condition, Outcome)>, Refusal> {
    let mut failed = None;
    for condition in &rule.predicate.conditions {
        let outcome = condition.look(call.arguments, over, work);
        if let Outcome::CannotTell(why) = outcome {
            trail.note(|| Step::rule(rule, call, over, Finding::CannotTell));
            let message = message::cannot_tell(rule, condition, why);
            return Err(Refusal::by(rule.id.clone(), message));
        }
        if failed.is_none() && !counts(&outcome) {
            failed = Some((condition, outcome));
        }
    }
    let finding = failed.as_ref().map_or(all_hold, |_| one_fails);
    trail.note(|| Step::rule(rule, call, over, finding));
    Ok(failed)
}

fn charge(
    limit: &LimitRule,
    enforced: &Enforced<'_>,
    call: &Call<'_>,
    caller: &Caller,
    trail: &mut Trail,
) -> Result<Charge, Refusal> {
    let amount = match &limit.increment {
        Increment::Fixed(amount) => Ok(*amount),
        Increment::From(path) => match path.single(call.arguments) {
            None => Err("is missing".to_owned()),
            Some(value) => match value.as_number().map(Amount::parse) {
                None => Err("is not a number".to_owned()),
                Some(parsed) => parsed.map_err(|why| format!("is {why}")),
            },
        },
    };
    trail.note(|| Step::limit(limit, call, &amount));
    let amount =
        amount.map_err(|why| Refusal::by(limit.id.clone(), message::amount(limit, &why)))?;
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
