//! Values that other spellings get past, and patterns that can cost too much.

use std::collections::HashSet;

use provost_policy::document::Literal;
use provost_policy::document::parts::{Condition, Predicate};
use provost_policy::lengths;
use provost_policy::operator::{Costly, Operator, ValueForm};

use super::found::Warnings;

/// What `require` makes sure of.
pub(super) struct Pinned<'p> {
    /// Paths at which there is a number, or text that is one.
    numbers: HashSet<&'p str>,
    /// Paths at which there is text.
    texts: HashSet<&'p str>,
}

/// Characters of a pattern that are shown.
const SHOWN: usize = 60;

// === impl Pinned ===

impl<'p> Pinned<'p> {
    pub(super) fn by<const N: usize>(lists: [&'p [Predicate]; N]) -> Self {
        let conditions = || {
            let predicates = lists.iter().copied().flatten();
            predicates.flat_map(|predicate| &predicate.conditions)
        };
        let paths = |pin: Pin| {
            conditions()
                .filter(|condition| pins(condition.op) == pin)
                .map(|condition| condition.path.as_str())
                .collect()
        };
        Self {
            numbers: paths(Pin::Number),
            texts: paths(Pin::Text),
        }
    }
}

/// What a value must be for an operator to hold.
#[derive(PartialEq)]
enum Pin {
    Number,
    Text,
    Open,
}

fn pins(operator: Operator) -> Pin {
    match operator {
        Operator::Lt | Operator::Lte | Operator::Gt | Operator::Gte => Pin::Number,
        Operator::Regex | Operator::Under | Operator::HostIn => Pin::Text,
        Operator::Eq
        | Operator::Neq
        | Operator::In
        | Operator::NotIn
        | Operator::Contains
        | Operator::Exists
        | Operator::ArgvIn => Pin::Open,
    }
}

pub(super) fn check(
    pointer: &str,
    list: &str,
    predicate: &Predicate,
    pinned: &Pinned<'_>,
    warnings: &mut Warnings,
) {
    for (index, condition) in predicate.conditions.iter().enumerate() {
        let pointer = format!("{pointer}/conditions/{index}");
        let path = condition.path.as_str();
        if gets_past_by_spelling(list, condition) && !pinned.numbers.contains(path) {
            let message = "a call with the number as text, such as `\" 5\"` or `\"+5\"`, counts as unequal here, \
                           and many servers read such text as the number";
            let hint = format!(
                "require that `{path}` is a number: a comparison in `require`, such as `gte`, refuses everything else"
            );
            warnings.add(pointer.clone(), message, &hint);
        }
        if list != "require" && is_fragment(condition) && !pinned.texts.contains(path) {
            let message = format!(
                "in a list, `contains` finds whole elements only, not {} inside one",
                condition.value.to_line()
            );
            let hint = format!(
                "if `{path}` may be a list, use `regex` on its elements, `{path}[*]`; if it is always text, add a `regex` on it to `require`"
            );
            warnings.add(pointer.clone(), message, &hint);
        }
        if let Some(costly) = condition.costly() {
            costly_pattern(pointer, condition, costly, warnings);
        }
    }
}

fn costly_pattern(pointer: String, condition: &Condition, costly: Costly, warnings: &mut Warnings) {
    let pattern: String = condition.value.to_line().chars().take(SHOWN).collect();
    let (message, hint) = match costly {
        Costly::NotAscii(bytes) => (
            format!(
                "{pattern} takes too much work to check in a text of more than {} KiB with characters beyond ASCII; such a call is refused",
                bytes / 1024
            ),
            r"`(?-u:\b)` in place of `\b` knows the letters of ASCII only, and is cheap in every text",
        ),
        Costly::Hostile => (
            format!(
                "there are texts of {} MiB in which {pattern} takes too much work to check; such a call is refused",
                lengths::BODY >> 20
            ),
            "shorter repetitions make a pattern cheaper, and so does `(?-u)` where ASCII is meant",
        ),
    };
    warnings.add(pointer, message, hint);
}

/// Whether a value that is not equal lets the call pass, and could be a number
/// in another spelling.
fn gets_past_by_spelling(list: &str, condition: &Condition) -> bool {
    let unequal_passes = match condition.op {
        Operator::Eq | Operator::In | Operator::Contains => list != "require",
        Operator::Neq | Operator::NotIn => list == "require",
        Operator::Lt
        | Operator::Lte
        | Operator::Gt
        | Operator::Gte
        | Operator::Regex
        | Operator::Exists
        | Operator::Under
        | Operator::HostIn
        | Operator::ArgvIn => false,
    };
    let is_number = |literal: &Literal| matches!(literal, Literal::Number(_));
    unequal_passes
        && match (&condition.value, condition.op.value_form()) {
            (Literal::Array(elements), ValueForm::List) => elements.iter().any(is_number),
            (value, _) => is_number(value),
        }
}

/// Whether it looks for text that rather stands inside a word of a list than
/// alone: with white space in it, or with a sign at one of its ends.
fn is_fragment(condition: &Condition) -> bool {
    let Literal::String(text) = &condition.value else {
        return false;
    };
    let sign = |c: char| !c.is_alphanumeric() && c != '-' && c != '_';
    condition.op == Operator::Contains
        && (text.contains(char::is_whitespace) || text.starts_with(sign) || text.ends_with(sign))
}
