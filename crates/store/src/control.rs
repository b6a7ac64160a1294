//! What the control plane has to be, as the journal says.
//!
//! Every change carries the digests of the rows it left behind. Folded, they
//! say what each row has to be; whoever changes the database past the journal
//! leaves a row that differs. What differs is not in force.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::StoreError;
use crate::journal::{Hex, RowKey, Rows};

mod distrust;
mod table;

pub(crate) use distrust::{DENIES_ALL, Distrust};
pub(crate) use table::Table;

/// A change that reaches more grants than this is not followed one by one: all
/// is read again, which is quicker.
pub(crate) const FEW: usize = 1_000;

/// Rows as they were found, each with its digest.
pub(crate) type Found = Vec<(RowKey, Hex)>;

/// Something that is made up of several rows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whole<'a> {
    Server(&'a str),
    /// With the policies it has.
    Grant(&'a str),
}

/// What the journal says about the control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    /// The last change that was made.
    pub(crate) revision: u64,
    rows: BTreeMap<RowKey, Hex>,
    /// A change that was announced; whether it was made is not said yet.
    pending: Option<Pending>,
    /// Entries are missing, and nothing after them says that none was a change.
    #[serde(default)]
    doubt: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    revision: u64,
    rows: Rows,
}

// === impl Expected ===

impl Expected {
    /// What is there now, believed as it stands: where the journal did not say
    /// so before.
    pub(crate) fn as_found(connection: &Connection, revision: u64) -> Result<Self, StoreError> {
        let rows = all_rows(connection)?.into_iter().collect();
        Ok(Self {
            revision,
            rows,
            pending: None,
            doubt: false,
        })
    }

    pub(crate) fn is_in_doubt(&self) -> bool {
        self.doubt
    }

    /// Entries are missing here, or cannot be used: one of them may have been a
    /// change.
    pub(crate) fn miss(&mut self) {
        self.doubt = true;
    }

    /// What follows says which change was the last one so far.
    pub(crate) fn last_was(&mut self, revision: u64) {
        if !self.doubt {
            return;
        }
        if self.pending.is_none() && self.revision == revision {
            self.doubt = false;
        } else {
            self.doubt_all(revision);
        }
    }

    /// Nothing more will come that could lift a doubt. Tells whether there was
    /// one. A number is left out then: what is said from here on lifts no doubt
    /// when the journal is read again.
    pub(crate) fn settle_doubt(&mut self) -> bool {
        let doubt = self.doubt;
        if doubt {
            let last = self.open_change().unwrap_or(self.revision);
            self.doubt_all(last.saturating_add(1));
        }
        doubt
    }

    /// What every row has to be is not known any more, until it is changed.
    fn doubt_all(&mut self, revision: u64) {
        self.doubt = false;
        self.revision = self.revision.max(revision);
        self.pending = None;
        // No row has this digest.
        self.rows
            .values_mut()
            .for_each(|digest| *digest = Hex::default());
    }

    /// A change is about to be committed.
    pub(crate) fn change(&mut self, revision: u64, rows: Rows) {
        self.last_was(revision.saturating_sub(1));
        if let Some(before) = self.pending.take()
            && before.revision < revision
        {
            // Another one follows it: it was made, and that was not written.
            self.apply(before);
        }
        self.pending = Some(Pending { revision, rows });
    }

    /// It was committed.
    pub(crate) fn made(&mut self, revision: u64) {
        if let Some(pending) = self.pending.take_if(|it| it.revision == revision) {
            self.apply(pending);
        }
    }

    /// It was not.
    pub(crate) fn undone(&mut self, revision: u64) {
        self.pending.take_if(|it| it.revision == revision);
    }

    /// The change of which the journal does not say whether it was made.
    pub(crate) fn open_change(&self) -> Option<u64> {
        self.pending.as_ref().map(|it| it.revision)
    }

    /// Which of these rows, and of those that have to be there, are not what they
    /// have to be.
    pub(crate) fn differing(&self, found: &Found) -> Vec<RowKey> {
        let mut differing = Vec::new();
        let mut known = 0;
        for (key, digest) in found {
            let expected = self.rows.get(key);
            known += usize::from(expected.is_some());
            // One that nobody put there differs, too.
            if expected != Some(digest) {
                differing.push(key.clone());
            }
        }
        if known < self.rows.len() {
            let mut gone = self.rows.clone();
            for (key, _) in found {
                gone.remove(key);
            }
            differing.extend(gone.into_keys());
        }
        differing
    }

    /// What this row has to be; nothing if it has to be nowhere.
    fn row(&self, key: &str) -> Option<&Hex> {
        self.rows.get(key)
    }

    /// The rows whose key begins so.
    fn below(&self, prefix: &str) -> impl Iterator<Item = &RowKey> {
        let keys = self.rows.range(prefix.to_owned()..).map(|(key, _)| key);
        keys.take_while(move |key| key.starts_with(prefix))
    }

    fn apply(&mut self, change: Pending) {
        for (key, digest) in change.rows {
            match digest {
                Some(digest) => self.rows.insert(key, digest),
                None => {
                    self.forget_below(&key);
                    self.rows.remove(&key)
                }
            };
        }
        self.revision = change.revision;
    }

    /// Forgets the rows that are there only as long as this one is: one that
    /// somebody took away before cannot be taken away with it any more.
    fn forget_below(&mut self, key: &str) {
        let Some((table, _)) = Table::of(key) else {
            return;
        };
        let id = key.trim_start_matches(table.name()).trim_end_matches(']');
        for table in table.below() {
            let below: Vec<_> = self
                .below(&format!("{}{id},", table.name()))
                .cloned()
                .collect();
            for row in below {
                self.rows.remove(&row);
            }
        }
    }
}

/// Notes from here on which rows are written on this connection.
pub(crate) fn watch(connection: &Connection) -> rusqlite::Result<()> {
    let mut sql =
        "BEGIN; CREATE TEMP TABLE touched (tbl TEXT NOT NULL, key TEXT NOT NULL);".to_owned();
    for table in Table::ALL.map(Table::name) {
        for (event, sides) in [
            ("INSERT", &["NEW"][..]),
            ("UPDATE", &["OLD", "NEW"]),
            ("DELETE", &["OLD"]),
        ] {
            sql.push_str(&format!(
                "CREATE TEMP TRIGGER touched_{table}_{event} AFTER {event} ON {table} BEGIN "
            ));
            for side in sides {
                let key = key_of(connection, table, &format!("{side}."))?;
                sql.push_str(&format!("INSERT INTO touched VALUES ('{table}', {key});"));
            }
            sql.push_str(" END;");
        }
    }
    sql.push_str("COMMIT");
    connection.execute_batch(&sql)
}

/// Forgets what was noted.
pub(crate) fn forget_touched(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM temp.touched", []).map(drop)
}

/// The rows that were written since, as they are now.
pub(crate) fn touched(connection: &Connection) -> Result<Rows, StoreError> {
    let mut statement = connection.prepare_cached("SELECT DISTINCT tbl, key FROM temp.touched")?;
    let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let found: Vec<(String, String)> = found.collect::<Result<_, _>>()?;
    found
        .into_iter()
        .map(|(table, key)| Ok((format!("{table}{key}"), one_row(connection, &table, &key)?)))
        .collect()
}

/// Whether each of these rows still is what the last change left.
pub(crate) fn are_as_left(
    connection: &Connection,
    keys: &BTreeSet<RowKey>,
    expected: &Expected,
) -> Result<bool, StoreError> {
    for key in keys {
        let Some((table, values)) = key.find('[').and_then(|at| key.split_at_checked(at)) else {
            return Ok(false);
        };
        if one_row(connection, table, values)?.as_ref() != expected.row(key) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows that make something up: those there are, and those there have to be.
pub(crate) fn rows_of(
    connection: &Connection,
    whole: Whole<'_>,
    expected: &Expected,
    keys: &mut BTreeSet<RowKey>,
) -> Result<(), StoreError> {
    let (id, own, below, beside) = match whole {
        Whole::Server(id) => (
            id,
            Table::Servers,
            Table::Secrets,
            "SELECT 'names' || json_array(name) FROM names WHERE id = ?1
             UNION ALL SELECT 'secrets' || json_array(owner, field, name) FROM secrets WHERE owner = ?1",
        ),
        Whole::Grant(id) => (
            id,
            Table::Grants,
            Table::GrantServers,
            "SELECT 'grant_servers' || json_array(grant_id, server) FROM grant_servers WHERE grant_id = ?1
             UNION ALL SELECT 'policies' || json_array(p.id) FROM grant_servers s
                 JOIN policies p ON p.id IN (s.policy, s.shadow) WHERE s.grant_id = ?1
             UNION ALL SELECT 'policy_versions' || json_array(p.id, p.current) FROM grant_servers s
                 JOIN policies p ON p.id IN (s.policy, s.shadow) WHERE s.grant_id = ?1",
        ),
    };
    let quoted = serde_json::Value::from(id).to_string();
    keys.insert(format!("{}[{quoted}]", own.name()));
    let below = format!("{}[{quoted},", below.name());
    keys.extend(expected.below(&below).cloned());
    let mut statement = connection.prepare_cached(beside)?;
    for key in statement.query_map([id], |row| row.get(0))? {
        keys.insert(key?);
    }
    Ok(())
}

/// Every row there is. A start waits for this.
pub(crate) fn all_rows(connection: &Connection) -> Result<Found, StoreError> {
    let (mut found, mut bytes) = (Found::new(), Vec::new());
    for table in Table::ALL.map(Table::name) {
        let key = key_of(connection, table, "")?;
        // The key last: it is in no digest.
        let mut statement = connection.prepare(&format!("SELECT *, {key} FROM {table}"))?;
        let mut names = column_names(&statement);
        names.pop();
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let key: String = row.get(names.len())?;
            found.push((
                format!("{table}{key}"),
                digest(&mut bytes, table, &names, row)?,
            ));
        }
    }
    Ok(found)
}

fn one_row(connection: &Connection, table: &str, key: &str) -> Result<Option<Hex>, StoreError> {
    let columns = key_columns(connection, table)?;
    let conditions: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(place, column)| format!("{column} = json_extract(?1, '$[{place}]')"))
        .collect();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT * FROM {table} WHERE {}",
        conditions.join(" AND ")
    ))?;
    let names = column_names(&statement);
    Ok(statement
        .query_row([key], |row| digest(&mut Vec::new(), table, &names, row))
        .optional()?)
}

/// The digest of a row: of its table and of each column that holds something,
/// by name. Lengths come first, so that no two rows give the same bytes.
fn digest(
    bytes: &mut Vec<u8>,
    table: &str,
    names: &[String],
    row: &Row<'_>,
) -> rusqlite::Result<Hex> {
    bytes.clear();
    let mut add = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    };
    add(table.as_bytes());
    for (place, name) in names.iter().enumerate() {
        let number;
        let (kind, value): (&str, &[u8]) = match row.get_ref(place)? {
            // A column that came with a later schema holds nothing at first.
            ValueRef::Null => continue,
            ValueRef::Integer(value) => {
                number = value.to_be_bytes();
                ("integer", &number)
            }
            ValueRef::Real(value) => {
                number = value.to_be_bytes();
                ("real", &number)
            }
            ValueRef::Text(text) => ("text", text),
            ValueRef::Blob(blob) => ("blob", blob),
        };
        add(name.as_bytes());
        add(kind.as_bytes());
        add(value);
    }
    Ok(Hex(Sha256::digest(&*bytes).into()))
}

fn column_names(statement: &rusqlite::Statement<'_>) -> Vec<String> {
    statement.column_names().map(str::to_owned).collect()
}

/// The SQL of a row's key.
fn key_of(connection: &Connection, table: &str, side: &str) -> rusqlite::Result<String> {
    let columns = key_columns(connection, table)?;
    let parts: Vec<_> = columns.iter().map(|name| format!("{side}{name}")).collect();
    Ok(format!("json_array({})", parts.join(", ")))
}

fn key_columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection
        .prepare_cached("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

#[cfg(test)]
mod tests;
