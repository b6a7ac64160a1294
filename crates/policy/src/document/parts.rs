//! The parts of a policy document, as the language knows them.
//!
//! The JSON Schema is generated from these types; their comments are its
//! descriptions.

use std::fmt;

use schemars::JsonSchema;

use crate::amount::Amount;
use crate::document::literal::Literal;
use crate::glob::Names;
use crate::json::Value;
use crate::limit::{Alignment, RefundRule};
use crate::operator::{Operator, Test};
use crate::path::{Outcome, Over, Path};
use crate::text::Text;
use crate::work::Work;

/// A Provost policy: which tools an agent may call, with which arguments, how
/// often, and when a person is asked first.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(rename = "Policy", deny_unknown_fields)]
pub(crate) struct Body {
    /// Where an editor finds this schema; nothing depends on it.
    #[schemars(rename = "$schema", with = "Option<String>")]
    pub(crate) schema: Option<Text>,
    /// The version of the language.
    pub(crate) version: Version,
    /// What happens to tools that are not listed.
    pub(crate) default: Posture,
    /// What the policy is for; nothing depends on it.
    #[schemars(with = "Option<String>")]
    pub(crate) description: Option<Text>,
    /// Tools removed from `tools/list` and refused when called. Names or
    /// globs; `"*"` hides all.
    #[schemars(default, with = "HiddenShape")]
    pub(crate) hide: Names,
    /// What is said about requests other than `tools/call`.
    #[schemars(default)]
    pub(crate) methods: Methods,
    /// Rules for every call. They do not rescue a tool that is not listed.
    #[schemars(default)]
    pub(crate) all_tools: AllTools,
    /// Rules for single tools, by exact name or by a glob in which only `*`
    /// is special; a bare `"*"` is an error. The exact name wins, then the
    /// glob with the most literal characters.
    #[schemars(default, with = "std::collections::BTreeMap<ToolKey, Tool>")]
    pub(crate) tools: Vec<(Text, Tool)>,
}

/// `"1"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
pub(crate) enum Version {
    #[schemars(rename = "1")]
    One,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(crate) enum Posture {
    Allow,
    Deny,
}

/// Requests other than `tools/call`: names or globs. A denial wins.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Methods {
    /// Let through; needed under `default: deny`, and for methods the
    /// protocol does not know.
    #[schemars(default, with = "Vec<NonEmpty>")]
    pub(crate) allow: Names,
    /// Refused.
    #[schemars(default, with = "Vec<NonEmpty>")]
    pub(crate) deny: Names,
}

/// Rules for every call.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct AllTools {
    /// All of these must hold.
    #[schemars(default)]
    pub(crate) require: Vec<Predicate>,
    /// None of these may hold.
    #[schemars(default)]
    pub(crate) deny_if: Vec<Predicate>,
    /// A person is asked when one of these holds.
    #[schemars(default)]
    pub(crate) approve_if: Vec<Predicate>,
    /// Quotas over all tools together.
    #[schemars(default)]
    pub(crate) limits: Vec<Limit>,
}

/// Rules for one tool. `{}` allows it.
#[derive(Debug, Clone, Default, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Tool {
    /// What happens to every call of the tool; `allow` unless written.
    pub(crate) action: Option<Action>,
    /// Shown to the agent with a denial or an approval by `action`.
    #[schemars(with = "Option<String>")]
    pub(crate) reason: Option<Text>,
    /// All of these must hold.
    #[schemars(default)]
    pub(crate) require: Vec<Predicate>,
    /// None of these may hold; empty conditions always do.
    #[schemars(default)]
    pub(crate) deny_if: Vec<Predicate>,
    /// A person is asked when one of these holds.
    #[schemars(default)]
    pub(crate) approve_if: Vec<Predicate>,
    /// Short for one limit per grant; its counter is the tool's key in lower
    /// case with `_rate`.
    pub(crate) rate_limit: Option<RateLimit>,
    /// Quotas of this tool.
    #[schemars(default)]
    pub(crate) limits: Vec<Limit>,
}

/// What happens to every call of a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(crate) enum Action {
    Allow,
    Deny,
    RequireApproval,
}

/// Conditions that hold together.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Predicate {
    /// All of these; an empty list always holds.
    pub(crate) conditions: Vec<Condition>,
    /// Shown to the agent.
    #[schemars(with = "Option<String>")]
    pub(crate) on_deny: Option<Text>,
}

/// What is asked about one argument.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) path: Path,
    pub(crate) op: Operator,
    pub(crate) value: Literal,
    /// `op` and `value`, ready to be asked.
    pub(crate) test: Test,
}

/// A quota.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Limit {
    Window(WindowLimit),
    Concurrent(ConcurrentLimit),
}

/// So much in so long.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct WindowLimit {
    /// The counter's name.
    #[schemars(with = "NonEmpty")]
    pub(crate) counter: Text,
    /// `minute`, `hour`, `day`, or a length such as `90s`, `15m`, `12h`,
    /// `7d`, up to 31 days.
    #[schemars(with = "WindowShape")]
    pub(crate) window: Length,
    /// The most the counter may hold.
    #[schemars(with = "FigureShape")]
    pub(crate) max: Amount,
    /// Whose counter it is; the grant's unless written.
    pub(crate) scope: Option<Scope>,
    /// What one call adds; 1 unless written.
    #[schemars(with = "Option<FigureShape>")]
    pub(crate) increment: Option<Amount>,
    /// The argument that says what one call adds.
    #[schemars(with = "Option<PathShape>")]
    pub(crate) increment_from: Option<Path>,
    /// Where windows begin; `sliding` unless written.
    #[schemars(with = "Option<AlignmentShape>")]
    pub(crate) alignment: Option<Alignment>,
    /// When quota comes back; `not_sent` unless written.
    #[schemars(with = "Option<RefundShape>")]
    pub(crate) refund: Option<RefundRule>,
}

/// So many at the same time.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct ConcurrentLimit {
    /// The counter's name.
    #[schemars(with = "NonEmpty")]
    pub(crate) counter: Text,
    /// The most calls in flight.
    pub(crate) concurrent: u32,
    /// Whose counter it is; the grant's unless written.
    pub(crate) scope: Option<Scope>,
}

/// So many calls in so many seconds, for each grant.
#[derive(Debug, Clone, PartialEq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(crate) struct RateLimit {
    /// The most calls.
    #[schemars(with = "FigureShape")]
    pub(crate) max: Amount,
    /// Seconds.
    #[schemars(range(min = 1, max = 2_678_400))]
    pub(crate) window: u32,
}

/// Whose counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(crate) enum Scope {
    /// The grant that enforces the policy.
    Grant,
    /// Everybody on the server together.
    Server,
    /// The client's session, where the protocol has sessions.
    Session,
}

/// A window's length with the text that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Length {
    pub(crate) written: Text,
    pub(crate) micros: u64,
}

// The shapes below exist for the schema alone.

#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum HiddenShape {
    All(AllShape),
    Names(Vec<NonEmpty>),
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum AllShape {
    #[schemars(rename = "*")]
    All,
}

#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct NonEmpty(#[schemars(length(min = 1))] String);

#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
#[schemars(transparent)]
struct ToolKey(#[schemars(regex(pattern = r"[^*]"))] String);

#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct WindowShape(#[schemars(regex(pattern = r"^(minute|hour|day|[1-9][0-9]*[smhd])$"))] String);

#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
struct FigureShape(#[schemars(range(min = 0, max = 1e18))] f64);

#[derive(JsonSchema)]
#[schemars(transparent)]
#[expect(dead_code, reason = "only its schema is used")]
pub(crate) struct PathShape(#[schemars(regex(pattern = r"^args\.[^.\[\]]"))] String);

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum AlignmentShape {
    Sliding,
    Calendar,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
enum RefundShape {
    NotSent,
    Failed,
}

// === impl Limit ===

impl Limit {
    pub(crate) fn counter(&self) -> &Text {
        match self {
            Self::Window(limit) => &limit.counter,
            Self::Concurrent(limit) => &limit.counter,
        }
    }

    pub(crate) fn scope(&self) -> Scope {
        match self {
            Self::Window(limit) => limit.scope,
            Self::Concurrent(limit) => limit.scope,
        }
        .unwrap_or(Scope::Grant)
    }
}

// === impl Condition ===

impl Condition {
    /// What the condition comes to for these arguments.
    pub(crate) fn look(
        &self,
        arguments: Option<Value<'_>>,
        over: Over,
        work: &mut Work,
    ) -> Outcome {
        let through = self.test.through();
        self.path
            .look(arguments, over, &through, work, &mut |value, work| {
                self.test.ask(value, work)
            })
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
    // `test` follows from the rest.
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.op, &self.value) == (&other.path, other.op, &other.value)
    }
}
