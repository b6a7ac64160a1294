use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use provost_store::{Attachment, NewGrant, NewServer, OpenError, Secret, Store, Transport};

use crate::harness::{Scratch, admin, append_call, scratch};

fn key_file(scratch: &Scratch) -> PathBuf {
    let mut entries = std::fs::read_dir(&scratch.locations.config).unwrap();
    let path = entries.next().unwrap().unwrap().path();
    assert!(entries.next().is_none());
    path
}

fn with_secrets(store: &Store) -> Secret {
    let server = NewServer {
        name: "github".to_owned(),
        transport: Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: vec![("Authorization".to_owned(), Secret::new("Bearer hunter2"))],
        query: Vec::new(),
        env: vec![("TOKEN".to_owned(), Secret::new("hunter3"))],
        description: None,
    };
    store.add_server(&admin(), server).unwrap();
    let grant = NewGrant {
        server: "github".to_owned(),
        label: "ci".to_owned(),
        attachment: Attachment::default(),
        ..NewGrant::default()
    };
    store.mint_grant(&admin(), grant).unwrap().token
}

fn assert_secrets(store: &Store, token: &Secret) {
    let server = store.server("github").unwrap();
    assert_eq!(server.headers[0].1.expose(), "Bearer hunter2");
    assert_eq!(server.env[0].1.expose(), "hunter3");
    let grant = store.find_grant(None, "ci").unwrap();
    assert_eq!(store.reveal_grant(&admin(), &grant.id).unwrap(), *token);
}

/// Everything in the data directory, as one heap of bytes.
fn everything(scratch: &Scratch) -> Vec<u8> {
    let journal = std::fs::read_dir(scratch.locations.data.join("journal")).unwrap();
    let data = std::fs::read_dir(&scratch.locations.data).unwrap();
    let files = journal
        .chain(data)
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    files
        .flat_map(|path| std::fs::read(path).unwrap())
        .collect()
}

#[test]
fn wider_permissions_of_the_key_are_refused_with_the_way_out() {
    let scratch = scratch();
    scratch.open().close();
    let key = key_file(&scratch);
    assert_eq!(
        std::fs::metadata(&key).unwrap().permissions().mode() & 0o7777,
        0o600
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = Store::open(&scratch.locations).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("key file `{}` has mode 0640", key.display())
    );
    assert_eq!(
        error.hint().unwrap(),
        format!("chmod 600 {}", key.display())
    );
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    scratch.open();
}

#[test]
fn a_key_of_another_user_is_refused() {
    let scratch = scratch();
    scratch.open().close();
    let key = key_file(&scratch);
    if std::os::unix::fs::chown(&key, Some(12_345), None).is_err() {
        eprintln!("not run: only root can give a file away");
        return;
    }
    let error = Store::open(&scratch.locations).unwrap_err();
    assert!(
        matches!(error, OpenError::KeyOwner { owner: 12_345, .. }),
        "{error}"
    );
}

#[test]
fn a_missing_key_is_not_replaced_by_a_new_one() {
    let scratch = scratch();
    scratch.open().close();
    let key = key_file(&scratch);
    let text = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    let error = Store::open(&scratch.locations).unwrap_err();
    assert!(matches!(error, OpenError::KeyMissing { .. }), "{error}");
    assert!(!key.exists());
    std::fs::write(&key, text).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    scratch.open();
}

#[test]
fn rotation_in_mid_stream_keeps_secrets_and_chain() {
    let scratch = scratch();
    let store = scratch.open();
    let token = with_secrets(&store);
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| (0..300).for_each(|call| append_call(&store, call)));
        assert_eq!(store.rotate_key(&admin()).unwrap(), 2);
        assert_eq!(store.rotate_key(&admin()).unwrap(), 3);
        appending.join().unwrap();
    });
    assert_secrets(&store, &token);
    assert!(
        scratch.segment(3).exists(),
        "each chain key begins a segment"
    );
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    store.close();
    let store = scratch.open();
    assert_secrets(&store, &token);
    assert!(store.audit_verify(None).unwrap().intact());
}

#[test]
fn a_rotation_that_stopped_half_way_is_finished_at_the_next_start() {
    let scratch = scratch();
    let store = scratch.open();
    let token = with_secrets(&store);
    // As it is after the key file was written and before anything else.
    let rotated = scratch.copy();
    store.rotate_key(&admin()).unwrap();
    std::fs::copy(key_file(&scratch), key_file(&rotated)).unwrap();
    store.close();

    let store = rotated.open();
    assert_secrets(&store, &token);
    assert!(rotated.segment(2).exists(), "the new chain key is used");
    assert!(store.audit_verify(None).unwrap().intact());
    store.close();
    let database = rusqlite::Connection::open(rotated.locations.data.join("provost.db")).unwrap();
    let old: i64 = database
        .query_row(
            "SELECT count(*) FROM secrets WHERE sealed NOT LIKE 'v2:%'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(old, 0, "everything is sealed with the new key");
}

/// Negative test 106: secrets are in no file in clear text, and print as
/// `[secret]`.
#[test]
fn l106_secrets_stand_nowhere_in_clear_text() {
    let scratch = scratch();
    let store = scratch.open();
    let token = with_secrets(&store);
    store
        .rotate_grant(&admin(), &store.find_grant(None, "ci").unwrap().id)
        .unwrap();
    let printed = format!(
        "{:?} {:?} {:?}",
        store.servers().unwrap(),
        store.directory().unwrap(),
        token
    );
    store.close();
    let heap = everything(&scratch);
    let key = std::fs::read_to_string(key_file(&scratch)).unwrap();
    let keys = key.lines().filter_map(|line| line.split(' ').nth(2));
    for secret in ["hunter2", "hunter3", token.expose()]
        .into_iter()
        .chain(keys)
    {
        assert!(
            memchr::memmem::find(&heap, secret.as_bytes()).is_none(),
            "a secret is in the data directory"
        );
        assert!(!printed.contains(secret));
    }
    assert!(printed.contains("[secret]"));
}
