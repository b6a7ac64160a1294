//! The database's schema, and directories that older programs made.

use provost_store::{Filter, GrantId, NewGrant, NewServer, Store, Transport};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::chain::Chain;
use crate::harness::{Scratch, admin, scratch};

const DAY: i64 = 24 * 3_600 * 1_000_000;

/// The first schema, as it was released to nobody but made directories.
const FIRST: &str = include_str!("../../src/database/001-begin.sql");

/// What a directory of the first schema holds: two servers, one of a run; a
/// policy; a live grant, one below it, and one that outlived its server.
const ROWS: &str = r#"
    PRAGMA foreign_keys = ON;
    INSERT INTO servers VALUES ('s-1', 'github', '{"http":{"url":"https://mcp.example/mcp"}}', NULL, 10);
    INSERT INTO servers VALUES ('s-2', 'run-npx-1', '{"stdio":{"command":"npx","args":[],"cwd":null,"shared":false}}',
        'provost run --policy /p.json', 20);
    INSERT INTO policies VALUES (1, 's-1', 'team', 2, NULL), (2, 's-1', 'draft', 1, NULL);
    INSERT INTO policy_versions VALUES (1, 1, '{"version":"1","default":"deny"}', NULL, 11, 'admin'),
        (1, 2, '{"version":"1","default":"allow"}', 'wider', 12, 'admin'),
        (2, 1, '{"version":"1","default":"deny"}', NULL, 13, 'admin');
    INSERT INTO grants VALUES ('g-1', 's-1', 'github', 'ci', :token, 1, 2, NULL, NULL, 14, NULL);
    INSERT INTO grants VALUES ('g-2', 's-1', 'github', 'below', randomblob(32), 1, NULL, 'g-1', 99, 15, NULL);
    INSERT INTO grants VALUES ('g-3', 's-0', 'gone', 'old', randomblob(32), NULL, NULL, NULL, NULL, 5, 6);
    INSERT INTO records (n, call, at, grant_id, label, server, method, decision)
        VALUES (1, randomblob(16), 30, 'g-9', 'run', 'run-npx-1', 'tools/call', 'deny');
    INSERT INTO meta VALUES ('revision', '7');
    PRAGMA user_version = 1;
"#;

fn database(scratch: &Scratch) -> Connection {
    Connection::open(scratch.locations.data.join("provost.db")).unwrap()
}

fn of_the_first_schema() -> Scratch {
    let scratch = scratch();
    scratch.open().close();
    // A journal of that time: what is in the database is believed once.
    let mut journal = Chain::read(&scratch.locations, 1);
    journal.lines.clear();
    journal.push(r#""t":"segment","at":[9,9],"segment":1,"key":1,"boot":"x","prev":PREV}"#);
    journal.write(&scratch.locations, 1);
    for file in ["provost.db", "provost.db-wal", "provost.db-shm"] {
        std::fs::remove_file(scratch.locations.data.join(file)).ok();
    }
    let old = database(&scratch);
    let token = hex(&Sha256::digest("pv_token"));
    old.execute_batch(FIRST).unwrap();
    old.execute_batch(&ROWS.replace(":token", &format!("x'{token}'")))
        .unwrap();
    scratch
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn server(name: &str) -> NewServer {
    NewServer {
        name: name.to_owned(),
        transport: Transport::Http {
            url: "https://mcp.example/mcp".to_owned(),
        },
        headers: Vec::new(),
        query: Vec::new(),
        env: Vec::new(),
        description: None,
    }
}

fn acts(store: &Store) -> Vec<(String, String)> {
    store.records(&Filter::default()).unwrap();
    let database = Connection::open(store.locations().data.join("provost.db")).unwrap();
    let mut acts = database
        .prepare("SELECT what, coalesce(detail, '') FROM acts WHERE kind IN ('change', 'admin') AND what <> 'journal.format' ORDER BY n")
        .unwrap();
    let rows = acts.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn d61_a_directory_of_the_first_schema_opens_with_everything_in_it() {
    let scratch = of_the_first_schema();
    let store = scratch.open();

    let directory = store.directory().unwrap();
    let grant = directory.authenticate("pv_token", 20).unwrap();
    let policy = grant.policy.as_ref().unwrap();
    assert_eq!(
        (grant.label.as_str(), policy.name.as_str(), policy.version),
        ("ci", "team", 2)
    );
    assert_eq!(grant.shadow.as_ref().unwrap().name, "draft");
    let below = directory.grant(&GrantId("g-2".into())).unwrap();
    assert_eq!(
        (below.parent.clone(), below.expires),
        (Some(grant.id.clone()), Some(99))
    );
    let names: Vec<_> = store
        .servers()
        .unwrap()
        .into_iter()
        .map(|server| server.name)
        .collect();
    assert_eq!(names, ["github", "run-npx-1"]);
    assert_eq!(store.policy_history("github", "team").unwrap().len(), 2);
    let revoked: Vec<_> = store
        .grants(None)
        .unwrap()
        .into_iter()
        .filter_map(|view| view.revoked)
        .collect();
    assert_eq!(revoked, [6]);
    let said = acts(&store);
    let [(what, detail)] = said.as_slice() else {
        panic!("{said:?}")
    };
    assert_eq!(what, "database.update");
    assert!(detail.starts_with("from schema 1 to "), "{detail}");
    let runs: (String, i64) = database(&scratch)
        .query_row("SELECT server, used FROM runs", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(runs, ("s-2".to_owned(), 30));

    // The new tables hold together as the old ones did.
    store.remove_server(&admin(), "github").unwrap();
    let left: i64 = database(&scratch)
        .query_row("SELECT count(*) FROM policy_versions", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    store.close();
    assert_eq!(acts(&scratch.open()).len(), 2, "said once");
}

#[test]
fn d61_a_directory_that_does_not_hold_together_is_refused_and_left_as_it_is() {
    let scratch = of_the_first_schema();
    let old = database(&scratch);
    old.execute_batch(
        "PRAGMA foreign_keys = OFF; UPDATE grants SET parent = 'g-nobody' WHERE id = 'g-2'",
    )
    .unwrap();
    drop(old);

    let refused = Store::open(&scratch.locations).unwrap_err().to_string();
    assert_eq!(
        refused,
        "the database holds something unexpected: a row of table `grants` refers to one that is not there"
    );
    let schema: u32 = database(&scratch)
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(schema, 1);
}

#[test]
fn d61_servers_and_bundles_share_one_namespace() {
    let scratch = scratch();
    let store = scratch.open();
    // Nothing makes bundles yet; the name is what counts.
    database(&scratch)
        .execute(
            "INSERT INTO names (name, kind, id) VALUES ('work', 'bundle', 'b-1')",
            [],
        )
        .unwrap();
    let refused = store
        .add_server(&admin(), server("work"))
        .unwrap_err()
        .to_string();
    assert_eq!(refused, "the name `work` is taken already");
    assert!(store.add_server(&admin(), server("home")).is_ok());
}

#[test]
fn d61_what_people_ask_of_the_records_has_an_index() {
    let scratch = scratch();
    let _store = scratch.open();
    let database = database(&scratch);
    for (asked, index) in [
        ("(label = 'ci' OR grant_id = 'ci')", "records_of_grant"),
        ("server = 'github'", "records_of_server"),
        ("at >= 5 AND at < 9", "records_of_time"),
    ] {
        let plan: Vec<String> = database
            .prepare(&format!(
                "EXPLAIN QUERY PLAN SELECT count(*) FROM records WHERE {asked}"
            ))
            .unwrap()
            .query_map([], |row| row.get(3))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(plan.concat().contains(index), "{asked}: {plan:?}");
    }
}

#[test]
fn d61_grants_revoked_long_ago_are_forgotten_with_an_entry() {
    let scratch = scratch();
    let store = scratch.open();
    store.add_server(&admin(), server("github")).unwrap();
    let grant = |label: &str, parent| NewGrant {
        server: "github".to_owned(),
        label: label.to_owned(),
        parent,
        ..NewGrant::default()
    };
    let old = store
        .mint_grant(&admin(), grant("old", None))
        .unwrap()
        .grant;
    store
        .mint_grant(&admin(), grant("below", Some(old.id.clone())))
        .unwrap();
    let young = store
        .mint_grant(&admin(), grant("young", None))
        .unwrap()
        .grant;
    store.mint_grant(&admin(), grant("live", None)).unwrap();
    store.revoke_grant(&admin(), &old.id).unwrap();
    store.revoke_grant(&admin(), &young.id).unwrap();
    database(&scratch)
        .execute(
            "UPDATE grants SET revoked = revoked - ?1 WHERE label IN ('old', 'below')",
            [91 * DAY],
        )
        .unwrap();

    assert_eq!(store.purge_grants(&admin()).unwrap(), 2);
    assert_eq!(store.purge_grants(&admin()).unwrap(), 0);
    let left: Vec<_> = store
        .grants(None)
        .unwrap()
        .into_iter()
        .map(|view| view.grant.label.to_string())
        .collect();
    assert_eq!(left, ["live", "young"]);
    let purges: Vec<_> = acts(&store)
        .into_iter()
        .filter(|(what, _)| what == "grant.purge")
        .collect();
    assert_eq!(
        purges,
        [(
            "grant.purge".to_owned(),
            "revoked more than 90 days ago".to_owned()
        )]
    );
}
