//! What somebody who can write the data directory plants there, without the
//! key: nothing of it runs, and it is named.

use std::path::Path;

use provost_store::{
    DamageKind, ExportFormat, Filter, Minted, NewGrant, NewServer, OpenError, Store, Transport,
};
use rusqlite::Connection;

use crate::harness::{Scratch, admin, append_call, intent, scratch};

pub(crate) fn database(scratch: &Scratch) -> Connection {
    Connection::open(scratch.locations.data.join("provost.db")).unwrap()
}

pub(crate) fn add_server(store: &Store, name: &str) {
    let server = NewServer {
        name: name.to_owned(),
        transport: Transport::Http {
            url: format!("https://{name}.example/mcp"),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    };
    store.add_server(&admin(), server).unwrap();
}

pub(crate) fn mint(store: &Store, label: &str) -> Minted {
    let new = NewGrant {
        server: "github".to_owned(),
        label: label.to_owned(),
        ..NewGrant::default()
    };
    store.mint_grant(&admin(), new).unwrap()
}

pub(crate) fn opens(store: &Store, minted: &Minted) -> bool {
    let now = store.clock().now().wall;
    let directory = store.directory().unwrap();
    directory.authenticate(minted.token.expose(), now).is_some()
}

#[test]
fn a_planted_trigger_takes_nothing_back_and_is_named() {
    let triggers = [
        "CREATE TRIGGER t1 AFTER UPDATE OF revoked ON grants
         BEGIN UPDATE grants SET revoked = NULL WHERE id = NEW.id; END",
        "CREATE TRIGGER t1 AFTER INSERT ON servers
         BEGIN UPDATE servers SET transport = '{\"stdio\":{\"command\":\"/bin/sh\"}}' WHERE id = NEW.id; END",
    ];
    for trigger in triggers {
        let scratch = scratch();
        let store = scratch.open();
        add_server(&store, "github");
        let minted = mint(&store, "ci");
        database(&scratch).execute_batch(trigger).unwrap();

        add_server(&store, "files");
        let servers = store.servers().unwrap();
        let http = |server: &provost_store::Server| {
            matches!(server.transport, Some(Transport::Http { .. }))
        };
        assert!(servers.iter().all(http), "{trigger}");
        store.revoke_grant(&admin(), &minted.grant.id).unwrap();
        assert!(!opens(&store, &minted), "{trigger}");
        let verified = store.audit_verify(None).unwrap();
        assert!(!verified.intact());
        assert_eq!(verified.database, ["somebody put a trigger `t1` there"]);
        store.close();
        drop(store);

        let refused = Store::open(&scratch.locations).unwrap_err();
        let file = scratch.locations.data.join("provost.db");
        assert_eq!(
            refused.to_string(),
            format!(
                "the database `{}` is damaged: somebody put a trigger `t1` there",
                file.display()
            )
        );
        database(&scratch).execute_batch("DROP TRIGGER t1").unwrap();
        let store = scratch.open();
        assert!(store.audit_verify(None).unwrap().intact());
        assert!(!opens(&store, &minted));
    }
}

#[test]
fn a_schema_that_is_not_ours_is_refused_and_said() {
    for (attack, said) in [
        (
            "ALTER TABLE grants RENAME TO g; CREATE VIEW grants AS SELECT * FROM g",
            "its table `grants` is missing",
        ),
        (
            "DROP INDEX live_labels",
            "its index `live_labels` is missing",
        ),
        ("DROP TABLE runs", "its table `runs` is missing"),
        (
            "ALTER TABLE acts ADD COLUMN more TEXT",
            "its table `acts` was changed",
        ),
        ("PRAGMA user_version = 0", "table meta already exists"),
    ] {
        let scratch = scratch();
        scratch.open().close();
        database(&scratch).execute_batch(attack).unwrap();
        let refused = Store::open(&scratch.locations).unwrap_err();
        assert!(
            matches!(refused, OpenError::DatabaseDamaged { .. }),
            "{attack}"
        );
        let refused = refused.to_string();
        assert!(refused.contains(said), "{attack}: {refused}");
        assert!(!refused.contains("CREATE"), "{attack}: {refused}");
    }
}

#[test]
fn a_file_that_is_no_database_is_called_damaged() {
    for garbage in [&b"garbage, and no database at all"[..], &[0x5a; 9_000]] {
        let scratch = scratch();
        scratch.open().close();
        std::fs::write(scratch.locations.data.join("provost.db"), garbage).unwrap();
        let refused = Store::open(&scratch.locations).unwrap_err();
        assert!(
            matches!(refused, OpenError::DatabaseDamaged { .. }),
            "{refused}"
        );
    }
}

#[test]
fn verification_finds_pages_that_were_overwritten() {
    let scratch = scratch();
    let store = scratch.open();
    (0..200).for_each(|call| append_call(&store, call));
    store.close();
    drop(store);
    // The pages of an index of the records, which no start reads.
    let page: i64 = database(&scratch)
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'records_of_time'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    let path = scratch.locations.data.join("provost.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let at = usize::try_from((page - 1) * 4_096).unwrap();
    bytes[at + 8..at + 4_096].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();

    let store = scratch.open();
    let verified = store.audit_verify(None).unwrap();
    assert!(!verified.intact());
    let said = &verified.database;
    assert!(
        !said.is_empty()
            && said
                .iter()
                .all(|it| it.starts_with("its file is damaged: ")),
        "{said:?}"
    );
}

/// Appends until the journal refuses, and tells why.
fn refusal(store: &Store) -> String {
    for call in 1_000_000.. {
        match store
            .journal()
            .append(&intent(call, store.clock().now(), &[], &[]))
        {
            Ok(_) => std::thread::yield_now(),
            Err(error) => return error.to_string(),
        }
    }
    String::new()
}

/// Takes something from where it is, and keeps it elsewhere.
type Taken = fn(&Path, &Path);

#[test]
fn a_journal_that_is_taken_away_takes_no_more_entries_and_goes_on_where_it_is_put_back() {
    let taken: [(&str, Taken); 4] = [
        ("data", |data, away| std::fs::rename(data, away).unwrap()),
        ("data/journal", |journal, away| {
            std::fs::rename(journal, away).unwrap()
        }),
        ("data/journal", |journal, away| {
            std::fs::rename(journal, away).unwrap();
            std::fs::create_dir(journal).unwrap();
        }),
        ("data/journal/00000001.log", |segment, away| {
            std::fs::copy(segment, away).unwrap();
            std::fs::rename(segment, segment.with_extension("old")).unwrap();
            std::fs::copy(away, segment).unwrap();
        }),
    ];
    for (round, (what, take)) in taken.into_iter().enumerate() {
        let scratch = scratch();
        let store = scratch.open();
        add_server(&store, "github");
        let minted = mint(&store, "ci");
        let place = scratch.directory.path().join(what);
        let away = scratch.directory.path().join("away");
        append_call(&store, 1);
        take(&place, &away);

        let refused = refusal(&store);
        let segment = scratch.segment(1);
        let named = format!("`{}`", segment.display());
        assert!(
            refused.starts_with("the journal cannot be written: "),
            "{round}: {refused}"
        );
        assert!(refused.contains(&named), "{round}: {refused}");
        let trouble = store.journal().trouble().unwrap().to_string();
        assert!(trouble.contains(&named), "{round}: {trouble}");
        // What cannot be recorded is not changed either.
        store.revoke_grant(&admin(), &minted.grant.id).unwrap_err();

        match what {
            "data/journal/00000001.log" => {
                std::fs::rename(segment.with_extension("old"), &segment).unwrap();
            }
            _ => {
                std::fs::remove_dir(&place).ok();
                std::fs::rename(&away, &place).unwrap();
            }
        }
        while store.journal().trouble().is_some() {
            std::thread::yield_now();
        }
        append_call(&store, 3);
        store.revoke_grant(&admin(), &minted.grant.id).unwrap();
        assert!(store.audit_verify(None).unwrap().intact(), "{round}");
        store.close();
        drop(store);
        let store = scratch.open();
        assert!(store.audit_verify(None).unwrap().intact(), "{round}");
        assert!(!opens(&store, &minted));
    }
}

/// A grant that was revoked, and calls after it; whether the process ended in
/// order. Tells what the database was before.
fn with_a_revoked_grant(in_order: bool) -> (Scratch, Minted, Vec<u8>) {
    let scratch = scratch();
    let store = scratch.open();
    add_server(&store, "github");
    let minted = mint(&store, "ci");
    append_call(&store, 1);
    store.close();
    drop(store);
    let before = std::fs::read(scratch.locations.data.join("provost.db")).unwrap();
    let store = scratch.open();
    store.revoke_grant(&admin(), &minted.grant.id).unwrap();
    append_call(&store, 2);
    append_call(&store, 3);
    store.records(&Filter::default()).unwrap();
    if in_order {
        store.close();
        return (scratch, minted, before);
    }
    (scratch.copy(), minted, before)
}

/// Puts an older database back, and changes the lines of the journal.
fn attack(scratch: &Scratch, before: &[u8], change: impl FnOnce(&mut Vec<String>)) {
    let database = scratch.locations.data.join("provost.db");
    for beside in ["-wal", "-shm"] {
        let mut name = database.clone().into_os_string();
        name.push(beside);
        std::fs::remove_file(name).ok();
    }
    std::fs::write(database, before).unwrap();
    let path = scratch.segment(1);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_change_that_is_cut_out_of_the_journal_takes_everything_out_of_force() {
    for (in_order, what) in [true, false]
        .into_iter()
        .flat_map(|in_order| ["change", "both", "altered"].map(|what| (in_order, what)))
    {
        let (scratch, minted, before) = with_a_revoked_grant(in_order);
        attack(&scratch, &before, |lines| {
            let revoked = |line: &String| line.contains(r#""what":"grant.revoke""#);
            let at = lines.iter().position(revoked).unwrap();
            assert!(lines[at + 1].contains(r#""t":"made""#));
            match what {
                "change" => drop(lines.remove(at)),
                "both" => drop(lines.drain(at..=at + 1)),
                _ => lines[at] = lines[at].replace("grant.revoke", "grant.ignore"),
            }
        });
        for round in ["at once", "with the next start"] {
            let store = scratch.open();
            assert!(!opens(&store, &minted), "{what}, {in_order}, {round}");
            let grant = format!("grant `{}`", minted.grant.id);
            assert!(
                store.refused().contains(&grant),
                "{what}, {in_order}, {round}"
            );
            assert!(!store.audit_verify(None).unwrap().intact());
            store.close();
        }
        // What is made anew is in force, and stays it.
        let store = scratch.open();
        store.remove_server(&admin(), "github").unwrap();
        add_server(&store, "github");
        let anew = mint(&store, "ci");
        assert!(opens(&store, &anew), "{what}, {in_order}");
        store.close();
        drop(store);
        let store = scratch.open();
        assert!(opens(&store, &anew), "{what}, {in_order}");
        assert!(!opens(&store, &minted), "{what}, {in_order}");
    }
}

#[test]
fn calls_that_are_missing_take_nothing_out_of_force() {
    let scratch = scratch();
    let store = scratch.open();
    add_server(&store, "github");
    let minted = mint(&store, "ci");
    append_call(&store, 1);
    store.close();
    drop(store);
    let path = scratch.segment(1);
    let text = std::fs::read_to_string(&path).unwrap();
    let kept = text
        .lines()
        .filter(|line| !line.contains(r#""t":"intent""#));
    let text: String = kept.map(|line| format!("{line}\n")).collect();
    std::fs::write(path, text).unwrap();
    // That the last process ended after the same change says that none is missing.
    for _ in 0..2 {
        let store = scratch.open();
        assert_eq!(store.refused(), [""; 0]);
        assert!(opens(&store, &minted));
        assert!(!store.audit_verify(None).unwrap().intact());
    }
}

#[test]
fn rows_that_no_entry_made_are_removed_and_those_that_cannot_be_read_hide_none() {
    for (forged, is_more) in [
        ("UPDATE forged SET n = 99999, call = x'01'", true),
        ("UPDATE forged SET n = 99999, tool = 'never'", true),
        ("UPDATE forged SET call = x'01'", false),
        ("UPDATE forged SET n = -1", true),
    ] {
        let scratch = scratch();
        let store = scratch.open();
        append_call(&store, 1);
        append_call(&store, 2);
        let honest = store.records(&Filter::default()).unwrap();
        let insert = format!(
            "CREATE TEMP TABLE forged AS SELECT * FROM records ORDER BY n LIMIT 1; {forged};
             INSERT OR REPLACE INTO records SELECT * FROM forged"
        );
        let count = |sql: &str| -> i64 {
            let database = database(&scratch);
            database.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        let all = "SELECT count(*) FROM records";
        database(&scratch).execute_batch(&insert).unwrap();
        // One that can be read is seen until it is found out.
        assert!(!store.records(&Filter::default()).unwrap().is_empty());
        store
            .audit_export(
                ExportFormat::Jsonl,
                &provost_store::Filter::default(),
                &mut Vec::new(),
            )
            .unwrap();
        let verified = store.audit_verify(None).unwrap();
        assert_eq!(verified.rebuilt, 1, "{forged}");
        assert_eq!(
            store.records(&Filter::default()).unwrap(),
            honest,
            "{forged}"
        );
        assert_eq!(count(all), 2, "{forged}");

        database(&scratch).execute_batch(&insert).unwrap();
        store.close();
        drop(store);
        let store = scratch.open();
        assert_eq!(count(all), 2, "{forged}");
        if is_more {
            assert_eq!(
                store.records(&Filter::default()).unwrap(),
                honest,
                "{forged}"
            );
        }
    }
}

#[test]
fn a_wild_number_of_a_segment_costs_nothing_and_is_one_damage() {
    for (attack, first, last) in [
        ("UPDATE folded SET segment = 2000000", 2, 2_000_000),
        ("UPDATE folded SET segment = 4294967294", 2, 4_294_967_294),
    ] {
        let scratch = scratch();
        let store = scratch.open();
        append_call(&store, 1);
        store.close();
        drop(store);
        assert_eq!(database(&scratch).execute(attack, []).unwrap(), 1);
        let store = scratch.open();
        append_call(&store, 2);
        let damage = store.audit_verify(None).unwrap().damage;
        let [one] = damage.as_slice() else {
            panic!("{damage:?}")
        };
        assert_eq!(
            (one.segment, &one.kind),
            (first, &DamageKind::SegmentsMissing { last })
        );
    }
}

/// What is planted while the store is open, before an ordinary change reaches it.
#[test]
fn d62_a_change_puts_nothing_in_force_that_was_planted_beside_it() {
    type Change = fn(&Store) -> Result<(), provost_store::ChangeError>;
    let put: Change = |store| {
        let text = r#"{"version":"1","default":"allow","hide":["x"]}"#;
        store
            .put_policy(&admin(), "github", "team", text, None)
            .map(drop)
    };
    let set: Change = |store| {
        let change = provost_store::ServerChange {
            headers: Some(Vec::new()),
            ..provost_store::ServerChange::default()
        };
        store.set_server(&admin(), "github", change).map(drop)
    };
    let planted = [
        // A copy of a live grant, under another token.
        "INSERT INTO grants SELECT 'g-planted', opens, opens_name, 'planted', x'TOKEN', parent, expires, created, revoked FROM grants WHERE label = 'live';
         INSERT INTO grant_servers SELECT 'g-planted', server, policy, shadow FROM grant_servers WHERE grant_id = (SELECT id FROM grants WHERE label = 'live')",
        // One that was revoked lives again.
        "UPDATE grants SET revoked = NULL WHERE label = 'dead'",
        // Another token opens the live one.
        "UPDATE grants SET token = x'TOKEN' WHERE label = 'live'",
    ];
    for planted in planted {
        for change in [put, set] {
            let scratch = scratch();
            let store = scratch.open();
            add_server(&store, "github");
            let text = r#"{"version":"1","default":"allow"}"#;
            store
                .put_policy(&admin(), "github", "team", text, None)
                .unwrap();
            let team = |label: &str| NewGrant {
                server: "github".to_owned(),
                label: label.to_owned(),
                attachment: provost_store::Attachment {
                    policy: Some("team".to_owned()),
                    shadow: None,
                },
                ..NewGrant::default()
            };
            let live = store.mint_grant(&admin(), team("live")).unwrap();
            let dead = store.mint_grant(&admin(), team("dead")).unwrap();
            store.revoke_grant(&admin(), &dead.grant.id).unwrap();
            assert!(opens(&store, &live) && !opens(&store, &dead));
            let hash = provost_store::hash_token("pv_planted");
            let token: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
            let sql = planted.replace("TOKEN", &token);
            database(&scratch).execute_batch(&sql).unwrap();

            change(&store).unwrap();
            let now = store.clock().now().wall;
            let directory = store.directory().unwrap();
            assert!(
                directory.authenticate("pv_planted", now).is_none(),
                "{planted}"
            );
            assert!(!opens(&store, &dead), "{planted}");
            // Nor is it taken for good by a change of its own.
            let dead = store.rotate_grant(&admin(), &dead.grant.id);
            assert!(dead.is_err(), "{planted}");
            assert!(
                !store.audit_verify(None).unwrap().refused.is_empty(),
                "{planted}"
            );
        }
    }
}
