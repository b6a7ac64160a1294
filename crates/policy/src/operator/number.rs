//! Numbers as all readers read them.
//!
//! Some readers keep a number exact, most make the nearest double of it, and
//! some make one that is a few off when it has many digits (serde does). A
//! comparison counts when it comes out the same for all of them.

use std::cmp::Ordering;

use super::{Answer, yes_if};
use crate::decimal::{Decimal, NoDecimal};

/// A JSON number, and its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number<'t> {
    text: &'t str,
    exact: Decimal<'t>,
}

/// The doubles that readers make of a number.
#[derive(Debug, Clone, Copy)]
struct Doubles {
    least: f64,
    most: f64,
}

pub(super) const UNREADABLE: Answer =
    Answer::CannotTell("is a number with a far too large exponent");
const ROUNDED: Answer = Answer::CannotTell(
    "is so close to the number it is compared with that rounding may change the result",
);

/// How far readers are off that do not round to the nearest double.
const DOUBLES_OFF: u32 = 4;

// === impl Number ===

impl<'t> Number<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, NoDecimal> {
        Decimal::read(text).map(|exact| Self { text, exact })
    }

    /// Whether something holds of how it compares with another, for everybody.
    pub(super) fn compare(&self, other: &Self, holds: impl Fn(Ordering) -> bool) -> Answer {
        let answer = holds(self.exact.cmp(&other.exact));
        // What is written alike is read alike, and up to 15 digits every
        // reader keeps apart what differs.
        let certain = self.text == other.text || (self.exact.is_plain() && other.exact.is_plain());
        if certain {
            return yes_if(answer);
        }
        let (Some(left), Some(right)) = (self.doubles(), other.doubles()) else {
            return UNREADABLE;
        };
        let possible = [
            (left.least < right.most, Ordering::Less),
            (
                left.least <= right.most && right.least <= left.most,
                Ordering::Equal,
            ),
            (left.most > right.least, Ordering::Greater),
        ];
        let agreed = possible
            .iter()
            .all(|&(possible, ordering)| !possible || holds(ordering) == answer);
        if agreed { yes_if(answer) } else { ROUNDED }
    }

    fn doubles(&self) -> Option<Doubles> {
        let nearest: f64 = self.text.parse().ok()?;
        if self.exact.is_plain() {
            return Some(Doubles {
                least: nearest,
                most: nearest,
            });
        }
        Some(Doubles {
            least: (0..DOUBLES_OFF).fold(nearest, |double, _| double.next_down()),
            most: (0..DOUBLES_OFF).fold(nearest, |double, _| double.next_up()),
        })
    }
}
