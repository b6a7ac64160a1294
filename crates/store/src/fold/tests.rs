use super::*;
use crate::{Act, Actor, Locations, Store};

fn store() -> (tempfile::TempDir, Store) {
    let scratch = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    };
    (scratch, Store::open(&locations).unwrap())
}

#[test]
fn a_timeline_whose_row_was_rolled_back_is_written_again() {
    let (_scratch, store) = store();
    let folder = &store.0.folder;
    folder.fold().unwrap();
    let run = |sql: &str| store.0.database.writing().execute_batch(sql).unwrap();
    run("DELETE FROM timelines;
         CREATE TEMP TRIGGER full BEFORE INSERT ON acts BEGIN SELECT RAISE(ABORT, 'full'); END");
    // As at the beginning of a segment.
    lock(&folder.state).timeline.segment = 0;
    let who = Actor::new("test");
    store.record_act(&who, Act::Backup, "it", None).unwrap();
    folder.fold().unwrap_err();
    run("DROP TRIGGER full");
    folder.fold().unwrap();
    let sql = "SELECT count(*) FROM acts JOIN timelines ON timelines.id = acts.timeline WHERE target = 'it'";
    let reading = store.0.database.reading();
    let found: i64 = reading.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(found, 1);
}

#[test]
fn a_checkpoint_that_could_not_be_written_stays_due() {
    let (_scratch, store) = store();
    let folder = &store.0.folder;
    // The thread that folds writes none meanwhile.
    let _alone = lock(folder.maintenance());
    folder.fold().unwrap();
    let is_due = || lock(&folder.state).since >= DUE;
    lock(&folder.state).since = DUE;
    let name = format!("checkpoint-{:08}.json", folder.position().number);
    let in_its_way = folder.journal.directory().join(name);
    std::fs::create_dir(&in_its_way).unwrap();
    folder.checkpoint(None).unwrap_err();
    assert!(is_due());
    std::fs::remove_dir(&in_its_way).unwrap();
    folder.checkpoint(None).unwrap();
    assert!(!is_due());
}
