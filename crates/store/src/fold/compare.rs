//! Holding records and acts against the journal.
//!
//! The journal is folded once more, into a database of its own that is gone
//! afterwards, and the rows are compared piece by piece. Only calls without an
//! outcome stay in it for longer than a piece.

use rusqlite::Connection;

use super::state::{FoldedTimeline, State};
use super::{Folder, batch, forget_rows, read};
use crate::checkpoint::{Folded, Tail};
use crate::database::{Commit, begin, int, trust_no_schema, uint};
use crate::guard::lock;
use crate::journal::{End, first_entry, segments};
use crate::{JournalError, StoreError};

/// A row that nothing is added to any more.
const CLOSED: &str = "(status IS NOT NULL OR decision <> 'allow')";

struct Comparison<'f> {
    folder: &'f Folder,
    fresh: Connection,
    state: State,
    differing: u64,
}

// === impl Folder ===

impl Folder {
    /// Makes sure that there are rows of all entries, as many as the last segment
    /// asks for, and of nothing else. What is in them is not looked at.
    pub(crate) fn make_good(&self) -> Result<(), StoreError> {
        let is_complete = {
            let mut state = lock(&self.state);
            self.fold_locked(&mut state)?;
            self.forget_rows_of_nothing(state.at.end.number)?;
            match state.tail {
                Some(Tail { after, rows }) => {
                    let up_to = [int(after), int(state.at.end.number)];
                    let reading = self.database.reading();
                    let count: i64 =
                        reading.query_row(&rows_between(""), up_to, |row| row.get(0))?;
                    uint(count) == rows
                }
                None => true,
            }
        };
        if !is_complete {
            self.compare_records()?;
        }
        Ok(())
    }

    /// [`Folder::make_good`] beside calls, which do not wait for it.
    pub(super) fn make_good_quietly(&self) {
        // Files must stay where they are meanwhile.
        let _alone = lock(&self.maintenance);
        if let Err(error) = self.make_good() {
            tracing::error!(error = %error, "records could not be compared with the journal; `provost audit verify` compares them");
        }
    }

    /// Removes rows of entries that the journal, which ends with `last`, does not
    /// have.
    fn forget_rows_of_nothing(&self, last: u64) -> Result<(), StoreError> {
        let mut connection = self.database.writing();
        let transaction = begin(&mut connection, Commit::Repeatable)?;
        let mut removed = 0;
        for table in ["records", "acts"] {
            let sql = format!("DELETE FROM {table} WHERE n > ?1 OR n < 1");
            removed += transaction.execute(&sql, [int(last)])?;
        }
        transaction.commit()?;
        if removed > 0 {
            tracing::error!(
                rows = removed,
                "the database had records of entries that are not in the journal; they were removed"
            );
        }
        Ok(())
    }

    /// Holds records and acts against the journal. When some differ, all are
    /// made again; returns how many did.
    pub(crate) fn compare_records(&self) -> Result<u64, StoreError> {
        self.fold()?;
        let mut comparison = Comparison::begin(self)?;
        comparison.read_up_to(&self.position())?;
        // Nothing is folded while the last piece is compared.
        let mut state = lock(&self.state);
        self.fold_locked(&mut state)?;
        comparison.read_up_to(&state.at.end)?;
        let differing = comparison.finish()?;
        if differing > 0 {
            tracing::error!(
                rows = differing,
                "records differed from the journal; they are made again from it"
            );
            forget_rows(&self.database)?;
            state.rowed = 0;
            state.saved = Folded {
                steady: state.at.steady,
                ..Folded::default()
            };
            self.fold_locked(&mut state)?;
        }
        Ok(differing)
    }
}

// === impl Comparison ===

impl<'f> Comparison<'f> {
    fn begin(folder: &'f Folder) -> Result<Self, StoreError> {
        let directory = folder.journal.directory();
        let mut start = End::default();
        if let Some(segment) = segments(directory)
            .map_err(StoreError::read)?
            .first()
            .copied()
        {
            let header = first_entry(directory, segment).map_err(StoreError::read)?;
            start.segment = segment;
            start.number = header.map_or(0, |(header, _)| header.prev.number);
        }
        let fresh = Connection::open("")?;
        trust_no_schema(&fresh)?;
        let kept = folder.database.path().to_string_lossy();
        fresh.execute("ATTACH DATABASE ?1 AS kept", [kept.as_ref()])?;
        fresh.execute_batch(
            "CREATE TABLE records AS SELECT * FROM kept.records WHERE FALSE;
             CREATE UNIQUE INDEX record_numbers ON records (n);
             CREATE INDEX record_calls ON records (call);
             CREATE TABLE acts AS SELECT * FROM kept.acts WHERE FALSE;
             CREATE UNIQUE INDEX act_numbers ON acts (n);
             CREATE TABLE timelines (id INTEGER PRIMARY KEY, node TEXT, epoch INTEGER, UNIQUE (node, epoch));
             INSERT INTO timelines (id, node, epoch) SELECT id, node, epoch FROM kept.timelines;",
        )?;
        let state = State {
            at: Folded {
                end: start,
                steady: 0,
            },
            // Only rows are wanted here.
            counted: Folded {
                end: End {
                    number: u64::MAX,
                    ..start
                },
                steady: 0,
            },
            timeline: FoldedTimeline { segment: 0, row: 1 },
            unusable: lock(&folder.state).unusable.clone(),
            ..State::default()
        };
        let mut comparison = Self {
            folder,
            fresh,
            state,
            differing: 0,
        };
        // What retention removed has no rows.
        comparison.differing = comparison.kept(i64::MIN, int(start.number))?;
        Ok(comparison)
    }

    fn read_up_to(&mut self, end: &End) -> Result<(), StoreError> {
        loop {
            // Who closes the store does not wait for all of it.
            if self.folder.journal.is_closed() {
                return Err(JournalError::Closed.into());
            }
            let directory = self.folder.journal.directory();
            let chunk =
                read::chunk(directory, &self.state.at.end, end).map_err(StoreError::read)?;
            let Some(chunk) = chunk else {
                return Ok(());
            };
            let before = self.state.at.end.number;
            let mut batch = batch::Batch::for_bytes(chunk.bytes.len());
            for line in chunk.lines() {
                if !self.state.unusable.has(chunk.segment, line.offset) {
                    batch.add(&line, &mut self.state);
                }
            }
            (self.state.at.end.segment, self.state.at.end.offset) = chunk.end();
            let transaction = self.fresh.transaction()?;
            let known = self.state.timeline;
            let timeline = self.folder.timeline(known, chunk.segment, &transaction)?;
            batch.save(&transaction, timeline.row)?;
            transaction.commit()?;
            self.state.timeline = timeline;
            let more = self.kept(int(before), int(self.state.at.end.number))?;
            self.differing += more.abs_diff(batch.rows());
            self.compare("records", CLOSED)?;
            self.compare("acts", "TRUE")?;
        }
    }

    /// What is left are calls without an outcome, and rows of no entry.
    fn finish(mut self) -> Result<u64, StoreError> {
        self.compare("records", "TRUE")?;
        self.differing += self.kept(int(self.state.at.end.number), i64::MAX)?;
        Ok(self.differing)
    }

    /// Counts rows that are not there as they should be, and forgets them.
    fn compare(&mut self, table: &str, which: &str) -> Result<(), StoreError> {
        let columns = columns(&self.fresh, table)?;
        let differing: i64 = self.fresh.query_row(
            &format!(
                "SELECT count(*) FROM (
                     SELECT {columns} FROM main.{table} WHERE {which}
                     EXCEPT SELECT {columns} FROM kept.{table}
                         WHERE n IN (SELECT n FROM main.{table} WHERE {which}))"
            ),
            [],
            |row| row.get(0),
        )?;
        self.differing += uint(differing);
        self.fresh
            .execute(&format!("DELETE FROM main.{table} WHERE {which}"), [])?;
        Ok(())
    }

    /// How many rows there are for entries after one and up to another.
    fn kept(&self, after: i64, up_to: i64) -> Result<u64, StoreError> {
        let up_to = [after, up_to];
        let sql = rows_between("kept.");
        let count: i64 = self.fresh.query_row(&sql, up_to, |row| row.get(0))?;
        Ok(uint(count))
    }
}

/// What a row of a table has to be. Rows of before do not have `changed`, and it
/// decides nothing.
fn columns(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    connection.query_row(
        "SELECT group_concat(name) FROM pragma_table_info(?1, 'main') WHERE name <> 'changed'",
        [table],
        |row| row.get(0),
    )
}

/// Counts rows for entries after one and up to another.
fn rows_between(schema: &str) -> String {
    format!(
        "SELECT (SELECT count(*) FROM {schema}records WHERE n > ?1 AND n <= ?2)
              + (SELECT count(*) FROM {schema}acts WHERE n > ?1 AND n <= ?2)"
    )
}
