//! Times as people write them: `10m`, `2h`, `2026-11-20`, RFC 3339.

use jiff::{Timestamp, civil, tz::TimeZone};
use provost_admin::{Failure, Micros, Outcome, Time, micros};
use provost_policy::duration::{self, Unit};

/// Reads what `--since` says.
pub(crate) fn since(text: &str) -> Outcome<Micros> {
    parse_since(text, now())
        .map_err(|problem| Failure::usage(format!("`{text}` is not a time")).because(problem))
}

/// Reads a moment in the past: a length of time ago, a local date, or RFC 3339.
fn parse_since(text: &str, now: Micros) -> Result<Micros, String> {
    if let Some(length) = duration::parse(text, UNITS) {
        return Ok(now.saturating_sub(length));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return micros(moment);
    }
    let local = text
        .parse::<civil::DateTime>()
        .or_else(|_| text.parse::<civil::Date>().map(civil::DateTime::from));
    match local.map(|local| local.to_zoned(TimeZone::system())) {
        Ok(Ok(zoned)) => micros(zoned.timestamp()),
        _ => Err("expected a length such as `10m`, `2h` or `7d`, a date such as `2026-11-20`, or RFC 3339".into()),
    }
}

/// Reads how long something shall live: `45m`, `12h`, `30d`, `2w`.
pub(crate) fn parse_lifetime(text: &str) -> Result<Micros, String> {
    duration::parse(text, UNITS)
        .filter(|length| *length > 0)
        .ok_or_else(|| "expected a length above zero, such as `45m`, `12h`, `30d` or `2w`".into())
}

/// Prints a moment in local time, to the second.
pub(crate) fn show_local(time: Time) -> String {
    let local = |moment: Timestamp| moment.to_zoned(TimeZone::system());
    time.timestamp().map_or_else(
        || time.0.to_string(),
        |moment| local(moment).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}

/// Prints a moment in local time, to the minute.
pub(crate) fn show_minute(time: Time) -> String {
    let whole = show_local(time);
    whole
        .rsplit_once(':')
        .map_or(whole.clone(), |(minute, _)| minute.to_owned())
}

/// Prints a moment of this year in local time, without the year; another one whole.
pub(crate) fn show_short(time: Time) -> String {
    let whole = show_local(time);
    let year = show_local(Time(now())).split('-').next().map(str::to_owned);
    match year.and_then(|year| whole.strip_prefix(&year)?.strip_prefix('-')) {
        Some(rest) => rest.to_owned(),
        None => whole,
    }
}

/// What the local time is called, such as `UTC` or `CET`.
pub(crate) fn zone() -> String {
    let now = Time(now()).timestamp().unwrap_or_default();
    now.to_zoned(TimeZone::system()).strftime("%Z").to_string()
}

/// The wall clock, for commands that need it without a store.
#[expect(
    clippy::disallowed_methods,
    reason = "the edge: this is where time enters"
)]
pub(crate) fn now() -> Micros {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The units of a length that is typed.
const UNITS: &[Unit] = &[
    Unit::Week,
    Unit::Day,
    Unit::Hour,
    Unit::Minute,
    Unit::Second,
];

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Micros = 1_800_000_000_000_000;

    #[test]
    fn lengths_count_back_from_now() {
        assert_eq!(parse_since("10m", NOW).unwrap(), NOW - 600_000_000);
        assert_eq!(parse_since("2h", NOW).unwrap(), NOW - 7_200_000_000);
        assert_eq!(parse_since("90s", NOW).unwrap(), NOW - 90_000_000);
    }

    #[test]
    fn rfc_3339_is_exact_and_dates_are_local() {
        assert_eq!(
            parse_since("2026-11-20T10:00:00Z", NOW).unwrap(),
            1_795_168_800_000_000
        );
        assert_eq!(
            parse_since("2026-11-20T11:00:00+01:00", NOW).unwrap(),
            1_795_168_800_000_000
        );
        assert_eq!(
            show_local(Time(parse_since("2026-11-20", NOW).unwrap())),
            "2026-11-20 00:00:00"
        );
    }

    #[test]
    fn nonsense_is_refused_with_examples() {
        for text in [
            "",
            "m",
            "-5m",
            "10x",
            "yesterday",
            "1e3s",
            "99999999999999999d",
            "1969-01-01",
        ] {
            assert!(parse_since(text, NOW).is_err(), "{text}");
        }
        assert!(parse_lifetime("0d").is_err());
        assert_eq!(parse_lifetime("30d").unwrap(), 30 * 86_400 * 1_000_000);
    }
}
