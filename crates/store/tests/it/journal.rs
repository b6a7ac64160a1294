use std::borrow::Cow;
use std::collections::HashSet;

use provost_policy::{Alignment, Amount, CounterId, Text, Window};
use provost_store::{
    CallId, Decision, Entry, Filter, Intent, Order, Outcome, Refund, Shadow, Status,
};

use crate::harness::{
    append_call, append_intent, charge, counter, intent, outcome, refused, scratch, used,
};

#[test]
fn a_call_becomes_one_record() {
    let scratch = scratch();
    let store = scratch.open();
    let at = store.clock().now();
    let keys = [Cow::from("body"), Cow::from("title")];
    let number = store
        .journal()
        .append(&intent(7, at, &keys, &[]))
        .unwrap()
        .number;
    store
        .journal()
        .append(&outcome(7, store.clock().now()))
        .unwrap();

    let records = store.records(&Filter::default()).unwrap();
    let [record] = records.as_slice() else {
        panic!("{records:?}")
    };
    assert_eq!(
        (record.number, record.call, record.at),
        (number, CallId::new(7), at.wall)
    );
    assert_eq!(
        (record.grant.as_str(), record.grant_label.as_str()),
        ("g-1", "ci-runner")
    );
    assert_eq!(record.tool.as_deref(), Some("create_issue"));
    assert_eq!(
        (record.policy.as_deref(), record.version),
        (Some("team"), Some(3))
    );
    assert_eq!(
        (record.decision, record.status),
        (Decision::Allow, Some(Status::Ok))
    );
    assert_eq!(record.keys, ["body", "title"]);
    assert_eq!(
        (record.upstream_status, record.latency_us),
        (Some(200), Some(1_234))
    );
}

#[test]
fn an_outcome_that_comes_after_the_fold_still_finds_its_call() {
    let scratch = scratch();
    let store = scratch.open();
    append_intent(&store, 7);
    let status =
        |store: &provost_store::Store| store.records(&Filter::default()).unwrap()[0].status;
    assert_eq!(status(&store), Some(Status::Unknown));
    store
        .journal()
        .append(&outcome(7, store.clock().now()))
        .unwrap();
    assert_eq!(status(&store), Some(Status::Ok));
}

#[test]
fn a_refusal_says_why() {
    let scratch = scratch();
    let store = scratch.open();
    store
        .journal()
        .append(&refused(1, store.clock().now()))
        .unwrap();
    let record = store.records(&Filter::default()).unwrap().remove(0);
    assert_eq!(record.decision, Decision::Deny);
    assert_eq!(record.rule.as_deref(), Some("/tools/delete_repo/action"));
    assert_eq!(
        (record.message.as_deref(), record.status),
        (Some("not here"), None)
    );
}

#[test]
fn shadows_are_recorded_and_counted_apart() {
    let scratch = scratch();
    let store = scratch.open();
    let own = CounterId {
        scope: Text::fixed("shadow:g-1"),
        ..counter()
    };
    let charges = [charge(own.clone(), 2)];
    let Entry::Intent(plain) = intent(1, store.clock().now(), &[], &[]) else {
        unreachable!()
    };
    let shadow = Shadow {
        policy: "draft",
        version: 1,
        decision: Decision::Deny,
        rule: Some("(default deny)"),
        message: Some("no"),
        charges: &charges,
    };
    store
        .journal()
        .append(&Entry::Intent(Intent {
            shadow: Some(shadow),
            ..plain
        }))
        .unwrap();
    let record = store.records(&Filter::default()).unwrap().remove(0);
    let shadow = record.shadow.unwrap();
    assert_eq!(
        (shadow.policy.as_str(), shadow.decision),
        ("draft", Decision::Deny)
    );
    let ledger = store.ledger().unwrap();
    assert_eq!(ledger.used(&own, store.clock().now()), Amount::whole(2));
    assert_eq!(used(&store), Amount::ZERO);
}

#[test]
fn counters_survive_a_restart_and_concurrent_ones_do_not() {
    let scratch = scratch();
    let store = scratch.open();
    let flying = CounterId {
        counter: Text::fixed("flying"),
        window: Window::Concurrent,
        ..counter()
    };
    let day = CounterId {
        window: Window::Micros(86_400_000_000),
        alignment: Alignment::Calendar,
        ..counter()
    };
    let charges = [
        charge(counter(), 3),
        charge(flying.clone(), 1),
        charge(day.clone(), 5),
    ];
    store
        .journal()
        .append(&intent(1, store.clock().now(), &[], &charges))
        .unwrap();
    store.close();

    let store = scratch.open();
    let now = store.clock().now();
    let ledger = store.ledger().unwrap();
    assert_eq!(ledger.used(&counter(), now), Amount::whole(3));
    assert_eq!(ledger.used(&day, now), Amount::whole(5));
    assert_eq!(ledger.used(&flying, now), Amount::ZERO);
    assert_eq!(
        store.records(&Filter::default()).unwrap()[0].status,
        Some(Status::Unknown)
    );
}

#[test]
fn two_charges_of_one_counter_count_once_as_in_the_ledger() {
    let scratch = scratch();
    let store = scratch.open();
    let charges = [
        charge(counter(), 1),
        charge(counter(), 4),
        charge(counter(), 2),
    ];
    let now = store.clock().now();
    let mut ledger = store.ledger().unwrap();
    ledger.reserve(&charges, now).unwrap();
    store
        .journal()
        .append(&intent(1, now, &[], &charges))
        .unwrap();
    assert_eq!(used(&store), ledger.used(&counter(), now));
    assert_eq!(used(&store), Amount::whole(4));
}

#[test]
fn refunds_come_back() {
    let scratch = scratch();
    let store = scratch.open();
    let at = store.clock().now();
    let charges = [charge(counter(), 3)];
    store
        .journal()
        .append(&intent(1, at, &[], &charges))
        .unwrap();
    append_intent(&store, 2);
    let refund = [Refund {
        counter: counter(),
        amount: Amount::whole(3),
        at,
    }];
    let Entry::Outcome(plain) = outcome(1, store.clock().now()) else {
        unreachable!()
    };
    let ending = Outcome {
        status: Status::NotSent,
        upstream_status: None,
        refund: &refund,
        ..plain
    };
    store.journal().append(&Entry::Outcome(ending)).unwrap();
    assert_eq!(used(&store), Amount::whole(1));
}

#[test]
fn filters_select_and_pages_follow() {
    let scratch = scratch();
    let store = scratch.open();
    for call in 1..=5 {
        append_call(&store, call);
    }
    store
        .journal()
        .append(&refused(6, store.clock().now()))
        .unwrap();
    let calls = |filter: Filter| -> Vec<u128> {
        store
            .records(&filter)
            .unwrap()
            .iter()
            .map(|record| record.call.number())
            .collect()
    };
    assert_eq!(
        calls(Filter {
            limit: 2,
            ..Filter::default()
        }),
        [6, 5]
    );
    assert_eq!(
        calls(Filter {
            decision: Some(Decision::Deny),
            ..Filter::default()
        }),
        [6]
    );
    assert_eq!(
        calls(Filter {
            tool: Some("create_issue".into()),
            limit: 1,
            ..Filter::default()
        }),
        [5]
    );
    assert_eq!(
        calls(Filter {
            grant: Some("ci-runner".into()),
            limit: 1,
            ..Filter::default()
        }),
        [6]
    );
    assert_eq!(
        calls(Filter {
            grant: Some("g-1".into()),
            limit: 1,
            ..Filter::default()
        }),
        [6]
    );
    assert_eq!(
        calls(Filter {
            server: Some("other".into()),
            ..Filter::default()
        }),
        [0; 0]
    );
    assert_eq!(
        calls(Filter {
            call: Some(CallId::new(3)),
            ..Filter::default()
        }),
        [3]
    );
    assert_eq!(
        calls(Filter {
            since: Some(u64::MAX >> 1),
            ..Filter::default()
        }),
        [0; 0]
    );
    let third = store
        .records(&Filter {
            call: Some(CallId::new(3)),
            ..Filter::default()
        })
        .unwrap()[0]
        .number;
    let after = Filter {
        after: Some(third),
        order: Order::OldestFirst,
        ..Filter::default()
    };
    assert_eq!(calls(after), [4, 5, 6]);
    assert_eq!(
        calls(Filter {
            before: Some(third),
            ..Filter::default()
        }),
        [2, 1]
    );
}

#[test]
fn eight_threads_are_numbered_without_gaps() {
    let scratch = scratch();
    let store = scratch.open();
    let before = store.audit_head().number;
    let numbers: HashSet<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8_u128)
            .map(|thread| {
                let store = &store;
                scope.spawn(move || {
                    (0..500)
                        .map(|call| append_intent(store, thread << 64 | call))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(numbers, (before + 1..=before + 4_000).collect());
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    assert_eq!(verified.head.number, before + 4_000);
    assert_eq!(used(&store), Amount::whole(4_000));
    assert_eq!(store.records(&Filter::default()).unwrap().len(), 4_000);
}

#[test]
fn segments_roll_while_threads_append() {
    let scratch = scratch();
    let store = scratch.open_small();
    std::thread::scope(|scope| {
        for thread in 0..4_u128 {
            let store = &store;
            scope.spawn(move || (0..50).for_each(|call| append_call(store, thread << 64 | call)));
        }
    });
    assert!(scratch.segment(5).exists());
    assert_eq!(store.records(&Filter::default()).unwrap().len(), 200);
    assert!(store.audit_verify(None).unwrap().intact());
    store.close();
    let store = scratch.open_small();
    assert_eq!(used(&store), Amount::whole(200));
    assert!(store.audit_verify(None).unwrap().intact());
}

#[test]
fn what_could_not_be_folded_is_folded_later() {
    let scratch = scratch();
    let store = scratch.open();
    append_call(&store, 1);
    assert_eq!(store.records(&Filter::default()).unwrap().len(), 1);
    let database = rusqlite::Connection::open(scratch.locations.data.join("provost.db")).unwrap();
    // Neither does the commit get through, nor can be read what it left.
    database
        .execute_batch(
            "ALTER TABLE folded RENAME TO elsewhere;
             INSERT INTO counters VALUES ('x', 'no counter');",
        )
        .unwrap();
    append_call(&store, 2);
    store.records(&Filter::default()).unwrap_err();
    store.records(&Filter::default()).unwrap_err();
    database
        .execute_batch(
            "ALTER TABLE elsewhere RENAME TO folded; DELETE FROM counters WHERE id = 'x';",
        )
        .unwrap();
    assert_eq!(store.records(&Filter::default()).unwrap().len(), 2);
    assert_eq!(used(&store), Amount::whole(2));
}

#[test]
fn pages_follow_one_another() {
    let scratch = scratch();
    let store = scratch.open();
    for call in 1..=25 {
        append_call(&store, call);
    }
    let mut page = Filter {
        order: Order::OldestFirst,
        limit: 10,
        ..Filter::default()
    };
    let mut sizes = Vec::new();
    let mut all = Vec::new();
    loop {
        let records = store.records(&page).unwrap();
        sizes.push(records.len());
        let Some(last) = records.last() else { break };
        page.after = Some(last.number);
        all.extend(records);
    }
    assert_eq!(sizes, [10, 10, 5, 0]);
    all.reverse();
    assert_eq!(all, store.records(&Filter::default()).unwrap());
}
