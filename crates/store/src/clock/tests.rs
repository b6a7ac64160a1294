use super::*;

const HOUR: u64 = 3_600_000_000;

fn boot(id: &str, micros: u64) -> Boot {
    Boot {
        id: id.to_owned(),
        micros,
    }
}

fn at(steady: u64, wall: u64) -> Option<Moment> {
    Some(Moment { steady, wall })
}

fn steady_at(clock: &Clock, micros: u64) -> u64 {
    clock.0.offset + micros
}

#[test]
fn a_first_line_begins_at_unix_time() {
    let clock = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, None, 0);
    assert_eq!(steady_at(&clock, HOUR), 1_000 * HOUR);
}

#[test]
fn a_restart_within_a_boot_goes_on_wherever_the_wall_was_set() {
    let first = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, None, 0);
    // Set back by 997 hours before the last entry, or set forward after it.
    for (wall_then, wall) in [(4 * HOUR, 5 * HOUR), (1_001 * HOUR, 2_000 * HOUR)] {
        let second = Clock::resume(
            Some(&first.kept()),
            &boot("a", 3 * HOUR),
            wall,
            at(1_001 * HOUR, wall_then),
            1_001 * HOUR,
        );
        assert_eq!(steady_at(&second, 3 * HOUR), 1_002 * HOUR);
        assert_eq!(second.kept(), first.kept());
    }
}

#[test]
fn a_kept_line_takes_nobody_further_than_the_journal_and_the_wall() {
    for offset in [1_500 * HOUR, u64::MAX] {
        for id in ["a", "b"] {
            let forged = KeptLine {
                boot: "a".to_owned(),
                offset,
            };
            let clock = Clock::resume(
                Some(&forged),
                &boot(id, 3 * HOUR),
                1_003 * HOUR,
                at(1_001 * HOUR, 1_001 * HOUR),
                1_001 * HOUR,
            );
            assert_eq!(steady_at(&clock, 3 * HOUR), 1_003 * HOUR);
        }
    }
}

#[test]
fn a_line_behind_the_wall_stays_behind_it_without_what_was_kept() {
    // The wall was set forward by an hour once.
    let clock = Clock::resume(
        None,
        &boot("a", 3 * HOUR),
        1_003 * HOUR,
        at(1_001 * HOUR, 1_002 * HOUR),
        1_001 * HOUR,
    );
    assert_eq!(steady_at(&clock, 3 * HOUR), 1_002 * HOUR);
}

#[test]
fn after_a_reboot_the_wall_counts() {
    let first = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, None, 0);
    let second = Clock::resume(
        Some(&first.kept()),
        &boot("b", 60),
        1_010 * HOUR,
        at(1_001 * HOUR, 1_001 * HOUR),
        1_001 * HOUR,
    );
    assert_eq!(steady_at(&second, 60), 1_010 * HOUR);
    assert_eq!(second.boot(), "b");
}

#[test]
fn after_a_reboot_with_the_wall_set_back_time_is_never_before_the_last_entry() {
    let first = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, None, 0);
    let second = Clock::resume(
        Some(&first.kept()),
        &boot("b", 60),
        10 * HOUR,
        at(1_001 * HOUR, 1_001 * HOUR),
        1_001 * HOUR,
    );
    assert_eq!(steady_at(&second, 60), 1_001 * HOUR + 1);
}

#[test]
fn a_boot_known_by_its_moment_bears_small_steps_of_the_wall() {
    assert!(is_same_boot("~1000", "~1029"));
    assert!(!is_same_boot("~1000", "~1031"));
    assert!(!is_same_boot("a", "b"));
}

#[test]
fn the_clock_goes_on() {
    let clock = Clock::resume(None, &Boot::current(), wall(), None, 0);
    let one = clock.now();
    let other = clock.now();
    assert!(other.steady >= one.steady);
    assert!(other.steady.abs_diff(other.wall) < 1_000_000);
}
