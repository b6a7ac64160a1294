use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use provost_policy::Amount;
use provost_store::{DamageKind, Filter, Head, Status, Store};

use crate::child;
use crate::harness::{Scratch, append_intent, scratch, used};

/// A store whose process was killed after five calls that were not folded.
fn killed_after_five() -> Scratch {
    let scratch = scratch();
    let mut process = child::start("append five", scratch.directory.path(), None);
    assert_eq!(process.line().unwrap(), "appended");
    process.kill();
    scratch
}

/// Where each line of a file begins, and where the last one ends.
fn lines(bytes: &[u8]) -> Vec<usize> {
    let ends = bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1);
    std::iter::once(0).chain(ends).collect()
}

#[test]
fn a_killed_process_loses_nothing_it_appended() {
    let scratch = killed_after_five();
    let store = scratch.open();
    assert!(store.report().replayed >= 5);
    assert_eq!(used(&store), Amount::whole(5));
    assert_eq!(store.records(&Filter::default()).unwrap().len(), 5);
}

#[test]
fn cut_at_every_byte_of_the_last_two_entries_the_rest_is_whole() {
    let template = killed_after_five();
    let bytes = std::fs::read(template.segment(1)).unwrap();
    let starts = lines(&bytes);
    let [.., first, second, end] = starts.as_slice() else {
        panic!("too few lines")
    };
    for cut in *first..*end {
        let scratch = template.copy();
        std::fs::write(scratch.segment(1), &bytes[..cut]).unwrap();
        let store = scratch.open();
        let left = if cut < *second { 3 } else { 4 };
        let report = store.report();
        let torn = cut - if cut < *second { first } else { second };
        assert_eq!(report.torn_bytes, torn as u64, "cut at {cut}");
        assert_eq!(report.damage, [], "cut at {cut}");
        assert_eq!(used(&store), Amount::whole(left), "cut at {cut}");
        append_intent(&store, 99);
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.intact(), "cut at {cut}: {:?}", verified.damage);
    }
}

#[test]
fn a_damaged_byte_in_the_middle_costs_one_entry_and_is_named() {
    let template = killed_after_five();
    let bytes = std::fs::read(template.segment(1)).unwrap();
    let starts = lines(&bytes);
    let (third, fourth) = (starts[starts.len() - 4], starts[starts.len() - 3]);
    let line = starts.len() as u64 - 3;
    // The newline itself takes two entries with it.
    for place in (third..fourth - 1).step_by(7) {
        let scratch = template.copy();
        let mut damaged = bytes.clone();
        damaged[place] ^= 0x11;
        std::fs::write(scratch.segment(1), &damaged).unwrap();
        let store = scratch.open();
        let [damage] = store.report().damage.as_slice() else {
            panic!("byte {place}: {:?}", store.report().damage);
        };
        assert_eq!(
            (damage.segment, damage.line, damage.offset),
            (1, line, third as u64),
            "byte {place}"
        );
        assert_eq!(used(&store), Amount::whole(4), "byte {place}");
        append_intent(&store, 99);
        assert_eq!(
            store.audit_verify(None).unwrap().damage,
            store.report().damage
        );
    }
}

#[test]
fn a_damaged_last_entry_is_named_and_not_written_over() {
    let scratch = killed_after_five();
    let bytes = std::fs::read(scratch.segment(1)).unwrap();
    let starts = lines(&bytes);
    let last = starts[starts.len() - 2];
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(scratch.segment(1))
        .unwrap();
    file.write_all_at(b"X", last as u64 + 40).unwrap();
    let store = scratch.open();
    let [damage] = store.report().damage.as_slice() else {
        panic!("{:?}", store.report().damage)
    };
    assert_eq!(
        (damage.offset, &damage.kind),
        (last as u64, &DamageKind::Altered)
    );
    assert_eq!(used(&store), Amount::whole(4));
    append_intent(&store, 99);
    assert!(
        scratch.segment(2).exists(),
        "the damaged segment is left alone"
    );
    assert_eq!(
        std::fs::read(scratch.segment(1)).unwrap().len(),
        bytes.len()
    );
    assert_eq!(
        store.audit_verify(None).unwrap().damage,
        store.report().damage
    );
    assert_eq!(used(&store), Amount::whole(5));
}

#[test]
fn entries_that_the_machine_lost_after_they_were_folded_are_named() {
    let scratch = scratch();
    let store = scratch.open();
    for call in 1..=5 {
        append_intent(&store, call);
    }
    store.records(&Filter::default()).unwrap();
    let head = store.audit_head();
    let crashed = scratch.copy();
    drop(store);

    let bytes = std::fs::read(crashed.segment(1)).unwrap();
    let starts = lines(&bytes);
    std::fs::write(crashed.segment(1), &bytes[..starts[starts.len() - 3]]).unwrap();
    let store = crashed.open();
    let [damage] = store.report().damage.as_slice() else {
        panic!("{:?}", store.report().damage)
    };
    assert_eq!(
        damage.kind,
        DamageKind::Missing {
            first: head.number - 1,
            last: head.number
        }
    );
    // What counts is what the journal has: the machine lost these before they
    // were on the disk.
    assert_eq!(used(&store), Amount::whole(3));
    assert!(
        store.audit_head().number > head.number,
        "a number never means two entries"
    );
    let found = store.audit_verify(None).unwrap().damage;
    assert!(
        matches!(found.as_slice(), [one] if one.kind == damage.kind),
        "{found:?}"
    );
}

#[test]
fn a_segment_that_was_only_begun_is_begun_again() {
    let scratch = scratch();
    let store = scratch.open();
    append_intent(&store, 1);
    store.close();
    for content in [&b""[..], b"{\"n\":7,\"t\":\"seg"] {
        let scratch = scratch.copy();
        std::fs::write(scratch.segment(2), content).unwrap();
        let store = scratch.open();
        assert_eq!(store.report().damage, []);
        append_intent(&store, 2);
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.intact(), "{:?}", verified.damage);
        assert_eq!(used(&store), Amount::whole(2));
    }
}

/// Negative test 108, as far as the store goes: nothing is half there.
#[test]
fn l108_kill_9_loses_no_acknowledged_entry_and_no_count() {
    let scratch = scratch();
    let mut acknowledged: Vec<(u64, u128)> = Vec::new();
    let mut head = Head {
        number: 0,
        mac: [0; 32],
    };
    for round in 0..20_u64 {
        let mut process = child::start("append forever", scratch.directory.path(), None);
        let mut said = Vec::new();
        // Killed after some entries, and at some moment: neither is regular.
        let start = Instant::now();
        while said.len() < 20 + 13 * round as usize && start.elapsed() < Duration::from_secs(5) {
            said.extend(process.line());
        }
        said.extend(process.kill());
        let entries = said.iter().filter_map(|line| {
            let (number, call) = line.split_once(' ')?;
            Some((number.parse().ok()?, call.parse().ok()?))
        });
        let before = acknowledged.len();
        acknowledged.extend(entries);
        assert!(
            acknowledged.len() > before,
            "round {round} wrote nothing: {said:?}"
        );

        let store = scratch.open();
        assert_eq!(store.report().damage, [], "round {round}");
        let verified = store
            .audit_verify((head.number > 0).then_some(head))
            .unwrap();
        assert!(verified.intact(), "round {round}: {:?}", verified.damage);
        let records = store.records(&Filter::default()).unwrap();
        for (number, call) in &acknowledged {
            let found = records.binary_search_by(|record| number.cmp(&record.number));
            let record =
                &records[found.unwrap_or_else(|_| panic!("round {round}: entry {number} is lost"))];
            assert_eq!(record.call.number(), *call);
        }
        assert!(
            used(&store) >= Amount::whole(acknowledged.len() as u64),
            "round {round}: counts are lost"
        );
        assert_eq!(used(&store), Amount::whole(records.len() as u64));
        head = store.audit_head();
    }
}

#[test]
fn an_intent_without_an_outcome_stays_unknown() {
    let scratch = killed_after_five();
    drop(Store::open(&scratch.locations).unwrap());
    let store = scratch.open();
    let records = store.records(&Filter::default()).unwrap();
    assert!(
        records
            .iter()
            .all(|record| record.status == Some(Status::Unknown))
    );
}
