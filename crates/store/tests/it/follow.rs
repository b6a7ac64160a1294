//! Following the records: what is new, and what has ended.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use provost_store::{Filter, Record, Status, Store};

use crate::harness::{append_call, append_intent, outcome, scratch};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread.
fn wait<R>(future: impl Future<Output = R>) -> R {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn changed(store: &Store, after: u64, limit: usize) -> Vec<Record> {
    let filter = Filter {
        changed_after: Some(after),
        limit,
        ..Filter::default()
    };
    store.records(&filter).unwrap()
}

#[test]
fn d64_who_follows_is_told_of_new_records_and_of_their_outcomes_at_once() {
    let scratch = scratch();
    let store = scratch.open();
    append_call(&store, 1);
    store.records(&Filter::default()).unwrap();
    let mut following = store.follow();
    let begun = Instant::now();
    let mut after = following.number();

    append_intent(&store, 2);
    assert!(wait(following.changed()));
    let seen = changed(&store, after, 0);
    let [record] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(record.call.number(), 2);
    assert_eq!(record.status, Some(Status::Unknown));
    after = record.changed;

    store
        .journal()
        .append(&outcome(2, store.clock().now()))
        .unwrap();
    assert!(wait(following.changed()));
    let seen = changed(&store, after, 0);
    let [record] = seen.as_slice() else {
        panic!("{seen:?}")
    };
    assert_eq!(record.call.number(), 2);
    assert_eq!(record.status, Some(Status::Ok));
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "nobody waits for the fold that comes anyway"
    );
    assert_eq!(changed(&store, record.changed, 0), []);

    store.close();
    // The last entry of all was folded.
    assert!(wait(following.changed()));
    assert!(!wait(following.changed()));
}

#[test]
fn d64_who_follows_slowly_misses_nothing() {
    let scratch = scratch();
    let store = scratch.open_small();
    let mut following = store.follow();
    let mut after = following.number();
    for call in 1..=40 {
        append_intent(&store, call);
    }
    store.records(&Filter::default()).unwrap();
    for call in (1..=40).rev() {
        store
            .journal()
            .append(&outcome(call, store.clock().now()))
            .unwrap();
    }
    append_call(&store, 41);
    assert!(wait(following.changed()));
    store.records(&Filter::default()).unwrap();
    let mut calls = Vec::new();
    loop {
        let page = changed(&store, after, 7);
        let Some(last) = page.last() else { break };
        after = last.changed;
        calls.extend(page.iter().map(|record| record.call.number()));
    }
    let expected: Vec<u128> = (1..=40).rev().chain([41]).collect();
    assert_eq!(calls, expected, "in the order in which they ended");
}

#[test]
fn d64_one_that_gave_up_waiting_goes_on_where_it_was() {
    let scratch = scratch();
    let store = scratch.open();
    // What the start itself wrote is none of its business.
    store.records(&Filter::default()).unwrap();
    let mut following = store.follow();
    let mut context = Context::from_waker(Waker::noop());
    let given_up = pin!(following.changed()).poll(&mut context);
    assert_eq!(given_up, Poll::Pending);
    append_call(&store, 1);
    assert!(wait(following.changed()));
}
