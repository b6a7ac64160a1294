//! What a condition asks of a value.

mod argv_in;
mod compare;
mod host_in;
mod under;

use regex::{Regex, RegexBuilder};

use crate::decimal::Decimal;
use crate::document::literal::Literal;
use crate::json::{Kind, Value};
use crate::path::{Outcome, Reason};

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
    Matches(Regex),
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

/// Largest compiled regular expression, in bytes.
const REGEX_SIZE: usize = 1 << 20;

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
    pub(crate) fn ask(&self, value: Option<Value<'_>>) -> Outcome {
        let answer = match (self, value) {
            (Self::Exists(wanted), None) => yes_if(!wanted),
            (_, None) => return Outcome::Absent,
            (_, Some(value)) => self.answer(value),
        };
        match answer {
            Answer::Yes => Outcome::Holds,
            Answer::No => Outcome::Fails,
            Answer::CannotTell(why) => Outcome::CannotTell(why),
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

    fn answer(&self, value: Value<'_>) -> Answer {
        match self {
            Self::Equal(literal) => compare::equal(value, literal),
            Self::NotEqual(literal) => compare::equal(value, literal).negated(),
            Self::In(list) => compare::among(value, list),
            Self::NotIn(list) => compare::among(value, list).negated(),
            Self::Less(limit) => compare::ordered(value, limit, |order| order.is_lt()),
            Self::LessOrEqual(limit) => compare::ordered(value, limit, |order| order.is_le()),
            Self::Greater(limit) => compare::ordered(value, limit, |order| order.is_gt()),
            Self::GreaterOrEqual(limit) => compare::ordered(value, limit, |order| order.is_ge()),
            Self::Matches(regex) => match value.as_str() {
                Some(text) => yes_if(regex.is_match(&text)),
                None => Answer::CannotTell("is no text"),
            },
            Self::Contains(literal) => compare::contains(value, literal),
            Self::Exists(wanted) => yes_if(value.is_null() != *wanted),
            Self::Under(roots) => on_text(value, |text| roots.ask(text)),
            Self::HostIn(hosts) => on_text(value, |text| hosts.ask(text)),
            Self::ArgvIn(prefixes) => prefixes.ask(value),
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

fn on_text(value: Value<'_>, ask: impl Fn(&str) -> Answer) -> Answer {
    value
        .as_str()
        .map_or(Answer::CannotTell("is no text"), |text| ask(&text))
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

fn regex(value: &Literal) -> Result<Regex, BadValue> {
    let Literal::String(pattern) = value else {
        return Err(bad(Operator::Regex, "a pattern as text"));
    };
    RegexBuilder::new(pattern)
        .size_limit(REGEX_SIZE)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => BadValue {
                message: format!("the pattern `{pattern}` is too large"),
                hint: Some("use smaller repetitions"),
            },
            error => BadValue {
                // The last line says what is wrong, the ones before draw it.
                message: format!(
                    "invalid pattern `{pattern}`: {}",
                    error
                        .to_string()
                        .lines()
                        .last()
                        .unwrap_or_default()
                        .trim_start_matches("error: ")
                ),
                hint: Some("patterns run in linear time: no look-around, no back-references"),
            },
        })
}

/// Whether the kind is an object or an array.
fn is_composite(kind: Kind) -> bool {
    matches!(kind, Kind::Object | Kind::Array)
}

#[cfg(test)]
mod tests;
