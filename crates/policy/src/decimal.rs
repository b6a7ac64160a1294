//! Exact decimal numbers as they stand in JSON text.
//!
//! Numbers are never expanded: `1e400` costs five bytes here, and two numbers
//! compare by sign, exponent and digits.

use std::cmp::Ordering;

/// A JSON number, borrowed from its text.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'t> {
    negative: bool,
    /// Digits before and after the point, without it.
    whole: &'t [u8],
    fraction: &'t [u8],
    /// Index of the first digit that is not zero, counted over both parts;
    /// `None` for zero.
    first: Option<usize>,
    /// The power of ten of that digit.
    magnitude: i64,
}

/// Why a text is not a number that can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDecimal {
    /// It is not a number by the JSON grammar.
    NoNumber,
    /// It is one, with an exponent that no honest number has.
    Absurd,
}

/// An exponent beyond this is refused: nothing compares with such a number.
const LARGEST_EXPONENT: i64 = 1_000_000_000_000_000;

// === impl Decimal ===

impl<'t> Decimal<'t> {
    /// Reads a number by the JSON grammar; `None` for anything else, and for
    /// exponents that no honest number has.
    pub fn parse(text: &'t str) -> Option<Self> {
        Self::read(text).ok()
    }

    /// The same, and says why there is none.
    pub fn read(text: &'t str) -> Result<Self, NoDecimal> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (whole, rest) = digits(rest);
        if whole.is_empty() || (whole.len() > 1 && whole.first() == Some(&b'0')) {
            return Err(NoDecimal::NoNumber);
        }
        let (fraction, rest) = match rest {
            [b'.', rest @ ..] => {
                let (fraction, rest) = digits(rest);
                if fraction.is_empty() {
                    return Err(NoDecimal::NoNumber);
                }
                (fraction, rest)
            }
            rest => (&[][..], rest),
        };
        let exponent = exponent(rest).ok_or(NoDecimal::NoNumber)?;
        let first = whole
            .iter()
            .chain(fraction)
            .position(|&digit| digit != b'0');
        let Some(at) = first else {
            return Ok(Self {
                negative: false,
                whole,
                fraction,
                first,
                magnitude: 0,
            });
        };
        if exponent.abs() > LARGEST_EXPONENT {
            return Err(NoDecimal::Absurd);
        }
        // A text is shorter than an `i64` can count.
        let length = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
        Ok(Self {
            negative,
            whole,
            fraction,
            first,
            magnitude: exponent + length(whole.len()) - 1 - length(at),
        })
    }

    /// Whether it is written with at most 15 digits, the last of which is no
    /// further than 22 places from the point. Doubles keep such numbers apart,
    /// and every way of reading them comes to the nearest one.
    pub fn is_plain(&self) -> bool {
        let Some(first) = self.first else { return true };
        let written = self.whole.len() + self.fraction.len() - first;
        let Ok(digits) = i64::try_from(written) else {
            return false;
        };
        digits <= 15 && (-22..=22).contains(&(self.magnitude + 1 - digits))
    }

    /// Digits from the first to the last that is not zero.
    pub fn significant(&self) -> impl Iterator<Item = u8> + use<'t> {
        let all = self.whole.len() + self.fraction.len();
        let last = self
            .fraction
            .iter()
            .rev()
            .chain(self.whole.iter().rev())
            .position(|&digit| digit != b'0')
            .map_or(0, |zeros| all - zeros);
        let from = self.first.unwrap_or(last);
        self.whole
            .iter()
            .chain(self.fraction)
            .skip(from)
            .take(last - from)
            .map(|digit| digit - b'0')
    }

    /// The power of ten of the first significant digit (0 for zero).
    pub fn magnitude(&self) -> i64 {
        self.magnitude
    }

    fn is_zero(&self) -> bool {
        self.first.is_none()
    }

    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_size = || {
            self.magnitude
                .cmp(&other.magnitude)
                .then_with(|| self.significant().cmp(other.significant()))
        };
        match self.sign().cmp(&other.sign()) {
            Ordering::Equal if self.is_zero() => Ordering::Equal,
            Ordering::Equal if self.negative => by_size().reverse(),
            Ordering::Equal => by_size(),
            unequal => unequal,
        }
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// The exponent at the end of a number; an absurd one is clamped to just
/// beyond [`LARGEST_EXPONENT`], where zero still is zero and the rest refused.
fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, text) = match text {
        [] => return Some(0),
        [b'e' | b'E', b'-', rest @ ..] => (true, rest),
        [b'e' | b'E', b'+', rest @ ..] | [b'e' | b'E', rest @ ..] => (false, rest),
        _ => return None,
    };
    let (all, rest) = digits(text);
    if all.is_empty() || !rest.is_empty() {
        return None;
    }
    let size = all.iter().fold(0_i64, |sum, digit| {
        (sum * 10 + i64::from(digit - b'0')).min(LARGEST_EXPONENT + 1)
    });
    Some(if negative { -size } else { size })
}

#[cfg(test)]
mod tests;
