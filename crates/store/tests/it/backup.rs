use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use provost_policy::Amount;
use provost_store::{
    BackupError, Filter, Locations, NewGrant, NewServer, RestoreError, Secret, Store, Transport,
    Trust, WithKey, restore,
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
        query: Vec::new(),
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
    let report = store.backup(&admin(), &archive, WithKey::Yes).unwrap();
    assert_eq!(
        std::fs::metadata(&archive).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(report.bytes, std::fs::metadata(&archive).unwrap().len());
    let records = store.records(&Filter::default()).unwrap();
    let places = elsewhere(&scratch);
    let restored = restore(&admin(), &archive, &places, Trust::Unverified).unwrap();
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
        let report = store.backup(&admin(), &archive, WithKey::Yes);
        stop.store(true, Ordering::Relaxed);
        report.unwrap()
    });
    let places = elsewhere(&scratch);
    restore(&admin(), &archive, &places, Trust::Unverified).unwrap();
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
    store.backup(&admin(), &archive, WithKey::No).unwrap();
    store.close();
    let bytes = std::fs::read(&archive).unwrap();
    assert!(memchr::memmem::find(&bytes, b"provost-key").is_none());
    let places = elsewhere(&scratch);
    let error = restore(&admin(), &archive, &places, Trust::Verified).unwrap_err();
    assert!(matches!(error, RestoreError::KeyMissing { .. }), "{error}");
    assert!(!places.data.exists(), "nothing was written");

    let places = Locations {
        config: scratch.locations.config.clone(),
        ..places
    };
    assert!(
        !restore(&admin(), &archive, &places, Trust::Verified)
            .unwrap()
            .key_restored
    );
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
    store.backup(&admin(), &archive, WithKey::Yes).unwrap();
    assert!(matches!(
        restore(&admin(), &archive, &scratch.locations, Trust::Verified),
        Err(RestoreError::NotEmpty { .. })
    ));
    assert!(
        matches!(
            store.backup(&admin(), &archive, WithKey::Yes),
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
        restore(&admin(), &path, &places, Trust::Verified).unwrap_err()
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
    store.backup(&admin(), &archive, WithKey::Yes).unwrap();
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
    store.backup(&admin(), &archive, WithKey::No).unwrap();
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
            store.backup(&admin(), &archive, WithKey::No).unwrap();
        }
        over.store(true, Ordering::Relaxed);
    });
    let modes = modes.into_inner().unwrap();
    assert!(!modes.is_empty() && modes.iter().all(|mode| *mode == 0o600));
}

/// What somebody makes who can write the archive, but has not the key: a
/// database with a grant of their own, and all hashes right.
fn with_a_grant_of_their_own(scratch: &Scratch, archive: &Path) -> std::path::PathBuf {
    let sound = std::fs::read(archive).unwrap();
    let mut forged = sound.clone();
    let place = memchr::memmem::find(&forged, b"honest-label").unwrap();
    forged[place..place + 12].copy_from_slice(b"ATTACK-LABEL");
    // The hash of the member in the manifest follows.
    let hash_in = |archive: &[u8]| sha256(member_of(archive, "provost.db"));
    let (old, new) = (hash_in(&sound), hash_in(&forged));
    let hash = memchr::memmem::find(&forged, old.as_bytes()).unwrap();
    forged[hash..hash + 64].copy_from_slice(new.as_bytes());
    let path = scratch.directory.path().join("forged.tar");
    std::fs::write(&path, forged).unwrap();
    path
}

fn sha256(bytes: &[u8]) -> String {
    let hash = <sha2::Sha256 as sha2::Digest>::digest(bytes);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn member_of<'a>(archive: &'a [u8], name: &str) -> &'a [u8] {
    let mut rest = archive;
    loop {
        let size = std::str::from_utf8(&rest[124..135]).unwrap();
        let size = usize::from_str_radix(size, 8).unwrap();
        if rest.starts_with(name.as_bytes()) {
            return &rest[512..512 + size];
        }
        rest = &rest[512 + size.next_multiple_of(512)..];
    }
}

/// Where our own key is, and nothing else.
fn with_our_key(scratch: &Scratch) -> Locations {
    Locations {
        config: scratch.locations.config.clone(),
        ..elsewhere(scratch)
    }
}

/// The last segment of a restored journal: what was done there since.
fn journal_of(places: &Locations) -> String {
    drop(Store::open(places).unwrap());
    let directory = std::fs::read_dir(places.data.join("journal")).unwrap();
    let mut paths: Vec<_> = directory.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    std::fs::read_to_string(paths.last().unwrap()).unwrap()
}

#[test]
fn d09_an_archive_that_somebody_else_wrote_is_not_restored_unseen() {
    let (scratch, store, _) = filled();
    let grant = NewGrant {
        server: "github".to_owned(),
        label: "honest-label".to_owned(),
        ..NewGrant::default()
    };
    store.mint_grant(&admin(), grant).unwrap();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&admin(), &archive, WithKey::No).unwrap();
    let forged = with_a_grant_of_their_own(&scratch, &archive);
    let places = with_our_key(&scratch);
    let refused = restore(&admin(), &forged, &places, Trust::Verified).unwrap_err();
    assert!(
        matches!(refused, RestoreError::Unverified { .. }),
        "{refused}"
    );
    assert!(!places.data.exists(), "nothing was written");

    let restored = restore(&admin(), &forged, &places, Trust::Unverified).unwrap();
    let reason = "it was changed after it was written, or written with another key";
    assert_eq!(restored.unverified.as_deref(), Some(reason));
    let journal = journal_of(&places);
    let detail = format!("unverified: {reason}");
    for part in [detail.as_str(), r#""restore""#, r#""test""#] {
        assert!(journal.contains(part), "{part}: {journal}");
    }
}

#[test]
fn d09_our_own_archive_is_verified_and_that_is_recorded() {
    let (scratch, store, _) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&admin(), &archive, WithKey::Yes).unwrap();
    let places = with_our_key(&scratch);
    let restored = restore(&admin(), &archive, &places, Trust::Verified).unwrap();
    assert_eq!((restored.unverified, restored.key_restored), (None, false));
    assert!(journal_of(&places).contains("; verified"));
}

#[test]
fn d09_a_key_that_comes_with_the_archive_proves_nothing() {
    let (scratch, store, _) = filled();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&admin(), &archive, WithKey::Yes).unwrap();
    let places = elsewhere(&scratch);
    let refused = restore(&admin(), &archive, &places, Trust::Verified).unwrap_err();
    assert!(
        refused.to_string().contains("the only key for it is in it"),
        "{refused}"
    );
    assert!(!places.data.exists() && !places.config.exists());
}

/// A tar of these members, with a manifest that is followed by a hole.
fn tar(scratch: &Scratch, members: &[(&str, &[u8])], hole: u64) -> std::path::PathBuf {
    let path = scratch.directory.path().join("odd.tar");
    let mut out = Vec::new();
    let mut listed = Vec::new();
    for (name, content) in members {
        let bytes = content.len();
        out.extend(header(name, bytes as u64));
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(512), 0);
        let hash = sha256(content);
        listed.push(format!(
            r#"{{"name":"{name}","bytes":{bytes},"sha256":"{hash}"}}"#
        ));
    }
    let manifest = format!(
        r#"{{"format":2,"id":"ab","schema":1,"head":"1:{}","members":[{}]}}"#,
        "0".repeat(64),
        listed.join(",")
    );
    out.extend(header("manifest", manifest.len() as u64 + hole));
    out.extend_from_slice(manifest.as_bytes());
    std::fs::write(&path, &out).unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(out.len() as u64 + hole + 1_024).unwrap();
    path
}

fn header(name: &str, bytes: u64) -> [u8; 512] {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[124..136].copy_from_slice(format!("{bytes:011o}\0").as_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[test]
fn d94_what_is_no_backup_is_refused_before_anything_is_written() {
    let scratch = scratch();
    let places = elsewhere(&scratch);
    let x: &[u8] = b"x";
    for (members, reason) in [
        (vec![], "it holds no database"),
        (vec![("journal/00000001.log", x)], "it holds no database"),
        (
            vec![("provost.db", x), ("../evil", x)],
            "it holds `../evil`, which is part of no backup",
        ),
        (
            vec![("provost.db", x), ("provost.db", x)],
            "it holds `provost.db` twice",
        ),
    ] {
        let path = tar(&scratch, &members, 0);
        let refused = restore(&admin(), &path, &places, Trust::Unverified).unwrap_err();
        assert!(refused.to_string().ends_with(reason), "{refused}");
        assert!(!places.data.exists());
    }
}

#[test]
fn d94_a_manifest_without_end_costs_no_memory() {
    let scratch = scratch();
    let path = tar(&scratch, &[("provost.db", b"x")], 400 << 20);
    let before = peak_memory();
    let refused = restore(&admin(), &path, &elsewhere(&scratch), Trust::Unverified).unwrap_err();
    let reason = "its manifest is longer than that of any backup";
    assert!(refused.to_string().ends_with(reason), "{refused}");
    assert!(peak_memory() - before < 64 << 10, "in KiB");
}

/// The most this process has had, in KiB; nothing where nobody says.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}
