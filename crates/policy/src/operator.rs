//! What a condition asks of a value.

mod argv_in;
mod compare;
mod host_in;
mod matcher;
mod number;
mod pattern;
mod under;

use crate::path::Reason;
use crate::words::{Word, words};
use crate::work::Exhausted;

pub(crate) use matcher::Matcher;
pub use pattern::Costly;

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

#[cfg(test)]
mod tests;
