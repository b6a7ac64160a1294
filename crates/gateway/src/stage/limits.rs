//! Limits: look before anybody is asked, reserve before anything is sent.

use provost_policy::judge::Refusal;
use provost_policy::ledger::Full;
use provost_policy::{Charge, Moment, RuleId};
use provost_store::Decision;

use super::Stop;
use crate::state::worker::GatewayState;

/// Looks whether there is room, and changes nothing.
pub(crate) fn look(shared: &GatewayState, charges: &[Charge], now: Moment) -> Result<(), Stop> {
    if charges.is_empty() {
        return Ok(());
    }
    let looked = shared.ledger().look(charges, now);
    looked.map_err(|full| stop(charges, &full))
}

/// Reserves all charges, or none.
pub(crate) fn reserve(shared: &GatewayState, charges: &[Charge], now: Moment) -> Result<(), Stop> {
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
    full.refusal(charges).unwrap_or_else(|| Refusal {
        retry_after_ms: full.retry_after_ms,
        ..Refusal::by(RuleId::DEFAULT_DENY, "a limit is reached")
    })
}
