use super::*;

const HOUR: u64 = 3_600_000_000;

fn boot(id: &str, micros: u64) -> Boot {
    Boot {
        id: id.to_owned(),
        micros,
    }
}

fn steady_at(clock: &Clock, micros: u64) -> u64 {
    clock.0.offset + micros
}

#[test]
fn a_first_line_begins_at_unix_time() {
    let clock = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, 0);
    assert_eq!(steady_at(&clock, HOUR), 1_000 * HOUR);
}

#[test]
fn a_restart_within_a_boot_goes_on_whatever_the_wall_says() {
    let first = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, 0);
    let second = Clock::resume(
        Some(&first.kept()),
        &boot("a", 3 * HOUR),
        5 * HOUR,
        1_001 * HOUR,
    );
    assert_eq!(steady_at(&second, 3 * HOUR), 1_002 * HOUR);
    assert_eq!(second.kept(), first.kept());
}

#[test]
fn after_a_reboot_the_wall_counts() {
    let first = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, 0);
    let second = Clock::resume(
        Some(&first.kept()),
        &boot("b", 60),
        1_010 * HOUR,
        1_001 * HOUR,
    );
    assert_eq!(steady_at(&second, 60), 1_010 * HOUR);
    assert_eq!(second.boot(), "b");
}

#[test]
fn after_a_reboot_with_the_wall_set_back_time_is_never_before_the_last_entry() {
    let first = Clock::resume(None, &boot("a", HOUR), 1_000 * HOUR, 0);
    let second = Clock::resume(Some(&first.kept()), &boot("b", 60), 10 * HOUR, 1_001 * HOUR);
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
    let clock = Clock::resume(None, &Boot::current(), wall(), 0);
    let one = clock.now();
    let other = clock.now();
    assert!(other.steady >= one.steady);
    assert!(other.steady.abs_diff(other.wall) < 1_000_000);
}
