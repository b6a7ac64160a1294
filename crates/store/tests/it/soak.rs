//! Anything that happens to a store, in any order; what must always hold.

use std::io::Write;

use proptest::prelude::*;
use provost_policy::Amount;
use provost_store::{DamageKind, Filter, Head, Store};

use crate::harness::{Scratch, admin, append_call, append_intent, refused, scratch, used};

#[derive(Debug, Clone)]
enum Happening {
    Calls(u8),
    Unfinished(u8),
    Refusal,
    Fold,
    Reopen,
    Crash,
    /// A crash in the middle of a write.
    Torn(u8),
    Rotate,
    Prune,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1..12_u8).prop_map(Happening::Calls),
        2 => (1..5_u8).prop_map(Happening::Unfinished),
        1 => Just(Happening::Refusal),
        1 => Just(Happening::Fold),
        2 => Just(Happening::Reopen),
        2 => Just(Happening::Crash),
        2 => (1..200_u8).prop_map(Happening::Torn),
        1 => Just(Happening::Rotate),
        1 => Just(Happening::Prune),
    ]
}

struct World {
    scratch: Scratch,
    store: Store,
    calls: u64,
    heads: Vec<Head>,
}

impl World {
    fn new() -> Self {
        let scratch = scratch();
        let store = scratch.open_small();
        Self {
            scratch,
            store,
            calls: 0,
            heads: Vec::new(),
        }
    }

    fn happens(&mut self, happening: &Happening) {
        let next = |world: &mut Self| {
            world.calls += 1;
            u128::from(world.calls)
        };
        match *happening {
            Happening::Calls(count) => (0..count).for_each(|_| {
                let call = next(self);
                append_call(&self.store, call);
            }),
            Happening::Unfinished(count) => (0..count).for_each(|_| {
                let call = next(self);
                append_intent(&self.store, call);
            }),
            Happening::Refusal => drop(
                self.store
                    .journal()
                    .append(&refused(0, self.store.clock().now()))
                    .unwrap(),
            ),
            Happening::Fold => drop(
                self.store
                    .records(&Filter {
                        limit: 1,
                        ..Filter::default()
                    })
                    .unwrap(),
            ),
            Happening::Reopen => {
                self.store.close();
                self.store = self.scratch.open_small();
            }
            Happening::Crash => self.crash(0),
            Happening::Torn(bytes) => self.crash(bytes),
            Happening::Rotate => drop(self.store.rotate_key(&admin()).unwrap()),
            Happening::Prune => drop(
                self.store
                    .prune(&admin(), self.store.clock().now().wall + 1)
                    .unwrap(),
            ),
        }
    }

    /// The process dies, leaving this many bytes of an unfinished entry.
    fn crash(&mut self, torn: u8) {
        let copy = self.scratch.copy();
        let last = (1..)
            .take_while(|number| *number < 1_000)
            .filter(|number| copy.segment(*number).exists())
            .last();
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(copy.segment(last.unwrap()))
            .unwrap();
        file.write_all(&b"{\"n\":9,\"t\":\"intent\",".repeat(10)[..usize::from(torn)])
            .unwrap();
        self.store = copy.open_small();
        self.scratch = copy;
        assert_eq!(self.store.report().torn_bytes, u64::from(torn));
        assert_eq!(self.store.report().damage, []);
    }

    fn holds(&mut self) {
        assert_eq!(used(&self.store), Amount::whole(self.calls));
        let verified = self.store.audit_verify(None).unwrap();
        assert!(verified.intact(), "{:?}", verified.damage);
        for head in &self.heads {
            let damage = self.store.audit_verify(Some(*head)).unwrap().damage;
            let pruned = head.number < verified.first;
            assert!(
                damage.is_empty()
                    || pruned
                        && damage
                            .iter()
                            .all(|found| found.kind == DamageKind::HeadPruned)
            );
        }
        self.heads.push(self.store.audit_head());
        self.heads = self.heads.split_off(self.heads.len().saturating_sub(3));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn counts_and_chain_hold_whatever_happens(happenings in prop::collection::vec(happening(), 1..25)) {
        let mut world = World::new();
        for happening in &happenings {
            world.happens(happening);
            world.holds();
        }
    }
}
