use super::*;

fn lines() -> Lines {
    Lines {
        name: Text::from("chatty"),
        allowance: Allowance::default(),
        held: Vec::new(),
        witness: Arc::default(),
    }
}

#[test]
fn d88_lines_come_whole_whatever_they_are_cut_into() {
    let (mut lines, now) = (lines(), Instant::now());
    lines.feed(b"one, and ", now);
    assert_eq!(lines.held, b"one, and ");
    lines.feed(b"its end\ntwo\nthr", now);
    assert_eq!(lines.held, b"thr");
    assert_eq!(lines.allowance.tell(), 0);
}

#[test]
fn d88_a_line_without_end_is_held_to_its_bound() {
    let mut lines = lines();
    for _ in 0..1000 {
        lines.feed(&[b'x'; PIECE], Instant::now());
    }
    assert_eq!(lines.held.len(), LINE);
}

#[test]
fn d88_every_line_is_logged_or_counted() {
    let (mut lines, now) = (lines(), Instant::now());
    let piece = b"a line\n".repeat(1000);
    for cut in piece.chunks(333) {
        lines.feed(cut, now);
    }
    assert_eq!(lines.allowance.tell(), 900);
    assert!(lines.held.is_empty());
}
