//! How much of a limit a call uses.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::decimal::Decimal;

/// An exact, non-negative decimal count with at most nine decimals and at most
/// 10^18, kept as a whole number of billionths.
///
/// Sums may grow beyond 10^18; only what is read from text is bounded.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u128);

/// Why a text is not an [`Amount`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a number by the JSON grammar.
    #[error("not a number")]
    NotANumber,
    /// A minus sign, `-0` included.
    #[error("a negative number")]
    Negative,
    /// More than nine decimals.
    #[error("more than 9 decimals")]
    TooFine,
    /// More than 10^18.
    #[error("more than 10^18")]
    TooLarge,
}

const DECIMALS: u32 = 9;
const ONE: u128 = 10_u128.pow(DECIMALS);
const LARGEST: u128 = 10_u128.pow(18 + DECIMALS);

// === impl Amount ===

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One call.
    pub const ONE: Self = Self(ONE);

    /// A whole number.
    pub const fn whole(count: u64) -> Self {
        Self(count as u128 * ONE)
    }

    /// A number of billionths.
    pub const fn from_units(units: u128) -> Self {
        Self(units)
    }

    /// The number of billionths.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Reads the text of a JSON number exactly; no float is involved.
    pub fn parse(text: &str) -> Result<Self, AmountError> {
        let number = Decimal::parse(text).ok_or(AmountError::NotANumber)?;
        // `-0` too: nobody who means well writes an amount like that.
        if text.starts_with('-') {
            return Err(AmountError::Negative);
        }
        // Checked before any digit is read, so that neither a long text nor a
        // large exponent costs anything.
        if number.magnitude() > 18 {
            return Err(AmountError::TooLarge);
        }
        if number.magnitude() < -i64::from(DECIMALS) {
            return Err(AmountError::TooFine);
        }
        let mut units = 0_u128;
        let mut place = number.magnitude() + i64::from(DECIMALS);
        for digit in number.significant() {
            let power = u32::try_from(place).map_err(|_| AmountError::TooFine)?;
            units += u128::from(digit) * 10_u128.pow(power);
            place -= 1;
        }
        if units > LARGEST {
            return Err(AmountError::TooLarge);
        }
        Ok(Self(units))
    }

    /// The sum, or `None` when it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The sum, at most the largest number there is.
    #[must_use]
    pub fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, at least zero.
    #[must_use]
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / ONE, self.0 % ONE);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:09}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// As text, because readers of JSON round large numbers.
impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        read_back(&text).ok_or_else(|| de::Error::custom("not an amount"))
    }
}

/// Reads what `Display` wrote; sums may be larger than [`Amount::parse`] takes.
pub(crate) fn read_back(text: &str) -> Option<Amount> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = format!("{fraction:0<9}").parse().ok()?;
    whole.checked_mul(ONE)?.checked_add(fraction).map(Amount)
}

#[cfg(test)]
mod tests;
