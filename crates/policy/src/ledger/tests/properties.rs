//! Random calls against an oracle that keeps everything and adds it up.

use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::sliding::{EXACT_ENTRIES, SUB_WINDOWS};
use super::*;

/// What happens to the counter under test.
#[derive(Debug, Clone)]
enum Step {
    Reserve { amount: u64, max: u64 },
    Replay { amount: u64 },
    RefundEarlier { which: prop::sample::Index },
    Expire,
    SaveAndLoad,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        8 => (0_u64..6, 5_u64..40).prop_map(|(amount, max)| Step::Reserve { amount, max }),
        1 => (1_u64..4).prop_map(|amount| Step::Replay { amount }),
        2 => any::<prop::sample::Index>().prop_map(|which| Step::RefundEarlier { which }),
        1 => Just(Step::Expire),
        1 => Just(Step::SaveAndLoad),
    ];
    let pause = prop_oneof![
        Just(0_u64),
        1_u64..50,
        1_u64..400,
        Just(WINDOW - 1),
        Just(WINDOW)
    ];
    vec((pause, step), 1..200)
}

const WINDOW: u64 = 1_000;

fn windowed(alignment: Alignment) -> CounterId {
    id("oracle", Window::Micros(WINDOW), alignment)
}

/// Every charge that stands, as (moment, amount).
#[derive(Default)]
struct Oracle {
    charges: Vec<(Moment, u64)>,
}

impl Oracle {
    fn used(&self, alignment: Alignment, now: Moment) -> u64 {
        let counts = |then: &Moment| match alignment {
            Alignment::Sliding => now.steady - then.steady < WINDOW,
            Alignment::Calendar => now.wall / WINDOW == then.wall / WINDOW,
        };
        self.charges
            .iter()
            .filter(|(then, _)| counts(then))
            .map(|(_, amount)| amount)
            .sum()
    }
}

/// Plays the steps; the ledger and the oracle must agree after each.
fn agree(
    alignment: Alignment,
    steps: Vec<(u64, Step)>,
    jumps: &[i64],
) -> Result<(), TestCaseError> {
    let counter = windowed(alignment);
    let (mut ledger, mut oracle) = (Ledger::new(), Oracle::default());
    let mut now = at(100 * WINDOW);
    for (place, (pause, step)) in steps.into_iter().enumerate() {
        now.steady += pause;
        now.wall = (now.wall + pause).saturating_add_signed(jumps.get(place).copied().unwrap_or(0));
        match step {
            Step::Reserve { amount, max } => {
                let call = [charge(counter.clone(), max, amount)];
                let fits = oracle.used(alignment, now) + amount <= max;
                prop_assert_eq!(ledger.look(&call, now).is_ok(), fits);
                let outcome = ledger.reserve(&call, now);
                prop_assert_eq!(outcome.is_ok(), fits);
                match outcome {
                    Ok(()) => oracle.charges.push((now, amount)),
                    Err(full) => retry_is_exact(&ledger, &call, now, full)?,
                }
            }
            Step::Replay { amount } => {
                ledger.replay(&counter, Amount::whole(amount), now);
                oracle.charges.push((now, amount));
            }
            Step::RefundEarlier { which } if !oracle.charges.is_empty() => {
                let (then, amount) = oracle.charges.remove(which.index(oracle.charges.len()));
                ledger.refund(&counter, Amount::whole(amount), then);
            }
            Step::RefundEarlier { .. } => {}
            Step::Expire => drop(ledger.expire(now)),
            Step::SaveAndLoad => {
                let text = serde_json::to_string(&ledger.snapshot()).unwrap();
                let restored = Ledger::restore(serde_json::from_str(&text).unwrap());
                prop_assert_eq!(restored.snapshot(), ledger.snapshot());
                ledger = restored;
            }
        }
        prop_assert_eq!(
            ledger.used(&counter, now),
            Amount::whole(oracle.used(alignment, now))
        );
    }
    Ok(())
}

fn retry_is_exact(
    ledger: &Ledger,
    call: &[Charge],
    now: Moment,
    full: Full,
) -> Result<(), TestCaseError> {
    let Some(retry) = full.retry_after_ms else {
        prop_assert_eq!(full.reason, FullReason::NeverFits);
        return Ok(());
    };
    let later = |ms: u64| Moment {
        steady: now.steady + ms * 1_000,
        wall: now.wall + ms * 1_000,
    };
    prop_assert_eq!(ledger.look(call, later(retry)), Ok(()));
    prop_assert!(ledger.look(call, later(retry - 1)).is_err());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn a_sliding_counter_is_the_oracle(steps in steps()) {
        agree(Alignment::Sliding, steps, &[])?;
    }

    #[test]
    fn a_calendar_counter_is_the_oracle(steps in steps()) {
        agree(Alignment::Calendar, steps, &[])?;
    }

    // The jumps stay within what a calendar counter remembers.
    #[test]
    fn a_calendar_counter_is_the_oracle_when_the_wall_clock_jumps(
        steps in steps().prop_map(|steps| steps.into_iter().take(60).collect::<Vec<_>>()),
        jumps in vec(prop_oneof![4 => Just(0_i64), 1 => -2_000_i64..2_000], 60),
    ) {
        let inside = |pause: u64| pause.min(200);
        let steps = steps.into_iter().map(|(pause, step)| (inside(pause), step)).collect();
        agree(Alignment::Calendar, steps, &jumps)?;
    }

    #[test]
    fn no_calendar_window_ever_takes_more(
        walls in vec(0_u64..80 * WINDOW, 1..400),
    ) {
        let call = [charge(windowed(Alignment::Calendar), 2, 1)];
        let (mut ledger, mut taken) = (Ledger::new(), std::collections::HashMap::new());
        for (steady, wall) in (0..).zip(walls) {
            if ledger.reserve(&call, Moment { steady, wall }).is_ok() {
                *taken.entry(wall / WINDOW).or_insert(0) += 1;
            }
        }
        prop_assert!(taken.values().all(|count| *count <= 2), "{:?}", taken);
    }

    #[test]
    fn clocks_read_out_of_order_never_allow_more(
        pauses in vec((0_u64..60, 0_u64..80), 1..300),
    ) {
        let call = [charge(windowed(Alignment::Sliding), 10, 1)];
        let (mut ledger, mut served) = (Ledger::new(), Vec::new());
        let mut lock_taken = 10_000;
        for (pause, read_before) in pauses {
            lock_taken += pause;
            let read = lock_taken - read_before;
            if ledger.reserve(&call, at(read)).is_ok() {
                served.push(served.last().copied().unwrap_or(0).max(read));
            }
            if let Some(now) = served.last() {
                let inside = served.iter().filter(|then| now - *then < WINDOW).count();
                prop_assert!(inside <= 10);
            }
        }
    }
}

/// A small generator, so that the long test needs no strategy of its own.
fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn above_the_exact_entries_a_window_never_holds_more_and_at_most_one_sub_window_less() {
    const LONG: u64 = 1_024_000;
    const MAX: u64 = 3 * EXACT_ENTRIES as u64;
    let counter = id("many", Window::Micros(LONG), Alignment::Sliding);
    let call = [charge(counter.clone(), MAX, 1)];
    let (mut ledger, mut served, mut refused) = (Ledger::new(), Vec::new(), 0);
    let (mut now, mut seed) = (0, 42);
    let mut oldest = 0;
    for _ in 0..60_000 {
        now += random(&mut seed) % 100;
        while served.get(oldest).is_some_and(|then| now - then >= LONG) {
            oldest += 1;
        }
        let inside = (served.len() - oldest) as u64;
        match ledger.reserve(&call, at(now)) {
            Ok(()) => {
                served.push(now);
                assert!(inside < MAX, "{inside} at {now}");
            }
            Err(_) => {
                refused += 1;
                if refused % 16 != 0 {
                    continue;
                }
                // One sub-window longer, and the oracle is full as well.
                let from = now.saturating_sub(LONG + LONG / SUB_WINDOWS);
                let longer = served.iter().rev().take_while(|then| **then > from).count() as u64;
                assert!(longer >= MAX, "refused at {longer}");
            }
        }
        if random(&mut seed).is_multiple_of(50) {
            let back = random(&mut seed) as usize % served.len().min(2_000);
            let then = served.remove(served.len() - 1 - back);
            if now - then >= LONG {
                oldest -= 1;
            }
            let before = ledger.used(&counter, at(now));
            ledger.refund(&counter, Amount::ONE, at(then));
            assert_eq!(
                ledger.used(&counter, at(now)),
                before.saturating_sub(Amount::ONE)
            );
        }
    }
    assert!(
        refused > 1_000 && served.len() > 2 * MAX as usize,
        "{refused} {}",
        served.len()
    );
}

#[test]
fn threads_together_never_take_more_and_never_a_part() {
    const LIMITS: [u64; 2] = [500, 300];
    let ledger = Arc::new(Mutex::new(Ledger::new()));
    let call = Arc::new([
        charge(sliding("a"), LIMITS[0], 1),
        charge(sliding("b"), LIMITS[1], 1),
    ]);
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let (ledger, call) = (Arc::clone(&ledger), Arc::clone(&call));
            std::thread::spawn(move || {
                let try_once = |n: u64| ledger.lock().unwrap().reserve(&*call, at(n)).is_ok();
                (0..200).filter(|n| try_once(*n)).count() as u64
            })
        })
        .collect();
    let taken: u64 = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .sum();
    assert_eq!(taken, 300);
    let ledger = ledger.lock().unwrap();
    for counter in ["a", "b"] {
        assert_eq!(ledger.used(&sliding(counter), at(300)), Amount::whole(300));
    }
}
