//! What a restored directory brings back, and what it does not hold, compared with the one that it
//! replaces. Both are only read: what is put aside stays as it is, damaged or not.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};

use crate::database::trust_no_schema;
use crate::journal::{Mac, payload_moment, segment_path, segments, split_line};
use crate::locations::{database_path, journal_directory};
use crate::records::{as_time, from_time};
use crate::{Head, StoreError};

/// What differs after a restore.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// Grants that are in force again, by server and label.
    pub grants: Vec<Revived>,
    /// Entries that the restored journal does not have; nothing when the two have no common past.
    pub lost: Option<Lost>,
}

/// A grant that works again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revived {
    /// What it opens.
    pub server: String,
    /// What people call it.
    pub label: String,
    /// What had been done to it.
    pub was: Ended,
}

/// How a grant's token had ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The grant was revoked.
    Revoked,
    /// It got another token; the earlier one works again.
    Rotated,
}

/// Entries at the end of a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub entries: u64,
    /// When the first was written, unix time in microseconds; RFC 3339 in JSON.
    #[serde(serialize_with = "as_time", deserialize_with = "from_time")]
    pub first: u64,
    /// When the last was.
    #[serde(serialize_with = "as_time", deserialize_with = "from_time")]
    pub last: u64,
}

struct Row {
    id: String,
    server: String,
    label: String,
    token: Vec<u8>,
    revoked: bool,
}

/// Compares the data directory `before` with a restored one, whose journal ends at `head`.
///
/// # Errors
///
/// A database or a journal cannot be read.
pub fn compare(before: &Path, restored: &Path, head: Head) -> Result<Undone, StoreError> {
    let then: HashMap<_, _> = rows(before)?
        .into_iter()
        .map(|row| (row.id, (row.token, row.revoked)))
        .collect();
    let back = rows(restored)?.into_iter().filter(|row| !row.revoked);
    let mut grants: Vec<_> = back
        .filter_map(|row| {
            let was = match then.get(&row.id)? {
                (_, true) => Ended::Revoked,
                (token, false) if *token != row.token => Ended::Rotated,
                (_, false) => return None,
            };
            Some(Revived {
                server: row.server,
                label: row.label,
                was,
            })
        })
        .collect();
    grants.sort();
    let lost = lost(&journal_directory(before), head);
    Ok(Undone {
        grants,
        lost: lost.map_err(StoreError::read)?,
    })
}

fn rows(data: &Path) -> Result<Vec<Row>, StoreError> {
    let path = database_path(data);
    let database = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    trust_no_schema(&database)?;
    // An archive may be of the first schema.
    let select = |server| format!("SELECT id, {server}, label, token, revoked FROM grants");
    let mut found = database
        .prepare(&select("opens_name"))
        .or_else(|_| database.prepare(&select("server_name")))?;
    let rows = found.query_map([], |row| {
        Ok(Row {
            id: row.get(0)?,
            server: row.get(1)?,
            label: row.get(2)?,
            token: row.get(3)?,
            revoked: row.get::<_, Option<i64>>(4)?.is_some(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The entries behind the one with this place in the chain.
fn lost(journal: &Path, head: Head) -> std::io::Result<Option<Lost>> {
    let (mut entries, mut first, mut last) = (0, None, None);
    for segment in segments(journal)?.into_iter().rev() {
        let bytes = std::fs::read(segment_path(journal, segment))?;
        // What stands behind the last newline was never finished.
        let whole = memchr::memrchr(b'\n', &bytes).and_then(|end| bytes.get(..end));
        for line in whole.unwrap_or_default().rsplit(|byte| *byte == b'\n') {
            let entry: Option<(&[u8], Mac)> = split_line(line);
            if entry.is_some_and(|(_, mac)| mac == head.mac) {
                return Ok(first.zip(last).map(|(first, last)| Lost {
                    entries,
                    first,
                    last,
                }));
            }
            entries += 1;
            if let Some(at) = entry.and_then(|(payload, _)| payload_moment(payload)) {
                first = Some(at.wall);
                last = last.or(first);
            }
        }
    }
    Ok(None)
}
