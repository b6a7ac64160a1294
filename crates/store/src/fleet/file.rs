//! The file `fleet.db`: opening, schema, and what becomes of a damaged one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::FleetError;
use crate::clock::wall;
use crate::database::{differences, int, prepare, uint};
use crate::private::create_private_file;

/// The schema, one step after the other; the position is the version. A step that was
/// released is never changed.
const MIGRATIONS: &[&str] = &[include_str!("001-begin.sql")];

const SCHEMA: u32 = MIGRATIONS.len() as u32;

/// What is numbered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Numbered {
    Instance,
    Message,
    Task,
}

// === impl Numbered ===

impl Numbered {
    const ALL: [Self; 3] = [Self::Instance, Self::Message, Self::Task];

    const fn word(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Message => "message",
            Self::Task => "task",
        }
    }

    /// The next number, not yet given.
    pub(super) fn next(self, tx: &Transaction<'_>) -> rusqlite::Result<u64> {
        let mut statement =
            tx.prepare_cached("SELECT coalesce(max(last), 0) + 1 FROM numbers WHERE what = ?1")?;
        statement
            .query_row([self.word()], |row| row.get(0))
            .map(uint)
    }

    /// Gives a number.
    pub(super) fn give(self, tx: &Transaction<'_>) -> rusqlite::Result<u64> {
        let mut statement = tx.prepare_cached(
            "INSERT INTO numbers (what, last) VALUES (?1, 1)
             ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last",
        )?;
        statement
            .query_row([self.word()], |row| row.get(0))
            .map(uint)
    }
}

/// Opens or creates the file; a damaged one is kept aside.
pub(super) fn open(path: &Path) -> Result<Connection, FleetError> {
    match open_as_it_is(path) {
        Err(FleetError::Damaged(what)) => begin_anew(path, &what),
        opened => opened,
    }
}

/// Keeps the file aside under another name and begins with an empty one.
pub(super) fn begin_anew(path: &Path, what: &str) -> Result<Connection, FleetError> {
    let kept = put_aside(path)?;
    tracing::error!(
        kept = %kept.display(),
        "the fleet's database `fleet.db` is damaged: {what}; it was renamed, and the fleet begins anew without its instances, messages and tasks"
    );
    let connection = open_as_it_is(path)?;
    // What was called by the numbers of before may be there still: windows, directories,
    // grants. Nobody made an instance in each second since 1970.
    for numbered in Numbered::ALL {
        connection.execute(
            "INSERT INTO numbers (what, last) VALUES (?1, ?2)",
            (numbered.word(), int(wall() / 1_000_000)),
        )?;
    }
    Ok(connection)
}

/// Whether the file itself is at fault when something in it could not be understood.
pub(super) fn is_damaged(connection: &Connection) -> bool {
    let check: rusqlite::Result<String> =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
    let is_whole = check.is_ok_and(|said| said == "ok");
    !is_whole || differences(connection, MIGRATIONS).map_or(true, |found| !found.is_empty())
}

fn open_as_it_is(path: &Path) -> Result<Connection, FleetError> {
    create_private_file(path)?;
    let mut connection = Connection::open(path)?;
    prepare(&connection)?;
    // A commit is in the kernel when it returns, on the disk a little later.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    migrate(&mut connection, path)?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    Ok(connection)
}

fn migrate(connection: &mut Connection, path: &Path) -> Result<(), FleetError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > SCHEMA {
        return Err(FleetError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        });
    }
    for step in MIGRATIONS.iter().skip(found as usize) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA)?;
    let differences = differences(&transaction, MIGRATIONS)?;
    if !differences.is_empty() {
        return Err(FleetError::Damaged(differences.join("; ")));
    }
    transaction.commit()?;
    Ok(())
}

/// Renames the file, and SQLite's own beside it, to a name that nothing has.
fn put_aside(path: &Path) -> std::io::Result<PathBuf> {
    let with = |path: &Path, end: &str| {
        let mut name = OsString::from(path);
        name.push(end);
        PathBuf::from(name)
    };
    let mut seconds = wall() / 1_000_000;
    let kept = loop {
        let kept = with(path, &format!(".damaged-{seconds}"));
        if !kept.exists() {
            break kept;
        }
        seconds += 1;
    };
    std::fs::rename(path, &kept)?;
    for end in ["-wal", "-shm"] {
        match std::fs::rename(with(path, end), with(&kept, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(kept)
}
