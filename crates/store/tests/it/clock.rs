use provost_policy::Amount;

use crate::chain::Chain;
use crate::harness::{append_intent, scratch, used};

const DAY: u64 = 86_400_000_000;

fn meta(scratch: &crate::harness::Scratch, name: &str, value: &str) {
    let database = rusqlite::Connection::open(scratch.locations.data.join("provost.db")).unwrap();
    let changed = database
        .execute("UPDATE meta SET value = ?2 WHERE name = ?1", [name, value])
        .unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn the_steady_line_goes_on_through_a_restart() {
    let scratch = scratch();
    let store = scratch.open();
    let before = store.clock().now();
    store.close();
    let store = scratch.open();
    let after = store.clock().now();
    assert!(after.steady >= before.steady);
    let steady = after.steady - before.steady;
    let wall = after.wall - before.wall;
    assert!(steady.abs_diff(wall) < 1_000_000, "{steady} and {wall}");
}

#[test]
fn p89_after_a_reboot_with_the_wall_set_back_nothing_is_forgotten() {
    let scratch = scratch();
    // A line one day ahead of the wall: as if the wall had been set back
    // while the machine was off.
    scratch.open().close();
    let now = scratch.open().clock().now();
    let mut journal = Chain::read(&scratch.locations, 1);
    let ahead = now.steady + DAY;
    journal.push(&format!(r#""t":"stop","at":[{ahead},{}]}}"#, now.wall));
    journal.write(&scratch.locations, 1);
    let store = scratch.open();
    append_intent(&store, 1);
    let last = store.clock().now();
    store.close();

    meta(&scratch, "boot", "another-boot");
    let store = scratch.open();
    let now = store.clock().now();
    assert!(now.steady >= last.steady, "never before the last entry");
    assert!(
        now.steady - last.steady < 10_000_000,
        "and not by the wall of a day ago"
    );
    assert_eq!(used(&store), Amount::whole(1));
}

#[test]
fn no_number_in_the_database_moves_the_steady_line() {
    for attack in [
        "UPDATE meta SET value = value + 86400000000 WHERE name = 'steady_offset'",
        "UPDATE folded SET steady = steady + 86400000000",
        "DELETE FROM meta WHERE name IN ('boot', 'steady_offset')",
    ] {
        let scratch = scratch();
        let store = scratch.open();
        append_intent(&store, 1);
        let before = store.clock().now();
        store.close();
        drop(store);
        let database = scratch.locations.data.join("provost.db");
        let database = rusqlite::Connection::open(database).unwrap();
        assert!(database.execute(attack, []).unwrap() > 0);

        for round in ["at once", "with the next start"] {
            let store = scratch.open();
            let after = store.clock().now();
            assert!(after.steady >= before.steady, "{round}: {attack}");
            // The line goes as the wall does.
            let more = (after.steady - before.steady).abs_diff(after.wall - before.wall);
            assert!(more < 10_000_000, "{round}: {attack}: {more}");
            assert_eq!(used(&store), Amount::whole(1), "{round}: {attack}");
            assert!(store.audit_verify(None).unwrap().intact());
        }
    }
}
