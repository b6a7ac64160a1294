use provost_policy::Amount;
use provost_store::{DamageKind, Filter, Store};

use crate::harness::{Scratch, admin, append_call, scratch, used};

/// A store with several segments, the first of them older than the moment
/// that comes with it.
fn with_old_segments() -> (Scratch, Store, u64) {
    let scratch = scratch();
    let store = scratch.open_small();
    for call in 1..=40 {
        append_call(&store, call);
    }
    let limit = store.clock().now().steady + 1;
    for call in 41..=45 {
        append_call(&store, call);
    }
    (scratch, store, limit)
}

#[test]
fn old_segments_go_and_the_chain_stays_provable() {
    let (scratch, store, limit) = with_old_segments();
    let head = store.audit_head();
    let pruned = store.prune(&admin(), limit).unwrap();
    assert!(pruned.segments >= 3, "{pruned:?}");
    assert!(!scratch.segment(1).exists());
    let up_to = pruned.up_to.unwrap();
    let verified = store.audit_verify(Some(head)).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    assert_eq!(verified.first, up_to.number + 1);
    assert!(
        store.audit_verify(Some(up_to)).unwrap().intact(),
        "a checkpoint stands for it"
    );
    let records = store.records(&Filter::default()).unwrap();
    assert!(records.iter().all(|record| record.number > up_to.number));
    assert_eq!(records.len() as u64 + pruned.records, 45);
    assert_eq!(used(&store), Amount::whole(45), "what counts still counts");
}

#[test]
fn nothing_young_goes() {
    let (scratch, store, _) = with_old_segments();
    let pruned = store.prune(&admin(), 1).unwrap();
    assert_eq!(
        (pruned.segments, pruned.records, pruned.up_to),
        (0, 0, None)
    );
    assert!(scratch.segment(1).exists());
}

#[test]
fn counts_and_chain_survive_a_restart_after_retention() {
    let (scratch, store, limit) = with_old_segments();
    let head = store.audit_head();
    store.prune(&admin(), limit).unwrap();
    store.close();
    let store = scratch.open_small();
    assert_eq!(used(&store), Amount::whole(45));
    assert!(store.audit_verify(Some(head)).unwrap().intact());
    let again = store
        .prune(&admin(), store.clock().now().steady + 1)
        .unwrap();
    assert!(
        store
            .audit_verify(Some(head))
            .unwrap()
            .damage
            .iter()
            .all(|damage| damage.kind == DamageKind::HeadPruned)
    );
    assert!(again.segments > 0);
    assert_eq!(used(&store), Amount::whole(45));
}

#[test]
fn segments_that_went_without_a_checkpoint_are_missed() {
    let (scratch, store, _) = with_old_segments();
    std::fs::remove_file(scratch.segment(1)).unwrap();
    let damage = store.audit_verify(None).unwrap().damage;
    assert!(
        matches!(damage.as_slice(), [one] if one.kind == DamageKind::SegmentMissing),
        "{damage:?}"
    );
}

#[test]
fn old_keys_stay_as_long_as_their_segments() {
    let (_scratch, store, _) = with_old_segments();
    store.rotate_key(&admin()).unwrap();
    append_call(&store, 99);
    assert!(store.audit_verify(None).unwrap().intact());
    store
        .prune(&admin(), store.clock().now().steady + 1)
        .unwrap();
    store.rotate_key(&admin()).unwrap();
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
}

#[test]
fn nothing_goes_once_the_store_is_closed() {
    let (scratch, store, limit) = with_old_segments();
    store.close();
    let segments = || {
        std::fs::read_dir(scratch.locations.data.join("journal"))
            .unwrap()
            .count()
    };
    let before = segments();
    store.prune(&admin(), limit).unwrap_err();
    store.rotate_key(&admin()).unwrap_err();
    assert_eq!(segments(), before);
}

#[test]
fn closing_waits_for_what_is_being_removed() {
    for _ in 0..10 {
        let (scratch, store, limit) = with_old_segments();
        let pruned = std::thread::scope(|scope| {
            let pruning = scope.spawn(|| store.prune(&admin(), limit));
            store.close();
            // Another process may have it now.
            let again = scratch.open_small();
            let there = scratch.segment(1).exists();
            let pruned = pruning.join().unwrap();
            assert_eq!(scratch.segment(1).exists(), there);
            drop(again);
            pruned
        });
        let store = scratch.open_small();
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.intact(), "{pruned:?} {:?}", verified.damage);
        assert_eq!(used(&store), Amount::whole(45));
    }
}

#[test]
fn an_older_database_counts_from_the_checkpoint_on() {
    let scratch = scratch();
    let store = scratch.open_small();
    append_call(&store, 1);
    // With the last connection goes what SQLite keeps beside the file.
    drop(store);
    let database = scratch.locations.data.join("provost.db");
    let old = std::fs::read(&database).unwrap();

    let store = scratch.open_small();
    for call in 2..=40 {
        append_call(&store, call);
    }
    let limit = store.clock().now().steady + 1;
    for call in 41..=50 {
        append_call(&store, call);
    }
    let up_to = store.prune(&admin(), limit).unwrap().up_to.unwrap();
    assert!(!scratch.segment(1).exists());
    for call in 51..=60 {
        append_call(&store, call);
    }
    assert_eq!(used(&store), Amount::whole(60));
    drop(store);
    std::fs::write(&database, old).unwrap();

    for _ in 0..2 {
        let store = scratch.open_small();
        assert_eq!(used(&store), Amount::whole(60));
        let records = store.records(&Filter::default()).unwrap();
        assert!(records.iter().any(|record| record.number > up_to.number));
        assert!(store.audit_verify(None).unwrap().intact());
    }
}

#[test]
fn d12_a_clock_that_jumped_does_not_empty_the_journal() {
    let (scratch, store, _) = with_old_segments();
    let segments = || {
        let files = std::fs::read_dir(scratch.locations.data.join("journal")).unwrap();
        files
            .filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                name.to_str().unwrap().ends_with(".log")
            })
            .count() as u32
    };
    // Everything looks old, for ever.
    let before = segments();
    let pruned = store.prune(&admin(), u64::MAX).unwrap();
    assert_eq!(pruned.segments, before / 2);
    // A segment was begun, so that the last one can go one day.
    assert_eq!(segments(), before - pruned.segments + 1);

    // The wall does not count: a limit of the steady line that lies before
    // the first entry keeps everything, whatever the wall says.
    let begin = store.clock().now().steady - 3_600_000_000;
    let again = store.prune(&admin(), begin).unwrap();
    assert_eq!(again.segments, 0);
    assert!(store.audit_verify(None).unwrap().intact());
}
