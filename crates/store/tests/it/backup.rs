use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use provost_policy::Amount;
use provost_store::{
    BackupError, Filter, Locations, NewGrant, NewServer, RestoreError, Secret, Store, Transport,
    WithKey, restore,
};

use crate::harness::{Scratch, admin, append_call, at, scratch, used};

fn filled() -> (Scratch, Store, Secret) {
    let scratch = scratch();
    let store = scratch.open_small();
    let server = NewServer {
        name: "github".to_owned(),
        transport: Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: vec![("Authorization".to_owned(), Secret::new("hunter2"))],
        env: Vec::new(),
        description: None,
    };
    store.add_server(&admin(), server).unwrap();
    let grant = NewGrant {
        server: "github".to_owned(),
        label: "ci".to_owned(),
        ..NewGrant::default()
    };
    let token = store.mint_grant(&admin(), grant).unwrap().token;
    for call in 1..=30 {
        append_call(&store, call);
    }
    (scratch, store, token)
}

fn elsewhere(scratch: &Scratch) -> Locations {
    at(&scratch.directory.path().join("elsewhere"))
}

#[test]
fn a_backup_with_key_restores_everything() {
    let (scratch, store, token) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    let report = store.backup(&archive, WithKey::Yes).unwrap();
    assert_eq!(
        std::fs::metadata(&archive).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(report.bytes, std::fs::metadata(&archive).unwrap().len());
    let records = store.records(&Filter::default()).unwrap();
    let places = elsewhere(&scratch);
    let restored = restore(&archive, &places).unwrap();
    assert_eq!((restored.head, restored.key_restored), (report.head, true));

    let copy = Store::open(&places).unwrap();
    assert_eq!(copy.report().damage, []);
    assert!(copy.audit_verify(Some(report.head)).unwrap().intact());
    assert_eq!(copy.records(&Filter::default()).unwrap(), records);
    assert_eq!(used(&copy), Amount::whole(30));
    assert_eq!(
        copy.server("github").unwrap().headers[0].1.expose(),
        "hunter2"
    );
    let now = copy.clock().now().wall;
    assert!(
        copy.directory()
            .unwrap()
            .authenticate(token.expose(), now)
            .is_some()
    );
    assert_eq!(copy.revision(), store.revision());
}

#[test]
fn a_backup_while_appending_is_whole() {
    let (scratch, store, _) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    let stop = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        for thread in 1..=3_u128 {
            let (store, stop) = (&store, &stop);
            scope.spawn(move || {
                (0..)
                    .take_while(|_| !stop.load(Ordering::Relaxed))
                    .for_each(|call| append_call(store, thread << 64 | call));
            });
        }
        let report = store.backup(&archive, WithKey::Yes);
        stop.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    let places = elsewhere(&scratch);
    restore(&archive, &places).unwrap();
    let copy = Store::open(&places).unwrap();
    let verified = copy.audit_verify(Some(report.head)).unwrap();
    assert!(verified.intact(), "{:?}", verified.damage);
    let records = copy.records(&Filter::default()).unwrap().len() as u64;
    assert!(records >= 30);
    assert_eq!(used(&copy), Amount::whole(records));
}

#[test]
fn without_key_the_archive_keeps_its_secrets_and_needs_the_key_file() {
    let (scratch, store, _) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&archive, WithKey::No).unwrap();
    store.close();
    let bytes = std::fs::read(&archive).unwrap();
    assert!(memchr::memmem::find(&bytes, b"provost-key").is_none());
    let places = elsewhere(&scratch);
    let error = restore(&archive, &places).unwrap_err();
    assert!(matches!(error, RestoreError::KeyMissing { .. }), "{error}");
    assert!(!places.data.exists(), "nothing was written");

    let places = Locations {
        config: scratch.locations.config.clone(),
        ..places
    };
    assert!(!restore(&archive, &places).unwrap().key_restored);
    assert_eq!(
        Store::open(&places)
            .unwrap()
            .server("github")
            .unwrap()
            .headers[0]
            .1
            .expose(),
        "hunter2"
    );
}

#[test]
fn nothing_is_restored_over_something_or_from_half_an_archive() {
    let (scratch, store, _) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&archive, WithKey::Yes).unwrap();
    assert!(matches!(
        restore(&archive, &scratch.locations),
        Err(RestoreError::NotEmpty { .. })
    ));
    assert!(
        matches!(
            store.backup(&archive, WithKey::Yes),
            Err(BackupError::Io { .. })
        ),
        "an archive is not written over"
    );

    let bytes = std::fs::read(&archive).unwrap();
    let places = elsewhere(&scratch);
    let broken = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        let path = scratch.directory.path().join("broken.tar");
        std::fs::write(&path, bytes).unwrap();
        restore(&path, &places).unwrap_err()
    };
    let error = broken(&|bytes| bytes[5_000] ^= 1);
    assert!(
        error.to_string().contains("`provost.db` was changed"),
        "{error}"
    );
    for length in [0, 100, bytes.len() / 2] {
        assert!(matches!(
            broken(&|bytes| bytes.truncate(length)),
            RestoreError::Unsound { .. }
        ));
    }
    assert!(!places.data.exists());
}

#[test]
fn any_tar_can_list_a_backup() {
    let (scratch, store, _) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&archive, WithKey::Yes).unwrap();
    #[expect(
        clippy::disallowed_methods,
        reason = "a foreign reader is what is tested"
    )]
    let listed = std::process::Command::new("tar")
        .arg("-tf")
        .arg(&archive)
        .output();
    let Ok(listed) = listed else {
        eprintln!("not run: there is no tar");
        return;
    };
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(
        text.starts_with("provost.db\njournal/00000001.log\n"),
        "{text}"
    );
    assert!(text.ends_with("key\nmanifest\n"), "{text}");
    assert!(Path::new(&archive).exists());
}

#[test]
fn a_copy_that_was_left_behind_goes_at_the_next_start() {
    let (scratch, store, _) = filled();
    store.close();
    let left = ["backup.db", "backup.db-wal", "backup.db-shm"];
    for name in left {
        std::fs::write(scratch.locations.data.join(name), "secrets").unwrap();
    }
    let store = scratch.open_small();
    for name in left {
        assert!(!scratch.locations.data.join(name).exists(), "{name}");
    }
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&archive, WithKey::No).unwrap();
    assert!(!scratch.locations.data.join("backup.db").exists());
}

#[test]
fn the_copy_is_nobody_elses_to_read_while_it_is_made() {
    let (scratch, store, _) = filled();
    let copy = scratch.locations.data.join("backup.db");
    let (over, modes) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if let Ok(found) = std::fs::metadata(&copy) {
                    modes
                        .lock()
                        .unwrap()
                        .push(found.permissions().mode() & 0o777);
                }
            }
        });
        for round in 0..20 {
            let archive = scratch.directory.path().join(format!("{round}.tar"));
            store.backup(&archive, WithKey::No).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let modes = modes.into_inner().unwrap();
    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o600));
}
