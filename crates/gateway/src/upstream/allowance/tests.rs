use super::*;

#[test]
fn d88_lines_are_bounded_and_what_was_dropped_is_told() {
    let (mut allowance, start) = (Allowance::default(), Instant::now());
    let taken = (0..1000).filter(|_| allowance.take(start).is_some());
    assert_eq!(taken.count(), 100);
    allowance.drop_lines(50);
    assert_eq!(allowance.told_at(), Some(start + STRETCH));
    assert_eq!(allowance.take(start + STRETCH), Some(950));
    assert_eq!(allowance.told_at(), None);
    assert_eq!(allowance.tell(), 0);
}
