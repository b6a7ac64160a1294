//! The arithmetic of limits: which counter holds how much, and whether more fits.
//!
//! Pure: time comes in as an argument and nothing here locks, waits or writes.
//! Callers put a [`Ledger`] behind their own mutex. What happens on the path of
//! a call is [`Ledger::look`] (changes nothing), then [`Ledger::reserve`] (all
//! charges or none), later perhaps [`Ledger::refund`] or [`Ledger::release`].
//! [`Ledger::replay`] rebuilds counts from the journal and never refuses.
//!
//! A sliding counter takes the steady line of a [`Moment`], a calendar counter
//! its wall line. An entry at `t` counts in every moment of `[t, t + window)`.

mod calendar;
mod counter;
mod room;
mod sliding;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::call::Moment;
use crate::judge::Refusal;
use crate::limit::{Charge, CounterId};

use counter::{Counter, Saved};
use room::Room;

/// All counters of one daemon.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    slots: HashMap<CounterId, usize>,
    /// A place is used again when its counter was dropped.
    counters: Vec<Option<Held>>,
    free: Vec<usize>,
    /// Kept between calls so that reserving does not allocate.
    scratch: Vec<Option<usize>>,
    /// Where the search for idle counters goes on.
    hand: usize,
    /// How many counters the last reservation added.
    grown: usize,
}

/// So many counters are looked at for each one that is added, so that idle
/// ones cannot pile up even when nobody calls [`Ledger::expire`].
const LOOKED_AT: usize = 2;

/// Why a call does not fit: the first charge, in the order given, that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// Which charge.
    pub index: usize,
    /// What is in the way.
    pub reason: FullReason,
    /// After how many milliseconds this amount fits, when nothing else is
    /// counted meanwhile; `None` where no time can be told.
    pub retry_after_ms: Option<u64>,
}

/// What is in the way of a charge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullReason {
    /// The window is used up; it frees itself with time.
    Window,
    /// Too many calls in flight; one of them must end first.
    InFlight,
    /// The amount alone is more than the limit: it never fits.
    NeverFits,
}

/// One counter as it is kept on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterState {
    /// Which counter.
    pub id: CounterId,
    #[serde(flatten)]
    saved: Saved,
}

#[derive(Debug, Clone)]
struct Held {
    id: CounterId,
    counter: Counter,
}

// === impl Ledger ===

impl Ledger {
    /// A ledger in which nothing was counted yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether all these charges would fit. Changes nothing.
    pub fn look(&self, charges: &[Charge], now: Moment) -> Result<(), Full> {
        for (index, charge) in charges.iter().enumerate() {
            let amount = charges
                .iter()
                .filter(|other| other.counter == charge.counter)
                .fold(Amount::ZERO, |most, other| most.max(other.amount));
            let slot = self.slots.get(&charge.counter).copied();
            self.check(index, charge, amount, slot, now)?;
        }
        Ok(())
    }

    /// Takes all these charges, or none of them.
    ///
    /// Charges of one counter are one charge: the largest amount is taken
    /// once, and it must fit below each of their limits.
    pub fn reserve(&mut self, charges: &[Charge], now: Moment) -> Result<(), Full> {
        // First, because it may free slots.
        for _ in 0..LOOKED_AT * std::mem::take(&mut self.grown) {
            self.drop_next_if_idle(now);
        }
        let before = self.slots.len();
        let mut slots = std::mem::take(&mut self.scratch);
        slots.clear();
        slots.extend(charges.iter().map(|c| self.slots.get(&c.counter).copied()));
        let outcome = self.reserve_in(charges, &slots, now);
        self.scratch = slots;
        self.grown = self.slots.len() - before;
        outcome
    }

    /// Gives back what was reserved at the moment `at`, and nothing else: when
    /// that moment has left its window already, nothing happens.
    pub fn refund(&mut self, id: &CounterId, amount: Amount, at: Moment) {
        let Some(slot) = self.slots.get(id).copied() else {
            return;
        };
        if let Some(held) = self.held_mut(Some(slot)) {
            held.counter.refund(id.window, amount, at);
        }
    }

    /// Ends what a `concurrent` counter counts. Other counters do not change.
    pub fn release(&mut self, id: &CounterId, amount: Amount) {
        let Some(slot) = self.slots.get(id).copied() else {
            return;
        };
        if let Some(held) = self.held_mut(Some(slot)) {
            held.counter.release(amount);
        }
    }

    /// Counts what the journal says was reserved at the moment `at`.
    ///
    /// Unconditional: the call went upstream, whatever the limit is now. What
    /// was in flight before a restart is over, so `concurrent` counters skip it.
    pub fn replay(&mut self, id: &CounterId, amount: Amount, at: Moment) {
        if Counter::counts_in_flight(id) {
            return;
        }
        self.add(self.slots.get(id).copied(), id, amount, at);
    }

    /// How much of a counter is used.
    pub fn used(&self, id: &CounterId, now: Moment) -> Amount {
        let slot = self.slots.get(id).copied();
        match self.counter(slot) {
            Some(counter) => counter.used(id.window, now),
            None => Amount::ZERO,
        }
    }

    /// Drops counters in which nothing counts any more, and returns their ids
    /// for whoever keeps them on disk. Only [`Ledger::reserve`] drops some by
    /// itself.
    pub fn expire(&mut self, now: Moment) -> Vec<CounterId> {
        (0..self.counters.len())
            .filter_map(|slot| self.drop_if_idle(slot, now))
            .collect()
    }

    /// Every counter, sorted; `concurrent` ones do not outlive the process.
    pub fn snapshot(&self) -> Vec<CounterState> {
        let held = self.counters.iter().flatten();
        let mut states: Vec<_> = held.filter_map(Held::state).collect();
        states.sort_by(|one, other| one.id.cmp(&other.id));
        states
    }

    /// The ledger that [`Ledger::snapshot`] was taken from.
    pub fn restore(states: Vec<CounterState>) -> Self {
        let mut ledger = Self::new();
        for CounterState { id, saved } in states {
            ledger.slots.insert(id.clone(), ledger.counters.len());
            let counter = Counter::from_saved(saved);
            ledger.counters.push(Some(Held { id, counter }));
        }
        ledger
    }

    fn reserve_in(
        &mut self,
        charges: &[Charge],
        slots: &[Option<usize>],
        now: Moment,
    ) -> Result<(), Full> {
        for (charge, slot) in charges.iter().zip(slots) {
            // Here, not in `look`, so that a call pays for what it finds expired only once.
            if let Some(held) = self.held_mut(*slot) {
                held.counter.expire(charge.counter.window, now);
            }
        }
        for (index, (charge, slot)) in charges.iter().zip(slots).enumerate() {
            let amount = same_counter(charges, slots, charge, *slot)
                .fold(Amount::ZERO, |most, (_, other)| most.max(other.amount));
            self.check(index, charge, amount, *slot, now)?;
        }
        // INVARIANT: nothing below can refuse, so a call is charged wholly or not at all.
        for (index, (charge, slot)) in charges.iter().zip(slots).enumerate() {
            let mut first = index;
            let mut amount = Amount::ZERO;
            for (place, other) in same_counter(charges, slots, charge, *slot) {
                first = first.min(place);
                amount = amount.max(other.amount);
            }
            if first == index {
                self.add(*slot, &charge.counter, amount, now);
            }
        }
        Ok(())
    }

    fn drop_next_if_idle(&mut self, now: Moment) {
        let slot = self.hand;
        self.drop_if_idle(slot, now);
        self.hand = if slot + 1 < self.counters.len() {
            slot + 1
        } else {
            0
        };
    }

    fn drop_if_idle(&mut self, slot: usize, now: Moment) -> Option<CounterId> {
        let place = self.counters.get_mut(slot)?;
        let held = place.take_if(|held| held.counter.expire(held.id.window, now))?;
        self.slots.remove(&held.id);
        self.free.push(slot);
        Some(held.id)
    }

    fn check(
        &self,
        index: usize,
        charge: &Charge,
        amount: Amount,
        slot: Option<usize>,
        now: Moment,
    ) -> Result<(), Full> {
        let blocked = |reason, retry_after_ms| Full {
            index,
            reason,
            retry_after_ms,
        };
        if amount > charge.max {
            return Err(blocked(FullReason::NeverFits, None));
        }
        let Some(counter) = self.counter(slot) else {
            return Ok(());
        };
        match counter.room(charge.counter.window, charge.max, amount, now) {
            Room::Fits => Ok(()),
            Room::InFlight => Err(blocked(FullReason::InFlight, None)),
            // Rounded up: a caller who waits exactly this long is let in.
            Room::FreeIn(micros) => Err(blocked(FullReason::Window, Some(micros.div_ceil(1_000)))),
        }
    }

    fn add(&mut self, slot: Option<usize>, id: &CounterId, amount: Amount, at: Moment) {
        if amount == Amount::ZERO {
            return;
        }
        let slot = slot.unwrap_or_else(|| self.insert(id));
        if let Some(held) = self.held_mut(Some(slot)) {
            held.counter.add(id.window, amount, at);
        }
    }

    fn insert(&mut self, id: &CounterId) -> usize {
        let slot = self.free.pop().unwrap_or(self.counters.len());
        if slot == self.counters.len() {
            self.counters.push(None);
        }
        if let Some(place) = self.counters.get_mut(slot) {
            *place = Some(Held {
                id: id.clone(),
                counter: Counter::new(id),
            });
        }
        self.slots.insert(id.clone(), slot);
        slot
    }

    fn counter(&self, slot: Option<usize>) -> Option<&Counter> {
        Some(&self.counters.get(slot?)?.as_ref()?.counter)
    }

    fn held_mut(&mut self, slot: Option<usize>) -> Option<&mut Held> {
        self.counters.get_mut(slot?)?.as_mut()
    }
}

/// The charges of one call that mean the same counter as `charge`, itself included.
fn same_counter<'c>(
    charges: &'c [Charge],
    slots: &'c [Option<usize>],
    charge: &'c Charge,
    slot: Option<usize>,
) -> impl Iterator<Item = (usize, &'c Charge)> {
    charges
        .iter()
        .zip(slots)
        .enumerate()
        .filter_map(move |(place, (other, its_slot))| {
            // Known counters compare by slot; new ones by name.
            let same = match slot {
                Some(_) => *its_slot == slot,
                None => its_slot.is_none() && other.counter == charge.counter,
            };
            same.then_some((place, other))
        })
}

// === impl Full ===

impl Full {
    /// What the agent is told; `charges` are those that were looked at.
    pub fn refusal(&self, charges: &[Charge]) -> Option<Refusal> {
        let charge = charges.get(self.index)?;
        Some(Refusal::limit_reached(charge, self.retry_after_ms))
    }
}

// === impl Held ===

impl Held {
    fn state(&self) -> Option<CounterState> {
        let saved = self.counter.saved()?;
        Some(CounterState {
            id: self.id.clone(),
            saved,
        })
    }
}

#[cfg(test)]
mod tests;
