//! The database file: connections, schema, migrations.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior};

mod schema;

use schema::MIGRATIONS;
pub(crate) use schema::{SCHEMA, differences};

use crate::control;
use crate::guard::lock;
use crate::locations::database_path;
use crate::private::create_private_file;
use crate::{OpenError, StoreError};

/// One connection that writes, one that reads: a long query does not hold up
/// a change.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    /// The schema it had before it was brought up to date, if it is older.
    was: Option<u32>,
    writing: Mutex<Connection>,
    reading: Mutex<Connection>,
}

/// How hard a commit tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commit {
    /// It is on the disk when it returns: changes of the control plane.
    Durable,
    /// A power cut may take it back: what is folded from the journal again.
    Repeatable,
}

// === impl Database ===

impl Database {
    /// Opens or creates the database and brings its schema up to date.
    pub(crate) fn open(data: &Path) -> Result<Self, OpenError> {
        let path = database_path(data);
        let failed = |source| OpenError::database(data, source);
        create_private_file(&path).map_err(OpenError::io(&path, "opened"))?;
        let mut writing = Connection::open(&path).map_err(failed)?;
        prepare(&writing).map_err(failed)?;
        let was = migrate(&mut writing, data)?;
        writing
            .pragma_update(None, "foreign_keys", "ON")
            .map_err(failed)?;
        writing
            .pragma_update(None, "temp_store", "MEMORY")
            .and_then(|()| control::watch(&writing))
            .map_err(failed)?;
        let reading = open_to_read(&path).map_err(failed)?;
        Ok(Self {
            path,
            was,
            writing: Mutex::new(writing),
            reading: Mutex::new(reading),
        })
    }

    /// Writes what stands in the write-ahead log into the database's file.
    pub(crate) fn gather(&self) -> rusqlite::Result<()> {
        self.writing()
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// What of the file is not as this program made it, in words; nothing where
    /// all is well.
    pub(crate) fn damage(&self) -> Result<Vec<String>, StoreError> {
        let reading = self.reading_alone()?;
        let mut found = differences(&reading, MIGRATIONS)?;
        // As many as a person reads.
        let mut check = reading.prepare("PRAGMA quick_check(20)")?;
        let lines = check.query_map([], |row| row.get::<_, String>(0))?;
        for line in lines {
            let line = line?;
            if line != "ok" {
                found.push(format!("its file is damaged: {line}"));
            }
        }
        Ok(found)
    }

    /// The schema of an existing database that opening has replaced.
    pub(crate) fn was(&self) -> Option<u32> {
        self.was
    }

    /// The connection that writes.
    pub(crate) fn writing(&self) -> MutexGuard<'_, Connection> {
        lock(&self.writing)
    }

    /// The connection that reads.
    pub(crate) fn reading(&self) -> MutexGuard<'_, Connection> {
        lock(&self.reading)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection for a long read that nobody shall wait for.
    pub(crate) fn reading_alone(&self) -> Result<Connection, StoreError> {
        Ok(open_to_read(&self.path)?)
    }
}

/// Begins a transaction that writes.
pub(crate) fn begin(
    connection: &mut Connection,
    commit: Commit,
) -> rusqlite::Result<Transaction<'_>> {
    connection.pragma_update(
        None,
        "synchronous",
        match commit {
            Commit::Durable => "FULL",
            Commit::Repeatable => "NORMAL",
        },
    )?;
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// A value of the table of single values.
pub(crate) fn meta(connection: &Connection, name: &str) -> rusqlite::Result<Option<String>> {
    connection
        .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
            row.get(0)
        })
        .optional()
}

/// Sets a value of the table of single values.
pub(crate) fn set_meta(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection.execute(
        "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = ?2",
        [name, value],
    )?;
    Ok(())
}

/// SQLite's integers have a sign; nothing we count gets that far.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The way back from [`int`].
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Lets nothing run that stands in the database itself: whoever can write the
/// file could put a trigger there that takes back what is changed, or a view
/// in the place of a table. Our own triggers are temporary, which this lets be.
pub(crate) fn trust_no_schema(connection: &Connection) -> rusqlite::Result<()> {
    for what in [
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
    ] {
        connection.set_db_config(what, false)?;
    }
    Ok(())
}

/// Sets up a connection that writes; foreign keys are off until its schema is up to date.
pub(crate) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    trust_no_schema(connection)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    trust_no_schema(&connection)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

/// Applies the steps that are missing, all or none of them; tells the schema
/// of a database that had an older one.
///
/// Foreign keys are off meanwhile: a step may rebuild a table that others
/// refer to. They must hold when all is done.
fn migrate(connection: &mut Connection, data: &Path) -> Result<Option<u32>, OpenError> {
    let failed = |source| OpenError::database(data, source);
    let transaction = begin(connection, Commit::Durable).map_err(failed)?;
    let found: u32 = transaction
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(failed)?;
    if found > SCHEMA {
        return Err(OpenError::Newer {
            path: data.to_owned(),
            found,
            known: SCHEMA,
        });
    }
    for step in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(step).map_err(failed)?;
    }
    if found < SCHEMA {
        check_references(&transaction)?;
    }
    transaction
        .pragma_update(None, "user_version", SCHEMA)
        .map_err(failed)?;
    let differences = differences(&transaction, MIGRATIONS).map_err(failed)?;
    if !differences.is_empty() {
        return Err(OpenError::DatabaseDamaged {
            path: database_path(data),
            what: differences.join("; "),
        });
    }
    transaction.commit().map_err(failed)?;
    Ok((0 < found && found < SCHEMA).then_some(found))
}

/// Refuses a database in which a row refers to one that is not there.
fn check_references(transaction: &Transaction<'_>) -> Result<(), StoreError> {
    let mut statement = transaction.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    match rows.next()? {
        None => Ok(()),
        Some(row) => {
            let table: String = row.get(0)?;
            Err(StoreError::Unexpected(format!(
                "a row of table `{table}` refers to one that is not there"
            )))
        }
    }
}

/// A value as it is kept in a column.
pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unexpected(error.to_string()))
}
