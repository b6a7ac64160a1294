//! The parts of a policy document, as the language knows them.

use std::fmt;

use crate::amount::Amount;
use crate::document::Literal;
use crate::glob::Names;
use crate::json::Value;
use crate::limit::{Alignment, RefundRule, Window};
use crate::operator::{Costly, Matcher, Operator};
use crate::path::{Outcome, Over, Path};
use crate::text::Text;
use crate::words::{Word, words};
use crate::work::Work;

/// A Provost policy: which tools an agent may call, with which arguments, how
/// often, and when a person is asked first.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// Where an editor finds this schema; it has no effect.
    pub schema: Option<Text>,
    /// The version of the language.
    pub version: Version,
    /// What happens to tools that are not listed.
    pub default: Posture,
    /// What the policy is for; it has no effect.
    pub description: Option<Text>,
    /// Tools removed from `tools/list` and refused when called. Names or
    /// globs; `"*"` hides all.
    pub hide: Names,
    /// Which requests other than `tools/call` are allowed.
    pub methods: Methods,
    /// Rules for every call. They do not allow a tool that is not listed.
    pub all_tools: AllTools,
    /// Rules for single tools, by exact name or by a glob in which only `*`
    /// is special; a bare `"*"` is an error. The exact name wins, then the
    /// glob with the most literal characters.
    pub tools: Vec<(Text, Tool)>,
}

words! {
    /// The version of the language.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Version {
        /// The first, and so far the only one.
        One = "1",
    }
}

words! {
    /// What happens to tools that are not listed.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Posture {
        /// They are allowed.
        Allow = "allow",
        /// They are refused.
        Deny = "deny",
    }
}

/// Requests other than `tools/call`: names or globs. A denial wins.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Methods {
    /// Let through; needed under `default: deny`, and for methods the
    /// protocol does not know.
    pub allow: Names,
    /// Refused.
    pub deny: Names,
}

/// Rules for every call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AllTools {
    /// All of these must hold.
    pub require: Vec<Predicate>,
    /// None of these may hold.
    pub deny_if: Vec<Predicate>,
    /// A person is asked when one of these holds.
    pub approve_if: Vec<Predicate>,
    /// Limits over all tools together.
    pub limits: Vec<Limit>,
}

/// Rules for one tool. `{}` allows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tool {
    /// Text for people; it has no effect.
    pub description: Option<Text>,
    /// What happens to every call of the tool. Default: `allow`.
    pub action: Option<Action>,
    /// Shown to the agent with a denial or an approval by `action`.
    pub reason: Option<Text>,
    /// All of these must hold.
    pub require: Vec<Predicate>,
    /// None of these may hold; empty conditions always do.
    pub deny_if: Vec<Predicate>,
    /// A person is asked when one of these holds.
    pub approve_if: Vec<Predicate>,
    /// Short for one limit per grant; its counter is the tool's key in lower
    /// case with `_rate`.
    pub rate_limit: Option<RateLimit>,
    /// Limits of this tool.
    pub limits: Vec<Limit>,
}

words! {
    /// What happens to every call of a tool.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Action {
        /// It goes on, as far as the other rules let it.
        Allow = "allow",
        /// It is refused.
        Deny = "deny",
        /// A person is asked.
        RequireApproval = "require_approval",
    }
}

/// Conditions that hold together.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    /// All of these; an empty list always holds.
    pub conditions: Vec<Condition>,
    /// Shown to the agent.
    pub on_deny: Option<Text>,
}

/// A condition on one argument.
#[derive(Debug, Clone)]
pub struct Condition {
    /// Which argument.
    pub path: Path,
    /// What is asked.
    pub op: Operator,
    /// What the operator is given, as it was written.
    pub value: Literal,
    /// `op` and `value`, ready to be asked.
    pub(crate) matcher: Matcher,
}

/// A quota.
#[derive(Debug, Clone, PartialEq)]
pub enum Limit {
    /// So much in so long.
    Window(WindowLimit),
    /// So many at the same time.
    Concurrent(ConcurrentLimit),
}

/// So much in so long.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowLimit {
    /// The counter's name.
    pub counter: Text,
    /// `minute`, `hour`, `day`, or a length such as `90s`, `15m`, `12h`,
    /// `7d`, up to 31 days.
    pub window: Length,
    /// The most the counter may hold.
    pub max: Amount,
    /// Who shares the counter. Default: `grant`.
    pub scope: Option<Scope>,
    /// What one call adds. Default: 1.
    pub increment: Option<Amount>,
    /// The argument that says what one call adds.
    pub increment_from: Option<Path>,
    /// Where windows begin. Default: `sliding`.
    pub alignment: Option<Alignment>,
    /// When a call is given back. Default: `not_sent`.
    pub refund: Option<RefundRule>,
}

/// So many at the same time.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcurrentLimit {
    /// The counter's name.
    pub counter: Text,
    /// The most calls in flight.
    pub concurrent: u32,
    /// Who shares the counter. Default: `grant`.
    pub scope: Option<Scope>,
}

/// So many calls in so many seconds, for each grant.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// The most calls.
    pub max: Amount,
    /// Seconds.
    pub window: u32,
}

words! {
    /// Whose counter.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Scope {
        /// The grant that enforces the policy.
        Grant = "grant",
        /// Everybody on the server together.
        Server = "server",
        /// The client's session, where the protocol has sessions.
        Session = "session",
    }
}

/// A window with the text that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Length {
    /// As it was written.
    pub written: Text,
    /// What it means.
    pub window: Window,
}

// === impl Body ===

impl Body {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &[
        "version",
        "default",
        "description",
        "hide",
        "methods",
        "all_tools",
        "tools",
        "$schema",
    ];
}

// === impl Methods ===

impl Methods {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &["allow", "deny"];
}

// === impl AllTools ===

impl AllTools {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &["require", "deny_if", "approve_if", "limits"];
}

// === impl Tool ===

impl Tool {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &[
        "description",
        "action",
        "reason",
        "require",
        "deny_if",
        "approve_if",
        "rate_limit",
        "limits",
    ];
}

// === impl Predicate ===

impl Predicate {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &["conditions", "on_deny"];
}

// === impl WindowLimit ===

impl WindowLimit {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &[
        "counter",
        "window",
        "max",
        "scope",
        "increment",
        "increment_from",
        "alignment",
        "refund",
    ];
}

// === impl ConcurrentLimit ===

impl ConcurrentLimit {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &["counter", "concurrent", "scope"];
}

// === impl RateLimit ===

impl RateLimit {
    /// The members it may have.
    pub const FIELDS: &'static [&'static str] = &["max", "window"];
}

// === impl Limit ===

impl Limit {
    /// The counter's name.
    pub fn counter(&self) -> &Text {
        match self {
            Self::Window(limit) => &limit.counter,
            Self::Concurrent(limit) => &limit.counter,
        }
    }

    /// Whose counter it is.
    pub fn scope(&self) -> Scope {
        match self {
            Self::Window(limit) => limit.scope,
            Self::Concurrent(limit) => limit.scope,
        }
        .unwrap_or(Scope::Grant)
    }
}

// === impl Condition ===

impl Condition {
    /// The members it has.
    pub const FIELDS: &'static [&'static str] = &["path", "op", "value"];

    /// What the condition comes to for these arguments.
    pub(crate) fn look(
        &self,
        arguments: Option<Value<'_>>,
        over: Over,
        work: &mut Work,
    ) -> Outcome {
        let through = self.matcher.through();
        self.path
            .look(arguments, over, &through, work, &mut |value, work| {
                self.matcher.ask(value, work)
            })
    }

    /// What a text can do to its pattern, where it has one.
    pub fn costly(&self) -> Option<Costly> {
        match &self.matcher {
            Matcher::Regex(pattern) => pattern.costly(),
            Matcher::Eq(_)
            | Matcher::Neq(_)
            | Matcher::In(_)
            | Matcher::NotIn(_)
            | Matcher::Lt(_)
            | Matcher::Lte(_)
            | Matcher::Gt(_)
            | Matcher::Gte(_)
            | Matcher::Contains(_)
            | Matcher::Exists(_)
            | Matcher::Under(_)
            | Matcher::HostIn(_)
            | Matcher::ArgvIn(_) => None,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.path,
            self.op.name(),
            self.value.to_line()
        )
    }
}

impl PartialEq for Condition {
    // `matcher` follows from the rest.
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.op, &self.value) == (&other.path, other.op, &other.value)
    }
}
