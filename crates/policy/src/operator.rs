//! What a condition asks of a value.

mod argv_in;
mod compare;
mod host_in;
mod number;
mod pattern;
mod under;

use crate::decimal::Decimal;
use crate::document::Literal;
use crate::json::{Kind, Value};
use crate::path::{Outcome, Reason};
use crate::words::{Word, words};
use crate::work::{Exhausted, TOO_MUCH, Work};

pub use pattern::Costly;
pub(crate) use pattern::Pattern;

words! {
    /// The operators.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum Operator {
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Neq = "neq",
        /// Equal to one of a list.
        In = "in",
        /// Equal to none of a list.
        NotIn = "not_in",
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Lte = "lte",
        /// Greater.
        Gt = "gt",
        /// Greater or equal.
        Gte = "gte",
        /// A pattern is found anywhere in the text.
        Regex = "regex",
        /// Part of a text, or element of a list.
        Contains = "contains",
        /// Present and not null, or the opposite.
        Exists = "exists",
        /// A path inside one of these directories.
        Under = "under",
        /// A URL of one of these hosts.
        HostIn = "host_in",
        /// A command that begins with one of these.
        ArgvIn = "argv_in",
    }
}

/// What a policy gives an operator as its value. Reading, the schema and the
/// warnings all go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueForm {
    /// Any JSON value.
    Any,
    /// A list of any values.
    List,
    /// A number.
    Number,
    /// Text with a pattern in it.
    Pattern,
    /// `true` or `false`.
    Bool,
    /// A list of texts.
    Texts,
    /// A list of commands, each as text or as a list of words.
    Commands,
}

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
    /// What form its value has.
    pub fn value_form(self) -> ValueForm {
        match self {
            Self::Eq | Self::Neq | Self::Contains => ValueForm::Any,
            Self::In | Self::NotIn => ValueForm::List,
            Self::Lt | Self::Lte | Self::Gt | Self::Gte => ValueForm::Number,
            Self::Regex => ValueForm::Pattern,
            Self::Exists => ValueForm::Bool,
            Self::Under | Self::HostIn => ValueForm::Texts,
            Self::ArgvIn => ValueForm::Commands,
        }
    }
}

// === impl ValueForm ===

impl ValueForm {
    /// In words that follow "needs".
    fn in_words(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::List => "a list",
            Self::Number => "a number",
            Self::Pattern => "a pattern as text",
            Self::Bool => "`true` or `false`",
            Self::Texts => "a list of texts",
            Self::Commands => "a list of commands",
        }
    }
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
            _ => Outcome::CannotTell("cannot be reached: what is around it is no object or list"),
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

fn bad(operator: Operator) -> BadValue {
    needs(operator, operator.value_form().in_words())
}

fn needs(operator: Operator, needed: &str) -> BadValue {
    BadValue {
        message: format!("`{}` needs {needed}", operator.name()),
        hint: None,
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

/// Whether the kind is an object or an array.
fn is_composite(kind: Kind) -> bool {
    matches!(kind, Kind::Object | Kind::Array)
}

#[cfg(test)]
mod tests;
