//! What the ledger promises, one short story each; `properties` asks at random.

mod properties;

use super::*;
use crate::limit::{Alignment, Period, PolicyRef, RefundRule, RuleId, Window};
use crate::text::Text;
use crate::words::Word;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;

fn id(name: &str, window: Window, alignment: Alignment) -> CounterId {
    CounterId {
        scope: Text::fixed("grant"),
        server: Text::fixed("server"),
        counter: Text::from(name),
        window,
        alignment,
    }
}

fn sliding(name: &str) -> CounterId {
    id(name, Window::Micros(MINUTE), Alignment::Sliding)
}

fn calendar(name: &str) -> CounterId {
    id(name, Window::Micros(MINUTE), Alignment::Calendar)
}

fn concurrent(name: &str) -> CounterId {
    id(name, Window::Concurrent, Alignment::Sliding)
}

fn charge(counter: CounterId, max: u64, amount: u64) -> Charge {
    Charge {
        counter,
        max: Amount::whole(max),
        amount: Amount::whole(amount),
        refund: RefundRule::NotSent,
        rule: RuleId(Text::fixed("/tools/send/limits/send_rate")),
        policy: PolicyRef {
            name: Text::fixed("p"),
            version: 1,
            grant: Text::fixed("grant"),
        },
    }
}

/// Both lines at the same time, so many microseconds after the epoch.
fn at(micros: u64) -> Moment {
    Moment {
        steady: micros,
        wall: micros,
    }
}

fn window_full(index: usize, retry_after_ms: u64) -> Result<(), Full> {
    Err(Full {
        index,
        reason: FullReason::Window,
        retry_after_ms: Some(retry_after_ms),
    })
}

#[test]
fn the_eleventh_call_of_a_minute_is_refused_and_told_when_to_come_back() {
    let mut ledger = Ledger::new();
    let call = [charge(sliding("c"), 10, 1)];
    for second in 0..10 {
        assert_eq!(ledger.reserve(&call, at(second * SECOND)), Ok(()));
    }
    assert_eq!(
        ledger.reserve(&call, at(10 * SECOND)),
        window_full(0, 50_000)
    );
    assert_eq!(ledger.reserve(&call, at(MINUTE - 1)), window_full(0, 1));
    assert_eq!(ledger.reserve(&call, at(MINUTE)), Ok(()));
    assert_eq!(ledger.reserve(&call, at(MINUTE)), window_full(0, 1_000));
}

#[test]
fn retry_waits_until_enough_has_left_for_this_amount() {
    let mut ledger = Ledger::new();
    for (second, amount) in [(0, 3), (10, 3), (20, 4)] {
        let call = [charge(sliding("spend"), 10, amount)];
        assert_eq!(ledger.reserve(&call, at(second * SECOND)), Ok(()));
    }
    let now = at(30 * SECOND);
    for (amount, retry_after_ms) in [
        (1, 30_000),
        (3, 30_000),
        (4, 40_000),
        (6, 40_000),
        (7, 50_000),
    ] {
        let call = [charge(sliding("spend"), 10, amount)];
        assert_eq!(
            ledger.look(&call, now),
            window_full(0, retry_after_ms),
            "amount {amount}"
        );
    }
}

#[test]
fn an_amount_above_the_limit_never_fits() {
    let mut ledger = Ledger::new();
    let never = Err(Full {
        index: 0,
        reason: FullReason::NeverFits,
        retry_after_ms: None,
    });
    for counter in [sliding("a"), calendar("b"), concurrent("c")] {
        let call = [charge(counter, 10, 11)];
        assert_eq!(ledger.look(&call, at(0)), never);
        assert_eq!(ledger.reserve(&call, at(0)), never);
    }
}

#[test]
fn editing_the_limit_keeps_the_history() {
    let mut ledger = Ledger::new();
    let ten = [charge(sliding("c"), 10, 1)];
    for _ in 0..10 {
        ledger.reserve(&ten, at(0)).unwrap();
    }
    assert_eq!(
        ledger.reserve(&[charge(sliding("c"), 12, 1)], at(1)),
        Ok(())
    );
    assert_eq!(
        ledger.reserve(&[charge(sliding("c"), 12, 1)], at(2)),
        Ok(())
    );
    assert!(
        ledger
            .reserve(&[charge(sliding("c"), 12, 1)], at(3))
            .is_err()
    );
    assert!(
        ledger
            .reserve(&[charge(sliding("c"), 5, 1)], at(4))
            .is_err()
    );
    assert_eq!(ledger.used(&sliding("c"), at(5)), Amount::whole(12));
}

#[test]
fn looking_changes_nothing() {
    let mut ledger = Ledger::new();
    ledger
        .reserve(&[charge(sliding("c"), 2, 1)], at(0))
        .unwrap();
    let before = ledger.snapshot();
    for _ in 0..5 {
        ledger
            .look(
                &[charge(sliding("c"), 2, 1), charge(calendar("d"), 1, 1)],
                at(9),
            )
            .unwrap();
    }
    assert_eq!(ledger.snapshot(), before);
}

#[test]
fn all_charges_are_taken_or_none() {
    let mut ledger = Ledger::new();
    let full = charge(sliding("full"), 1, 1);
    ledger.reserve(std::slice::from_ref(&full), at(0)).unwrap();
    let call = [
        charge(sliding("a"), 10, 1),
        charge(concurrent("b"), 10, 1),
        full,
    ];
    assert_eq!(ledger.reserve(&call, at(SECOND)), window_full(2, 59_000));
    assert_eq!(ledger.used(&sliding("a"), at(SECOND)), Amount::ZERO);
    assert_eq!(ledger.used(&concurrent("b"), at(SECOND)), Amount::ZERO);
}

#[test]
fn a_counter_named_twice_is_charged_once_with_the_larger_amount_under_the_strictest_limit() {
    for counter in [sliding("c"), calendar("c"), concurrent("c")] {
        let mut ledger = Ledger::new();
        let call = [
            charge(counter.clone(), 10, 2),
            charge(counter.clone(), 6, 3),
        ];
        for used in [3, 6] {
            assert_eq!(ledger.reserve(&call, at(0)), Ok(()));
            assert_eq!(ledger.used(&counter, at(0)), Amount::whole(used));
        }
        let refused = ledger.reserve(&call, at(0)).unwrap_err();
        assert_eq!(refused.index, 1, "the second charge has the lower limit");
        assert_eq!(ledger.look(&call, at(0)), Err(refused));
    }
}

#[test]
fn an_amount_too_large_for_its_twin_never_fits() {
    let call = [charge(sliding("c"), 2, 1), charge(sliding("c"), 10, 3)];
    let refused = Ledger::new().reserve(&call, at(0)).unwrap_err();
    assert_eq!((refused.index, refused.reason), (0, FullReason::NeverFits));
}

#[test]
fn a_refund_gives_back_exactly_what_was_taken_at_that_moment() {
    let mut ledger = Ledger::new();
    for second in [0, 10, 20] {
        ledger
            .reserve(&[charge(sliding("c"), 10, 3)], at(second * SECOND))
            .unwrap();
    }
    ledger.refund(&sliding("c"), Amount::whole(3), at(10 * SECOND));
    assert_eq!(
        ledger.used(&sliding("c"), at(30 * SECOND)),
        Amount::whole(6)
    );
    // A second time there is nothing to give back.
    ledger.refund(&sliding("c"), Amount::whole(3), at(10 * SECOND));
    assert_eq!(
        ledger.used(&sliding("c"), at(30 * SECOND)),
        Amount::whole(6)
    );
    assert_eq!(ledger.used(&sliding("c"), at(MINUTE)), Amount::whole(3));
}

#[test]
fn a_late_refund_does_not_eat_into_the_next_window() {
    let mut ledger = Ledger::new();
    for counter in [sliding("c"), calendar("c")] {
        ledger
            .reserve(&[charge(counter.clone(), 1, 1)], at(0))
            .unwrap();
        ledger
            .reserve(&[charge(counter.clone(), 1, 1)], at(MINUTE))
            .unwrap();
        ledger.refund(&counter, Amount::ONE, at(0));
        assert!(
            ledger
                .look(&[charge(counter.clone(), 1, 1)], at(MINUTE + 1))
                .is_err()
        );
        ledger.refund(&counter, Amount::ONE, at(MINUTE));
        assert_eq!(
            ledger.look(&[charge(counter, 1, 1)], at(MINUTE + 1)),
            Ok(())
        );
    }
}

#[test]
fn a_refund_finds_a_call_that_came_late_to_the_lock() {
    let mut ledger = Ledger::new();
    ledger
        .reserve(&[charge(sliding("c"), 10, 1)], at(100))
        .unwrap();
    ledger
        .reserve(&[charge(sliding("c"), 10, 2)], at(90))
        .unwrap();
    ledger
        .reserve(&[charge(sliding("c"), 10, 4)], at(110))
        .unwrap();
    ledger.refund(&sliding("c"), Amount::whole(2), at(90));
    assert_eq!(ledger.used(&sliding("c"), at(120)), Amount::whole(5));
    assert_eq!(
        ledger.used(&sliding("c"), at(100 + MINUTE)),
        Amount::whole(4)
    );
}

#[test]
fn calls_in_flight_end_when_released() {
    let mut ledger = Ledger::new();
    let call = [charge(concurrent("c"), 2, 1)];
    ledger.reserve(&call, at(0)).unwrap();
    ledger.reserve(&call, at(0)).unwrap();
    let full = Full {
        index: 0,
        reason: FullReason::InFlight,
        retry_after_ms: None,
    };
    assert_eq!(ledger.reserve(&call, at(u64::MAX)), Err(full));
    ledger.release(&concurrent("c"), Amount::ONE);
    assert_eq!(ledger.reserve(&call, at(1)), Ok(()));
}

#[test]
fn calls_in_flight_do_not_outlive_the_process() {
    let mut ledger = Ledger::new();
    ledger
        .reserve(&[charge(concurrent("c"), 2, 1)], at(0))
        .unwrap();
    ledger.replay(&concurrent("c"), Amount::ONE, at(0));
    assert_eq!(ledger.used(&concurrent("c"), at(0)), Amount::ONE);
    assert_eq!(
        Ledger::restore(ledger.snapshot()).used(&concurrent("c"), at(0)),
        Amount::ZERO
    );
}

#[test]
fn releasing_a_window_changes_nothing() {
    let mut ledger = Ledger::new();
    ledger
        .reserve(&[charge(sliding("c"), 1, 1)], at(0))
        .unwrap();
    ledger.release(&sliding("c"), Amount::ONE);
    assert_eq!(ledger.used(&sliding("c"), at(0)), Amount::ONE);
}

#[test]
fn a_replay_never_refuses() {
    let mut ledger = Ledger::new();
    for counter in [sliding("c"), calendar("c")] {
        for _ in 0..20 {
            ledger.replay(&counter, Amount::ONE, at(0));
        }
        assert_eq!(ledger.used(&counter, at(0)), Amount::whole(20));
        assert!(ledger.look(&[charge(counter, 10, 1)], at(1)).is_err());
    }
}

#[test]
fn calendar_windows_begin_with_the_utc_minute() {
    let mut ledger = Ledger::new();
    let call = [charge(calendar("c"), 1, 1)];
    assert_eq!(ledger.reserve(&call, at(59 * SECOND)), Ok(()));
    assert_eq!(
        ledger.reserve(&call, at(59 * SECOND + 500)),
        window_full(0, 1_000)
    );
    assert_eq!(ledger.reserve(&call, at(MINUTE)), Ok(()));
    assert_eq!(ledger.reserve(&call, at(2 * MINUTE - 1)), window_full(0, 1));
}

/// A moment of each period, as it says on the wall, and when that period began and ends.
#[test]
fn a_calendar_window_begins_with_its_period() {
    // Saturday, 29 February 2020.
    const MIDNIGHT: u64 = 1_582_934_400 * SECOND;
    const HOUR: u64 = 60 * MINUTE;
    let now = MIDNIGHT + 13 * HOUR + 45 * MINUTE + 30 * SECOND;
    for period in Period::ALL {
        let (begin, end) = match period {
            Period::Minute => (now - 30 * SECOND, now + 30 * SECOND),
            Period::Hour => (MIDNIGHT + 13 * HOUR, MIDNIGHT + 14 * HOUR),
            Period::Day => (MIDNIGHT, MIDNIGHT + 24 * HOUR),
        };
        let counter = id(period.name(), period.window(), Alignment::Calendar);
        let mut ledger = Ledger::new();
        let call = [charge(counter.clone(), 10, 1)];
        ledger.reserve(&call, at(now)).unwrap();
        let used = [begin - 1, begin, end - 1, end].map(|then| ledger.used(&counter, at(then)));
        let expected = [0, 1, 1, 0].map(Amount::whole);
        assert_eq!(used, expected, "`{}`", period.name());
    }
}

#[test]
fn a_wall_clock_set_back_does_not_open_a_calendar_window_again() {
    let mut ledger = Ledger::new();
    let call = [charge(calendar("c"), 1, 1)];
    ledger.reserve(&call, at(0)).unwrap();
    ledger.reserve(&call, at(MINUTE)).unwrap();
    // Both minutes are used, so the wait goes to the end of the second.
    let back = Moment {
        steady: MINUTE + 5,
        wall: 30 * SECOND,
    };
    assert_eq!(ledger.reserve(&call, back), window_full(0, 90_000));
}

#[test]
fn a_calendar_window_too_old_to_be_remembered_counts_as_full() {
    let mut ledger = Ledger::new();
    let call = [charge(calendar("c"), 1, 1)];
    for minute in 0..40 {
        ledger.reserve(&call, at(minute * MINUTE)).unwrap();
    }
    let back = Moment {
        steady: 40 * MINUTE,
        wall: MINUTE,
    };
    assert_eq!(ledger.reserve(&call, back), window_full(0, 39 * 60_000));
}

#[test]
fn a_sliding_window_does_not_follow_the_wall_clock() {
    let mut ledger = Ledger::new();
    let call = [charge(sliding("c"), 1, 1)];
    ledger
        .reserve(&call, Moment { steady: 0, wall: 0 })
        .unwrap();
    let ahead = Moment {
        steady: 1,
        wall: 90 * MINUTE,
    };
    assert_eq!(ledger.reserve(&call, ahead), window_full(0, 60_000));
}

#[test]
fn an_idle_counter_is_dropped_and_named() {
    let mut ledger = Ledger::new();
    ledger
        .reserve(
            &[charge(sliding("a"), 1, 1), charge(calendar("b"), 1, 1)],
            at(0),
        )
        .unwrap();
    assert_eq!(ledger.expire(at(MINUTE - 1)), []);
    assert_eq!(ledger.expire(at(MINUTE)), [sliding("a")]);
    assert_eq!(ledger.expire(at(32 * MINUTE)), [calendar("b")]);
    assert_eq!(ledger.snapshot(), []);
    ledger
        .reserve(&[charge(sliding("c"), 1, 1)], at(33 * MINUTE))
        .unwrap();
    assert_eq!(ledger.used(&sliding("c"), at(33 * MINUTE)), Amount::ONE);
}

#[test]
fn idle_counters_do_not_pile_up() {
    let mut ledger = Ledger::new();
    for call in 0..10_000 {
        let session = charge(sliding(&format!("session {call}")), 1, 1);
        let flight = charge(concurrent(&format!("session {call}")), 1, 1);
        let both = [session, flight];
        ledger.reserve(&both, at(call * SECOND)).unwrap();
        ledger.release(&both[1].counter, Amount::ONE);
    }
    assert!(ledger.slots.len() < 400, "{} counters", ledger.slots.len());
    assert!(
        ledger.counters.len() < 400,
        "{} slots",
        ledger.counters.len()
    );
    assert_eq!(
        ledger.used(&sliding("session 9999"), at(9_999 * SECOND)),
        Amount::ONE
    );
}

#[test]
fn a_counter_state_is_small_and_readable() {
    let mut ledger = Ledger::new();
    ledger
        .reserve(&[charge(sliding("a"), 9, 1)], at(1_000))
        .unwrap();
    ledger
        .reserve(&[charge(sliding("a"), 9, 2)], at(1_500))
        .unwrap();
    let text = serde_json::to_string(&ledger.snapshot()).unwrap();
    insta::assert_snapshot!(text, @r#"[{"id":{"scope":"grant","server":"server","counter":"a","window":{"micros":60000000},"alignment":"sliding"},"sliding":{"seen":1500,"entries":"1000 500*2"}}]"#);
}

#[test]
fn a_burst_gives_its_memory_back() {
    let mut ledger = Ledger::new();
    for micros in 0..100_000 {
        ledger.replay(&sliding("a"), Amount::ONE, at(micros));
    }
    let [state] = ledger.snapshot().try_into().unwrap();
    let size = serde_json::to_string(&state).unwrap().len();
    assert!(size < 100_000, "{size} bytes for 100,000 calls");
    ledger.expire(at(3 * MINUTE));
    assert!(ledger.snapshot().is_empty());
}

#[test]
fn counters_that_were_saved_as_lists_are_read() {
    let id = r#""id":{"scope":"grant","server":"server","counter":"a","window":{"micros":60000000},"alignment":"sliding"}"#;
    let read = |entries: &str| -> Vec<CounterState> {
        let text = format!(r#"[{{{id},"sliding":{{"seen":1500,"entries":{entries}}}}}]"#);
        serde_json::from_str(&text).unwrap()
    };
    let before = read(r#"[[1000,0,"1"],[500,20,"2.5"]]"#);
    assert_eq!(before, read(r#""1000 500+20*2.5""#));
    assert_eq!(Ledger::restore(before.clone()).snapshot(), before);
    assert_eq!(read("[]"), read(r#""""#));
    for odd in [
        "x",
        "1 ",
        " 1",
        "1  2",
        "1+",
        "1*",
        "+1",
        "1+2*",
        "1*1+2",
        "99999999999999999999",
    ] {
        let text = format!(r#"[{{{id},"sliding":{{"seen":1,"entries":"{odd}"}}}}]"#);
        let read = serde_json::from_str::<Vec<CounterState>>(&text);
        assert!(read.is_err(), "{odd}");
    }
}
