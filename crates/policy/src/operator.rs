//! What a condition asks of a value.

mod argv_in;
mod compare;
mod host_in;
mod number;
mod pattern;
mod under;

use crate::decimal::Decimal;
use crate::document::literal::Literal;
use crate::json::{Kind, Value};
use crate::path::{Outcome, Reason};
use crate::work::{Exhausted, TOO_MUCH, Work};

pub(crate) use pattern::{Costly, Pattern};

/// The operators by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operator {
    Eq,
    Neq,
    In,
    NotIn,
    Lt,
    Lte,
    Gt,
    Gte,
    Regex,
    Contains,
    Exists,
    Under,
    HostIn,
    ArgvIn,
}

/// An operator with its value, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equal(Literal),
    NotEqual(Literal),
    In(Vec<Literal>),
    NotIn(Vec<Literal>),
    Less(String),
    LessOrEqual(String),
    Greater(String),
    GreaterOrEqual(String),
    Matches(Pattern),
    Contains(Literal),
    Exists(bool),
    Under(under::Roots),
    HostIn(host_in::Hosts),
    ArgvIn(argv_in::Prefixes),
}

/// What an operator says about a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// The value has the wrong type, or could be read in two ways.
    CannotTell(Reason),
}

/// Why an operator refuses the value a policy gives it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadValue {
    pub(crate) message: String,
    pub(crate) hint: Option<&'static str>,
}

/// An answer, unless the budget of the call is used up.
pub(crate) type Asked = Result<Answer, Exhausted>;

// === impl Operator ===

impl Operator {
    pub(crate) const ALL: [(Self, &'static str); 14] = [
        (Self::Eq, "eq"),
        (Self::Neq, "neq"),
        (Self::In, "in"),
        (Self::NotIn, "not_in"),
        (Self::Lt, "lt"),
        (Self::Lte, "lte"),
        (Self::Gt, "gt"),
        (Self::Gte, "gte"),
        (Self::Regex, "regex"),
        (Self::Contains, "contains"),
        (Self::Exists, "exists"),
        (Self::Under, "under"),
        (Self::HostIn, "host_in"),
        (Self::ArgvIn, "argv_in"),
    ];

    pub(crate) fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(operator, _)| *operator == self)
            .map_or("", |(_, name)| name)
    }
}

// === impl Test ===

impl Test {
    /// Checks a policy's value and makes it ready.
    pub(crate) fn new(operator: Operator, value: &Literal) -> Result<Self, BadValue> {
        Ok(match operator {
            Operator::Eq => Self::Equal(value.clone()),
            Operator::Neq => Self::NotEqual(value.clone()),
            Operator::In => Self::In(list(operator, value)?),
            Operator::NotIn => Self::NotIn(list(operator, value)?),
            Operator::Lt => Self::Less(number(operator, value)?),
            Operator::Lte => Self::LessOrEqual(number(operator, value)?),
            Operator::Gt => Self::Greater(number(operator, value)?),
            Operator::Gte => Self::GreaterOrEqual(number(operator, value)?),
            Operator::Regex => Self::Matches(regex(value)?),
            Operator::Contains => Self::Contains(value.clone()),
            Operator::Exists => match value {
                Literal::Bool(wanted) => Self::Exists(*wanted),
                _ => return Err(bad(operator, "`true` or `false`")),
            },
            Operator::Under => Self::Under(under::Roots::new(&strings(operator, value)?)?),
            Operator::HostIn => Self::HostIn(host_in::Hosts::new(&strings(operator, value)?)?),
            Operator::ArgvIn => Self::ArgvIn(argv_in::Prefixes::new(value)?),
        })
    }

    /// Asks about what stands at the path.
    pub(crate) fn ask(&self, value: Option<Value<'_>>, work: &mut Work) -> Outcome {
        let answer = match (self, value) {
            (Self::Exists(wanted), None) => Ok(yes_if(!wanted)),
            (_, None) => return Outcome::Absent,
            (_, Some(value)) => self.answer(value, work),
        };
        match answer {
            Ok(Answer::Yes) => Outcome::Holds,
            Ok(Answer::No) => Outcome::Fails,
            Ok(Answer::CannotTell(why)) => Outcome::CannotTell(why),
            Err(Exhausted) => Outcome::CannotTell(TOO_MUCH),
        }
    }

    /// What it means when a path leads through something without members.
    pub(crate) fn through(&self) -> Outcome {
        match self {
            // Asking whether something exists is answered there: it does not.
            Self::Exists(_) => Outcome::Absent,
            _ => Outcome::CannotTell("cannot be reached: what is around it is no object or list"),
        }
    }

    fn answer(&self, value: Value<'_>, work: &mut Work) -> Asked {
        match self {
            Self::Equal(literal) => compare::equal(value, literal, work),
            Self::NotEqual(literal) => compare::equal(value, literal, work).map(Answer::negated),
            Self::In(list) => compare::among(value, list, work),
            Self::NotIn(list) => compare::among(value, list, work).map(Answer::negated),
            Self::Less(limit) => compare::ordered(value, limit, |order| order.is_lt(), work),
            Self::LessOrEqual(limit) => compare::ordered(value, limit, |order| order.is_le(), work),
            Self::Greater(limit) => compare::ordered(value, limit, |order| order.is_gt(), work),
            Self::GreaterOrEqual(limit) => {
                compare::ordered(value, limit, |order| order.is_ge(), work)
            }
            Self::Matches(pattern) => on_text(value, work, |text, work| pattern.ask(text, work)),
            Self::Contains(literal) => compare::contains(value, literal, work),
            Self::Exists(wanted) => Ok(yes_if(value.is_null() != *wanted)),
            Self::Under(roots) => on_text(value, work, |text, work| roots.ask(text, work)),
            Self::HostIn(hosts) => on_text(value, work, |text, work| hosts.ask(text, work)),
            Self::ArgvIn(prefixes) => prefixes.ask(value, work),
        }
    }
}

// === impl Answer ===

impl Answer {
    fn negated(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::CannotTell(why) => Self::CannotTell(why),
        }
    }
}

fn yes_if(condition: bool) -> Answer {
    if condition { Answer::Yes } else { Answer::No }
}

fn on_text(value: Value<'_>, work: &mut Work, ask: impl Fn(&str, &mut Work) -> Asked) -> Asked {
    match work.words(value)? {
        Some(text) => ask(&text, work),
        None => Ok(Answer::CannotTell("is no text")),
    }
}

/// What folding a text costs: two normal forms, character by character.
fn fold_cost(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.len().saturating_mul(128),
    }
}

fn bad(operator: Operator, needed: &str) -> BadValue {
    BadValue {
        message: format!("`{}` needs {needed}", operator.name()),
        hint: None,
    }
}

fn list(operator: Operator, value: &Literal) -> Result<Vec<Literal>, BadValue> {
    match value {
        Literal::Array(elements) => Ok(elements.clone()),
        _ => Err(bad(operator, "a list")),
    }
}

fn number(operator: Operator, value: &Literal) -> Result<String, BadValue> {
    match value {
        Literal::Number(text) if Decimal::parse(text).is_some() => Ok(text.clone()),
        Literal::Number(_) => Err(bad(operator, "a number with a smaller exponent")),
        Literal::String(text) if Decimal::parse(text).is_some() => Err(BadValue {
            hint: Some("write the number without quotes"),
            ..bad(operator, "a number")
        }),
        _ => Err(bad(operator, "a number")),
    }
}

fn strings(operator: Operator, value: &Literal) -> Result<Vec<String>, BadValue> {
    let needed = || bad(operator, "a list of texts");
    let Literal::Array(elements) = value else {
        return Err(needed());
    };
    elements
        .iter()
        .map(|element| match element {
            Literal::String(text) => Ok(text.clone()),
            _ => Err(needed()),
        })
        .collect()
}

fn regex(value: &Literal) -> Result<Pattern, BadValue> {
    match value {
        Literal::String(pattern) => Pattern::new(pattern),
        _ => Err(bad(Operator::Regex, "a pattern as text")),
    }
}

/// Whether the kind is an object or an array.
fn is_composite(kind: Kind) -> bool {
    matches!(kind, Kind::Object | Kind::Array)
}

#[cfg(test)]
mod tests;
