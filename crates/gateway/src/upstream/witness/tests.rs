use std::os::unix::process::ExitStatusExt;

use super::*;

#[test]
fn d44_only_what_was_seen_since_is_told_and_little_of_it_is_kept() {
    let witness = Witness::default();
    witness.failed("refused");
    let since = Instant::now();
    assert!(witness.since(since).is_empty());
    for line in 0..20 {
        witness.says(format!("line {line}\u{1b}").as_bytes());
    }
    witness.sent(&[b'x'; 10_000]);
    witness.ended(ExitStatus::from_raw(3 << 8));
    let told = witness.since(since);
    assert_eq!(told.len(), 2 + LINES);
    assert_eq!(told[0], "its program ended with exit code 3");
    assert!(told[1].len() < 2 * PIECE && told[1].ends_with("x…"));
    assert_eq!(told[9], "its standard error: line 19\\u{1b}");
    witness.ended(ExitStatus::from_raw(137 << 8));
    assert_eq!(
        witness.since(since)[0],
        "its program ended with exit code 137 (signal 9)"
    );
}
