use provost_policy::Amount;

use crate::harness::{append_intent, scratch, used};

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
    let database = rusqlite::Connection::open(scratch.locations.data.join("provost.db")).unwrap();
    let offset: String = database
        .query_row(
            "SELECT value FROM meta WHERE name = 'steady_offset'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    drop(database);
    let ahead = offset.parse::<u64>().unwrap() + 86_400_000_000;
    meta(&scratch, "steady_offset", &ahead.to_string());
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
