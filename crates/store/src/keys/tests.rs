use std::os::unix::fs::PermissionsExt;

use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn a_key_file_is_private_and_reads_back() {
    let config = directory();
    let made = Keyring::create(config.path(), "abc").unwrap();
    let read = Keyring::load(config.path(), "abc").unwrap();
    assert_eq!(made.text(), read.text());
    let mode = std::fs::metadata(key_path(config.path(), "abc"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn wider_permissions_are_refused() {
    let config = directory();
    Keyring::create(config.path(), "abc").unwrap();
    let path = key_path(config.path(), "abc");
    for mode in [0o640, 0o604, 0o700, 0o644] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let error = Keyring::load(config.path(), "abc").unwrap_err();
        assert!(
            matches!(error, OpenError::KeyMode { mode: found, .. } if found == mode),
            "{error}"
        );
        assert_eq!(error.hint(), Some(format!("chmod 600 {}", path.display())));
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
    Keyring::load(config.path(), "abc").unwrap();
}

#[test]
fn a_missing_or_foreign_key_is_named() {
    let config = directory();
    assert!(matches!(
        Keyring::load(config.path(), "abc"),
        Err(OpenError::KeyMissing { .. })
    ));
    Keyring::create(config.path(), "abc").unwrap();
    std::fs::rename(
        key_path(config.path(), "abc"),
        key_path(config.path(), "xyz"),
    )
    .unwrap();
    let error = Keyring::load(config.path(), "xyz").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("it is the key of data directory `abc`"),
        "{error}"
    );
}

#[test]
fn rotation_keeps_what_was_and_adds_a_version() {
    let config = directory();
    let keys = Keyring::create(config.path(), "abc").unwrap();
    let old = keys.newest_seal().unwrap();
    assert_eq!(keys.rotate().unwrap(), 2);
    let read = Keyring::load(config.path(), "abc").unwrap();
    assert_eq!(read.newest_seal().unwrap().version, 2);
    assert_eq!(read.seal(1).unwrap().bytes, old.bytes);
    assert_eq!(read.chain().len(), 2);
    assert!(read.seal(1).is_some());
}

#[test]
fn keys_are_not_printed() {
    let config = directory();
    let keys = Keyring::create(config.path(), "abc").unwrap();
    assert!(!format!("{keys:?}").contains("bytes"), "{keys:?}");
}
