use super::*;

#[test]
fn what_was_started_together_fails_together() {
    let starts = Starts::default();
    let begun: Vec<_> = (0..50).map(|_| starts.take().unwrap()).collect();
    begun.into_iter().for_each(|started| starts.failed(started));
    assert_eq!(starts.seen().failures, 1);
    // The first again is free, and after that there are pauses.
    let again = starts.take().unwrap();
    starts.failed(again);
    assert_eq!(starts.seen().failures, 2);
    assert_eq!(starts.take().unwrap_err().kind, FaultKind::Pausing);
}

#[test]
fn an_answer_ends_the_pauses() {
    let starts = Starts::default();
    for _ in 0..2 {
        let started = starts.take().unwrap();
        starts.failed(started);
    }
    assert!(starts.take().is_err());
    starts.answered();
    assert!(starts.take().is_ok());
}

#[test]
fn pauses_grow_to_half_a_minute() {
    let pauses: Vec<u128> = (0..6).map(|n| pause(n).as_millis()).collect();
    assert_eq!(pauses, [0, 0, 250, 500, 1000, 2000]);
    assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
}
