//! Reads limits.

use super::parts::{ConcurrentLimit, Length, Limit, RateLimit, Scope, WindowLimit};
use super::place::{Place, Problems};
use super::read;
use crate::amount::{Amount, AmountError};
use crate::json::Kind;
use crate::limit::{Alignment, RefundRule};
use crate::text::Text;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const LONGEST: u64 = 31 * DAY;

const WINDOW_FIELDS: &[&str] = &[
    "counter",
    "window",
    "max",
    "scope",
    "increment",
    "increment_from",
    "alignment",
    "refund",
];
const CONCURRENT_FIELDS: &[&str] = &["counter", "concurrent", "scope"];

pub(super) fn limit(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Limit> {
    match place.get("concurrent") {
        None => window_limit(problems, place).map(Limit::Window),
        Some(concurrent) => {
            if place.get("window").is_some() {
                let hint = "write two limits with different counters".to_owned();
                problems.error(
                    place,
                    "a limit has either `window` or `concurrent`",
                    Some(hint),
                );
                return None;
            }
            concurrent_limit(problems, place, &concurrent).map(Limit::Concurrent)
        }
    }
}

/// `{max, window}` in seconds.
pub(super) fn rate_limit(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<RateLimit> {
    if !problems.object(place, &["max", "window"]) {
        return None;
    }
    let max = problems
        .required(place, "max")
        .and_then(|place| amount(problems, &place));
    let window = problems.required(place, "window").and_then(|place| {
        let seconds = place
            .value
            .as_number()
            .and_then(|text| text.parse::<u32>().ok());
        let fits = seconds.filter(|seconds| (1..=LONGEST / SECOND).contains(&u64::from(*seconds)));
        if fits.is_none() {
            let hint = "such as 60; `limits` takes `minute` and lengths such as `90s`".to_owned();
            problems.error(
                &place,
                "`window` is a number of seconds, at most 31 days",
                Some(hint),
            );
        }
        fits
    });
    Some(RateLimit {
        max: max?,
        window: window?,
    })
}

fn window_limit(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<WindowLimit> {
    if !problems.object(place, WINDOW_FIELDS) {
        return None;
    }
    let counter = problems
        .required(place, "counter")
        .and_then(|place| problems.name(&place));
    let window = problems
        .required(place, "window")
        .and_then(|place| window(problems, &place));
    let max = problems
        .required(place, "max")
        .and_then(|place| amount(problems, &place));
    let scope = scope(problems, place);
    let increment_place = place.get("increment");
    let increment = increment_place
        .as_ref()
        .and_then(|place| amount(problems, place));
    let from_place = place.get("increment_from");
    let increment_from = from_place.as_ref().and_then(|place| {
        let path = read::path(problems, place)?;
        if path.has_every() {
            let hint = Some("name one value, such as `args.amount`".to_owned());
            problems.error(place, "`increment_from` needs one value, not `[*]`", hint);
        }
        Some(path)
    });
    if let (Some(_), Some(place)) = (&increment_place, &from_place) {
        problems.error(
            place,
            "a limit has either `increment` or `increment_from`",
            None,
        );
    }
    let alignments = [
        (Alignment::Sliding, "sliding"),
        (Alignment::Calendar, "calendar"),
    ];
    let alignment_place = place.get("alignment");
    let alignment = alignment_place
        .as_ref()
        .and_then(|place| problems.word(place, "alignment", &alignments));
    if let (Some(Alignment::Calendar), Some(place), Some(window)) =
        (alignment, &alignment_place, &window)
        && ![MINUTE, HOUR, DAY].contains(&window.micros)
    {
        let message = format!("a window of `{}` has no calendar", window.written);
        let hint = "`calendar` goes with `minute`, `hour` and `day`".to_owned();
        problems.error(place, message, Some(hint));
    }
    let refunds = [
        (RefundRule::NotSent, "not_sent"),
        (RefundRule::Failed, "failed"),
    ];
    let refund = place
        .get("refund")
        .and_then(|place| problems.word(&place, "refund", &refunds));
    let (counter, window, max) = (counter?, window?, max?);
    Some(WindowLimit {
        counter,
        window,
        max,
        scope,
        increment,
        increment_from,
        alignment,
        refund,
    })
}

fn concurrent_limit(
    problems: &mut Problems<'_>,
    place: &Place<'_>,
    concurrent: &Place<'_>,
) -> Option<ConcurrentLimit> {
    if !problems.object(place, CONCURRENT_FIELDS) {
        return None;
    }
    let counter = problems
        .required(place, "counter")
        .and_then(|place| problems.name(&place));
    let scope = scope(problems, place);
    let count = concurrent
        .value
        .as_number()
        .and_then(|text| text.parse().ok());
    if count.is_none() {
        problems.error(concurrent, "`concurrent` is a whole number of calls", None);
    }
    Some(ConcurrentLimit {
        counter: counter?,
        concurrent: count?,
        scope,
    })
}

fn scope(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Scope> {
    let scopes = [
        (Scope::Grant, "grant"),
        (Scope::Server, "server"),
        (Scope::Session, "session"),
    ];
    place
        .get("scope")
        .and_then(|place| problems.word(&place, "scope", &scopes))
}

fn amount(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Amount> {
    if !problems.kind(place, Kind::Number, "a number") {
        return None;
    }
    match Amount::parse(place.value.raw()) {
        Ok(amount) => Some(amount),
        Err(why) => {
            let hint = match why {
                AmountError::Negative => "numbers of a limit are zero or more",
                AmountError::TooFine => "numbers of a limit have at most 9 decimals",
                AmountError::TooLarge | AmountError::NotANumber => {
                    "numbers of a limit are at most 10^18"
                }
            };
            problems.error(
                place,
                format!("`{}` is {why}", place.value.raw()),
                Some(hint.to_owned()),
            );
            None
        }
    }
}

fn window(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Length> {
    let hint = "windows are `minute`, `hour`, `day`, or a length such as `90s`, up to 31 days";
    if place.value.kind() == Kind::Number {
        let message = format!("unknown window `{}`", place.value.raw());
        problems.error(place, message, Some(hint.to_owned()));
        return None;
    }
    let written = problems.string(place)?;
    let micros = micros(&written).filter(|micros| (SECOND..=LONGEST).contains(micros));
    if micros.is_none() {
        let message = format!("unknown window `{}`", written.escape_debug());
        problems.error(place, message, Some(hint.to_owned()));
    }
    Some(Length {
        micros: micros?,
        written,
    })
}

fn micros(written: &Text) -> Option<u64> {
    let unit = match written.as_str() {
        "minute" => return Some(MINUTE),
        "hour" => return Some(HOUR),
        "day" => return Some(DAY),
        other => match other.as_bytes().last()? {
            b's' => SECOND,
            b'm' => MINUTE,
            b'h' => HOUR,
            b'd' => DAY,
            _ => return None,
        },
    };
    let count = written.strip_suffix(['s', 'm', 'h', 'd'])?;
    if count.starts_with('0') || !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    count.parse::<u64>().ok()?.checked_mul(unit)
}

/// A window's length in words, such as `minute` or `90 seconds`.
pub(crate) fn window_words(micros: u64) -> String {
    let units = [
        (DAY, "day"),
        (HOUR, "hour"),
        (MINUTE, "minute"),
        (SECOND, "second"),
    ];
    let (count, unit) = units
        .into_iter()
        .find(|(length, _)| micros.is_multiple_of(*length))
        .map_or((micros / SECOND, "second"), |(length, unit)| {
            (micros / length, unit)
        });
    if count == 1 {
        unit.to_owned()
    } else {
        format!("{count} {unit}s")
    }
}
