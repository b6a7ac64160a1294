//! The schema, and whether a database has it and nothing else.

use std::collections::BTreeMap;

use rusqlite::Connection;

/// The schema, one step after the other; the position is the version.
/// A step that was released is never changed.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("001-begin.sql"),
    include_str!("002-names-and-grants.sql"),
    include_str!("003-timelines.sql"),
    include_str!("004-counters-leave.sql"),
    include_str!("005-what-changed.sql"),
    include_str!("006-who-called.sql"),
    include_str!("007-labels.sql"),
];

/// The newest schema this program knows.
pub(crate) const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// The kind and name of each part, and its table and SQL.
type Parts = BTreeMap<(String, String), (String, Option<String>)>;

/// What is missing, too much or another than a new database of these steps has, in words.
pub(crate) fn differences(
    connection: &Connection,
    migrations: &[&str],
) -> rusqlite::Result<Vec<String>> {
    let new = Connection::open_in_memory()?;
    for step in migrations {
        new.execute_batch(step)?;
    }
    let mut found = parts(connection)?;
    let mut differences = Vec::new();
    for ((kind, name), wanted) in parts(&new)? {
        match found.remove(&(kind.clone(), name.clone())) {
            Some(part) if part == wanted => {}
            Some(_) => differences.push(format!("its {kind} `{name}` was changed")),
            None => differences.push(format!("its {kind} `{name}` is missing")),
        }
    }
    let more = found.into_keys();
    differences.extend(more.map(|(kind, name)| format!("somebody put a {kind} `{name}` there")));
    Ok(differences)
}

fn parts(connection: &Connection) -> rusqlite::Result<Parts> {
    let mut statement =
        connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")?;
    let rows = statement.query_map([], |row| {
        Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))
    })?;
    rows.collect()
}
