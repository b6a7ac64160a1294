//! Asking for records.

use super::{Filter, Record, Tally, each_record};
use crate::database::{int, uint};
use crate::{Store, StoreError};

// === impl Store ===

impl Store {
    /// Records that match, folded up to this moment.
    ///
    /// They are all in memory at once, so ask for many in pages: with a
    /// [`Filter::limit`], the oldest first, and [`Filter::after`] the number
    /// of the last one of the page before.
    pub fn records(&self, filter: &Filter) -> Result<Vec<Record>, StoreError> {
        self.0.folder.fold()?;
        // It may look through every row, and the gateway's view of the control
        // plane must not wait for that.
        let connection = self.0.database.reading_alone()?;
        let mut records = Vec::new();
        each_record(&connection, filter, |record| {
            records.push(record);
            Ok(())
        })?;
        Ok(records)
    }

    /// Counts the records since a moment (unix time in microseconds), folded up
    /// to this one.
    pub fn tally_since(&self, since: u64) -> Result<Tally, StoreError> {
        self.0.folder.fold()?;
        let connection = self.0.database.reading_alone()?;
        let (calls, denied) = connection.query_row(
            "SELECT COUNT(*), COUNT(*) FILTER (WHERE decision <> 'allow') FROM records WHERE at >= ?1",
            [int(since)],
            |row| Ok((uint(row.get(0)?), uint(row.get(1)?))),
        )?;
        Ok(Tally { calls, denied })
    }
}
