//! Formats of the journal: what an older one left is read, what a newer one
//! left is not guessed at, and two histories are not taken for one.

use provost_policy::{Amount, CounterId, Text, Window};
use provost_store::{
    DamageKind, ExportFormat, Filter, OpenError, Order, Store, Trust, WithKey, restore,
};

use crate::chain::Chain;
use crate::harness::{
    admin, append_call, append_intent, at, copy_tree, counter, of_format_1, refused, scratch,
};

fn acts(store: &Store, what: &str) -> Vec<serde_json::Value> {
    let mut out = Vec::new();
    store
        .audit_export(
            ExportFormat::Jsonl,
            &provost_store::Filter::default(),
            &mut out,
        )
        .unwrap();
    String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["what"] == what)
        .collect()
}

/// A century: it still counts whenever the test runs.
fn century() -> CounterId {
    CounterId {
        counter: Text::fixed("calls"),
        window: Window::Micros(3_155_760_000_000_000),
        ..counter()
    }
}

#[test]
fn d60_a_data_directory_of_format_1_opens_and_goes_on() {
    let scratch = of_format_1();
    let old = std::fs::read(scratch.segment(10)).unwrap();
    for round in 0..3_u128 {
        let store = scratch.open();
        assert_eq!(store.report().damage, []);
        let used = |id| store.ledger().unwrap().used(&id, store.clock().now());
        assert_eq!(used(century()), Amount::whole(50));
        let directory = store.directory().unwrap();
        let now = store.clock().now().wall;
        let opens = |token| {
            directory
                .authenticate(token, now)
                .map(|grant| grant.label.to_string())
        };
        assert_eq!(
            opens("pv_e0XxJ8CvZQS9rjLkH79FPji2eDTzOKkqcZPXABs91M8"),
            Some("ci".to_owned())
        );
        assert_eq!(
            opens("pv_LLCmr4TsUXDQKkqUdKJGfgEfvZQaNIyCHc-03BdcD28"),
            Some("watched".to_owned())
        );
        assert_eq!(
            opens("pv_m_6rUSNcNN3wajFy7r6NoeP1pIYMRIXiBpcIOW2BUpM"),
            None
        );
        let ci = store.find_grant(Some("github"), "ci").unwrap();
        assert_eq!(ci.policy.as_ref().map(|policy| policy.version), Some(2));
        let github = store.server("github").unwrap();
        assert_eq!(github.headers[0].1.expose(), "Bearer sesame");

        let records = store.records(&Filter::default()).unwrap();
        let old_ones: Vec<_> = records
            .iter()
            .filter(|record| record.number <= 121)
            .collect();
        assert_eq!(old_ones.len(), 16);
        assert!(
            old_ones
                .iter()
                .all(|record| { (record.node.as_str(), record.epoch) == ("d3b7c8d65435d8c9", 1) })
        );
        append_call(&store, 1_000 + round);
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.intact(), "{:?}", verified.damage);
        let said = acts(&store, "journal.format");
        assert_eq!(said.len(), 1, "said once: {said:?}");
        assert_eq!(said[0]["target"], "format 2");
        store.close();
    }
    assert_eq!(std::fs::read(scratch.segment(10)).unwrap(), old);
    let new = std::fs::read_to_string(scratch.segment(11)).unwrap();
    assert!(
        new.lines()
            .next()
            .unwrap()
            .contains("\"format\":2,\"node\":\"d3b7c8d65435d8c9\",\"epoch\":1,\"segment\":11")
    );
    assert!(!scratch.segment(12).exists(), "one new segment is enough");
}

#[test]
fn d60_a_kind_or_format_that_is_not_known_refuses_to_open_and_changes_nothing() {
    for (payload, place) in [
        (
            r#""t":"pardon","at":[9,9],"call":"00000000000000000000000000000001"}"#,
            "segment 1, line 4, offset",
        ),
        (
            r#""t":"segment","at":[9,9],"format":3,"segment":2,"key":1,"prev":PREV}"#,
            "segment 2, line 1, offset 0",
        ),
    ] {
        let scratch = scratch();
        let store = scratch.open();
        append_intent(&store, 1);
        store.close();
        let before = Chain::read(&scratch.locations, 1);
        let mut chain = before.clone();
        chain.lines.truncate(3);
        if payload.contains("format") {
            let mut next = chain.next_segment();
            next.push(payload);
            next.write(&scratch.locations, 2);
            chain.write(&scratch.locations, 1);
        } else {
            chain.push(payload);
            chain.write(&scratch.locations, 1);
        }
        let left = std::fs::read(scratch.segment(1)).unwrap();
        let error = Store::open(&scratch.locations).unwrap_err();
        assert!(matches!(error, OpenError::UnknownEntry { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains(place), "{said}");
        assert!(
            said.contains("`pardon`") || said.contains("format 3"),
            "{said}"
        );
        assert!(error.hint().unwrap().contains("newer one"));
        assert_eq!(std::fs::read(scratch.segment(1)).unwrap(), left);
        assert!(Store::open(&scratch.locations).is_err(), "and again");
    }
}

#[test]
fn d04_two_histories_put_together_are_damage_and_named() {
    // One history, and another that began at the same entry.
    let one = scratch();
    let store = one.open_small();
    for call in 1..=40 {
        append_call(&store, call);
    }
    store.close();
    drop(store);
    let first = Chain::read(&one.locations, 1);
    let other = scratch();
    copy_tree(one.directory.path(), other.directory.path());
    // The same numbers, other entries, chained with the same key.
    let mut forked = first.clone();
    forked.lines.truncate(2);
    while forked.lines.len() < first.lines.len() {
        forked.push(r#""t":"stop","at":[9,9]}"#);
    }
    let mut next = forked.next_segment();
    next.push(
        r#""t":"segment","at":[9,9],"format":2,"node":"NODE","epoch":1,"segment":2,"key":1,"prev":PREV}"#,
    );
    next.push(r#""t":"stop","at":[9,9]}"#);
    next.write(&other.locations, 2);
    for later in 3..20 {
        std::fs::remove_file(other.segment(later)).ok();
    }
    std::fs::remove_file(other.locations.data.join("provost.db")).unwrap();

    let store = other.open_small();
    let number = first.lines.len() as u64;
    let expected = DamageKind::OtherHistory { number };
    let at_open: Vec<_> = store.report().damage.iter().map(|it| &it.kind).collect();
    assert_eq!(at_open, [&expected]);
    let damage = store.audit_verify(None).unwrap().damage;
    let [found] = damage.as_slice() else {
        panic!("{damage:?}")
    };
    assert_eq!((found.segment, found.line, &found.kind), (2, 1, &expected));
    assert!(found.to_string().contains("belongs to another history"));
}

#[test]
fn d04_a_restored_store_goes_on_in_an_epoch_of_its_own_and_says_so() {
    let scratch = scratch();
    let store = scratch.open();
    append_call(&store, 1);
    let archive = scratch.directory.path().join("backup.tar");
    let head = store.backup(&admin(), &archive, WithKey::No).unwrap().head;
    append_call(&store, 2);
    let place = at(&scratch.directory.path().join("new"));
    let place = provost_store::Locations {
        config: scratch.locations.config.clone(),
        ..place
    };
    restore(&admin(), &archive, &place, Trust::Unverified).unwrap();
    for _ in 0..2 {
        let restored = Store::open(&place).unwrap();
        append_call(&restored, 3);
        let said = acts(&restored, "restore");
        assert_eq!(said.len(), 1, "{said:?}");
        assert_eq!(said[0]["epoch"], 2);
        let detail = said[0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("epoch 2 begins"), "{detail}");
        let oldest = Filter {
            order: Order::OldestFirst,
            ..Filter::default()
        };
        let records = restored.records(&oldest).unwrap();
        let epochs = |before: bool| {
            let mut epochs: Vec<_> = records
                .iter()
                .filter(|record| (record.number <= head.number) == before)
                .map(|record| record.epoch)
                .collect();
            epochs.dedup();
            epochs
        };
        assert_eq!((epochs(true), epochs(false)), (vec![1], vec![2]));
        let verified = restored.audit_verify(Some(head)).unwrap();
        assert!(verified.intact(), "{:?}", verified.damage);
        restored.close();
    }
    assert!(store.audit_verify(None).unwrap().intact());
}

#[test]
fn d13_a_record_names_the_grant_whose_policy_refused() {
    let scratch = scratch();
    let store = scratch.open();
    for (call, whose) in [(1, Some("g-1")), (2, Some("g-parent")), (3, None)] {
        let provost_store::Entry::Refused(plain) = refused(call, store.clock().now()) else {
            unreachable!()
        };
        let entry = provost_store::Refused {
            policy_grant: whose,
            ..plain
        };
        store
            .journal()
            .append(&provost_store::Entry::Refused(entry))
            .unwrap();
    }
    let oldest = Filter {
        order: Order::OldestFirst,
        ..Filter::default()
    };
    let records = store.records(&oldest).unwrap();
    let whose: Vec<_> = records
        .iter()
        .map(|record| record.policy_grant.as_deref())
        .collect();
    assert_eq!(whose, [None, Some("g-parent"), None], "its own is no news");
    assert!(records.iter().all(|record| record.status.is_none()));
    let mut table = Vec::new();
    store
        .audit_export(
            ExportFormat::Csv,
            &provost_store::Filter::default(),
            &mut table,
        )
        .unwrap();
    let table = String::from_utf8(table).unwrap();
    assert_eq!(table.matches("g-parent").count(), 1);
}
