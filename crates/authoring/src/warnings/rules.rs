//! Rules that an agent can walk around, that are never reached, or that
//! refuse everything.

use std::collections::{HashMap, HashSet};

use provost_policy::document::parts::{Action, Condition, Limit, Predicate, Scope, Tool};
use provost_policy::document::{Literal, escape_pointer};
use provost_policy::operator::{Operator, ValueForm};
use provost_policy::{Amount, Policy};

use super::found::Warnings;
use super::values::{self, Pinned};

/// The lists of one block, or of `all_tools`.
struct Lists<'p> {
    pointer: String,
    require: &'p [Predicate],
    deny_if: &'p [Predicate],
    approve_if: &'p [Predicate],
    limits: &'p [Limit],
}

pub(super) fn check(policy: &Policy, warnings: &mut Warnings) {
    let all = &policy.body().all_tools;
    let everywhere = Lists {
        pointer: "/all_tools".to_owned(),
        require: &all.require,
        deny_if: &all.deny_if,
        approve_if: &all.approve_if,
        limits: &all.limits,
    };
    let required_everywhere = required_paths(&all.require);
    everywhere.check(&HashSet::new(), warnings);
    everywhere.values(&Pinned::by([everywhere.require]), warnings);
    for (index, limit) in all.limits.iter().enumerate() {
        if let Limit::Window(limit) = limit
            && let Some(path) = &limit.increment_from
        {
            let message = format!("every tool without a number at `{path}` is denied");
            let hint = "use `increment_from` in the limits of single tools";
            warnings.add(
                format!("/all_tools/limits/{index}/increment_from"),
                message,
                hint,
            );
        }
    }
    for (key, tool) in &policy.body().tools {
        let lists = Lists {
            pointer: format!("/tools/{}", escape_pointer(key)),
            require: &tool.require,
            deny_if: &tool.deny_if,
            approve_if: &tool.approve_if,
            limits: &tool.limits,
        };
        let rules = !(tool.require.is_empty()
            && tool.deny_if.is_empty()
            && tool.approve_if.is_empty()
            && tool.limits.is_empty()
            && tool.rate_limit.is_none());
        if policy.body().hide.matches(key) {
            let message = format!(
                "`{}` is hidden, so the rules here are never reached",
                key.escape_debug()
            );
            warnings.add(lists.pointer, message, "remove it here or from `hide`");
        } else if tool.action == Some(Action::Deny) && rules {
            let message = "the action denies every call, so the rules beside it are never reached";
            warnings.add(lists.pointer, message, "");
        } else {
            whole_block(&lists, tool, warnings);
            lists.check(&required_everywhere, warnings);
            lists.values(
                &Pinned::by([lists.require, all.require.as_slice()]),
                warnings,
            );
        }
    }
}

fn whole_block(lists: &Lists<'_>, tool: &Tool, warnings: &mut Warnings) {
    let pointer = &lists.pointer;
    match tool.action.unwrap_or(Action::Allow) {
        Action::RequireApproval if !tool.approve_if.is_empty() => {
            let message = "every call is asked about anyway because of the action";
            warnings.add(format!("{pointer}/approve_if"), message, "");
        }
        Action::Allow if tool.reason.is_some() => {
            let hint =
                "it goes with `action: deny` and `action: require_approval`; rules have `on_deny`";
            warnings.add(
                format!("{pointer}/reason"),
                "the reason is never shown",
                hint,
            );
        }
        Action::Allow | Action::Deny | Action::RequireApproval => {}
    }
    if let Some(rate) = &tool.rate_limit
        && rate.max < Amount::ONE
    {
        warnings.add(
            format!("{pointer}/rate_limit"),
            "the limit refuses every call",
            "",
        );
    }
}

// === impl Lists ===

impl Lists<'_> {
    fn check(&self, required_elsewhere: &HashSet<&str>, warnings: &mut Warnings) {
        let required_here = required_paths(self.require);
        self.unreachable(warnings);
        for (index, predicate) in self.require.iter().enumerate() {
            let pointer = format!("{}/require/{index}", self.pointer);
            if predicate.conditions.is_empty() {
                let hint = "an empty list of conditions always holds";
                warnings.add(pointer.clone(), "this requires nothing", hint);
            }
            never_met(&pointer, predicate, "every call is denied", warnings);
        }
        for (index, predicate) in self.deny_if.iter().enumerate() {
            let pointer = format!("{}/deny_if/{index}", self.pointer);
            avoided_by_absence(
                &pointer,
                predicate,
                [&required_here, required_elsewhere],
                warnings,
            );
            never_met(&pointer, predicate, "nothing is denied", warnings);
        }
        for (index, predicate) in self.approve_if.iter().enumerate() {
            let pointer = format!("{}/approve_if/{index}", self.pointer);
            never_met(&pointer, predicate, "nobody is asked", warnings);
        }
        for (index, limit) in self.limits.iter().enumerate() {
            check_limit(&format!("{}/limits/{index}", self.pointer), limit, warnings);
        }
        for (list, predicates) in [
            ("require", self.require),
            ("deny_if", self.deny_if),
            ("approve_if", self.approve_if),
        ] {
            let mut seen = HashMap::new();
            for (index, predicate) in predicates.iter().enumerate() {
                let conditions: Vec<_> = predicate
                    .conditions
                    .iter()
                    .map(Condition::to_string)
                    .collect();
                let earlier = *seen.entry(conditions).or_insert(index);
                if earlier != index {
                    let message = format!("the same as {}/{list}/{earlier}", self.pointer);
                    warnings.add(format!("{}/{list}/{index}", self.pointer), message, "");
                }
            }
        }
    }

    fn values(&self, pinned: &Pinned<'_>, warnings: &mut Warnings) {
        for (list, predicates) in [
            ("require", self.require),
            ("deny_if", self.deny_if),
            ("approve_if", self.approve_if),
        ] {
            for (index, predicate) in predicates.iter().enumerate() {
                let pointer = format!("{}/{list}/{index}", self.pointer);
                values::check(&pointer, list, predicate, pinned, warnings);
            }
        }
    }

    /// What stands behind a `deny_if` that always holds.
    fn unreachable(&self, warnings: &mut Warnings) {
        let Some(block) = self
            .deny_if
            .iter()
            .position(|predicate| predicate.conditions.is_empty())
        else {
            return;
        };
        let mut behind = Vec::new();
        behind.extend((block + 1..self.deny_if.len()).map(|index| format!("deny_if/{index}")));
        behind.extend((0..self.limits.len()).map(|index| format!("limits/{index}")));
        behind.extend((0..self.approve_if.len()).map(|index| format!("approve_if/{index}")));
        for rule in behind {
            let message = format!(
                "never reached: {}/deny_if/{block} refuses every call",
                self.pointer
            );
            warnings.add(format!("{}/{rule}", self.pointer), message, "");
        }
    }
}

/// Arguments that can be left out to get past a `deny_if`.
fn avoided_by_absence(
    pointer: &str,
    predicate: &Predicate,
    required: [&HashSet<&str>; 2],
    warnings: &mut Warnings,
) {
    for (index, condition) in predicate.conditions.iter().enumerate() {
        let pointer = format!("{pointer}/conditions/{index}");
        if condition.op == Operator::ArgvIn {
            let message = "the same command in another spelling, such as `/bin/rm` for `rm`, is not refused by this rule";
            let hint = "list the allowed commands in `require` instead";
            warnings.add(pointer.clone(), message, hint);
        }
        let path = condition.path.as_str();
        if condition.op != Operator::Exists && !required.iter().any(|paths| paths.contains(path)) {
            let message = format!("a call without `{path}` is not refused by this rule");
            let hint = format!(
                "to refuse calls without it, add to `require`: {{ \"conditions\": [{{ \"path\": \"{path}\", \"op\": \"exists\", \"value\": true }}] }}"
            );
            warnings.add(pointer, message, &hint);
        }
    }
}

/// Paths whose absence fails a requirement.
fn required_paths(require: &[Predicate]) -> HashSet<&str> {
    let allows_absence = |condition: &Condition| {
        condition.op == Operator::Exists && condition.value == Literal::Bool(false)
    };
    require
        .iter()
        .flat_map(|predicate| &predicate.conditions)
        .filter(|condition| !allows_absence(condition))
        .map(|condition| condition.path.as_str())
        .collect()
}

/// Conditions that nothing can meet.
fn never_met(pointer: &str, predicate: &Predicate, consequence: &str, warnings: &mut Warnings) {
    for (index, condition) in predicate.conditions.iter().enumerate() {
        if condition.value == Literal::Array(Vec::new()) && wants_one_of_a_list(condition.op) {
            let message = format!("an empty list matches nothing, so {consequence}");
            warnings.add(format!("{pointer}/conditions/{index}/value"), message, "");
        }
    }
}

fn wants_one_of_a_list(operator: Operator) -> bool {
    match operator.value_form() {
        ValueForm::List => operator != Operator::NotIn,
        ValueForm::Texts | ValueForm::Commands => true,
        ValueForm::Any | ValueForm::Number | ValueForm::Pattern | ValueForm::Bool => false,
    }
}

fn check_limit(pointer: &str, limit: &Limit, warnings: &mut Warnings) {
    if limit.scope() == Scope::Session {
        let hint = "`grant` counts across sessions";
        warnings.add(
            format!("{pointer}/scope"),
            "when an agent reconnects, this counter starts from zero",
            hint,
        );
    }
    let (max, increment) = match limit {
        Limit::Concurrent(limit) => (Amount::whole(u64::from(limit.concurrent)), Amount::ONE),
        // What an argument adds is not known here.
        Limit::Window(limit) if limit.increment_from.is_some() => (limit.max, Amount::ZERO),
        Limit::Window(limit) => (limit.max, limit.increment.unwrap_or(Amount::ONE)),
    };
    match limit {
        Limit::Window(limit) if limit.increment == Some(Amount::ZERO) => {
            warnings.add(
                pointer,
                "the limit can never be reached: each call adds zero",
                "",
            );
        }
        _ if max < increment => warnings.add(pointer, "the limit refuses every call", ""),
        Limit::Window(_) | Limit::Concurrent(_) => {}
    }
}
