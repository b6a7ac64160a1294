//! Limits: look before anybody is asked, reserve before anything is sent.

use provost_policy::judge::Refusal;
use provost_policy::ledger::{Full, FullReason};
use provost_policy::{Charge, Moment, RuleId, Window};
use provost_store::Decision;

use super::Stop;
use crate::worker::Shared;

/// Looks whether there is room, and changes nothing.
pub(crate) fn look(shared: &Shared, charges: &[Charge], now: Moment) -> Result<(), Stop> {
    if charges.is_empty() {
        return Ok(());
    }
    let looked = shared.ledger().look(charges, now);
    looked.map_err(|full| stop(charges, &full))
}

/// Reserves all charges, or none.
pub(crate) fn reserve(shared: &Shared, charges: &[Charge], now: Moment) -> Result<(), Stop> {
    if charges.is_empty() {
        return Ok(());
    }
    let reserved = shared.ledger().reserve(charges, now);
    reserved.map_err(|full| stop(charges, &full))
}

fn stop(charges: &[Charge], full: &Full) -> Stop {
    Stop::Refused {
        decision: Decision::Deny,
        refusal: refusal(charges, full),
    }
}

/// The refusal of the charge that did not fit.
pub(crate) fn refusal(charges: &[Charge], full: &Full) -> Refusal {
    let charge = charges.get(full.index);
    let (name, max) = charge.map_or_else(Default::default, |charge| {
        (charge.counter.counter.as_str(), charge.max.to_string())
    });
    let message = match full.reason {
        FullReason::Window => {
            let length = charge.map_or_else(String::new, |charge| length(charge.counter.window));
            let wait = full.retry_after_ms.unwrap_or_default().div_ceil(1000);
            format!("limit `{name}` of {max} per {length} is reached; try again in {wait} s")
        }
        FullReason::InFlight => {
            format!("limit `{name}` of {max} at a time is reached; try again when one has ended")
        }
        FullReason::NeverFits => format!("this is more than limit `{name}` of {max} ever allows"),
    };
    Refusal {
        rule: charge.map_or(RuleId::DEFAULT_DENY, |charge| charge.rule.clone()),
        policy: charge.map(|charge| charge.policy.clone()),
        message,
        retry_after_ms: full.retry_after_ms,
    }
}

/// A window as people say it.
fn length(window: Window) -> String {
    const SECOND: u64 = 1_000_000;
    match window {
        Window::Concurrent => "call".to_owned(),
        Window::Micros(micros) => match micros / SECOND {
            60 => "minute".to_owned(),
            3_600 => "hour".to_owned(),
            86_400 => "day".to_owned(),
            seconds => format!("{seconds} s"),
        },
    }
}
