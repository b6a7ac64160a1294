//! Comparing a call's value with a policy's.

use std::cmp::Ordering;

use super::number::{Number, UNREADABLE};
use super::{Answer, Asked, yes_if};
use crate::decimal::NoDecimal;
use crate::document::Literal;
use crate::json::{Kind, Value};
use crate::work::{Exhausted, Words, Work};

const COMPOSITE: Answer = Answer::CannotTell("is an object or a list");
const NO_NUMBER: Answer = Answer::CannotTell("is not a number");

/// What comparing two values costs, their bytes aside.
const EACH: usize = 4;

/// Numbers by value, text with text byte for byte, and other scalars by their
/// text; objects and lists only with their own kind.
pub(super) fn equal(value: Value<'_>, literal: &Literal, work: &mut Work) -> Asked {
    work.spend(EACH)?;
    match (value.kind(), literal) {
        (Kind::Array, Literal::Array(elements)) => {
            if value.len() != elements.len() {
                return Ok(Answer::No);
            }
            let pairs = value.elements().zip(elements);
            all(pairs.map(|(value, literal)| inner(value, literal, work)))
        }
        (Kind::Object, Literal::Object(members)) => {
            if value.len() != members.len() {
                return Ok(Answer::No);
            }
            all(members.iter().map(|(key, literal)| {
                work.spend(value.len())?;
                match value.get(key) {
                    Some(value) => inner(value, literal, work),
                    None => Ok(Answer::No),
                }
            }))
        }
        (kind, _) if is_composite(kind) => Ok(COMPOSITE),
        (_, Literal::Array(_) | Literal::Object(_)) => {
            Ok(Answer::CannotTell("is neither an object nor a list"))
        }
        (Kind::Null, literal) => Ok(yes_if(*literal == Literal::Null)),
        (_, Literal::Null) => Ok(Answer::No),
        _ => scalar(value, literal, work),
    }
}

/// Inside objects and lists another kind is simply unequal.
fn inner(value: Value<'_>, literal: &Literal, work: &mut Work) -> Asked {
    if same_shape(value, literal) {
        equal(value, literal, work)
    } else {
        Ok(Answer::No)
    }
}

fn same_shape(value: Value<'_>, literal: &Literal) -> bool {
    match literal {
        Literal::Array(_) => value.kind() == Kind::Array,
        Literal::Object(_) => value.kind() == Kind::Object,
        _ => !is_composite(value.kind()),
    }
}

/// One that is unequal decides, whatever cannot be told beside it.
fn all(answers: impl Iterator<Item = Asked>) -> Asked {
    first_of(Answer::No, Answer::Yes, answers)
}

/// One that is equal decides, whatever cannot be told beside it.
fn any(answers: impl Iterator<Item = Asked>) -> Asked {
    first_of(Answer::Yes, Answer::No, answers)
}

fn first_of(decides: Answer, otherwise: Answer, answers: impl Iterator<Item = Asked>) -> Asked {
    let mut together = otherwise;
    for answer in answers {
        let answer = answer?;
        if answer == decides {
            return Ok(decides);
        }
        if answer != otherwise {
            together = answer;
        }
    }
    Ok(together)
}

/// One of the list.
pub(super) fn among(value: Value<'_>, list: &[Literal], work: &mut Work) -> Asked {
    let mut comparable = list
        .iter()
        .filter(|literal| same_shape(value, literal))
        .peekable();
    if is_composite(value.kind()) && comparable.peek().is_none() {
        return Ok(COMPOSITE);
    }
    any(comparable.map(|literal| equal(value, literal, work)))
}

/// Text in text, or an element in a list.
pub(super) fn contains(value: Value<'_>, literal: &Literal, work: &mut Work) -> Asked {
    match (value.kind(), literal) {
        (Kind::String, Literal::String(part)) => {
            let text = work.words(value)?;
            let text = text.as_deref().unwrap_or_default();
            work.spend(text.len())?;
            Ok(yes_if(text.contains(part)))
        }
        (Kind::String, _) => Ok(Answer::CannotTell("is text and can only contain text")),
        (Kind::Array, _) => any(value
            .elements()
            .map(|element| equal(element, literal, work))),
        _ => Ok(Answer::CannotTell("is neither text nor a list")),
    }
}

/// Less, equal or greater than a number.
pub(super) fn ordered(
    value: Value<'_>,
    limit: &str,
    holds: impl Fn(Ordering) -> bool,
    work: &mut Work,
) -> Asked {
    let text = match value.kind() {
        Kind::Number => Words::Written(value.raw()),
        Kind::String => match work.words(value)? {
            Some(text) => text,
            None => return Ok(NO_NUMBER),
        },
        _ => return Ok(NO_NUMBER),
    };
    work.spend(text.len() + limit.len())?;
    Ok(match (Number::read(&text), Number::read(limit)) {
        (Ok(number), Ok(limit)) => number.compare(&limit, holds),
        (Err(NoDecimal::NoNumber), _) => NO_NUMBER,
        (Err(NoDecimal::Absurd), _) | (_, Err(_)) => UNREADABLE,
    })
}

fn scalar(value: Value<'_>, literal: &Literal, work: &mut Work) -> Asked {
    match (value.kind(), literal) {
        (Kind::Number, Literal::Number(number)) => numeric(value.raw(), number, work),
        // Where one side is a number, text that is one means that number.
        (Kind::Number, Literal::String(text)) => numeric(value.raw(), text, work),
        (Kind::String, Literal::Number(number)) => {
            let text = work.words(value)?;
            numeric(text.as_deref().unwrap_or_default(), number, work)
        }
        (Kind::String, Literal::String(text)) => Ok(yes_if(same_text(value, text, work)?)),
        (Kind::String, Literal::Bool(truth)) => {
            Ok(yes_if(same_text(value, truth_word(*truth), work)?))
        }
        (_, Literal::String(text)) => Ok(yes_if(value.raw() == text)),
        (_, Literal::Bool(truth)) => Ok(yes_if(value.raw() == truth_word(*truth))),
        _ => Ok(Answer::No),
    }
}

/// Equality where at least one side is a number.
fn numeric(left: &str, right: &str, work: &mut Work) -> Asked {
    work.spend(left.len() + right.len())?;
    Ok(match (Number::read(left), Number::read(right)) {
        (Ok(left), Ok(right)) => left.compare(&right, Ordering::is_eq),
        // The other one is text, and no number.
        (Err(NoDecimal::NoNumber), _) | (_, Err(NoDecimal::NoNumber)) => Answer::No,
        (Err(NoDecimal::Absurd), _) | (_, Err(NoDecimal::Absurd)) => {
            if left == right {
                Answer::Yes
            } else {
                UNREADABLE
            }
        }
    })
}

/// Stops at the first difference, so the shorter of the two counts.
fn same_text(value: Value<'_>, text: &str, work: &mut Work) -> Result<bool, Exhausted> {
    // One character takes at most six bytes to write.
    work.spend(value.raw().len().min(6 * text.len()))?;
    Ok(value.is_str(text))
}

fn truth_word(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

/// Whether the kind is an object or an array.
fn is_composite(kind: Kind) -> bool {
    matches!(kind, Kind::Object | Kind::Array)
}
