//! Rules with their ids, in the form in which calls are judged.

use std::collections::{HashMap, HashSet};

use super::named_keys::NamedKeys;
use super::parts::{Action, AllTools, Body, Limit, Posture, Predicate, Scope, Tool};
use super::place::escape_pointer;
use crate::amount::Amount;
use crate::glob::{Glob, Names};
use crate::json::{Folder, fold};
use crate::lengths;
use crate::limit::{Alignment, RefundRule, RuleId, Window};
use crate::path::Path;
use crate::text::Text;
use crate::words::Word;

/// Everything a call is judged by.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    pub(crate) default: Posture,
    pub(crate) hide: Names,
    pub(crate) all_tools: RuleSet,
    blocks: Vec<Block>,
    exact: HashMap<Text, usize>,
    /// The most literal characters first.
    globs: Vec<(Glob, usize)>,
    /// Exact names, listed or hidden, after folding.
    folded: HashSet<String>,
}

/// The rules of one tool or glob.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    pub(crate) key: Text,
    pub(crate) action: Action,
    pub(crate) action_rule: RuleId,
    pub(crate) reason: Option<Text>,
    pub(crate) rules: RuleSet,
}

/// The lists of rules of a block or of `all_tools`.
#[derive(Debug, Clone, Default)]
pub(crate) struct RuleSet {
    pub(crate) require: Vec<Rule>,
    pub(crate) deny_if: Vec<Rule>,
    pub(crate) approve_if: Vec<Rule>,
    pub(crate) limits: Vec<LimitRule>,
    /// The argument keys that the rules name.
    pub(crate) named_keys: NamedKeys,
}

/// A predicate and its id.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) predicate: Predicate,
}

/// A limit and its id.
#[derive(Debug, Clone)]
pub(crate) struct LimitRule {
    pub(crate) id: RuleId,
    pub(crate) counter: Text,
    pub(crate) window: Window,
    pub(crate) alignment: Alignment,
    pub(crate) refund: RefundRule,
    pub(crate) max: Amount,
    pub(crate) scope: Scope,
    pub(crate) increment: Increment,
}

/// What one call adds to a counter.
#[derive(Debug, Clone)]
pub(crate) enum Increment {
    Fixed(Amount),
    From(Path),
}

/// How a policy stands to a tool.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Standing<'p> {
    Hidden,
    /// It only looks like a name that is listed or hidden.
    Lookalike,
    /// Not listed, and the default is deny.
    Unlisted,
    /// Not listed, and the default is allow.
    Open,
    Listed(&'p Block),
}

/// The counter of `rate_limit`.
pub(crate) fn rate_counter(key: &str) -> Text {
    Text::from(format!("{}_rate", key.to_lowercase()))
}

// === impl Rules ===

impl Rules {
    pub(crate) fn new(body: &Body) -> Self {
        let blocks: Vec<_> = body
            .tools
            .iter()
            .map(|(key, tool)| Block::new(key, tool))
            .collect();
        let mut exact = HashMap::new();
        let mut globs = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            match Glob::new(&block.key) {
                Some(glob) => globs.push((glob, index)),
                None => {
                    exact.insert(block.key.clone(), index);
                }
            }
        }
        globs.sort_by_key(|(glob, _)| std::cmp::Reverse(glob.literals()));
        let folded = exact
            .keys()
            .chain(body.hide.exact())
            .map(|name| fold(name).into_owned())
            .collect();
        Self {
            default: body.default,
            hide: body.hide.clone(),
            all_tools: RuleSet::all_tools(&body.all_tools),
            blocks,
            exact,
            globs,
            folded,
        }
    }

    /// The one answer to "what about this tool?", for calls and for lists.
    pub(crate) fn standing(&self, tool: &str, folder: &mut Folder) -> Standing<'_> {
        if !lengths::is_tool_name(tool) {
            return Standing::Lookalike;
        }
        if self.hide.matches(tool) {
            return Standing::Hidden;
        }
        if let Some(block) = self.exact.get(tool) {
            return self.listed(*block);
        }
        // What grows that much under folding is no honest name, and what cannot
        // be folded any more may look like anything.
        let Ok(folded) = folder.fold(tool) else {
            return Standing::Lookalike;
        };
        if !lengths::fits_tool_name(&folded)
            || self.folded.contains(folded.as_ref())
            || self.hide.matches_folded(&folded)
        {
            return Standing::Lookalike;
        }
        self.by_glob(tool, &folded)
    }

    /// The strongest glob that covers the name decides. When a stronger one
    /// covers only the folded name, none does: it may be the one that is meant.
    fn by_glob(&self, tool: &str, folded: &str) -> Standing<'_> {
        let as_folded = tool == folded;
        let mut only_folded = None;
        for (glob, block) in &self.globs {
            if only_folded.is_some_and(|literals| literals > glob.literals()) {
                break;
            }
            if glob.matches(tool) {
                return self.listed(*block);
            }
            if !(as_folded && glob.is_folded()) && glob.matches_folded(folded) {
                only_folded.get_or_insert(glob.literals());
            }
        }
        match (only_folded, self.default) {
            (Some(_), _) => Standing::Lookalike,
            (None, Posture::Deny) => Standing::Unlisted,
            (None, Posture::Allow) => Standing::Open,
        }
    }

    /// All limits, those of tools first.
    pub(crate) fn limits(&self) -> impl Iterator<Item = &LimitRule> {
        let of_tools = self.blocks.iter().flat_map(|block| &block.rules.limits);
        of_tools.chain(&self.all_tools.limits)
    }

    fn listed(&self, block: usize) -> Standing<'_> {
        self.blocks
            .get(block)
            .map_or(Standing::Unlisted, Standing::Listed)
    }
}

// === impl Block ===

impl Block {
    fn new(key: &Text, tool: &Tool) -> Self {
        let pointer = format!("/tools/{}", escape_pointer(key));
        let mut rules = RuleSet::new(
            &pointer,
            [&tool.require, &tool.deny_if, &tool.approve_if],
            &tool.limits,
        );
        if let Some(rate) = &tool.rate_limit {
            let counter = rate_counter(key);
            let id = format!("{pointer}/limits/{}", escape_pointer(&counter));
            // `rate_limit` stands before `limits` in a printed document.
            rules.limits.insert(
                0,
                LimitRule {
                    id: RuleId(id.into()),
                    counter,
                    window: Window::Micros(u64::from(rate.window) * 1_000_000),
                    alignment: Alignment::Sliding,
                    refund: RefundRule::NotSent,
                    max: rate.max,
                    scope: Scope::Grant,
                    increment: Increment::Fixed(Amount::ONE),
                },
            );
        }
        Self {
            key: key.clone(),
            action: tool.action.unwrap_or(Action::Allow),
            action_rule: RuleId(format!("{pointer}/action").into()),
            reason: tool.reason.clone(),
            rules,
        }
    }
}

// === impl RuleSet ===

impl RuleSet {
    fn all_tools(rules: &AllTools) -> Self {
        Self::new(
            "/all_tools",
            [&rules.require, &rules.deny_if, &rules.approve_if],
            &rules.limits,
        )
    }

    fn new(pointer: &str, lists: [&Vec<Predicate>; 3], limits: &[Limit]) -> Self {
        let mut named_keys = NamedKeys::default();
        for predicate in lists.into_iter().flatten() {
            for condition in &predicate.conditions {
                named_keys.add(&condition.path);
            }
        }
        let [require, deny_if, approve_if] = lists;
        let mut count: HashMap<&Text, usize> = HashMap::new();
        for limit in limits {
            *count.entry(limit.counter()).or_default() += 1;
        }
        let limits: Vec<_> = (0..)
            .zip(limits)
            .map(|(index, limit): (usize, _)| {
                let counter = limit.counter();
                // The same counter in two scopes: only the index tells them apart.
                let last = match count.get(counter) {
                    Some(1) => escape_pointer(counter),
                    _ => index.to_string(),
                };
                LimitRule::new(RuleId(format!("{pointer}/limits/{last}").into()), limit)
            })
            .collect();
        for limit in &limits {
            if let Increment::From(path) = &limit.increment {
                named_keys.add(path);
            }
        }
        Self {
            require: rules(&format!("{pointer}/require"), require),
            deny_if: rules(&format!("{pointer}/deny_if"), deny_if),
            approve_if: rules(&format!("{pointer}/approve_if"), approve_if),
            limits,
            named_keys,
        }
    }
}

/// A predicate with one condition is named by it, unless another one has the
/// same; all others are named by their index.
fn rules(pointer: &str, predicates: &[Predicate]) -> Vec<Rule> {
    let name = |predicate: &Predicate| match predicate.conditions.as_slice() {
        [only] => Some(format!("{}-{}", only.path, only.op.name())),
        _ => None,
    };
    let mut count: HashMap<String, usize> = HashMap::new();
    for name in predicates.iter().filter_map(name) {
        *count.entry(name).or_default() += 1;
    }
    predicates
        .iter()
        .enumerate()
        .map(|(index, predicate)| {
            let last = name(predicate)
                .filter(|name| count.get(name) == Some(&1))
                .map_or_else(|| index.to_string(), |name| escape_pointer(&name));
            Rule {
                id: RuleId(format!("{pointer}/{last}").into()),
                predicate: predicate.clone(),
            }
        })
        .collect()
}

// === impl LimitRule ===

impl LimitRule {
    fn new(id: RuleId, limit: &Limit) -> Self {
        let counter = limit.counter().clone();
        let scope = limit.scope();
        match limit {
            Limit::Concurrent(limit) => Self {
                id,
                counter,
                window: Window::Concurrent,
                alignment: Alignment::Sliding,
                refund: RefundRule::NotSent,
                max: Amount::whole(u64::from(limit.concurrent)),
                scope,
                increment: Increment::Fixed(Amount::ONE),
            },
            Limit::Window(limit) => Self {
                id,
                counter,
                window: limit.window.window,
                alignment: limit.alignment.unwrap_or_default(),
                refund: limit.refund.unwrap_or_default(),
                max: limit.max,
                scope,
                increment: match &limit.increment_from {
                    Some(path) => Increment::From(path.clone()),
                    None => Increment::Fixed(limit.increment.unwrap_or(Amount::ONE)),
                },
            },
        }
    }
}
