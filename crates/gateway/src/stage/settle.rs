//! Settle: give back what a call did not use, and record how it ended.

use std::time::Instant;

use provost_policy::{Charge, Moment, RefundRule, Window};
use provost_store::{Entry, Outcome, Refund, Status};
use tracing::error;

use crate::message::call::OpenCall;
use crate::state::worker::GatewayState;

/// Settles the counters and writes the outcome. If it cannot be written the
/// reply is still given: the intent without an outcome shows as unknown, and
/// the next call is refused by its own intent.
pub(crate) fn settle(shared: &GatewayState, open_call: &OpenCall, status: Status) {
    let refunds = refunds(open_call, status);
    let concurrent = |charge: &Charge| charge.counter.window == Window::Concurrent;
    if !refunds.is_empty() || open_call.charges.iter().any(concurrent) {
        let mut ledger = shared.ledger();
        for charge in first_of_each(&open_call.charges).filter(|charge| concurrent(charge)) {
            ledger.release(&charge.counter, charge.amount);
        }
        for refund in &refunds {
            ledger.refund(&refund.counter, refund.amount, refund.at);
        }
    }
    if let (Status::NotSent, Some(seal)) = (status, &open_call.seal) {
        shared.seals.give_back(seal);
    }
    let latency = Instant::now()
        .saturating_duration_since(open_call.started)
        .as_micros();
    let latency_us = u64::try_from(latency).unwrap_or(u64::MAX);
    let outcome = Entry::Outcome(Outcome {
        call: open_call.id,
        at: shared.clock.now(),
        status,
        upstream_status: match status {
            Status::Http(code) => Some(code),
            _ => None,
        },
        latency_us,
        refund: &refunds,
    });
    if let Err(problem) = shared.journal.append(&outcome) {
        error!(error = %problem, call = %open_call.id, "The outcome of a call was not recorded");
    }
    open_call.counts.ended(status, latency_us);
}

/// Undoes a reservation of which there is no record.
pub(crate) fn give_back(shared: &GatewayState, charges: &[Charge], at: Moment) {
    let mut ledger = shared.ledger();
    for charge in first_of_each(charges) {
        match charge.counter.window {
            Window::Concurrent => ledger.release(&charge.counter, charge.amount),
            Window::Micros(_) => ledger.refund(&charge.counter, charge.amount, at),
        }
    }
}

/// What comes back: everything when nothing was sent, and what says so itself
/// when the upstream says that it failed.
fn refunds(open_call: &OpenCall, status: Status) -> Vec<Refund> {
    let not_sent = status == Status::NotSent;
    // Only what the server itself says. Neither cancelling nor waiting in vain lifts a
    // limit, nor does losing a grant, nor an answer that did not arrive or cannot be
    // read: whether the call was done nobody knows, and an agent may bring it about.
    let failed = match status {
        Status::ToolError | Status::RpcError | Status::Http(_) => true,
        Status::Ok
        | Status::UpstreamDown
        | Status::BadAnswer
        | Status::Timeout
        | Status::Cancelled
        | Status::GrantEnded
        | Status::NotSent
        | Status::Unknown => false,
    };
    if !not_sent && !failed {
        return Vec::new();
    }
    // Where policies share a counter, the strictest of them decides.
    let all_refund = |charge: &Charge| {
        let mut same = open_call
            .charges
            .iter()
            .filter(|other| other.counter == charge.counter);
        same.all(|other| other.refund == RefundRule::Failed)
    };
    first_of_each(&open_call.charges)
        .filter(|charge| charge.counter.window != Window::Concurrent)
        .filter(|charge| not_sent || all_refund(charge))
        .map(|charge| Refund {
            counter: charge.counter.clone(),
            amount: charge.amount,
            at: open_call.at,
        })
        .collect()
}

/// A counter is charged once a call, with the largest amount.
fn first_of_each(charges: &[Charge]) -> impl Iterator<Item = &Charge> {
    charges
        .iter()
        .enumerate()
        .filter_map(move |(index, charge)| {
            let same = || {
                charges
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| other.counter == charge.counter)
            };
            let largest = same().max_by(|(a, x), (b, y)| x.amount.cmp(&y.amount).then(b.cmp(a)));
            largest
                .is_some_and(|(position, _)| position == index)
                .then_some(charge)
        })
}
