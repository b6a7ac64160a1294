//! Folding: from the journal into tables, and into the counters' snapshot.
//!
//! One transaction for a batch: records, counters and the position together.
//! If the process dies in between, the same entries are folded again.

mod batch;
mod read;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use provost_policy::ledger::{CounterState, Ledger};
use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::StoreError;
use crate::clock::Clock;
use crate::database::{Commit, Database, begin, int, meta, set_meta, uint};
use crate::guard::lock;
use crate::journal::{Checkpoint, End, Header, Journal, QuickReader, first_entry};

/// How long entries may gather before they are folded.
const GATHER: Duration = Duration::from_secs(2);

/// Folds. Shared by the thread that does it from time to time and by
/// queries, which want it done now.
#[derive(Debug)]
pub(crate) struct Folder {
    journal: Journal,
    database: Arc<Database>,
    clock: Clock,
    state: Mutex<State>,
}

/// How far it is, and the counters as of there.
#[derive(Debug)]
pub(crate) struct State {
    ledger: Ledger,
    at: Folded,
    /// Entries up to this one are counted, although they may not be folded:
    /// the counters were taken from a checkpoint.
    counted: u64,
    reader: QuickReader,
    timeline: FoldedTimeline,
    /// It counted what was not saved: it has to be loaded again.
    stale: bool,
    /// Damaged lines that were found when the journal was opened.
    unusable: HashSet<(u32, u64)>,
}

/// Whose entries the rows of a segment are.
#[derive(Debug, Clone, Copy)]
struct FoldedTimeline {
    segment: u32,
    row: i64,
}

/// How far the journal is folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) end: End,
    /// The latest moment of a folded entry.
    pub(crate) steady: u64,
}

/// The thread. It ends when the journal is closed.
#[derive(Debug)]
pub(crate) struct FoldThread(Option<JoinHandle<()>>);

// === impl Folder ===

impl Folder {
    pub(crate) fn new(
        journal: Journal,
        database: Arc<Database>,
        clock: Clock,
        id: &str,
        unusable: HashSet<(u32, u64)>,
    ) -> Result<Self, StoreError> {
        let row = timeline_row(&database.writing(), id, 1)?;
        let (ledger, at, counted) = load(&database.reading())?;
        Ok(Self {
            journal,
            database,
            clock,
            state: Mutex::new(State {
                ledger,
                at,
                counted,
                reader: QuickReader::default(),
                timeline: FoldedTimeline { segment: 0, row },
                stale: false,
                unusable,
            }),
        })
    }

    /// Folds everything there is; returns how many entries that were.
    pub(crate) fn fold(&self) -> Result<u64, StoreError> {
        let mut state = lock(&self.state);
        self.fold_locked(&mut state)
    }

    /// The counters as of the journal's end, and where that is.
    pub(crate) fn counters(&self) -> Result<(Vec<CounterState>, End), StoreError> {
        let mut state = lock(&self.state);
        self.fold_locked(&mut state)?;
        Ok((state.ledger.snapshot(), state.at.end))
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

    fn fold_locked(&self, state: &mut State) -> Result<u64, StoreError> {
        self.reload(state)?;
        let mut entries = 0;
        // What comes meanwhile is for the next time: a query must not run
        // after those who append.
        let end = self.journal.end();
        loop {
            let chunk = read::chunk(self.journal.directory(), &state.at.end, &end)
                .map_err(|error| StoreError::Read(Arc::new(error)))?;
            let Some(chunk) = chunk else {
                return Ok(entries);
            };
            // Until it is saved; whatever fails, nothing may go on from here.
            state.stale = true;
            entries += self.fold_chunk(state, &chunk)?;
            state.stale = false;
        }
    }

    /// Goes back to what was saved, if something was not.
    fn reload(&self, state: &mut State) -> Result<(), StoreError> {
        if state.stale {
            (state.ledger, state.at, state.counted) = load(&self.database.reading())?;
            state.stale = false;
        }
        Ok(())
    }

    fn fold_chunk(&self, state: &mut State, chunk: &read::Chunk) -> Result<u64, StoreError> {
        let mut batch = batch::Batch::for_bytes(chunk.bytes.len());
        for line in chunk.lines() {
            if !state.unusable.contains(&(chunk.segment, line.offset)) {
                batch.add(&line, state);
            }
        }
        state.at.end.segment = chunk.segment;
        state.at.end.offset = chunk.offset + chunk.bytes.len() as u64;
        let mut connection = self.database.writing();
        let transaction = begin(&mut connection, Commit::Repeatable)?;
        let row = self.timeline(state, chunk.segment, &transaction)?;
        batch.save(&transaction, row)?;
        for counter in state.ledger.take_dirty() {
            save_counter(&transaction, &counter)?;
        }
        save_position(&transaction, &state.at)?;
        transaction.commit()?;
        Ok(batch.entries())
    }

    /// The row of the timeline that a segment belongs to.
    fn timeline(
        &self,
        state: &mut State,
        segment: u32,
        transaction: &Transaction<'_>,
    ) -> Result<i64, StoreError> {
        if state.timeline.segment != segment {
            let header = first_entry(self.journal.directory(), segment)
                .map_err(|error| StoreError::Read(Arc::new(error)))?;
            // Of a segment whose header is damaged, or which was written before
            // headers said it, it is known from what came before.
            if let Some((
                Header {
                    node: Some(node),
                    epoch,
                    ..
                },
                _,
            )) = header
            {
                state.timeline.row = timeline_row(transaction, &node, epoch)?;
            }
            state.timeline.segment = segment;
        }
        Ok(state.timeline.row)
    }

    /// Forgets counters in which nothing counts any more.
    fn expire(&self) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        self.reload(&mut state)?;
        let dropped = state.ledger.expire(self.clock.now());
        if dropped.is_empty() {
            return Ok(());
        }
        let mut connection = self.database.writing();
        let transaction = begin(&mut connection, Commit::Repeatable)?;
        for id in dropped {
            let id = to_json(&id)?;
            transaction
                .prepare_cached("DELETE FROM counters WHERE id = ?1")?
                .execute([id])?;
        }
        transaction.commit()?;
        Ok(())
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

/// Reads the counters' snapshot, the position it belongs to (the beginning if
/// nothing was folded yet), and up to which entry all is counted anyway.
pub(crate) fn load(connection: &Connection) -> Result<(Ledger, Folded, u64), StoreError> {
    let mut counters = Vec::new();
    let mut statement = connection.prepare("SELECT state FROM counters")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text: String = row.get(0)?;
        let state = serde_json::from_str(&text)
            .map_err(|error| StoreError::Unexpected(format!("a counter: {error}")))?;
        counters.push(state);
    }
    let at = position(connection)?.unwrap_or(Folded {
        end: End {
            segment: 0,
            offset: 0,
            number: 0,
            mac: [0; 32],
        },
        steady: 0,
    });
    let counted = meta(connection, "counted")?.and_then(|text| text.parse().ok());
    Ok((Ledger::restore(counters), at, counted.unwrap_or(0)))
}

/// Takes the counters of a checkpoint: the database does not know what came
/// before it, and the journal has it no more. Until entries after it are
/// folded, the next start does the same again.
pub(crate) fn take_over(database: &Database, from: &Checkpoint) -> Result<(), StoreError> {
    let mut connection = database.writing();
    let transaction = begin(&mut connection, Commit::Durable)?;
    transaction.execute("DELETE FROM counters", [])?;
    for counter in &from.counters {
        save_counter(&transaction, counter)?;
    }
    set_meta(&transaction, "counted", &from.folded.to_string())?;
    transaction.commit()?;
    Ok(())
}

/// How far the journal is folded, if it ever was.
pub(crate) fn position(connection: &Connection) -> rusqlite::Result<Option<Folded>> {
    connection
        .query_row(
            "SELECT segment, offset, number, mac, steady FROM folded",
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

fn save_counter(transaction: &Transaction<'_>, counter: &CounterState) -> Result<(), StoreError> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO counters (id, state) VALUES (?1, ?2)")?
        .execute([to_json(&counter.id)?, to_json(counter)?])?;
    Ok(())
}

pub(crate) fn to_json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Unexpected(error.to_string()))
}

// === impl FoldThread ===

impl FoldThread {
    pub(crate) fn start(folder: &Arc<Folder>) -> std::io::Result<Self> {
        let folder = Arc::clone(folder);
        let thread = std::thread::Builder::new().name("journal-fold".to_owned()).spawn(move || {
            while folder.journal.wait_for_fold(GATHER) {
                if let Err(error) = folder.fold().and_then(|_| folder.expire()) {
                    // Nothing is lost: the journal has it, and the next round tries again.
                    tracing::error!(error = %error, "the journal could not be folded into the database");
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
