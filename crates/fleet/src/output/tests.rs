#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use segments::HALF;

fn opened(place: &tempfile::TempDir) -> Output {
    Output::open(place.path()).unwrap()
}

fn text(words: &str) -> Piece {
    Piece::Text(words.to_owned())
}

fn lost(bytes: u64) -> Piece {
    Piece::Gap(Gap { bytes: Some(bytes) })
}

const UNSEEN: Piece = Piece::Gap(Gap { bytes: None });

fn all(output: &Output) -> Vec<Piece> {
    output.page(Cursor(0), u32::MAX).unwrap().pieces
}

fn on_disk(place: &tempfile::TempDir) -> u64 {
    let files = std::fs::read_dir(place.path()).unwrap();
    files
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum()
}

#[test]
fn the_last_lines_are_exactly_so_many() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    for line in 0..5000 {
        output
            .append(format!("\x1b[1mline\x1b[0m {line}\r\n").as_bytes())
            .unwrap();
    }
    let last = |lines| output.last_lines(lines).unwrap();
    assert_eq!(last(2).pieces, [text("line 4998\nline 4999\n")]);
    assert_eq!(last(0).pieces, []);
    assert_eq!(last(2).next, last(2).end);
    let Piece::Text(many) = &last(4000).pieces[0] else {
        panic!("no text");
    };
    assert_eq!(many.lines().count(), 4000);
    assert!(many.starts_with("line 1000\n"));
    let Piece::Text(every) = &last(9000).pieces[0] else {
        panic!("no text");
    };
    assert_eq!(every.lines().count(), 5000);
    output.append(b"$ ").unwrap();
    assert_eq!(last(2).pieces, [text("line 4999\n$ ")]);
}

#[test]
fn long_lines_are_found_as_well() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    let long = "x".repeat(100_000);
    output
        .append(format!("first\n{long}\n").as_bytes())
        .unwrap();
    let page = output.last_lines(2).unwrap();
    assert_eq!(page.pieces, [text(&format!("first\n{long}\n"))]);
}

#[test]
fn pages_follow_each_other_without_overlap_or_loss() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    let whole: String = (0..20_000).map(|line| format!("é {line}\n")).collect();
    output.append(whole.as_bytes()).unwrap();
    let (mut read, mut at) = (String::new(), Cursor(0));
    loop {
        let page = output.page(at, 1).unwrap();
        let [Piece::Text(text)] = page.pieces.as_slice() else {
            break;
        };
        read.push_str(text);
        at = page.next;
    }
    assert_eq!(read, whole);
    assert_eq!(at, Cursor(whole.len() as u64));
}

#[test]
fn what_is_not_whole_comes_with_its_end() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    output.append(b"a\x1b[3").unwrap();
    let first = output.page(Cursor(0), u32::MAX).unwrap();
    assert_eq!(
        (first.pieces, first.next, first.end),
        (vec![text("a")], Cursor(1), Cursor(4))
    );
    output.append(b"1mb").unwrap();
    assert_eq!(
        output.page(first.next, u32::MAX).unwrap().pieces,
        [text("b")]
    );
}

#[test]
fn the_oldest_goes_and_is_told_to_be_lost() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    let line = format!("{}\n", "x".repeat(1023));
    let written = 20 * 1024;
    for _ in 0..written {
        output.append(line.as_bytes()).unwrap();
    }
    output.append(b"end\n").unwrap();
    assert!(on_disk(&place) <= 2 * HALF + 1024, "{}", on_disk(&place));
    let page = output.page(Cursor(0), u32::MAX).unwrap();
    let [Piece::Gap(Gap { bytes: Some(gone) }), Piece::Text(kept)] = page.pieces.as_slice() else {
        panic!("{:?}", page.pieces.len());
    };
    assert_eq!(gone + kept.len() as u64, written * 1024 + 4);
    assert!(kept.len() as u64 >= HALF);
    assert_eq!(output.last_lines(1).unwrap().pieces, [text("end\n")]);
}

#[test]
fn it_goes_on_after_a_restart_with_what_nobody_saw_as_a_gap() {
    let place = tempfile::tempdir().unwrap();
    opened(&place).append(b"before\n").unwrap();
    let output = opened(&place);
    assert_eq!(all(&output), [text("before\n")]);
    output.missed();
    output.missed();
    let page = output.page(Cursor(0), u32::MAX).unwrap();
    assert_eq!(page.pieces, [text("before\n"), UNSEEN]);
    assert_eq!(page.next, page.end);
    assert_eq!(output.page(page.next, u32::MAX).unwrap().pieces, []);
    output.append(b"after\n").unwrap();
    drop(output);
    let output = opened(&place);
    assert_eq!(all(&output), [text("before\n"), UNSEEN, text("after\n")]);
    assert_eq!(
        output.page(page.next, u32::MAX).unwrap().pieces,
        [text("after\n")]
    );
    assert_eq!(
        output.last_lines(1).unwrap().pieces,
        [UNSEEN, text("after\n")]
    );
}

/// Every restart leaves a gap; little output is not lost for many of them.
#[test]
fn many_restarts_keep_what_there_is_room_for() {
    let place = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for restart in 0..40 {
        let output = opened(&place);
        if restart > 0 {
            output.missed();
            expected.push(UNSEEN);
        }
        let line = format!("line {restart}\n");
        output.append(line.as_bytes()).unwrap();
        expected.push(text(&line));
    }
    assert_eq!(all(&opened(&place)), expected);
}

/// A directory that is gone is a disk that takes nothing.
#[test]
fn what_the_disk_does_not_take_is_counted_and_the_next_is_tried_again() {
    let outer = tempfile::tempdir().unwrap();
    let (kept, away) = (outer.path().join("kept"), outer.path().join("away"));
    let output = Output::open(&kept).unwrap();
    std::fs::rename(&kept, &away).unwrap();
    assert!(output.append(b"12345").is_err());
    assert!(output.append(b"678").is_ok(), "told once");
    assert_eq!(all(&output), [lost(8)]);
    std::fs::rename(&away, &kept).unwrap();
    output.append(b"again\n").unwrap();
    assert_eq!(all(&output), [lost(8), text("again\n")]);
    assert_eq!(
        all(&Output::open(&kept).unwrap()),
        [lost(8), text("again\n")]
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_costs_what_is_printed_meanwhile() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    let full =
        |name: &str| std::os::unix::fs::symlink("/dev/full", place.path().join(name)).unwrap();
    full("00000000000000000000.on");
    assert!(output.append(b"12345").is_err());
    full("00000000000000000005.lost");
    assert!(output.append(b"678").is_ok(), "told once");
    assert_eq!(on_disk(&place), 0);
    output.append(b"again\n").unwrap();
    assert_eq!(all(&output), [lost(8), text("again\n")]);
}

#[tokio::test]
async fn whoever_follows_hears_of_more_and_of_the_end() {
    let place = tempfile::tempdir().unwrap();
    let output = opened(&place);
    let (grown, ()) = tokio::join!(output.grows(Cursor(0)), async {
        output.append(b"x").unwrap();
    });
    assert_eq!(grown, ());
    let end = output.page(Cursor(0), u32::MAX).unwrap().end;
    tokio::join!(output.grows(end), async { output.finish() });
    assert!(output.page(end, u32::MAX).unwrap().ended);
}
