//! An operator with its value, ready to be asked.

use super::pattern::Pattern;
use super::{
    Answer, Asked, BadValue, Operator, argv_in, bad, compare, host_in, needs, under, yes_if,
};
use crate::decimal::Decimal;
use crate::document::Literal;
use crate::json::Value;
use crate::path::Outcome;
use crate::work::{Exhausted, TOO_MUCH, Work};

/// An operator with its value, ready to be asked.
#[derive(Debug, Clone)]
pub(crate) enum Matcher {
    Eq(Literal),
    Neq(Literal),
    In(Vec<Literal>),
    NotIn(Vec<Literal>),
    Lt(String),
    Lte(String),
    Gt(String),
    Gte(String),
    Regex(Pattern),
    Contains(Literal),
    Exists(bool),
    Under(under::Roots),
    HostIn(host_in::Hosts),
    ArgvIn(argv_in::Prefixes),
}

// === impl Matcher ===

impl Matcher {
    /// Checks a policy's value and makes it ready.
    pub(crate) fn new(operator: Operator, value: &Literal) -> Result<Self, BadValue> {
        Ok(match operator {
            Operator::Eq => Self::Eq(value.clone()),
            Operator::Neq => Self::Neq(value.clone()),
            Operator::In => Self::In(list(operator, value)?),
            Operator::NotIn => Self::NotIn(list(operator, value)?),
            Operator::Lt => Self::Lt(number(operator, value)?),
            Operator::Lte => Self::Lte(number(operator, value)?),
            Operator::Gt => Self::Gt(number(operator, value)?),
            Operator::Gte => Self::Gte(number(operator, value)?),
            Operator::Regex => Self::Regex(regex(operator, value)?),
            Operator::Contains => Self::Contains(value.clone()),
            Operator::Exists => match value {
                Literal::Bool(wanted) => Self::Exists(*wanted),
                _ => return Err(bad(operator)),
            },
            Operator::Under => Self::Under(under::Roots::new(&strings(operator, value)?)?),
            Operator::HostIn => Self::HostIn(host_in::Hosts::new(&strings(operator, value)?)?),
            Operator::ArgvIn => Self::ArgvIn(argv_in::Prefixes::new(operator, value)?),
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
            _ => Outcome::CannotTell(
                "cannot be reached: what is around it is neither an object nor a list",
            ),
        }
    }

    fn answer(&self, value: Value<'_>, work: &mut Work) -> Asked {
        match self {
            Self::Eq(literal) => compare::equal(value, literal, work),
            Self::Neq(literal) => compare::equal(value, literal, work).map(Answer::negated),
            Self::In(list) => compare::among(value, list, work),
            Self::NotIn(list) => compare::among(value, list, work).map(Answer::negated),
            Self::Lt(limit) => compare::ordered(value, limit, |order| order.is_lt(), work),
            Self::Lte(limit) => compare::ordered(value, limit, |order| order.is_le(), work),
            Self::Gt(limit) => compare::ordered(value, limit, |order| order.is_gt(), work),
            Self::Gte(limit) => compare::ordered(value, limit, |order| order.is_ge(), work),
            Self::Regex(pattern) => on_text(value, work, |text, work| pattern.ask(text, work)),
            Self::Contains(literal) => compare::contains(value, literal, work),
            Self::Exists(wanted) => Ok(yes_if(value.is_null() != *wanted)),
            Self::Under(roots) => on_text(value, work, |text, work| roots.ask(text, work)),
            Self::HostIn(hosts) => on_text(value, work, |text, work| hosts.ask(text, work)),
            Self::ArgvIn(prefixes) => prefixes.ask(value, work),
        }
    }
}

fn on_text(value: Value<'_>, work: &mut Work, ask: impl Fn(&str, &mut Work) -> Asked) -> Asked {
    match work.words(value)? {
        Some(text) => ask(&text, work),
        None => Ok(Answer::CannotTell("is not text")),
    }
}

fn list(operator: Operator, value: &Literal) -> Result<Vec<Literal>, BadValue> {
    match value {
        Literal::Array(elements) => Ok(elements.clone()),
        _ => Err(bad(operator)),
    }
}

fn number(operator: Operator, value: &Literal) -> Result<String, BadValue> {
    match value {
        Literal::Number(text) if Decimal::parse(text).is_some() => Ok(text.clone()),
        Literal::Number(_) => Err(needs(operator, "a number with a smaller exponent")),
        Literal::String(text) if Decimal::parse(text).is_some() => Err(BadValue {
            hint: Some("write the number without quotes"),
            ..bad(operator)
        }),
        _ => Err(bad(operator)),
    }
}

fn strings(operator: Operator, value: &Literal) -> Result<Vec<String>, BadValue> {
    let Literal::Array(elements) = value else {
        return Err(bad(operator));
    };
    elements
        .iter()
        .map(|element| match element {
            Literal::String(text) => Ok(text.clone()),
            _ => Err(bad(operator)),
        })
        .collect()
}

fn regex(operator: Operator, value: &Literal) -> Result<Pattern, BadValue> {
    match value {
        Literal::String(pattern) => Pattern::new(pattern),
        _ => Err(bad(operator)),
    }
}
