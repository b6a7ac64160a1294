//! Folding: from the journal into tables, and into the counters.
//!
//! One transaction for a batch: records and the position together. If the
//! process dies in between, the same entries are folded again. Counters are
//! not in the database: they are what the last checkpoint and the entries after
//! it say, so nobody can lift a limit by changing a table.

mod batch;
mod compare;
mod read;
mod state;

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use provost_policy::ledger::Ledger;
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::StoreError;
use crate::checkpoint::{self, Checkpoint, Folded};
use crate::clock::Clock;
use crate::control::Expected;
use crate::database::{Commit, Database, begin, int, meta, set_meta, uint};
use crate::follow::Progress;
use crate::guard::lock;
use crate::journal::{End, Header, Hex, InlineCheckpoint, Journal, Mac, Unusable, first_entry};
use state::{FoldedTimeline, State};

/// A checkpoint is due when so much came after the last one.
const DUE: u64 = 16 << 20;

/// So much is read in no time: no checkpoint is worth it.
const WORTH: u64 = 1 << 20;

/// Folds. Shared by the thread that does it from time to time and by
/// queries, which want it done now.
#[derive(Debug)]
pub(crate) struct Folder {
    journal: Journal,
    database: Arc<Database>,
    clock: Clock,
    state: Mutex<State>,
    /// The counters as of an entry, from before rows were made in the background: whoever
    /// starts does not wait for these.
    begun: Mutex<Option<(u64, Ledger)>>,
    /// Tells those who follow.
    progress: Arc<Progress>,
    /// Held by whoever needs the files beside the journal to stay.
    maintenance: Arc<Mutex<()>>,
}

/// What folding begins with.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) checkpoint: Checkpoint,
    /// The file of the checkpoint that the journal names last.
    pub(crate) named: Option<String>,
    /// Up to where there are rows, if there are any.
    pub(crate) folded: Option<Folded>,
    /// The latest moment of an entry, as the journal says.
    pub(crate) steady: u64,
    pub(crate) cut: Option<(u64, u64)>,
    pub(crate) unusable: Unusable,
}

/// The thread. It ends when the journal is closed.
#[derive(Debug, Default)]
pub(crate) struct FoldThread(Option<JoinHandle<()>>);

// === impl Folder ===

impl Folder {
    pub(crate) fn new(
        journal: Journal,
        database: Arc<Database>,
        clock: Clock,
        id: &str,
        base: Base,
    ) -> Result<Self, StoreError> {
        let row = timeline_row(&database.writing(), id, 1)?;
        let Base {
            checkpoint,
            named,
            folded,
            steady,
            cut,
            unusable,
        } = base;
        let counted = Folded {
            steady,
            ..checkpoint.place()
        };
        let at = folded.unwrap_or_default();
        let state = State {
            ledger: Ledger::restore(checkpoint.counters),
            control: checkpoint.control,
            at,
            saved: at,
            counted,
            tail: checkpoint.tail,
            named,
            rowed: at.end.number,
            cut,
            timeline: FoldedTimeline { segment: 0, row },
            unusable,
            ..State::default()
        };
        Ok(Self {
            journal,
            database,
            clock,
            state: Mutex::new(state),
            begun: Mutex::default(),
            progress: Arc::default(),
            maintenance: Arc::default(),
        })
    }

    /// What backup, retention, verification and key rotation hold.
    pub(crate) fn maintenance(&self) -> &Arc<Mutex<()>> {
        &self.maintenance
    }

    /// How far the records are, for those who follow.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Folds everything there is; returns how many entries that were.
    pub(crate) fn fold(&self) -> Result<u64, StoreError> {
        let mut state = lock(&self.state);
        self.fold_locked(&mut state)
    }

    /// Counts everything there is, whether there are rows of it or not: a start
    /// waits for the counts and not for rows. Returns how many entries were added.
    pub(crate) fn count(&self) -> Result<u64, StoreError> {
        self.count_locked(&mut lock(&self.state))
    }

    /// The counters as of the journal's end.
    pub(crate) fn ledger(&self) -> Result<Ledger, StoreError> {
        let begun = lock(&self.begun).take();
        if let Some((_, ledger)) = begun.filter(|(end, _)| *end == self.journal.end().number) {
            return Ok(ledger);
        }
        let mut state = lock(&self.state);
        self.count_locked(&mut state)?;
        Ok(state.ledger.clone())
    }

    /// Has the counters at hand for whoever asks first, before rows are made.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        self.count_locked(&mut state)?;
        let begun = (state.counted.end.number, state.ledger.clone());
        *lock(&self.begun) = Some(begun);
        Ok(())
    }

    /// How far the rows are.
    pub(crate) fn position(&self) -> End {
        lock(&self.state).at.end
    }

    /// What the control plane has to be, as of the journal's end.
    pub(crate) fn expected<R>(
        &self,
        read: impl FnOnce(&mut Expected) -> R,
    ) -> Result<R, StoreError> {
        let mut state = lock(&self.state);
        self.count_locked(&mut state)?;
        Ok(read(&mut state.control))
    }

    /// Believes the control plane as it stands, where the journal says nothing.
    pub(crate) fn believe(&self, control: Expected) {
        lock(&self.state).control = control;
    }

    /// Writes a checkpoint and names it in the journal; `pruned` is the last
    /// entry that retention is about to remove. Returns the entry's number.
    ///
    /// First the file, then the entry; then older files may go. Whoever stops
    /// in between leaves a file that nothing names.
    pub(crate) fn checkpoint(&self, pruned: Option<(u64, &Mac)>) -> Result<u64, StoreError> {
        let directory = self.journal.directory();
        let (checkpoint, since) = {
            let mut state = lock(&self.state);
            self.fold_locked(&mut state)?;
            let checkpoint = Checkpoint {
                up_to: state.counted.end.number,
                mac: Hex(state.counted.end.mac),
                segment: state.counted.end.segment,
                offset: state.counted.end.offset,
                steady: state.counted.steady,
                counters: state.ledger.snapshot(),
                control: state.control.clone(),
                tail: state.tail,
            };
            (checkpoint, state.since)
        };
        let (named, size) = checkpoint.write(directory).map_err(StoreError::read)?;
        let written = self
            .journal
            .append_checkpoint(self.clock.now(), &named, pruned)?;
        self.journal.sync()?;
        let mut state = lock(&self.state);
        // What came meanwhile is in none yet.
        state.since = state.since.saturating_sub(since);
        state.size = size;
        let before = state.named.replace(named.file.clone());
        drop(state);
        checkpoint::forget_others(directory, &named.file, before.as_deref())
            .map_err(StoreError::read)?;
        Ok(written.number)
    }

    /// Writes a checkpoint when so much came after the last one that starting
    /// would take a while; rarely, where one is large.
    fn checkpoint_if_due(&self) -> Result<(), StoreError> {
        let size = lock(&self.state).size;
        self.checkpoint_after(DUE.max(4 * size))
    }

    /// Writes a checkpoint at the end, unless the next start has read what came
    /// after the last one before it has looked for a newer one.
    pub(crate) fn checkpoint_at_the_end(&self) -> Result<(), StoreError> {
        self.count()?;
        self.checkpoint_after(WORTH)
    }

    /// Writes a checkpoint when so many bytes came after the last one.
    fn checkpoint_after(&self, bytes: u64) -> Result<(), StoreError> {
        let is_due = lock(&self.state).since >= bytes;
        // Somebody may be copying, or looking for, the files beside the journal.
        match self.maintenance.try_lock() {
            Ok(_alone) if is_due => self.checkpoint(None).map(drop),
            _ => Ok(()),
        }
    }

    /// Makes sure that the disk keeps what is folded; `reason` is the number
    /// of the entry it is done for.
    pub(crate) fn keep(&self, reason: u64) -> Result<(), StoreError> {
        let mut connection = self.database.writing();
        let transaction = begin(&mut connection, Commit::Durable)?;
        // SQLite syncs nothing for a commit that changes nothing.
        set_meta(&transaction, "kept", &reason.to_string())?;
        transaction.commit()?;
        Ok(())
    }

    fn count_locked(&self, state: &mut State) -> Result<u64, StoreError> {
        let mut entries = 0;
        let end = self.journal.end();
        let directory = self.journal.directory();
        while let Some(chunk) =
            read::chunk(directory, &state.counted.end, &end).map_err(StoreError::read)?
        {
            let before = state.counted.end.number;
            for line in chunk.lines() {
                if !state.unusable.has(chunk.segment, line.offset) {
                    batch::read(&line, state);
                }
            }
            entries += state.counted.end.number - before;
            state.since += chunk.bytes.len() as u64;
            (state.counted.end.segment, state.counted.end.offset) = chunk.end();
        }
        Ok(entries)
    }

    fn fold_locked(&self, state: &mut State) -> Result<u64, StoreError> {
        if state.counted.end.number < state.saved.end.number {
            self.count_locked(state)?;
        }
        // Goes back to what was saved, if something was not.
        state.at = state.saved;
        let mut entries = 0;
        // What comes meanwhile is for the next time: a query must not run
        // after those who append.
        let end = self.journal.end();
        loop {
            let chunk = read::chunk(self.journal.directory(), &state.at.end, &end)
                .map_err(StoreError::read)?;
            let Some(chunk) = chunk else {
                return Ok(entries);
            };
            entries += self.fold_chunk(state, &chunk)?;
        }
    }

    fn fold_chunk(&self, state: &mut State, chunk: &read::Chunk) -> Result<u64, StoreError> {
        let mut batch = batch::Batch::for_bytes(chunk.bytes.len());
        let counted = state.counted.end.number;
        for line in chunk.lines() {
            if !state.unusable.has(chunk.segment, line.offset) {
                batch.add(&line, state);
            }
        }
        (state.at.end.segment, state.at.end.offset) = chunk.end();
        if state.counted.end.number > counted {
            state.since += chunk.bytes.len() as u64;
            state.counted.end = state.at.end;
        }
        if state.at.end.number > state.rowed {
            let mut connection = self.database.writing();
            let transaction = begin(&mut connection, Commit::Repeatable)?;
            let timeline = self.timeline(state.timeline, chunk.segment, &transaction)?;
            batch.save(&transaction, timeline.row)?;
            save_position(&transaction, &state.at)?;
            transaction.commit()?;
            // Not before: its row may be new, and goes when this is rolled back.
            state.timeline = timeline;
            state.rowed = state.at.end.number;
            self.progress.reach(state.rowed);
        }
        state.saved = state.at;
        Ok(batch.entries())
    }

    /// The timeline that a segment belongs to; `before` is that of what came
    /// before it.
    fn timeline(
        &self,
        before: FoldedTimeline,
        segment: u32,
        transaction: &Transaction<'_>,
    ) -> Result<FoldedTimeline, StoreError> {
        if before.segment == segment {
            return Ok(before);
        }
        let header = first_entry(self.journal.directory(), segment).map_err(StoreError::read)?;
        let row = match header {
            Some((
                Header {
                    node: Some(node),
                    epoch,
                    ..
                },
                _,
            )) => timeline_row(transaction, &node, epoch)?,
            // Of a segment whose header is damaged, or which was written before
            // headers said it, it is known from what came before.
            Some((Header { node: None, .. }, _)) | None => before.row,
        };
        Ok(FoldedTimeline { segment, row })
    }

    /// Forgets counters in which nothing counts any more.
    fn expire(&self) {
        lock(&self.state).ledger.expire(self.clock.now());
    }
}

/// The row of a timeline; made when it is new.
fn timeline_row(connection: &Connection, node: &str, epoch: u32) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO timelines (node, epoch) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        (node, epoch),
    )?;
    connection.query_row(
        "SELECT id FROM timelines WHERE node = ?1 AND epoch = ?2",
        (node, epoch),
        |row| row.get(0),
    )
}

/// What counted as format 1 had it: in the database, as of what was folded, or
/// in the entry of a checkpoint, if retention took what came after that.
pub(crate) fn counters_of_format_1(
    connection: &Connection,
    entry: Option<&[u8]>,
) -> Result<Checkpoint, StoreError> {
    let odd = |error| StoreError::Unexpected(format!("a counter: {error}"));
    let at = position_in(connection, "counters_at")?.unwrap_or_default();
    // Of a checkpoint that was taken over, entries are counted before they
    // are folded.
    let counted = meta(connection, "counted")?.and_then(|text| text.parse().ok());
    let inline = entry.and_then(|entry| serde_json::from_slice::<InlineCheckpoint>(entry).ok());
    if let Some(inline) = inline.filter(|it| it.pruned.number > at.end.number) {
        tracing::warn!(
            "the database is older than the entries that retention removed; counters are taken from the journal's checkpoint"
        );
        return Ok(Checkpoint {
            up_to: inline.folded,
            counters: inline.counters,
            ..Checkpoint::default()
        });
    }
    let mut statement = connection.prepare("SELECT state FROM counters")?;
    let texts = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut counters = Vec::new();
    for text in texts {
        counters.push(serde_json::from_str(&text?).map_err(odd)?);
    }
    Ok(Checkpoint {
        up_to: at.end.number.max(counted.unwrap_or(0)),
        mac: Hex(at.end.mac),
        segment: at.end.segment,
        offset: at.end.offset,
        steady: at.steady,
        counters,
        control: Expected::default(),
        tail: None,
    })
}

/// Forgets all rows, and how far they went: they are made again.
pub(crate) fn forget_rows(database: &Database) -> Result<(), StoreError> {
    let mut connection = database.writing();
    let transaction = begin(&mut connection, Commit::Durable)?;
    for table in ["records", "acts", "folded"] {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    transaction.commit()?;
    Ok(())
}

/// How far the journal is folded, if it ever was.
pub(crate) fn position(connection: &Connection) -> rusqlite::Result<Option<Folded>> {
    position_in(connection, "folded")
}

fn position_in(connection: &Connection, table: &str) -> rusqlite::Result<Option<Folded>> {
    connection
        .query_row(
            &format!("SELECT segment, offset, number, mac, steady FROM {table}"),
            [],
            |row| {
                let end = End {
                    segment: row.get(0)?,
                    offset: uint(row.get(1)?),
                    number: uint(row.get(2)?),
                    mac: row.get(3)?,
                };
                Ok(Folded {
                    end,
                    steady: uint(row.get(4)?),
                })
            },
        )
        .optional()
}

fn save_position(transaction: &Transaction<'_>, at: &Folded) -> rusqlite::Result<()> {
    let Folded { end, steady } = at;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO folded (one, segment, offset, number, mac, steady)
             VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            end.segment,
            int(end.offset),
            int(end.number),
            end.mac,
            int(*steady),
        ))?;
    Ok(())
}

// === impl FoldThread ===

impl FoldThread {
    /// `later` says that rows have to be made good first.
    pub(crate) fn start(folder: Arc<Folder>, later: bool) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name("journal-fold".to_owned());
        let thread = thread.spawn(move || {
            if later {
                folder.make_good_quietly();
            }
            while folder.journal.wait_for_fold() {
                folder.expire();
                if let Err(error) = folder.fold().and_then(|_| folder.checkpoint_if_due()) {
                    // Nothing is lost: the journal has it, and the next round tries again.
                    tracing::error!(error = %error, "new entries of the journal could not be copied into the database");
                }
            }
        })?;
        Ok(Self(Some(thread)))
    }

    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.0.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests;
