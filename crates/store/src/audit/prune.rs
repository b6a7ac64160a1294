//! Retention: whole segments go, a checkpoint stays for them.

use std::fs::File;

use crate::database::{Commit, begin, int};
use crate::journal::{Header, first_entry, segment_path, segments};
use crate::{Act, Actor, Head, Pruned, Store, StoreError};

/// How many rows go in one transaction: others wait for it.
const ROWS: u64 = 10_000;

// === impl Store ===

impl Store {
    /// Removes whole segments whose entries are all older than `older_than`, a
    /// moment of the steady line, and leaves a checkpoint for them. Never more
    /// than half of the segments go at once: where a clock was wrong, there is
    /// time to notice.
    ///
    /// The checkpoint is on the disk before a segment goes. It carries the
    /// counters' state, so nothing that still counts is lost with an entry.
    pub fn prune(&self, who: &Actor, older_than: u64) -> Result<Pruned, StoreError> {
        let inner = &self.0;
        let _alone = self.alone()?;
        inner.folder.fold()?;
        let folded = inner.folder.position();
        let directory = inner.journal.directory();

        let numbers = segments(directory).map_err(StoreError::read)?;
        let mut old = Vec::new();
        let mut kept: Option<Header> = None;
        let most = numbers.len() / 2;
        // A segment is old when the one after it began before the limit, and
        // it is folded when folding has gone on to a later one.
        for pair in numbers.windows(2).take(most) {
            let [segment, next] = pair else { continue };
            let Some((header, at)) = first_entry(directory, *next).map_err(StoreError::read)?
            else {
                break;
            };
            if at.steady >= older_than || folded.segment <= *segment {
                break;
            }
            old.push(*segment);
            kept = Some(header);
        }
        self.begin_segment_if_old(numbers.last().copied(), older_than)?;
        let Some(kept) = kept else {
            return Ok(Pruned {
                segments: 0,
                records: 0,
                up_to: None,
            });
        };

        let up_to = Head {
            number: kept.prev.number,
            mac: kept.prev.mac,
        };
        self.record_act(
            who,
            Act::AuditPrune,
            &format!("up to entry {}", up_to.number),
            None,
        )?;
        let reason = inner.folder.checkpoint(Some((up_to.number, &up_to.mac)))?;
        // A power cut must not take back what was folded from what now goes.
        inner.folder.keep(reason)?;
        for segment in &old {
            std::fs::remove_file(segment_path(directory, *segment)).map_err(StoreError::read)?;
        }
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(StoreError::read)?;
        let records = self.forget_rows(up_to.number)?;
        let segments = u32::try_from(old.len()).unwrap_or(u32::MAX);
        Ok(Pruned {
            segments,
            records,
            up_to: Some(up_to),
        })
    }

    /// Ends a last segment that began before the limit: else a quiet store
    /// would keep its one segment for ever.
    fn begin_segment_if_old(&self, last: Option<u32>, older_than: u64) -> Result<(), StoreError> {
        let journal = &self.0.journal;
        let Some(last) = last else { return Ok(()) };
        match first_entry(journal.directory(), last).map_err(StoreError::read)? {
            Some((_, at)) if at.steady < older_than => Ok(journal.roll(None)?),
            _ => Ok(()),
        }
    }

    pub(crate) fn forget_rows(&self, up_to: u64) -> Result<u64, StoreError> {
        let mut records = 0;
        for table in ["records", "acts"] {
            loop {
                let mut connection = self.0.database.writing();
                let transaction = begin(&mut connection, Commit::Repeatable)?;
                let gone = transaction.execute(
                    &format!("DELETE FROM {table} WHERE n IN (SELECT n FROM {table} WHERE n <= ?1 LIMIT ?2)"),
                    (int(up_to), int(ROWS)),
                )? as u64;
                transaction.commit()?;
                if table == "records" {
                    records += gone;
                }
                if gone < ROWS {
                    break;
                }
            }
        }
        Ok(records)
    }
}
