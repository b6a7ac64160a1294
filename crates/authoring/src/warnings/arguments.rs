//! Arguments that the tools of the server do not have.

use std::collections::BTreeSet;

use provost_policy::document::parts::{Limit, Predicate};
use provost_policy::document::{did_you_mean, escape_pointer, in_words};
use provost_policy::glob::Glob;
use provost_policy::json::Folder;
use provost_policy::path::Path;
use provost_policy::{Policy, Text};

use super::found::Warnings;
use crate::offer::{Known, Offer, Offered};

/// The tools that a block is about, and how they are called together.
struct Tools<'o> {
    tools: Vec<&'o Offered>,
    /// As in "… has no argument".
    who: String,
}

pub(super) fn check(policy: &Policy, offer: &Offer, warnings: &mut Warnings) {
    let all = &policy.body().all_tools;
    let tools = Tools {
        tools: offer.tools.iter().collect(),
        who: "no tool of the server has an".to_owned(),
    };
    tools.predicates("/all_tools/require", &all.require, warnings);
    tools.predicates("/all_tools/deny_if", &all.deny_if, warnings);
    tools.predicates("/all_tools/approve_if", &all.approve_if, warnings);
    tools.limits("/all_tools/limits", &all.limits, warnings);
    for (key, tool) in &policy.body().tools {
        let tools = Tools::of(policy, key, offer);
        let pointer = format!("/tools/{}", escape_pointer(key));
        tools.predicates(&format!("{pointer}/require"), &tool.require, warnings);
        tools.predicates(&format!("{pointer}/deny_if"), &tool.deny_if, warnings);
        tools.predicates(&format!("{pointer}/approve_if"), &tool.approve_if, warnings);
        tools.limits(&format!("{pointer}/limits"), &tool.limits, warnings);
    }
}

// === impl Tools ===

impl<'o> Tools<'o> {
    /// Those whose calls the block of that key decides.
    fn of(policy: &Policy, key: &Text, offer: &'o Offer) -> Self {
        let mut folder = Folder::default();
        let mut decides =
            |tool: &Offered| policy.deciding_key(&tool.name, &mut folder) == Some(key);
        let shown = key.escape_debug();
        Self {
            tools: offer.tools.iter().filter(|tool| decides(tool)).collect(),
            who: match Glob::new(key) {
                Some(_) => format!("no tool that `{shown}` decides about has an"),
                None => format!("`{shown}` of the server has no"),
            },
        }
    }

    fn predicates(&self, pointer: &str, list: &[Predicate], warnings: &mut Warnings) {
        for (index, predicate) in list.iter().enumerate() {
            for (place, condition) in predicate.conditions.iter().enumerate() {
                let pointer = format!("{pointer}/{index}/conditions/{place}/path");
                self.path(pointer, &condition.path, warnings);
            }
        }
    }

    fn limits(&self, pointer: &str, list: &[Limit], warnings: &mut Warnings) {
        for (index, limit) in list.iter().enumerate() {
            if let Limit::Window(limit) = limit
                && let Some(path) = &limit.increment_from
            {
                self.path(format!("{pointer}/{index}/increment_from"), path, warnings);
            }
        }
    }

    /// One tool that has the argument, or may have it, is enough.
    fn path(&self, pointer: String, path: &Path, warnings: &mut Warnings) {
        let mut unknown = None;
        let mut known: BTreeSet<String> = BTreeSet::new();
        for tool in &self.tools {
            match tool.knows(path) {
                Known::Yes | Known::Open => return,
                Known::No { path, names } => {
                    unknown = Some(path);
                    known.extend(names);
                }
            }
        }
        let Some(unknown) = unknown else {
            return;
        };
        let (around, written) = unknown.rsplit_once('.').unwrap_or_default();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = match (
            did_you_mean(written, names.iter().copied()),
            self.tools.as_slice(),
        ) {
            (Some(meant), _) => format!("did you mean `{around}.{meant}`?"),
            (None, [_]) if names.is_empty() => format!("`{around}` has none"),
            (None, [_]) => format!("`{around}` has {}", in_words(&names)),
            (None, _) => String::new(),
        };
        let message = format!("{} argument `{}`", self.who, unknown.escape_debug());
        warnings.add(pointer, message, &hint);
    }
}
