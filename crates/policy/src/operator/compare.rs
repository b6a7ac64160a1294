//! Comparing a call's value with a policy's.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Answer, is_composite, yes_if};
use crate::decimal::Decimal;
use crate::document::literal::Literal;
use crate::json::{Kind, Value};

const COMPOSITE: Answer = Answer::CannotTell("is an object or a list");
const UNREADABLE: Answer = Answer::CannotTell("is a number with an absurd exponent");

/// Numbers by value, other scalars by their text; objects and lists only with
/// their own kind.
pub(super) fn equal(value: Value<'_>, literal: &Literal) -> Answer {
    match (value.kind(), literal) {
        (Kind::Array, Literal::Array(elements)) => {
            if value.len() != elements.len() {
                return Answer::No;
            }
            all(value
                .elements()
                .zip(elements)
                .map(|(value, literal)| inner(value, literal)))
        }
        (Kind::Object, Literal::Object(members)) => {
            if value.len() != members.len() {
                return Answer::No;
            }
            all(members.iter().map(|(key, literal)| {
                value
                    .get(key)
                    .map_or(Answer::No, |value| inner(value, literal))
            }))
        }
        (kind, _) if is_composite(kind) => COMPOSITE,
        (_, Literal::Array(_) | Literal::Object(_)) => {
            Answer::CannotTell("is neither an object nor a list")
        }
        (Kind::Null, literal) => yes_if(*literal == Literal::Null),
        (_, Literal::Null) => Answer::No,
        _ => scalar(value, literal),
    }
}

/// Inside objects and lists another kind is simply unequal.
fn inner(value: Value<'_>, literal: &Literal) -> Answer {
    let same_shape = match literal {
        Literal::Array(_) => value.kind() == Kind::Array,
        Literal::Object(_) => value.kind() == Kind::Object,
        _ => !is_composite(value.kind()),
    };
    if same_shape {
        equal(value, literal)
    } else {
        Answer::No
    }
}

fn all(mut answers: impl Iterator<Item = Answer>) -> Answer {
    answers
        .find(|answer| *answer != Answer::Yes)
        .unwrap_or(Answer::Yes)
}

/// One of the list.
pub(super) fn among(value: Value<'_>, list: &[Literal]) -> Answer {
    let comparable = |literal: &&Literal| {
        is_composite(value.kind()) == matches!(literal, Literal::Array(_) | Literal::Object(_))
    };
    let mut answer = if is_composite(value.kind()) {
        COMPOSITE
    } else {
        Answer::No
    };
    for literal in list.iter().filter(comparable) {
        match equal(value, literal) {
            Answer::Yes => return Answer::Yes,
            Answer::No => answer = Answer::No,
            Answer::CannotTell(_) if is_composite(value.kind()) => {}
            unsure @ Answer::CannotTell(_) => answer = unsure,
        }
    }
    answer
}

/// Text in text, or an element in a list.
pub(super) fn contains(value: Value<'_>, literal: &Literal) -> Answer {
    match (value.kind(), literal) {
        (Kind::String, Literal::String(part)) => {
            yes_if(value.as_str().is_some_and(|text| text.contains(part)))
        }
        (Kind::String, _) => Answer::CannotTell("is text and can only contain text"),
        (Kind::Array, _) => {
            let mut answer = Answer::No;
            for element in value.elements() {
                match equal(element, literal) {
                    Answer::Yes => return Answer::Yes,
                    Answer::No => {}
                    unsure @ Answer::CannotTell(_) => answer = unsure,
                }
            }
            answer
        }
        _ => Answer::CannotTell("is neither text nor a list"),
    }
}

/// Less, equal or greater than a number.
pub(super) fn ordered(value: Value<'_>, limit: &str, holds: impl Fn(Ordering) -> bool) -> Answer {
    let text = match value.kind() {
        Kind::Number => Cow::Borrowed(value.raw()),
        Kind::String => value.as_str().unwrap_or_default(),
        _ => return Answer::CannotTell("is no number"),
    };
    match (Decimal::parse(&text), Decimal::parse(limit)) {
        (Some(number), Some(limit)) => yes_if(holds(number.cmp(&limit))),
        (None, _) if value.kind() == Kind::Number => UNREADABLE,
        _ => Answer::CannotTell("is no number"),
    }
}

fn scalar(value: Value<'_>, literal: &Literal) -> Answer {
    let left = match value.kind() {
        Kind::String => value.as_str().unwrap_or_default(),
        _ => Cow::Borrowed(value.raw()),
    };
    let right = match literal {
        Literal::String(text) | Literal::Number(text) => text,
        Literal::Bool(true) => "true",
        _ => "false",
    };
    if left == right {
        return Answer::Yes;
    }
    if value.kind() == Kind::Number && Decimal::parse(&left).is_none() {
        return UNREADABLE;
    }
    // Almost all texts differ from numbers in their first byte.
    let numeric =
        |text: &str| text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if !numeric(&left) || !numeric(right) {
        return Answer::No;
    }
    match (Decimal::parse(&left), Decimal::parse(right)) {
        (Some(left), Some(right)) => yes_if(left == right),
        _ => Answer::No,
    }
}
