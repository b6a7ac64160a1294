//! The journal is what happened. The database can be held against it: records
//! are made again, and what of the control plane differs is not in force.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use provost_policy::Amount;
use provost_store::{
    Attachment, ChangeError, DamageKind, Filter, Grant, Minted, NewGrant, NewServer, OpenError,
    Store, Transport, Trust, WithKey, restore,
};
use rusqlite::Connection;

use crate::harness::{Scratch, admin, append_call, append_intent, scratch, used};

const ALLOWS: &str = r#"{"version":"1","default":"allow"}"#;
const DENIES: &str = r#"{"version":"1","default":"deny"}"#;

fn database(scratch: &Scratch) -> Connection {
    Connection::open(scratch.locations.data.join("provost.db")).unwrap()
}

fn add_server(store: &Store, name: &str) {
    let server = NewServer {
        name: name.to_owned(),
        transport: Transport::Http {
            url: format!("https://{name}.example/mcp"),
        },
        query: Vec::new(),
        headers: vec![("A".to_owned(), provost_store::Secret::new("one"))],
        env: Vec::new(),
        description: None,
    };
    store.add_server(&admin(), server).unwrap();
}

fn mint(store: &Store, server: &str, label: &str) -> Minted {
    let new = NewGrant {
        server: server.to_owned(),
        label: label.to_owned(),
        attachment: Attachment {
            policy: Some("team".to_owned()),
            shadow: None,
        },
        parent: None,
        expires: None,
    };
    store.mint_grant(&admin(), new).unwrap()
}

/// Two servers, a policy and a grant on each.
fn two(store: &Store) -> [Minted; 2] {
    ["github", "files"].map(|server| {
        add_server(store, server);
        store
            .put_policy(&admin(), server, "team", DENIES, None)
            .unwrap();
        mint(store, server, "ci")
    })
}

/// What a token opens.
fn opens(store: &Store, minted: &Minted) -> Option<Arc<Grant>> {
    let directory = store.directory().unwrap();
    let now = store.clock().now().wall;
    directory
        .authenticate(minted.token.expose(), now)
        .map(Arc::clone)
}

fn text_of(grant: &Grant) -> &str {
    &grant.policy.as_ref().unwrap().text
}

#[test]
fn d87_what_is_changed_past_the_journal_is_not_in_force_and_everything_else_is() {
    // What somebody does to the database, and what is named then.
    let cases = [
        (
            "UPDATE policy_versions SET text = '{\"version\":\"1\",\"default\":\"allow\"}' WHERE policy = 1",
            "policy `github/team` version 1",
        ),
        (
            "UPDATE grants SET label = 'root' WHERE opens_name = 'github'",
            "grant `",
        ),
        (
            "UPDATE grants SET expires = 1 WHERE opens_name = 'github'",
            "grant `",
        ),
        (
            "UPDATE grant_servers SET policy = NULL, shadow = 1 WHERE policy = 1",
            "grant `",
        ),
        (
            "UPDATE servers SET transport = '{\"http\":{\"url\":\"https://evil.example/\"}}'
             WHERE id = (SELECT id FROM names WHERE name = 'github')",
            "server `",
        ),
        (
            "UPDATE secrets SET place = place + 7
             WHERE owner = (SELECT id FROM names WHERE name = 'github')",
            "secret of `",
        ),
        (
            "UPDATE policies SET current = 1, name = 'other' WHERE id = 1",
            "policy `github/other`",
        ),
        (
            "DELETE FROM policy_versions WHERE policy = 1",
            "policy number 1",
        ),
    ];
    for (attack, named) in cases {
        let scratch = scratch();
        let store = scratch.open();
        let [github, files] = two(&store);
        assert!(store.audit_verify(None).unwrap().intact());
        store.close();
        drop(store);
        assert!(
            database(&scratch).execute(attack, []).unwrap() > 0,
            "{attack}"
        );

        let store = scratch.open();
        for round in ["at the start", "when it is verified"] {
            let verified = store.audit_verify(None).unwrap();
            assert!(!verified.intact(), "{attack}");
            assert_eq!(verified.damage, [], "the journal itself is whole");
            assert!(
                verified.refused.iter().any(|it| it.starts_with(named)),
                "{round}: {attack}: {:?}",
                verified.refused
            );
            let refused = match opens(&store, &github) {
                None => true,
                Some(grant) => {
                    let directory = store.directory().unwrap();
                    !directory
                        .server(&grant.server)
                        .unwrap()
                        .unreadable
                        .is_empty()
                        || text_of(&grant).contains("\"hide\":\"*\"")
                }
            };
            assert!(refused, "{round}: {attack}");
            let grant = opens(&store, &files).unwrap();
            assert_eq!(text_of(&grant), DENIES, "{round}: {attack}");
        }
        // The rest can be administered; removing heals.
        mint(&store, "files", "another");
        if let Err(error) = store.remove_server(&admin(), "github") {
            panic!("{attack}: {error}");
        }
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.intact(), "{attack}: {:?}", verified.refused);
    }
}

#[test]
fn d87_a_row_that_was_put_in_opens_nothing() {
    let scratch = scratch();
    let store = scratch.open();
    let [github, _] = two(&store);
    store.close();
    drop(store);
    let attack = "INSERT INTO grants (id, opens, opens_name, label, token, created)
         SELECT 'g-evil', opens, opens_name, 'evil', x'2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae', 1
         FROM grants WHERE opens_name = 'github'";
    assert_eq!(database(&scratch).execute(attack, []).unwrap(), 1);
    let store = scratch.open();
    let directory = store.directory().unwrap();
    // The hash is that of `foo`.
    assert!(
        directory
            .authenticate("foo", store.clock().now().wall)
            .is_none()
    );
    assert!(opens(&store, &github).is_some());
    let verified = store.audit_verify(None).unwrap();
    assert_eq!(verified.refused, ["grant `g-evil`"]);
}

#[test]
fn d87_a_policy_that_was_changed_is_in_force_again_with_its_next_version() {
    let scratch = scratch();
    let store = scratch.open();
    let [github, _] = two(&store);
    database(&scratch)
        .execute(
            "UPDATE policy_versions SET text = ?1 WHERE policy = 1",
            [ALLOWS],
        )
        .unwrap();
    // While it runs, verification is what notices.
    assert!(!store.audit_verify(None).unwrap().intact());
    assert!(text_of(&opens(&store, &github).unwrap()).contains("\"hide\":\"*\""));
    let error = store
        .rollback_policy(&admin(), "github", "team", 1)
        .unwrap_err();
    assert!(matches!(error, ChangeError::Differs { .. }), "{error}");
    store
        .put_policy(
            &admin(),
            "github",
            "team",
            r#"{"version":"1","default":"deny","tools":{"a":{}}}"#,
            None,
        )
        .unwrap();
    assert!(text_of(&opens(&store, &github).unwrap()).contains("\"a\""));
    // The old version is still another one than was put.
    assert_eq!(
        store.audit_verify(None).unwrap().refused,
        ["policy `github/team` version 1"]
    );
}

#[test]
fn d87_a_grant_that_differs_can_be_revoked_and_not_be_made_good_by_a_change() {
    let scratch = scratch();
    let store = scratch.open();
    let [github, _] = two(&store);
    database(&scratch)
        .execute(
            "UPDATE grants SET expires = NULL, created = 1 WHERE opens_name = 'github'",
            [],
        )
        .unwrap();
    assert!(!store.audit_verify(None).unwrap().intact());
    let id = &github.grant.id;
    let error = store.expire_grant(&admin(), id, None).unwrap_err();
    assert!(matches!(error, ChangeError::Differs { .. }), "{error}");
    store.revoke_grant(&admin(), id).unwrap();
    assert!(store.audit_verify(None).unwrap().intact());
    assert!(opens(&store, &github).is_none());
}

/// How often somebody who follows the store was told.
fn follow(store: &Store) -> Arc<AtomicU64> {
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    store.on_change(Box::new(move || {
        count.fetch_add(1, Ordering::SeqCst);
    }));
    told
}

#[test]
fn d87_what_verification_finds_is_told_once_and_so_is_that_it_is_gone() {
    let scratch = scratch();
    let store = scratch.open();
    two(&store);
    let told = follow(&store);
    let rename = |label: &str| {
        let sql = "UPDATE grants SET label = ?1 WHERE opens_name = 'github'";
        assert_eq!(database(&scratch).execute(sql, [label]).unwrap(), 1);
    };
    let mut generation = store.generation();
    for (label, refused) in [("ci", 0), ("root", 1), ("ci", 0)] {
        let is_news = store.refused().len() != refused;
        rename(label);
        for _ in 0..2 {
            assert_eq!(store.audit_verify(None).unwrap().refused.len(), refused);
        }
        assert_eq!(store.generation(), generation + u64::from(is_news));
        assert_eq!(told.swap(0, Ordering::SeqCst), u64::from(is_news));
        generation = store.generation();
        assert_eq!(store.directory().unwrap().generation, generation);
    }
}

#[test]
fn d87_whatever_the_database_counts_as_changes_the_next_one_holds() {
    for count in ["1", "999999", "18446744073709551615", "none"] {
        let scratch = scratch();
        let store = scratch.open();
        let [github, files] = two(&store);
        let told = follow(&store);
        let (revision, before) = (store.revision(), store.directory().unwrap());
        let sql = "UPDATE meta SET value = ?1 WHERE name = 'revision'";
        assert_eq!(database(&scratch).execute(sql, [count]).unwrap(), 1);

        store.revoke_grant(&admin(), &github.grant.id).unwrap();
        assert_eq!(store.revision(), revision + 1, "{count}");
        assert_eq!(told.load(Ordering::SeqCst), 1);
        assert!(store.directory().unwrap().generation > before.generation);
        assert!(opens(&store, &github).is_none());
        assert!(opens(&store, &files).is_some());
        assert!(store.audit_verify(None).unwrap().intact(), "{count}");
        store.close();
        drop(store);
        let store = scratch.open();
        assert_eq!(store.revision(), revision + 1, "{count}");
        assert!(opens(&store, &github).is_none());
        assert!(store.audit_verify(None).unwrap().intact(), "{count}");
    }
}

#[test]
fn d87_verification_beside_changes_finds_nothing_that_differs() {
    let scratch = scratch();
    let store = scratch.open();
    two(&store);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..100 {
                mint(&store, "files", &format!("beside-{number}"));
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            let refused = store.audit_verify(None).unwrap().refused;
            assert!(refused.is_empty(), "{refused:?}");
        }
    });
}

#[test]
fn d87_an_old_database_does_not_bring_a_revoked_grant_back() {
    // One change ago and several.
    for later in [0, 3] {
        let scratch = scratch();
        let store = scratch.open();
        let [github, files] = two(&store);
        store.close();
        drop(store);
        let path = scratch.locations.data.join("provost.db");
        let old = std::fs::read(&path).unwrap();
        let store = scratch.open();
        store.revoke_grant(&admin(), &github.grant.id).unwrap();
        for number in 0..later {
            mint(&store, "files", &format!("later-{number}"));
        }
        append_call(&store, 1);
        let revision = store.revision();
        store.close();
        drop(store);
        std::fs::write(&path, old).unwrap();

        for _ in 0..2 {
            let store = scratch.open();
            assert!(opens(&store, &github).is_none());
            assert!(opens(&store, &files).is_some());
            assert!(store.revision() >= revision, "no number means two changes");
            let verified = store.audit_verify(None).unwrap();
            let named = format!("grant `{}`", github.grant.id);
            assert!(verified.refused.contains(&named), "{:?}", verified.refused);
            assert_eq!(store.records(&Filter::default()).unwrap().len(), 1);
            mint(&store, "files", &format!("new-{}", store.revision()));
        }
    }
}

#[test]
fn d87_records_that_vanished_or_were_edited_are_made_again() {
    for attack in [
        "DELETE FROM records WHERE n = (SELECT max(n) FROM records)",
        "DELETE FROM records WHERE n = (SELECT min(n) FROM records)",
        "DELETE FROM records",
        "DELETE FROM acts WHERE what = 'server.add'",
        "UPDATE records SET decision = 'deny' WHERE n = (SELECT min(n) FROM records)",
        "UPDATE records SET tool = 'read' WHERE status IS NULL",
        "UPDATE acts SET who = 'nobody' WHERE what = 'server.add'",
        "INSERT INTO records SELECT n + 1, call, at, grant_id, label, server, method, tool, policy, version, decision,
             rule, message, keys, retry, status, http, latency, shadow, timeline, policy_grant, changed, client
         FROM records ORDER BY n LIMIT 1",
    ] {
        let scratch = scratch();
        let store = scratch.open_small();
        two(&store);
        for call in 1..=20 {
            append_call(&store, call);
        }
        append_intent(&store, 21);
        let before = store.records(&Filter::default()).unwrap();
        assert_eq!(before.len(), 21);
        assert!(store.audit_verify(None).unwrap().intact());
        assert!(database(&scratch).execute(attack, []).unwrap() > 0, "{attack}");
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.rebuilt > 0, "{attack}");
        assert!(!verified.intact());
        assert_eq!(store.records(&Filter::default()).unwrap(), before, "{attack}");
        assert!(store.audit_verify(None).unwrap().intact(), "{attack}");
        assert_eq!(used(&store), Amount::whole(21), "nothing counts twice");
    }
}

#[test]
fn d87_counters_are_not_in_the_database() {
    let scratch = scratch();
    let store = scratch.open();
    for call in 1..=5 {
        append_intent(&store, call);
    }
    store.close();
    drop(store);
    for table in ["counters", "counters_at", "folded", "meta"] {
        database(&scratch)
            .execute(&format!("DELETE FROM {table}"), [])
            .unwrap();
        let store = scratch.open();
        assert_eq!(used(&store), Amount::whole(5), "without `{table}`");
        store.close();
    }
}

#[test]
fn d62_a_checkpoint_lies_beside_the_journal_and_starting_reads_it() {
    let scratch = scratch();
    let store = scratch.open_small();
    let [github, _] = two(&store);
    for call in 1..=40 {
        append_call(&store, call);
    }
    let limit = store.clock().now().steady + 1;
    for call in 41..=45 {
        append_call(&store, call);
    }
    store.prune(&admin(), limit).unwrap();
    store.prune(&admin(), limit).unwrap();
    store.prune(&admin(), limit).unwrap();
    let files = checkpoints(&scratch);
    let [before, _] = files.as_slice() else {
        panic!("the last and the one before: {files:?}")
    };
    let before = scratch.locations.data.join("journal").join(before);
    let text = std::fs::read(&before).unwrap();
    std::fs::remove_file(&before).unwrap();
    let damage = store.audit_verify(None).unwrap().damage;
    let kinds: Vec<_> = damage.into_iter().map(|it| it.kind).collect();
    let file = files[0].clone();
    assert_eq!(kinds, [DamageKind::CheckpointMissing { file }]);
    std::fs::write(&before, text).unwrap();
    append_intent(&store, 46);
    store.close();
    drop(store);
    for _ in 0..2 {
        let store = scratch.open_small();
        assert_eq!(store.report().damage, []);
        assert_eq!(used(&store), Amount::whole(46));
        assert!(opens(&store, &github).is_some());
        let verified = store.audit_verify(None).unwrap();
        assert!(verified.intact(), "{verified:?}");
    }

    // A backup carries it.
    let store = scratch.open_small();
    let archive = scratch.directory.path().join("backup.tar");
    store.backup(&admin(), &archive, WithKey::No).unwrap();
    let place = provost_store::Locations {
        data: scratch.directory.path().join("restored"),
        config: scratch.locations.config.clone(),
    };
    restore(&admin(), &archive, &place, Trust::Verified).unwrap();
    let restored = Store::open(&place).unwrap();
    assert_eq!(used(&restored), Amount::whole(46));
    assert!(restored.audit_verify(None).unwrap().intact());
}

#[test]
fn d62_a_checkpoint_that_is_missing_or_altered_is_damage_and_named() {
    let scratch = scratch();
    let store = scratch.open_small();
    for call in 1..=40 {
        append_call(&store, call);
    }
    let limit = store.clock().now().steady + 1;
    for call in 41..=45 {
        append_call(&store, call);
    }
    store.prune(&admin(), limit).unwrap();
    let whole = scratch.copy();
    let [file] = checkpoints(&scratch).try_into().unwrap();
    let path = |scratch: &Scratch| scratch.locations.data.join("journal").join(&file);

    // Altered, although what it says can be read.
    let text = std::fs::read_to_string(path(&scratch)).unwrap();
    let altered = text.replace("\"counter\":\"calls\"", "\"counter\":\"other\"");
    assert_ne!(altered, text);
    std::fs::write(path(&scratch), altered).unwrap();
    let kinds = |store: &Store| -> Vec<_> {
        let damage = store.audit_verify(None).unwrap().damage;
        damage.into_iter().map(|it| it.kind).collect()
    };
    assert_eq!(
        kinds(&store),
        [DamageKind::CheckpointAltered { file: file.clone() }]
    );
    store.close();
    drop(store);
    // What it stood for is gone: limits must not begin anew.
    let error = Store::open_with(&scratch.locations, 4_000).unwrap_err();
    assert!(matches!(error, OpenError::HistoryMissing { .. }), "{error}");
    assert!(error.to_string().contains(&file), "{error}");
    assert!(error.hint().unwrap().contains("restore a backup"));

    std::fs::remove_file(path(&scratch)).unwrap();
    let error = Store::open_with(&scratch.locations, 4_000).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");

    // Put back, it opens; while the journal reaches further back, an older
    // one or the beginning does as well.
    std::fs::copy(path(&whole), path(&scratch)).unwrap();
    let store = scratch.open_small();
    assert_eq!(used(&store), Amount::whole(45));
}

#[test]
fn a_checkpoint_that_nothing_names_drives_out_none_that_is_named() {
    let scratch = scratch();
    let store = scratch.open_small();
    let limit = || store.clock().now().steady + 1;
    for call in 1..=80 {
        append_call(&store, call);
        if call % 40 == 0 {
            store.prune(&admin(), limit()).unwrap();
        }
    }
    // As one who is stopped between the file and its entry leaves it.
    let journal = scratch.locations.data.join("journal");
    let stray = journal.join("checkpoint-00000999.json");
    std::fs::write(&stray, "{}").unwrap();
    store.prune(&admin(), limit()).unwrap();
    assert!(!stray.exists());
    assert_eq!(checkpoints(&scratch).len(), 2);
    let verified = store.audit_verify(None).unwrap();
    assert!(verified.intact(), "{verified:?}");
}

fn checkpoints(scratch: &Scratch) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(scratch.locations.data.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("checkpoint-"))
        .collect();
    names.sort();
    names
}
