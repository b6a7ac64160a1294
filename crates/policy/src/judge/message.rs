//! What an agent is told: what was refused, and what may be done instead.

use crate::call::Call;
use crate::document::Literal;
use crate::document::parts::Condition;
use crate::document::rules::{LimitRule, Rule};
use crate::duration;
use crate::invisible::is_hidden;
use crate::json::KeyProblem;
use crate::lengths;
use crate::limit::{Charge, Window};
use crate::operator::Operator;
use crate::text::Text;
use crate::words::Word;

/// Names and values are shown up to this many characters.
const SHOWN: usize = 120;

pub(super) fn no_policy() -> String {
    "this grant has no policy, so every call is refused".to_owned()
}

pub(super) fn method(method: &str) -> String {
    format!("the policy does not allow the method `{}`", shown(method))
}

pub(super) fn no_tool() -> String {
    "the call has no tool name".to_owned()
}

pub(super) fn no_object() -> String {
    "the arguments of a call must be an object".to_owned()
}

pub(super) fn hidden(tool: &str) -> String {
    format!(
        "the tool `{}` is not available; see tools/list for those that are",
        shown(tool)
    )
}

pub(super) fn unlisted(tool: &str) -> String {
    format!(
        "the policy does not allow the tool `{}`; see tools/list for those it does",
        shown(tool)
    )
}

pub(super) fn lookalike_tool(tool: &str) -> String {
    format!(
        "the tool name `{}` only looks like a known one; use its exact name",
        shown(tool)
    )
}

pub(super) fn not_a_tool(tool: &str) -> String {
    format!("`{}` is not the name of a tool", shown(tool))
}

pub(super) fn long_tool(tool: &str) -> String {
    format!(
        "the tool name `{}` is too long: names have at most {} characters",
        shown(tool),
        lengths::TOOL_NAME
    )
}

pub(super) fn keys(problem: &KeyProblem) -> String {
    match problem {
        KeyProblem::Duplicate(key) | KeyProblem::Lookalike(key) => format!(
            "the argument `{}` looks like another one; use exact names, each once",
            shown(key)
        ),
        KeyProblem::Control(key) => format!(
            "the argument `{}` has a control character in its name",
            shown(key)
        ),
        KeyProblem::TooLong => format!(
            "the name of an argument is too long: names have at most {} bytes",
            lengths::KEY
        ),
        KeyProblem::TooMany => format!(
            "the call has too many arguments: one object may have {}",
            lengths::KEYS
        ),
        KeyProblem::TooMuch(_) => format!(
            "too many names of arguments are not plain ASCII: together they may have {} KiB",
            lengths::FOLDED / 1024
        ),
    }
}

pub(super) fn denied(tool: &str, reason: Option<&Text>) -> String {
    reason.map_or_else(
        || format!("the policy denies the tool `{}`", shown(tool)),
        Text::to_string,
    )
}

/// For a `require` that does not hold, by its first condition that fails.
pub(super) fn required(rule: &Rule, condition: &Condition, missing: bool) -> String {
    if let Some(text) = &rule.predicate.on_deny {
        return text.to_string();
    }
    let but = if missing { ", but it is missing" } else { "" };
    format!("`{}` must {}{but}", condition.path, demand(condition))
}

/// For a `deny_if` that holds.
pub(super) fn forbidden(rule: &Rule) -> String {
    match (
        &rule.predicate.on_deny,
        rule.predicate.conditions.as_slice(),
    ) {
        (Some(text), _) => text.to_string(),
        (None, []) => "the policy denies this tool".to_owned(),
        (None, conditions) => {
            let all: Vec<_> = conditions
                .iter()
                .map(|condition| format!("`{}` must not {}", condition.path, demand(condition)))
                .collect();
            all.join(", or ")
        }
    }
}

pub(super) fn cannot_tell(rule: &Rule, condition: &Condition, why: &str) -> String {
    let what = format!(
        "`{}` {why}, so `{}` cannot be checked",
        condition.path,
        condition.op.name()
    );
    match &rule.predicate.on_deny {
        Some(text) => format!("{text} ({what})"),
        None => what,
    }
}

pub(super) fn amount(limit: &LimitRule, why: &str) -> String {
    let path = match &limit.increment {
        crate::document::rules::Increment::From(path) => path.to_string(),
        crate::document::rules::Increment::Fixed(amount) => amount.to_string(),
    };
    format!(
        "`{path}` {why}, so it cannot be counted for the limit `{}`",
        limit.counter
    )
}

pub(super) fn asked(reasons: &[Text], call: &Call<'_>) -> String {
    if reasons.is_empty() {
        let what = call.tool.unwrap_or(call.method);
        return format!("calling `{}` needs a person's approval", shown(what));
    }
    let mut different: Vec<&str> = Vec::new();
    for reason in reasons {
        if !different.contains(&reason.as_str()) {
            different.push(reason);
        }
    }
    different.join("; ")
}

pub(super) fn limit_reached(charge: &Charge, retry_after_ms: Option<u64>) -> String {
    let (name, max) = (&charge.counter.counter, charge.max);
    if charge.amount > charge.max {
        // The amount may come from an argument, and those are never recorded.
        return format!("this is more than the limit `{name}` ever allows: {max}");
    }
    match charge.counter.window {
        Window::Concurrent => {
            format!(
                "the limit `{name}` of {max} calls at the same time is reached; wait for one to end"
            )
        }
        Window::Micros(micros) => {
            let again = retry_after_ms.map_or_else(String::new, |milliseconds| {
                format!("; try again in {}", retry_words(milliseconds))
            });
            format!(
                "the limit `{name}` of {max} per {} is reached{again}",
                duration::in_words(micros)
            )
        }
    }
}

/// Rounded up, so that whoever waits that long does not come too early.
fn retry_words(milliseconds: u64) -> String {
    let seconds = milliseconds.div_ceil(1_000).max(1);
    match seconds {
        1 => "1 second".to_owned(),
        2..120 => format!("{seconds} seconds"),
        120..7_200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3_600)),
    }
}

/// What follows "must" or "must not".
fn demand(condition: &Condition) -> String {
    let value = match &condition.value {
        Literal::Array(elements) => {
            let all: Vec<_> = elements
                .iter()
                .map(|element| shown(&plain(element)))
                .collect();
            shown(&all.join(", "))
        }
        single => shown(&plain(single)),
    };
    match condition.op {
        Operator::Eq => format!("be `{value}`"),
        Operator::Neq => format!("be anything but `{value}`"),
        Operator::In => format!("be one of: {value}"),
        Operator::NotIn => format!("be none of: {value}"),
        Operator::Lt => format!("be less than {value}"),
        Operator::Lte => format!("be at most {value}"),
        Operator::Gt => format!("be more than {value}"),
        Operator::Gte => format!("be at least {value}"),
        Operator::Regex => format!("match `{value}`"),
        Operator::Contains => format!("contain `{value}`"),
        Operator::Exists if condition.value == Literal::Bool(true) => "be given".to_owned(),
        Operator::Exists => "be left out".to_owned(),
        Operator::Under => format!("be a path inside: {value}"),
        Operator::HostIn => format!("be a URL of: {value}"),
        Operator::ArgvIn => format!("be a command that begins with: {value}"),
    }
}

fn plain(literal: &Literal) -> String {
    match literal {
        Literal::String(text) => text.clone(),
        Literal::Array(words) => words.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_line(),
    }
}

/// Safe to print, and not too long.
fn shown(text: &str) -> String {
    let escaped: String = text.chars().take(SHOWN).flat_map(visible).collect();
    if text.chars().nth(SHOWN).is_some() {
        format!("{escaped}…")
    } else {
        escaped
    }
}

fn visible(character: char) -> impl Iterator<Item = char> {
    let hidden = is_hidden(character).then(|| character.escape_default());
    let plain = hidden.is_none().then_some(character);
    plain.into_iter().chain(hidden.into_iter().flatten())
}
