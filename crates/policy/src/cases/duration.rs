//! Lengths of time as people write them: `61s`, `2m30s`, `1d`, `500ms`.

/// The units, longest first, in microseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
];

/// Longer than any test needs, and far from overflowing.
const LONGEST: u64 = 10 * 366 * 86_400_000_000;

/// Reads a length in microseconds; each unit at most once, longest first.
pub(super) fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(letters)?;
        let (_, micros) = units.find(|(name, _)| *name == unit)?;
        total = number
            .parse::<u64>()
            .ok()?
            .checked_mul(*micros)?
            .checked_add(total)?;
        rest = after;
    }
    (!text.is_empty() && total <= LONGEST).then_some(total)
}

/// Writes a length in the same way, rounded up to milliseconds.
pub(super) fn display(micros: u64) -> String {
    let mut rest = micros.div_ceil(1_000) * 1_000;
    let mut out = String::new();
    for (name, length) in UNITS {
        if rest >= length {
            out.push_str(&format!("{}{name}", rest / length));
            rest %= length;
        }
    }
    if out.is_empty() { "0s".to_owned() } else { out }
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
        ] {
            assert_eq!(parse(text), Some(micros), "{text}");
        }
        assert_eq!(display(61_000_000), "1m1s");
        assert_eq!(display(0), "0s");
        assert_eq!(display(1), "1ms");
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
            "1w",
            "1 s",
            "99999999999d",
            "1M",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
