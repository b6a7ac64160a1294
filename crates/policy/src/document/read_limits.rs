//! Reads limits.

use super::parts::{ConcurrentLimit, Length, Limit, RateLimit, WindowLimit};
use super::place::{Place, Problems, in_words};
use crate::amount::{Amount, AmountError};
use crate::duration::{self, Unit};
use crate::json::Kind;
use crate::limit::{Alignment, Period, WINDOW_UNITS, Window};
use crate::text::Text;
use crate::words::{named, names};

/// The longest window.
const LONGEST: u64 = 31 * Unit::Day.micros();

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
    problems.object(place, RateLimit::FIELDS)?;
    let max = problems.needed(place, "max", amount);
    let window = problems.needed(place, "window", |problems, place| {
        let seconds = place
            .value
            .as_number()
            .and_then(|text| text.parse::<u32>().ok());
        let fits = seconds
            .filter(|seconds| (1..=LONGEST / Unit::Second.micros()).contains(&u64::from(*seconds)));
        if fits.is_none() {
            let hint = "such as 60; `limits` takes `minute` and lengths such as `90s`".to_owned();
            let message = "`window` is a number of seconds, at most 31 days";
            problems.error(place, message, Some(hint));
        }
        fits
    });
    Some(RateLimit {
        max: max?,
        window: window?,
    })
}

fn window_limit(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<WindowLimit> {
    problems.object(place, WindowLimit::FIELDS)?;
    let counter = problems.needed(place, "counter", Problems::name);
    let window = problems.needed(place, "window", window);
    let max = problems.needed(place, "max", amount);
    let scope = problems.choice(place, "scope");
    let increment_place = place.get("increment");
    let increment = increment_place
        .as_ref()
        .and_then(|place| amount(problems, place));
    let from_place = place.get("increment_from");
    let increment_from = from_place.as_ref().and_then(|place| {
        let path = problems.path(place)?;
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
    let alignment_place = place.get("alignment");
    let alignment = alignment_place
        .as_ref()
        .and_then(|place| problems.word(place, "alignment"));
    if let (Some(Alignment::Calendar), Some(place), Some(window)) =
        (alignment, &alignment_place, &window)
        && Period::of(window.window).is_none()
    {
        let message = format!("a window of `{}` has no calendar", window.written);
        let hint = format!("`calendar` goes with {}", in_words(&names::<Period>()));
        problems.error(place, message, Some(hint));
    }
    let refund = problems.choice(place, "refund");
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
    problems.object(place, ConcurrentLimit::FIELDS)?;
    let counter = problems.needed(place, "counter", Problems::name);
    let scope = problems.choice(place, "scope");
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

fn amount(problems: &mut Problems<'_>, place: &Place<'_>) -> Option<Amount> {
    problems.kind(place, Kind::Number, "a number")?;
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
    let unknown = |problems: &mut Problems<'_>, written: &str| {
        let periods: Vec<_> = names::<Period>()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        let hint = format!(
            "windows are {}, or a length such as `90s`, up to 31 days",
            periods.join(", ")
        );
        problems.error(place, format!("unknown window `{written}`"), Some(hint));
    };
    if place.value.kind() == Kind::Number {
        unknown(problems, place.value.raw());
        return None;
    }
    let written = problems.string(place)?;
    let window = counted_over(&written);
    if window.is_none() {
        unknown(problems, &written.escape_debug().to_string());
    }
    Some(Length {
        window: window?,
        written,
    })
}

fn counted_over(written: &Text) -> Option<Window> {
    match named::<Period>(written) {
        Some(period) => Some(period.window()),
        // One way to write a length: it stands in the document as it was written.
        None if written.starts_with('0') => None,
        None => {
            let micros = duration::parse(written, WINDOW_UNITS)?;
            let fits = (Unit::Second.micros()..=LONGEST).contains(&micros);
            fits.then_some(Window::Micros(micros))
        }
    }
}
