//! Lengths of time as people write them: `61s`, `2m30s`, `7d`, `500ms`; in microseconds.

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seven days.
    Week,
    /// 24 hours.
    Day,
    /// 60 minutes.
    Hour,
    /// 60 seconds.
    Minute,
    /// A second.
    Second,
    /// A thousandth of one.
    Millisecond,
}

// === impl Unit ===

impl Unit {
    /// All of them, longest first.
    pub const ALL: &'static [Self] = &[
        Self::Week,
        Self::Day,
        Self::Hour,
        Self::Minute,
        Self::Second,
        Self::Millisecond,
    ];

    /// How long it is.
    pub const fn micros(self) -> u64 {
        match self {
            Self::Week => 7 * Self::Day.micros(),
            Self::Day => 24 * Self::Hour.micros(),
            Self::Hour => 60 * Self::Minute.micros(),
            Self::Minute => 60 * Self::Second.micros(),
            Self::Second => 1_000 * Self::Millisecond.micros(),
            Self::Millisecond => 1_000,
        }
    }

    /// Its letters behind a number.
    pub const fn letters(self) -> &'static str {
        match self {
            Self::Week => "w",
            Self::Day => "d",
            Self::Hour => "h",
            Self::Minute => "m",
            Self::Second => "s",
            Self::Millisecond => "ms",
        }
    }
}

/// Reads one number with one of these units, such as `90s`.
pub fn parse(text: &str, units: &[Unit]) -> Option<u64> {
    match part(text, units)? {
        (micros, _, "") => Some(micros),
        _ => None,
    }
}

/// Reads numbers with units, each unit at most once, longest first, such as `2m30s`.
pub fn parse_sum(text: &str, units: &[Unit]) -> Option<u64> {
    let (mut total, mut last, mut rest) = part(text, units)?;
    while !rest.is_empty() {
        let (micros, unit, after) = part(rest, units)?;
        if unit.micros() >= last.micros() {
            return None;
        }
        total = total.checked_add(micros)?;
        (last, rest) = (unit, after);
    }
    Some(total)
}

/// Writes a length in the same way, with days as the longest unit, rounded up to milliseconds.
pub fn display(micros: u64) -> String {
    let mut rest = micros.div_ceil(1_000) * 1_000;
    let mut out = String::new();
    for unit in Unit::ALL.iter().filter(|unit| **unit != Unit::Week) {
        let length = unit.micros();
        if rest >= length {
            out.push_str(&format!("{}{}", rest / length, unit.letters()));
            rest %= length;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
}

/// A length in words, such as `minute` or `90 seconds`.
pub fn in_words(micros: u64) -> String {
    let units = [
        (Unit::Day, "day"),
        (Unit::Hour, "hour"),
        (Unit::Minute, "minute"),
    ];
    let (count, unit) = units
        .into_iter()
        .find(|(unit, _)| micros.is_multiple_of(unit.micros()))
        .map_or(
            (micros / Unit::Second.micros(), "second"),
            |(unit, word)| (micros / unit.micros(), word),
        );
    if count == 1 {
        unit.to_owned()
    } else {
        format!("{count} {unit}s")
    }
}

/// The first number with its unit, and what stands behind.
fn part<'t>(text: &'t str, units: &[Unit]) -> Option<(u64, Unit, &'t str)> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at_checked(digits)?;
    let letters = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (letters, rest) = rest.split_at_checked(letters)?;
    let unit = *units.iter().find(|unit| unit.letters() == letters)?;
    let micros = number.parse::<u64>().ok()?.checked_mul(unit.micros())?;
    Some((micros, unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_and_written() {
        for (text, micros) in [
            ("0s", 0),
            ("61s", 61_000_000),
            ("2m30s", 150_000_000),
            ("1d1h1m1s1ms", 90_061_001_000),
            ("500ms", 500_000),
            ("2w", 1_209_600_000_000),
        ] {
            assert_eq!(parse_sum(text, Unit::ALL), Some(micros), "{text}");
        }
        assert_eq!(parse("90s", Unit::ALL), Some(90_000_000));
        assert_eq!(display(61_000_000), "1m1s");
        assert_eq!(display(8 * Unit::Day.micros()), "8d");
        assert_eq!(display(0), "0s");
        assert_eq!(display(1), "1ms");
        assert_eq!(in_words(60_000_000), "minute");
        assert_eq!(in_words(90_000_000), "90 seconds");
        assert_eq!(in_words(7 * Unit::Day.micros()), "7 days");
    }

    #[test]
    fn what_is_no_length_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "1s1m",
            "1s1s",
            "1y",
            "1 s",
            "99999999999999999d",
            "1M",
        ] {
            assert_eq!(parse_sum(text, Unit::ALL), None, "{text}");
        }
        assert_eq!(parse("2m30s", Unit::ALL), None);
        assert_eq!(parse("2w", &[Unit::Day]), None);
    }
}
