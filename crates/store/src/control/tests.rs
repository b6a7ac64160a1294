use super::*;

/// What is no control row: folded from the journal, or beside it.
const OTHERS: [&str; 8] = [
    "meta",
    "records",
    "acts",
    "counters",
    "counters_at",
    "folded",
    "timelines",
    // When a run was last used: it decides nothing but what is cleared.
    "runs",
];

fn database() -> (tempfile::TempDir, crate::database::Database) {
    let scratch = tempfile::tempdir().unwrap();
    let database = crate::database::Database::open(scratch.path()).unwrap();
    (scratch, database)
}

#[test]
fn d87_every_table_is_a_control_table_or_known_to_be_none() {
    let (_scratch, database) = database();
    let reading = database.reading();
    let mut statement = reading
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
        .unwrap();
    let tables = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    for table in tables {
        let table = table.unwrap();
        let ours = Table::ALL.map(Table::name);
        let is_known = ours.contains(&&*table) || OTHERS.contains(&&*table);
        assert!(is_known, "`{table}`: does it decide anything?");
    }
    for table in Table::ALL.map(Table::name) {
        assert!(!key_columns(&reading, table).unwrap().is_empty(), "{table}");
    }
}

#[test]
fn d87_whatever_writes_a_row_is_noticed_with_the_digest_it_leaves() {
    let (_scratch, database) = database();
    let connection = database.writing();
    let run = |sql: &str| connection.execute_batch(sql).unwrap();
    let touched = || {
        let found = touched(&connection).unwrap();
        forget_touched(&connection).unwrap();
        found
    };
    run("INSERT INTO names (name, kind, id) VALUES ('a', 'server', 's-1');
         INSERT INTO servers (id, transport, created) VALUES ('s-1', '{}', 1);
         INSERT INTO policies (id, server, name, current) VALUES (5, 's-1', 'team', 1);
         INSERT INTO policy_versions (policy, version, text, created, by) VALUES (5, 1, '{}', 1, 'me');
         INSERT INTO secrets (owner, field, name, place, sealed) VALUES ('s-1', 'env', 'A\"b', 0, 'v1:x')");
    let first = touched();
    let keys: Vec<_> = first.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            r#"names["a"]"#,
            "policies[5]",
            "policy_versions[5,1]",
            r#"secrets["s-1","env","A\"b"]"#,
            r#"servers["s-1"]"#,
        ]
    );
    let all = Expected::as_found(&connection, 0).unwrap().rows;
    let all: Rows = all.into_iter().map(|(key, it)| (key, Some(it))).collect();
    assert_eq!(first, all);

    run("INSERT OR REPLACE INTO secrets (owner, field, name, place, sealed) VALUES ('s-1', 'env', 'A\"b', 0, 'v1:y');
         UPDATE servers SET description = 'x'");
    let second = touched();
    assert_eq!(second.len(), 2);
    assert!(
        second
            .iter()
            .all(|(key, digest)| digest.is_some() && first[key] != *digest)
    );

    // What goes with another row goes on the record, too.
    run("DELETE FROM names");
    let third = touched();
    assert_eq!(third.len(), 4, "{third:?}");
    assert!(third.values().all(Option::is_none));
}

#[test]
fn d87_a_change_counts_once_it_is_made() {
    let row = |digest: u8| Rows::from([("grants[\"g\"]".to_owned(), Some(Hex([digest; 32])))]);
    let mut expected = Expected::default();
    expected.change(1, row(1));
    assert_eq!((expected.rows.len(), expected.open_change()), (0, Some(1)));
    expected.undone(1);
    expected.made(1);
    assert_eq!((expected.rows.len(), expected.open_change()), (0, None));
    expected.change(1, row(2));
    expected.made(1);
    assert_eq!(
        expected.rows.values().copied().collect::<Vec<_>>(),
        [Hex([2; 32])]
    );
    // That it was made was not written, but another one follows it.
    expected.change(2, row(3));
    expected.change(3, Rows::from([("grants[\"g\"]".to_owned(), None)]));
    assert_eq!((expected.revision, expected.rows.len()), (2, 1));
    expected.made(3);
    assert_eq!((expected.revision, expected.rows.len()), (3, 0));
    let text = serde_json::to_string(&expected).unwrap();
    assert_eq!(serde_json::from_str::<Expected>(&text).unwrap(), expected);
}
