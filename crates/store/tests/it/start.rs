//! What a start reads, and what it leaves for later.

use provost_policy::Amount;
use provost_store::{DamageKind, Filter, NewServer, Store, Transport};
use rusqlite::Connection;

use crate::harness::{Scratch, admin, append_call, append_intent, scratch, used};

/// More than is read in no time, and more than one segment of the tests' size.
const CALLS: u128 = 4_000;

/// A store of many calls, with a server, closed in order.
fn many() -> Scratch {
    let scratch = scratch();
    let store = open(&scratch);
    let server = NewServer {
        name: "github".to_owned(),
        transport: Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    };
    store.add_server(&admin(), server).unwrap();
    (1..=CALLS).for_each(|call| append_call(&store, call));
    assert!(store.journal_bytes().unwrap() > 3 << 19);
    store.close();
    scratch
}

fn open(scratch: &Scratch) -> Store {
    Store::open_with(&scratch.locations, 1 << 20).unwrap()
}

fn calls(count: u128) -> Amount {
    Amount::whole(u64::try_from(count).unwrap())
}

/// Changes the file of a segment.
fn rewrite(scratch: &Scratch, segment: u32, change: impl FnOnce(&mut Vec<String>)) {
    let path = scratch.segment(segment);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
}

/// The last segment.
fn last(scratch: &Scratch) -> u32 {
    let there = |segment: &u32| scratch.segment(*segment).exists();
    (1..).take_while(there).last().unwrap()
}

#[test]
fn d62_a_start_reads_what_came_after_the_last_checkpoint() {
    let scratch = many();
    let store = open(&scratch);
    assert!(store.report().replayed < 10, "{:?}", store.report());
    assert_eq!(store.report().damage, []);
    assert_eq!(used(&store), calls(CALLS));
    assert!(store.directory().unwrap().server_named("github").is_some());
    assert_eq!(
        store.records(&Filter::default()).unwrap().len() as u128,
        CALLS
    );
    for call in 1..=3 {
        append_intent(&store, CALLS + call);
    }
    assert!(store.audit_verify(None).unwrap().intact());

    // Killed.
    let killed = scratch.copy();
    let again = open(&killed);
    assert!((3..20).contains(&again.report().replayed));
    assert_eq!(used(&again), calls(CALLS + 3));
    assert!(again.audit_verify(None).unwrap().intact());
}

#[test]
fn d62_what_is_odd_behind_the_checkpoint_is_read_whole_and_named() {
    let scratch = many();
    let store = open(&scratch);
    for call in 1..=3 {
        append_intent(&store, CALLS + call);
    }
    let killed = scratch.copy();
    let segment = last(&killed);
    let mut place = 0;
    rewrite(&killed, segment, |lines| {
        place = lines.len() - 2;
        lines[place] = lines[place].replace("create_issue", "create_essay");
    });
    let store = open(&killed);
    let [damage] = store.report().damage.as_slice() else {
        panic!("{:?}", store.report().damage)
    };
    assert_eq!(
        (damage.segment, damage.line, &damage.kind),
        (segment, place as u64 + 1, &DamageKind::Altered)
    );
    assert_eq!(used(&store), calls(CALLS + 2));
    assert_eq!(
        store.audit_verify(None).unwrap().damage,
        store.report().damage
    );
}

#[test]
fn d62_an_older_checkpoint_put_behind_the_last_one_is_not_believed() {
    let scratch = many();
    let store = open(&scratch);
    (1..=CALLS).for_each(|call| append_call(&store, CALLS + call));
    store.close();
    drop(store);
    let named = |segment: u32| -> Option<[String; 2]> {
        let text = std::fs::read_to_string(scratch.segment(segment)).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let at = lines
            .iter()
            .position(|line| line.contains("\"t\":\"checkpoint\""))?;
        Some([lines[at - 1].to_owned(), lines[at].to_owned()])
    };
    let segment = last(&scratch);
    let old = (1..=segment).find_map(named).unwrap();
    rewrite(&scratch, segment, |lines| lines.extend(old));
    let store = open(&scratch);
    assert!(!store.report().damage.is_empty());
    assert_eq!(used(&store), calls(2 * CALLS));
}

#[test]
fn d62_what_is_damaged_before_the_checkpoint_is_found_by_verification_and_counts_nothing() {
    let scratch = many();
    rewrite(&scratch, 1, |lines| {
        let at = lines.len() / 2;
        lines[at] = lines[at].replace("create_issue", "create_essay");
    });
    let store = open(&scratch);
    assert_eq!(used(&store), calls(CALLS));
    assert!(!store.audit_verify(None).unwrap().intact());
}

#[test]
fn d62_rows_that_are_missing_are_made_again_beside_calls() {
    let scratch = many();
    for attack in [
        "DELETE FROM records; DELETE FROM acts; DELETE FROM folded",
        "DELETE FROM records WHERE n = (SELECT max(n) FROM records)",
        "INSERT INTO records (n, call, at, grant_id, label, server, method, decision)
             VALUES (99999999, x'00', 1, '', '', '', '', 'deny')",
    ] {
        let database = Connection::open(scratch.locations.data.join("provost.db")).unwrap();
        database.execute_batch(attack).unwrap();
        let store = open(&scratch);
        // Before the first call there is what counts, and who may call.
        assert_eq!(used(&store), calls(CALLS), "{attack}");
        assert!(store.directory().unwrap().server_named("github").is_some());
        let count = || -> i64 {
            let sql = "SELECT count(*) FROM records";
            database.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        while count() as u128 != CALLS {
            std::thread::yield_now();
        }
        assert!(store.audit_verify(None).unwrap().intact(), "{attack}");
        store.close();
    }
}
