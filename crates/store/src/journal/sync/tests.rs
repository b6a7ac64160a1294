use std::sync::mpsc::{RecvTimeoutError, channel};

use super::*;
use crate::{Locations, Store};

#[test]
fn a_sync_waits_for_the_one_that_is_under_way() {
    let scratch = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    };
    let journal = Store::open(&locations).unwrap().journal();
    journal.sync().unwrap();

    let under_way = lock(&journal.0.syncing);
    let (tell, told) = channel();
    let other = journal.clone();
    let thread = std::thread::spawn(move || tell.send(other.sync().is_ok()).unwrap());
    let early = told.recv_timeout(Duration::from_millis(50));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    drop(under_way);
    assert!(told.recv().unwrap());
    thread.join().unwrap();
}

fn store() -> (tempfile::TempDir, Store) {
    let scratch = tempfile::tempdir().unwrap();
    let locations = Locations {
        data: scratch.path().join("data"),
        config: scratch.path().join("config"),
    };
    (scratch, Store::open(&locations).unwrap())
}

fn act(store: &Store) -> Result<crate::Position, JournalError> {
    store
        .journal()
        .append(&crate::Entry::Admin(crate::AdminAct {
            at: store.clock().now(),
            who: "test",
            what: "try",
            target: "the disk",
            detail: None,
        }))
}

#[test]
fn no_change_is_queued_while_what_is_owed_is_being_written() {
    let (_scratch, store) = store();
    let journal = store.journal();
    let before = journal.end();
    let being_written = lock(&journal.0.owed);
    let (tell, told) = channel();
    let other = store.clone();
    let thread = std::thread::spawn(move || {
        let added = other.add_server(&crate::Actor::new("test"), server("late"));
        tell.send(added.is_ok()).unwrap();
    });
    let early = told.recv_timeout(Duration::from_millis(50));
    assert_eq!(early, Err(RecvTimeoutError::Timeout));
    assert_eq!(journal.end(), before);
    drop(being_written);
    assert!(told.recv().unwrap());
    thread.join().unwrap();
}

fn inode(journal: &Journal) -> u64 {
    use std::os::unix::fs::MetadataExt;
    lock(&journal.0.state).file.metadata().unwrap().ino()
}

/// Each sync of this file, and whether it failed.
fn asked(journal: &Journal, file: u64) -> Vec<bool> {
    let plan = lock(&journal.0.disk.plan);
    let of_file = plan.asked.iter().filter(|(inode, _)| *inode == file);
    of_file.map(|(_, failed)| *failed).collect()
}

fn server(name: &str) -> crate::NewServer {
    crate::NewServer {
        name: name.to_owned(),
        transport: crate::Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    }
}

#[test]
fn d05_what_a_failed_sync_left_open_is_written_again_and_the_old_file_is_not_believed() {
    let (_scratch, store) = store();
    let journal = store.journal();
    journal.sync().unwrap();
    let old = inode(&journal);
    let before = asked(&journal, old).len();
    // Whoever syncs first, this test or the thread, meets it.
    lock(&journal.0.disk.plan).failing = 1;
    act(&store).unwrap();
    journal.sync().unwrap();
    let new = inode(&journal);
    assert_ne!(new, old);
    act(&store).unwrap();
    journal.sync().unwrap();
    let old_ones = asked(&journal, old);
    assert_eq!(&old_ones[before..], [true], "never asked again");
    assert!(!asked(&journal, new).contains(&true));
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    store.close();
    let store = Store::open(store.locations()).unwrap();
    assert_eq!(store.report().damage, []);
    assert_eq!(store.report().torn_bytes, 0);
}

#[test]
fn d05_what_the_kernel_dropped_is_not_written_again_and_nothing_is_accepted() {
    let (_scratch, store) = store();
    let journal = store.journal();
    journal.sync().unwrap();
    let kept = act(&store).unwrap().number;
    journal.sync().unwrap();
    {
        let mut plan = lock(&journal.0.disk.plan);
        (plan.failing, plan.losing) = (1, true);
    }
    act(&store).unwrap();
    let error = journal.sync().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("does not hold what was written any more"),
        "{error}"
    );
    act(&store).unwrap_err();
    journal.sync_or_mend().unwrap_err();
    act(&store).unwrap_err();
    assert!(
        store
            .add_server(&crate::Actor::new("test"), server("late"))
            .is_err()
    );
    store.close();
    // A restart says what is missing, and goes on behind it.
    let store = Store::open(store.locations()).unwrap();
    assert!(store.report().torn_bytes > 0);
    assert!(act(&store).unwrap().number > kept);
}

#[test]
fn d11_a_change_that_was_not_made_does_not_stay_recorded_as_made() {
    let (_scratch, store) = store();
    let journal = store.journal();
    let who = crate::Actor::new("test");
    store.add_server(&who, server("first")).unwrap();
    lock(&journal.0.disk.plan).failing = u32::MAX;
    store.add_server(&who, server("second")).unwrap_err();
    store.add_server(&who, server("third")).unwrap_err();
    act(&store).unwrap_err();
    assert_eq!(store.servers().unwrap().len(), 1);

    lock(&journal.0.disk.plan).failing = 0;
    // What the thread does next.
    journal.sync_or_mend().unwrap();
    store.add_server(&who, server("fourth")).unwrap();
    let acts = |store: &Store| {
        let mut out = Vec::new();
        store
            .audit_export(
                crate::ExportFormat::Jsonl,
                &crate::Filter::default(),
                &mut out,
            )
            .unwrap();
        store.records(&crate::Filter::default()).unwrap();
        let reading = store.0.database.reading();
        let mut found = reading
            .prepare("SELECT kind, target FROM acts WHERE what = 'server.add' ORDER BY n")
            .unwrap();
        let rows = found.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap()
            .collect::<Result<Vec<(String, String)>, _>>()
            .unwrap()
    };
    let expected = [
        ("change", "first"),
        ("change", "second"),
        ("undone", "second"),
        ("change", "fourth"),
    ];
    let expected = expected.map(|(kind, target)| (kind.to_owned(), target.to_owned()));
    assert_eq!(acts(&store), expected);
    store.close();
    let store = Store::open(store.locations()).unwrap();
    assert_eq!(acts(&store), expected, "the next start has nothing to add");
    assert_eq!(store.servers().unwrap().len(), 2);
    assert!(store.audit_verify(None).unwrap().intact());
}
