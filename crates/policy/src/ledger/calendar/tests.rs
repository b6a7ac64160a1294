use super::*;

const MINUTE: u64 = 60_000_000;

/// A counter with one charge in each of these minutes.
fn charged(minutes: impl IntoIterator<Item = u64>) -> Calendar {
    let mut calendar = Calendar::default();
    for minute in minutes {
        charge(&mut calendar, minute);
    }
    calendar
}

fn charge(calendar: &mut Calendar, minute: u64) {
    let at = Moment {
        steady: 0,
        wall: minute * MINUTE,
    };
    calendar.add(MINUTE, Amount::ONE, at);
}

fn used(calendar: &Calendar, minute: u64) -> Amount {
    calendar.used(MINUTE, minute * MINUTE)
}

#[test]
fn d32_the_first_window_there_can_be_is_counted() {
    let calendar = charged([0, 0]);
    assert_eq!(used(&calendar, 0), Amount::whole(2));
}

#[test]
fn d32_as_many_windows_as_promised_are_remembered() {
    let last = REMEMBERED as u64;
    let mut calendar = charged(10..10 + last);
    assert_eq!(used(&calendar, 10), Amount::ONE);
    assert_eq!(
        calendar.room(MINUTE, Amount::ZERO, 9 * MINUTE),
        Room::FreeIn((1 + last) * MINUTE)
    );
    charge(&mut calendar, 10 + last);
    assert_eq!(used(&calendar, 10), Amount::ZERO);
    assert_eq!(used(&calendar, 11), Amount::ONE);
    assert_eq!(used(&calendar, 10 + last), Amount::ONE);
}

#[test]
fn d32_a_window_before_those_that_are_remembered_stays_closed() {
    // Every second minute, so that there is room between them.
    let last = REMEMBERED as u64;
    let mut calendar = charged((0..=last).map(|n| 10 + 2 * n));
    for minute in [9, 10, 11] {
        charge(&mut calendar, minute);
        assert_eq!(used(&calendar, minute), Amount::ZERO, "{minute}");
    }
    // Later ones are open, known or not.
    charge(&mut calendar, 12);
    assert_eq!(used(&calendar, 12), Amount::whole(2));
    charge(&mut calendar, 15);
    assert_eq!(used(&calendar, 15), Amount::ONE);
    assert_eq!(used(&calendar, 12), Amount::ZERO);
}
