use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

fn kept_aside(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut kept: Vec<String> = names.filter(|name| name.contains(".damaged-")).collect();
    kept.sort();
    kept
}

/// Begins anew after `harm` was done to the closed file; what was there is kept.
fn begins_anew(harm: impl FnOnce(&Path)) -> Scratch {
    let mut scratch = scratch();
    scratch.fleet.make_four();
    scratch.fleet.close();
    let path = scratch.path().join("fleet.db");
    harm(&path);
    scratch.reopen();
    assert!(scratch.fleet.listed(Whose::Everybody).is_empty());
    let made = scratch.fleet.make(&new(Role::Executive, None));
    assert!(
        made.number > 1_000_000,
        "numbers of before are not given again"
    );
    assert_eq!(kept_aside(&scratch).len(), 1);
    scratch
}

#[test]
fn s24_a_file_that_is_no_database_is_kept_aside() {
    const SHAPELESS: &str = r#"{"instances": {"#;
    let mut scratch = begins_anew(|path| fs::write(path, SHAPELESS).unwrap());
    let kept = scratch.path().join(&kept_aside(&scratch)[0]);
    assert_eq!(fs::read_to_string(kept).unwrap(), SHAPELESS);
    scratch.reopen();
    assert_eq!(scratch.fleet.listed(Whose::Everybody).len(), 1);
    // A second one has a name of its own.
    scratch.fleet.close();
    fs::write(scratch.path().join("fleet.db"), "again").unwrap();
    scratch.reopen();
    assert!(scratch.fleet.listed(Whose::Everybody).is_empty());
    assert_eq!(kept_aside(&scratch).len(), 2);
}

#[test]
fn s24_a_database_of_another_shape_is_kept_aside() {
    begins_anew(|path| {
        let other = Connection::open(path).unwrap();
        other
            .execute_batch("DROP TABLE subscriptions; CREATE TABLE subscriptions (x)")
            .unwrap();
    });
    begins_anew(|path| {
        fs::remove_file(path).unwrap();
        let other = Connection::open(path).unwrap();
        other
            .execute_batch("CREATE TABLE instances (id TEXT)")
            .unwrap();
    });
}

#[test]
fn s24_an_empty_file_is_a_new_fleet() {
    let mut scratch = scratch();
    fs::write(scratch.path().join("fleet.db"), "").unwrap();
    scratch.reopen();
    assert!(scratch.fleet.listed(Whose::Everybody).is_empty());
    assert_eq!(scratch.fleet.make(&new(Role::Executive, None)).number, 1);
    assert!(kept_aside(&scratch).is_empty());
}

#[test]
fn s24_damage_that_shows_later_is_told_once_and_then_the_fleet_begins_anew() {
    let mut scratch = scratch();
    for _ in 0..200 {
        scratch.fleet.make(&new(Role::Executive, None));
    }
    scratch.fleet.close();
    let path = scratch.path().join("fleet.db");
    let mut bytes = fs::read(&path).unwrap();
    // The schema's pages stay whole; what they lead to does not.
    let schema_pages = 16 * 4096;
    for byte in &mut bytes[schema_pages..] {
        *byte = 0x5a;
    }
    fs::write(&path, bytes).unwrap();
    scratch.reopen();
    let error = scratch
        .fleet
        .instances(Whose::Everybody, Listing::default())
        .unwrap_err();
    assert!(matches!(error, FleetError::Damaged(_)), "{error}");
    assert!(scratch.fleet.listed(Whose::Everybody).is_empty());
    assert!(scratch.fleet.make(&new(Role::Executive, None)).number > 1_000_000);
    assert_eq!(kept_aside(&scratch).len(), 1);
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let mut scratch = scratch();
    scratch.fleet.make_four();
    scratch.fleet.close();
    let path = scratch.path().join("fleet.db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    scratch.reopen();
    let error = scratch
        .fleet
        .instances(Whose::Everybody, Listing::default())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("has schema 99, this program knows 1"),
        "{error}"
    );
    assert!(kept_aside(&scratch).is_empty());
    assert!(path.exists());
}

#[test]
fn what_is_wrong_with_one_question_is_no_damage() {
    let scratch = scratch();
    scratch.fleet.make_four();
    let error = scratch.fleet.read(|connection| {
        connection.execute_batch("SELECT * FROM nothing")?;
        Ok(())
    });
    assert!(error.is_err());
    assert_eq!(scratch.fleet.listed(Whose::Everybody).len(), 4);
    assert!(kept_aside(&scratch).is_empty());
}

#[test]
fn the_file_is_private_and_made_when_it_is_first_needed() {
    let scratch = scratch();
    let path = scratch.path().join("fleet.db");
    assert!(!path.exists());
    scratch.fleet.make(&new(Role::Executive, None));
    for name in ["fleet.db", "fleet.db-wal"] {
        let mode = fs::metadata(scratch.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn what_was_closed_refuses() {
    let scratch = scratch();
    scratch.fleet.make(&new(Role::Executive, None));
    scratch.fleet.close();
    assert!(
        scratch
            .fleet
            .instances(Whose::Everybody, Listing::default())
            .is_err()
    );
}
