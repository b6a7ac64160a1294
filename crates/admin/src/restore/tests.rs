use super::*;

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_a_killed_restore_left_is_cleared_by_the_next_start_and_nothing_else_is() {
    let scratch = tempfile::tempdir().unwrap();
    let home = scratch.path();
    for name in [
        "data.restoring-5",
        "data.restoring-6",
        "data.restoring-mine",
        "other.restoring-7",
    ] {
        std::fs::create_dir(home.join(name)).unwrap();
        std::fs::write(home.join(name).join("provost.db"), name).unwrap();
    }
    // Killed between the change and the last renaming: that is the directory of before.
    std::fs::write(home.join("data.restoring-6/lock"), "").unwrap();
    let locations = Locations {
        data: home.join("data"),
        config: home.join("config"),
    };
    crate::open_now(&locations).unwrap();
    assert_eq!(
        names(home),
        [
            "config",
            "data",
            "data.before-restore-6",
            "data.restoring-mine",
            "other.restoring-7"
        ]
    );
    let kept = std::fs::read_to_string(home.join("data.before-restore-6/provost.db"));
    assert_eq!(kept.unwrap(), "data.restoring-6");
}

#[test]
fn two_restores_wait_for_each_other_where_no_store_was_ever_opened() {
    let scratch = tempfile::tempdir().unwrap();
    let held = hold(scratch.path()).unwrap();
    let path = scratch.path().join(LOCK);
    let second = File::open(path).unwrap();
    assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
    drop(held);
    second.try_lock().unwrap();
}
