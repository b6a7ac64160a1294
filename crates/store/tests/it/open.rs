use std::os::unix::fs::PermissionsExt;

use provost_store::{OpenError, Store};

use crate::child;
use crate::harness::{append_intent, scratch};

#[test]
fn directories_and_files_are_private() {
    let scratch = scratch();
    let store = scratch.open();
    append_intent(&store, 1);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&scratch.locations.data), 0o700);
    assert_eq!(mode(&scratch.locations.config), 0o700);
    assert_eq!(mode(&scratch.locations.data.join("provost.db")), 0o600);
    assert_eq!(mode(&scratch.segment(1)), 0o600);
}

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    let scratch = scratch();
    let mut holder = child::start("hold", scratch.directory.path(), None);
    assert_eq!(holder.line().unwrap(), "opened");
    let error = Store::open(&scratch.locations).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(&format!("is locked by process {}", holder.id())),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("one daemon"));

    let mut second = child::start("open", scratch.directory.path(), None);
    let said = second.line().unwrap();
    assert!(
        said.starts_with("refused: ") && said.contains(&holder.id().to_string()),
        "{said}"
    );
    second.kill();

    holder.kill();
    Store::open(&scratch.locations).unwrap();
}

#[test]
fn a_closed_store_lets_another_open() {
    let scratch = scratch();
    let store = scratch.open();
    let clone = store.clone();
    assert!(matches!(
        Store::open(&scratch.locations),
        Err(OpenError::Locked {
            holder: Some(_),
            ..
        })
    ));
    clone.close();
    let again = scratch.open();
    assert!(
        store
            .journal()
            .append(&crate::harness::refused(1, store.clock().now()))
            .is_err()
    );
    again.close();
}

#[test]
fn a_newer_schema_is_refused() {
    let scratch = scratch();
    scratch.open().close();
    let database = rusqlite::Connection::open(scratch.locations.data.join("provost.db")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    let error = Store::open(&scratch.locations).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 999, .. }),
        "{error}"
    );
    assert_eq!(error.hint().unwrap(), "use a newer `provost`");
}

#[test]
fn opening_again_goes_on_in_the_same_segment() {
    let scratch = scratch();
    scratch.open().close();
    let store = scratch.open();
    assert!(!scratch.segment(2).exists());
    assert!(store.report().damage.is_empty());
    assert!(store.audit_verify(None).unwrap().intact());
}
