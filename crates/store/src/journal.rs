//! The journal: an append-only, chained record of what was decided and done.
//!
//! Appending is on the path of every call, twice. Whoever finds nobody
//! writing leads: it writes what is queued, its own entry and those that came
//! meanwhile, in one `write(2)`; the others wait for it. The lock guards the
//! queue only and is never held across a write.

mod chain;
mod decode;
mod disk;
mod encode;
mod entry;
mod error;
mod kind;
mod own;
mod quick;
mod recover;
mod segment;
mod sync;
mod unusable;
mod walk;
mod writer;

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

pub(crate) use chain::{ChainKey, Hex, Mac, hex, parse_mac};
pub(crate) use decode::{
    Charged, CheckpointLine, Header, InlineCheckpoint, Line, Link, Named, ShadowLine, Str,
    is_checkpoint, moment as payload_moment,
};
use disk::Disk;
pub use entry::{AdminAct, Decision, Entry, Intent, Outcome, Refund, Refused, Shadow, Status};
pub(crate) use entry::{RowKey, Rows};
pub use error::JournalError;
pub(crate) use kind::{FORMAT, Kind, RowOf};
pub(crate) use quick::QuickReader;
pub(crate) use recover::{Recovered, recover};
pub(crate) use segment::{
    blocks_from_the_end, first_entry, list as segments, part, path as segment_path,
};
pub(crate) use sync::Syncer;
pub(crate) use unusable::Unusable;
pub(crate) use walk::{Seen, Walk, split as split_line};
pub(crate) use writer::End;
use writer::{Queue, Writer};

use crate::clock::Clock;
use crate::guard::lock;
use crate::timeline::Timeline;

/// A segment is full at this size; the next entry begins another.
pub(crate) const SEGMENT_BYTES: u64 = 64 << 20;

/// How often the leader writes for others before somebody else leads.
const ROUNDS: u32 = 8;

/// How long a follower looks before it gives way: about one write.
const SPINS: u32 = 300;

/// How often a follower gives way before it sleeps: a leader that does not
/// finish has most likely lost its core, perhaps to this very thread. Measured:
/// without, two threads sleep and wake each other for most entries.
const YIELDS: u32 = 32;

/// The writing end of the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Shared>);

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The entry's number; the first is 1, and there are no gaps.
    pub number: u64,
}

#[derive(Debug)]
struct Shared {
    directory: PathBuf,
    state: Mutex<State>,
    disk: Disk,
    /// Held over the whole of a sync; taken before `state`.
    syncing: Mutex<()>,
    /// The body of an entry that has to be written before another change is
    /// made: the one before was not made, and that could not be said. Held until
    /// it is written, so that no change comes before it; taken before `state`.
    owed: Mutex<Option<Vec<u8>>>,
    /// A batch is done, or the writer is free.
    done: Condvar,
    /// There is something to sync.
    to_sync: Condvar,
    /// There is something to fold.
    to_fold: Condvar,
}

#[derive(Debug)]
struct State {
    pending: Queue,
    spare: Queue,
    /// Made by the first follower of the pending queue.
    batch: Option<Arc<Batch>>,
    /// `None` while somebody writes.
    writer: Option<Box<Writer>>,
    /// Who sleeps until `done`.
    waiting: u32,
    end: End,
    /// The file that `end` is in.
    file: Arc<File>,
    rolled: Vec<Arc<File>>,
    unsynced: bool,
    /// The first segment that may not be on the disk as it is.
    unsynced_from: u32,
    unfolded: bool,
    /// How many wait for what is folded.
    followers: u32,
    /// The disk refused to keep what the kernel took.
    sync_failed: Option<Arc<io::Error>>,
    /// Why the last batch was not written.
    write_failed: Option<Arc<io::Error>>,
    closed: bool,
}

/// What became of the entries queued behind a leader.
#[derive(Debug, Default)]
struct Batch {
    first: OnceLock<Result<u64, Arc<io::Error>>>,
}

thread_local! {
    /// Bodies are put together outside the lock, in memory that stays.
    static BODY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

// === impl Journal ===

impl Journal {
    /// Numbers, chains and writes one entry.
    ///
    /// When this returns, the entry is in the kernel: it outlives the
    /// process. Blocks for one `write(2)`.
    pub fn append(&self, entry: &Entry<'_>) -> Result<Position, JournalError> {
        self.append_with(|out| encode::body(out, entry))
    }

    /// Takes over a recovered journal; a segment is full at `limit` bytes.
    pub(crate) fn start(
        directory: &Path,
        clock: &Clock,
        found: &Recovered,
        timeline: &Timeline,
        key: ChainKey,
        limit: u64,
    ) -> io::Result<Self> {
        let (place, own) = (directory.to_owned(), timeline.clone());
        let writer = if found.goes_on(&key, timeline) {
            Writer::go_on(place, clock.clone(), own, key, found.end, limit)?
        } else {
            Writer::begin(place, clock.clone(), own, key, found.end, limit)?
        };
        let state = State {
            pending: Queue::default(),
            spare: Queue::default(),
            batch: None,
            waiting: 0,
            end: writer.end(),
            file: writer.file(),
            rolled: vec![Arc::new(File::open(directory)?)],
            unsynced: true,
            unfolded: false,
            followers: 0,
            unsynced_from: found.end.segment,
            sync_failed: None,
            write_failed: None,
            closed: false,
            writer: Some(Box::new(writer)),
        };
        Ok(Self(Arc::new(Shared {
            directory: directory.to_owned(),
            disk: Disk::default(),
            state: Mutex::new(state),
            syncing: Mutex::new(()),
            owed: Mutex::new(None),
            done: Condvar::new(),
            to_sync: Condvar::new(),
            to_fold: Condvar::new(),
        })))
    }

    /// Where the journal ends now.
    pub(crate) fn end(&self) -> End {
        lock(&self.0.state).end
    }

    /// Where the segments are.
    pub(crate) fn directory(&self) -> &Path {
        &self.0.directory
    }

    /// Begins a new segment with another key.
    pub(crate) fn roll_to(&self, key: ChainKey) -> Result<(), JournalError> {
        self.roll(Some(key))
    }

    /// Begins a new segment, so that retention may take the old one.
    pub(crate) fn roll(&self, key: Option<ChainKey>) -> Result<(), JournalError> {
        if lock(&self.0.state).closed {
            return Err(JournalError::Closed);
        }
        let mut writer = self.take_writer();
        let rolled = writer.roll(key);
        self.give_back(writer);
        rolled.map_err(|error| JournalError::Unavailable(Arc::new(error)))
    }

    /// Refuses everything from here on.
    pub(crate) fn close(&self) {
        lock(&self.0.state).closed = true;
        self.0.to_sync.notify_all();
        self.0.to_fold.notify_all();
    }

    /// Whether nothing is accepted any more.
    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.0.state).closed
    }

    /// Waits until nobody writes, and takes the writer.
    fn take_writer(&self) -> Box<Writer> {
        let mut state = lock(&self.0.state);
        loop {
            if let Some(writer) = state.writer.take() {
                return writer;
            }
            state = self.wait(state);
        }
    }

    fn give_back(&self, mut writer: Box<Writer>) {
        let mut state = lock(&self.0.state);
        self.advance(&mut state, &mut writer);
        state.writer = Some(writer);
        self.tell(&state);
    }

    fn append_with(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<Position, JournalError> {
        BODY.with_borrow_mut(|body| {
            body.clear();
            write(body);
            let position = self.append_body(body);
            body.shrink_to(1 << 16);
            position
        })
    }

    fn append_body(&self, body: &[u8]) -> Result<Position, JournalError> {
        let mut state = lock(&self.0.state);
        if state.closed {
            return Err(JournalError::Closed);
        }
        if let Some(error) = &state.sync_failed {
            return Err(JournalError::Unavailable(Arc::clone(error)));
        }
        let place = state.pending.push(body);
        let first = match state.writer.take() {
            Some(writer) => self.lead(state, writer),
            None => self.follow(state),
        };
        match first {
            Ok(first) => Ok(Position {
                number: first + place,
            }),
            Err(error) => Err(JournalError::Unavailable(error)),
        }
    }

    /// Writes what is pending; returns the first number of the first batch,
    /// which is the caller's.
    fn lead<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        mut writer: Box<Writer>,
    ) -> Result<u64, Arc<io::Error>> {
        let mut own = None;
        for _ in 0..ROUNDS {
            if state.pending.is_empty() {
                break;
            }
            let spare = std::mem::take(&mut state.spare);
            let mut queue = std::mem::replace(&mut state.pending, spare);
            let batch = state.batch.take();
            drop(state);

            let first = writer.commit(&queue).map_err(Arc::new);
            if let Some(batch) = batch {
                // Set once: only the leader that took the batch does it.
                let _ = batch.first.set(first.clone());
            }
            let failed = first.as_ref().err().map(Arc::clone);
            own.get_or_insert(first);
            queue.clear();

            state = lock(&self.0.state);
            state.write_failed = failed;
            state.spare = queue;
            self.advance(&mut state, &mut writer);
            self.tell(&state);
        }
        state.writer = Some(writer);
        // Those that queued behind the last round need a leader.
        self.tell(&state);
        drop(state);
        own.unwrap_or_else(|| Err(Arc::new(io::Error::other("there was nothing to write"))))
    }

    /// Waits until a leader has written the batch, or leads it.
    fn follow<'s>(&'s self, mut state: MutexGuard<'s, State>) -> Result<u64, Arc<io::Error>> {
        let batch = Arc::clone(state.batch.get_or_insert_default());
        drop(state);
        // A write takes about as long as going to sleep and being woken.
        for _ in 0..SPINS {
            if batch.first.get().is_some() {
                break;
            }
            std::hint::spin_loop();
        }
        for _ in 0..YIELDS {
            if batch.first.get().is_some() {
                break;
            }
            std::thread::yield_now();
        }
        let mut state = lock(&self.0.state);
        loop {
            if let Some(first) = batch.first.get() {
                return first.clone();
            }
            // INVARIANT: the writer is free and the batch not done, so the
            // batch is still pending.
            if let Some(writer) = state.writer.take() {
                return self.lead(state, writer);
            }
            state = self.wait(state);
        }
    }

    fn wait<'s>(&'s self, mut state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        // Only those who sleep are counted: waking costs a system call.
        state.waiting += 1;
        let mut state = self
            .0
            .done
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting -= 1;
        state
    }

    fn tell(&self, state: &State) {
        if state.waiting > 0 {
            self.0.done.notify_all();
        }
    }

    /// Publishes what the writer has written.
    fn advance(&self, state: &mut State, writer: &mut Writer) {
        let end = writer.end();
        if end == state.end {
            return;
        }
        if !writer.rolled.is_empty() {
            state.rolled.append(&mut writer.rolled);
            state.file = writer.file();
        }
        state.end = end;
        // Waking costs a system call; one for each sync and fold is enough.
        if !std::mem::replace(&mut state.unsynced, true) {
            self.0.to_sync.notify_one();
        }
        if !std::mem::replace(&mut state.unfolded, true) {
            self.0.to_fold.notify_one();
        }
    }
}
