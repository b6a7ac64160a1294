use provost_store::{Damage, DamageKind, ExportFormat, Head, Store};

use crate::harness::{Scratch, append_call, append_intent, refused, scratch};

/// Changes the lines of a segment.
fn rewrite(scratch: &Scratch, segment: u32, change: impl FnOnce(&mut Vec<String>)) {
    let path = scratch.segment(segment);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
}

/// A store of ten calls, running.
fn ten() -> (Scratch, Store) {
    let scratch = scratch();
    let store = scratch.open();
    for call in 1..=10 {
        append_intent(&store, call);
    }
    (scratch, store)
}

fn found(store: &Store) -> Vec<(u64, DamageKind)> {
    let verified = store.audit_verify(None).unwrap();
    verified
        .damage
        .into_iter()
        .map(|Damage { line, kind, .. }| (line, kind))
        .collect()
}

// Line 1 is the segment's header, line 2 the start; line n is entry n.

#[test]
fn an_untouched_journal_is_intact() {
    let (_scratch, store) = ten();
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact());
    assert_eq!(
        (verified.entries, verified.first, verified.head),
        (12, 1, store.audit_head())
    );
}

/// Negative tests 101 to 103: deleting, altering, reordering and inserting
/// break verification, which says where.
#[test]
fn l103_an_altered_entry_is_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| {
        lines[4] = lines[4].replace("create_issue", "delete_issue")
    });
    assert_eq!(found(&store), [(5, DamageKind::Altered)]);
}

#[test]
fn l103_an_altered_mac_is_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| {
        let at = lines[4].len() - 5;
        let digit = if &lines[4][at..=at] == "0" { "1" } else { "0" };
        lines[4].replace_range(at..=at, digit);
    });
    assert_eq!(found(&store), [(5, DamageKind::Altered)]);
}

#[test]
fn l103_a_deleted_entry_is_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| drop(lines.remove(4)));
    assert_eq!(
        found(&store),
        [(5, DamageKind::Missing { first: 5, last: 5 })]
    );
}

#[test]
fn l103_several_deleted_entries_are_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| drop(lines.drain(3..8)));
    assert_eq!(
        found(&store),
        [(4, DamageKind::Missing { first: 4, last: 8 })]
    );
}

#[test]
fn l103_reordered_entries_are_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| lines.swap(4, 5));
    let found = found(&store);
    assert!(
        found.contains(&(5, DamageKind::Misplaced { number: 6 })),
        "{found:?}"
    );
    assert!(
        found.iter().all(|(line, _)| (5..=7).contains(line)),
        "{found:?}"
    );
}

#[test]
fn l103_an_entry_put_in_is_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| lines.insert(4, lines[8].clone()));
    assert_eq!(found(&store), [(5, DamageKind::Misplaced { number: 9 })]);
    rewrite(&scratch, 1, |lines| {
        let forged = lines[5].replace("ci-runner", "somebody");
        lines[4] = forged;
    });
    assert_eq!(found(&store), [(5, DamageKind::Altered)]);
}

#[test]
fn l103_an_entry_repeated_is_found() {
    let (scratch, store) = ten();
    rewrite(&scratch, 1, |lines| lines.insert(5, lines[4].clone()));
    assert_eq!(found(&store), [(6, DamageKind::Misplaced { number: 5 })]);
}

#[test]
fn l103_a_cut_end_is_found_while_running_and_by_a_head_afterwards() {
    let (scratch, store) = ten();
    let head = store.audit_head();
    rewrite(&scratch, 1, |lines| lines.truncate(8));
    let damage = found(&store);
    assert!(
        damage
            .iter()
            .any(|(_, kind)| *kind == DamageKind::Cut { end: 8 }),
        "{damage:?}"
    );

    // Cut off while nobody ran, database and all: only a kept head tells.
    let (scratch, store) = ten();
    let early = scratch.copy();
    store.close();
    let head_now = Head { ..head };
    rewrite(&early, 1, |lines| lines.truncate(8));
    let store = early.open();
    let kinds: Vec<_> = store
        .audit_verify(Some(head_now))
        .unwrap()
        .damage
        .into_iter()
        .map(|damage| damage.kind)
        .collect();
    assert!(!kinds.is_empty(), "the head is not in this journal");
}

#[test]
fn a_head_proves_what_was_there() {
    let (_scratch, store) = ten();
    let head = store.audit_head();
    append_intent(&store, 11);
    assert!(store.audit_verify(Some(head)).unwrap().intact());
    let kinds = |head| -> Vec<_> {
        store
            .audit_verify(Some(head))
            .unwrap()
            .damage
            .into_iter()
            .map(|damage| damage.kind)
            .collect()
    };
    assert_eq!(
        kinds(Head {
            mac: [7; 32],
            ..head
        }),
        [DamageKind::OtherHead]
    );
    assert_eq!(
        kinds(Head { number: 99, ..head }),
        [DamageKind::Cut { end: 13 }]
    );
}

#[test]
fn a_head_reads_back_as_it_is_printed() {
    let (_scratch, store) = ten();
    let head = store.audit_head();
    assert_eq!(head.to_string().parse::<Head>().unwrap(), head);
    for text in [
        "",
        "12",
        "12:",
        "x:00",
        "12:zz",
        &head.to_string()[..20],
        &head.to_string().to_uppercase(),
    ] {
        let is_same = text.parse::<Head>().is_ok_and(|read| read == head);
        assert!(!is_same || text == head.to_string(), "{text}");
    }
}

#[test]
fn a_missing_segment_is_found() {
    let scratch = scratch();
    let store = scratch.open_small();
    for call in 1..=40 {
        append_call(&store, call);
    }
    std::fs::remove_file(scratch.segment(2)).unwrap();
    let found = found(&store);
    assert!(
        found.contains(&(0, DamageKind::SegmentMissing)),
        "{found:?}"
    );
    std::fs::remove_file(scratch.segment(1)).unwrap();
    let verified = store.audit_verify(None).unwrap();
    let [damage] = verified.damage.as_slice() else {
        panic!("{:?}", verified.damage)
    };
    assert_eq!(
        (damage.segment, &damage.kind),
        (2, &DamageKind::SegmentMissing)
    );
}

#[test]
fn an_altered_header_of_a_segment_is_found() {
    let scratch = scratch();
    let store = scratch.open_small();
    for call in 1..=40 {
        append_call(&store, call);
    }
    rewrite(&scratch, 2, |lines| {
        lines[0] = lines[0].replace("\"key\":1", "\"key\":7")
    });
    let verified = store.audit_verify(None).unwrap();
    assert!(
        verified
            .damage
            .iter()
            .all(|damage| (damage.segment, damage.line) == (2, 1)),
        "{:?}",
        verified.damage
    );
    assert!(!verified.intact());
}

#[test]
fn damage_is_said_in_users_words() {
    let damage = Damage {
        segment: 3,
        line: 7,
        offset: 4_200,
        kind: DamageKind::Missing { first: 9, last: 12 },
    };
    assert_eq!(
        damage.to_string(),
        "segment 3, line 7, offset 4200: entries 9 to 12 are missing"
    );
}

fn export(store: &Store, format: ExportFormat) -> (u64, String) {
    let mut out = Vec::new();
    let count = store
        .audit_export(format, &provost_store::Filter::default(), &mut out)
        .unwrap();
    (count, String::from_utf8(out).unwrap())
}

#[test]
fn exports_hold_every_call_and_act_in_order() {
    let (_scratch, store) = ten();
    store
        .journal()
        .append(&refused(11, store.clock().now()))
        .unwrap();
    let (count, text) = export(&store, ExportFormat::Jsonl);
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((count, lines.len()), (12, 12));
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["what"]),
        (&"act".into(), &"daemon.start".into())
    );
    assert_eq!(lines[11]["decision"], "deny");
    let numbers: Vec<_> = lines
        .iter()
        .map(|line| line["number"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted());

    let (count, table) = export(&store, ExportFormat::Csv);
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let columns = reader.headers().unwrap().len();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!((count, rows.len()), (12, 12));
    assert!(rows.iter().all(|row| row.len() == columns));
}

#[test]
fn l105_cells_do_not_become_formulas_and_move_no_cursor() {
    let scratch = scratch();
    let store = scratch.open();
    for (call, tool) in ["=1+1", "+1", "-1", "@x", "a\r\nb\u{1b}[31m\u{202e}"]
        .into_iter()
        .enumerate()
    {
        let provost_store::Entry::Refused(plain) = refused(call as u128, store.clock().now())
        else {
            unreachable!()
        };
        let entry = provost_store::Refused {
            tool: Some(tool),
            ..plain
        };
        store
            .journal()
            .append(&provost_store::Entry::Refused(entry))
            .unwrap();
    }
    let (_, table) = export(&store, ExportFormat::Csv);
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let place = reader
        .headers()
        .unwrap()
        .iter()
        .position(|name| name == "tool")
        .unwrap();
    let tools: Vec<_> = reader
        .records()
        .map(|row| row.unwrap()[place].to_owned())
        .collect();
    assert_eq!(
        tools[1..],
        [
            "'=1+1",
            "'+1",
            "'-1",
            "'@x",
            "a\\u000d\\u000ab\\u001b[31m\\u202e"
        ]
    );
    let (_, lines) = export(&store, ExportFormat::Jsonl);
    assert!(!lines.contains(['\u{1b}', '\u{202e}', '\r']));
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!(last["tool"], "a\r\nb\u{1b}[31m\u{202e}");
}
