//! Opening a data directory: lock, key, schema, replay.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use provost_policy::Moment;

use crate::backup::remove_copy;
use crate::change::read_revision;
use crate::checkpoint::{self, Begin, Checkpoint, Tail};
use crate::clock::{Boot, Clock, KeptLine, wall};
use crate::control::{self, Expected, Found};
use crate::database::{Database, SCHEMA, meta, set_meta};
use crate::fleet::FleetDatabase;
use crate::fold::{self, Base, FoldThread, Folder};
use crate::guard::lock;
use crate::ids::random_name;
use crate::journal::{FORMAT, Journal, SEGMENT_BYTES, Syncer, first_entry, recover, segments};
use crate::keys::Keyring;
use crate::locations::{database_path, id_path, journal_directory, key_path};
use crate::lock::lock_directory;
use crate::private::{create_private_dir, write_private};
use crate::store::{Inner, Running};
use crate::timeline::{Restored, Timeline};
use crate::{Act, Actor, Locations, OpenError, OpenReport, Store, StoreError};

/// Rows of so much journal are made, and compared, in no time.
const QUICK: u64 = 1 << 20;

/// What somebody opens a store for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Change,
    Look,
}

/// Reads the rows of the control plane while the journal is read.
struct ReadingRows(Option<JoinHandle<Result<Found, StoreError>>>);

// === impl ReadingRows ===

impl ReadingRows {
    fn start(database: &Database) -> Result<Self, OpenError> {
        let connection = database.reading_alone()?;
        let thread = std::thread::Builder::new().name("control-rows".to_owned());
        let started = thread.spawn(move || control::all_rows(&connection));
        let started = started.map_err(StoreError::read)?;
        Ok(Self(Some(started)))
    }

    fn join(mut self) -> Result<Found, StoreError> {
        let read = self.0.take().and_then(|thread| thread.join().ok());
        read.unwrap_or_else(|| Err(StoreError::Unexpected("its rows cannot be read".to_owned())))
    }
}

impl Drop for ReadingRows {
    fn drop(&mut self) {
        // Who could not open the directory leaves nothing of it open.
        if let Some(thread) = self.0.take() {
            thread.join().ok();
        }
    }
}

// === impl Store ===

impl Store {
    /// Opens the store of a data directory for this process alone.
    ///
    /// Creates what does not exist, brings the schema up to date, checks the
    /// end of the journal and replays what was not yet folded.
    pub fn open(locations: &Locations) -> Result<Store, OpenError> {
        Self::open_for(locations, SEGMENT_BYTES, Purpose::Change)
    }

    /// [`Store::open`] for somebody who only looks: where opening finds nothing to
    /// record, the journal stays as it is.
    pub fn open_to_look(locations: &Locations) -> Result<Store, OpenError> {
        Self::open_for(locations, SEGMENT_BYTES, Purpose::Look)
    }

    /// [`Store::open`] with another size of segments, for tests.
    #[doc(hidden)]
    pub fn open_with(locations: &Locations, segment_bytes: u64) -> Result<Store, OpenError> {
        Self::open_for(locations, segment_bytes, Purpose::Change)
    }

    fn open_for(
        locations: &Locations,
        segment_bytes: u64,
        purpose: Purpose,
    ) -> Result<Store, OpenError> {
        let data = &locations.data;
        create_private_dir(data)?;
        let locked = lock_directory(data)?;
        remove_copy(data);
        let (id, keys) = open_keys(locations)?;
        let database = Arc::new(Database::open(data)?);
        let rows = ReadingRows::start(&database)?;
        let directory = journal_directory(data);
        create_private_dir(&directory)?;

        let in_database = |source| OpenError::database(data, source);
        let in_journal = |source| OpenError::io(&directory, "used")(source);
        let folded = fold::position(&database.reading()).map_err(in_database)?;
        let begin = checkpoint::find(&directory, &keys.chain()).map_err(in_journal)?;
        let kind = begin.kind();
        let pruned = begin.pruned();
        let base = match begin.checkpoint {
            Some(checkpoint) => checkpoint,
            None if kind == Begin::OfFormat1 => {
                fold::counters_of_format_1(&database.reading(), begin.of_format_1.as_deref())?
            }
            None if begin.reaches(0) => Checkpoint {
                tail: Some(Tail::after(0)),
                ..Checkpoint::default()
            },
            None => {
                return Err(OpenError::HistoryMissing {
                    path: data.clone(),
                    what: begin.missing(),
                });
            }
        };
        let known = base.place().end;
        let found = recover(&directory, &keys.chain(), known, folded.map(|at| at.end))
            .map_err(in_journal)?;
        if let Some(place) = found.unknown() {
            return Err(OpenError::UnknownEntry {
                path: data.clone(),
                place: place.clone(),
            });
        }
        let restored = Restored::find(data)?;
        let timeline = found.timeline(&id, restored.as_ref());
        if found.is_other_history {
            tracing::error!(
                "the database belongs to another journal; its records are made again from this one"
            );
            fold::forget_rows(&database)?;
        }
        let folded = folded.filter(|_| !found.is_other_history);
        // What the database says of time is not believed: see `clock`.
        let steady = match kind {
            Begin::Known => base.steady,
            Begin::OfFormat1 => 0,
        };
        let steady = found.last.map_or(0, |last| last.steady).max(steady);
        let clock = resume_clock(&database, found.last, steady).map_err(in_database)?;
        let key = keys.newest_chain().ok_or_else(|| no_key(locations, &id))?;
        let journal = Journal::start(&directory, &clock, &found, &timeline, key, segment_bytes)
            .map_err(in_journal)?;

        let folder = Folder::new(
            journal.clone(),
            Arc::clone(&database),
            clock.clone(),
            &id,
            Base {
                checkpoint: base,
                named: begin.newest,
                folded,
                steady,
                cut: found.cut,
                unusable: found.unusable,
            },
        )?;
        let folder = Arc::new(folder);
        let maintenance = Arc::clone(folder.maintenance());
        let replayed = folder.count()?;
        let revision = read_revision(&database.reading()).map_err(in_database)?;
        let running = Running {
            syncer: Syncer::start(&journal).map_err(in_journal)?,
            fold_thread: FoldThread::default(),
            lock: locked,
        };
        let recovered = found.end.number;
        let mut damage = begin.damage;
        damage.extend(found.damage);
        let report = OpenReport {
            torn_bytes: found.torn_bytes,
            damage,
            replayed,
        };
        let store = Store(Arc::new(Inner {
            locations: locations.clone(),
            id,
            keys,
            clock,
            journal,
            database,
            folder,
            fleet: FleetDatabase::new(data),
            report,
            revision: AtomicU64::new(revision),
            generation: AtomicU64::new(0),
            changing: Mutex::new(()),
            maintenance,
            distrust: RwLock::default(),
            expected: Mutex::default(),
            kept: Mutex::default(),
            listeners: RwLock::new(Vec::new()),
            running: Mutex::new(Some(running)),
            looked_at: AtomicU64::new(0),
        }));
        store.settle_last_change(kind)?;
        store.settle_control(kind, rows)?;
        // What retention began, or what an older database brings back.
        if pruned > 0 {
            store.forget_rows(pruned)?;
        }
        // Calls need no rows, so they do not wait for many of them. A journal that
        // is damaged itself is no measure of its records.
        let is_measure = store.report().damage.is_empty();
        let later = is_measure && store.journal_bytes()? > QUICK;
        if is_measure && !later {
            store.0.folder.make_good()?;
        }
        let is_news = store.0.database.was().is_some() || restored.is_some();
        let end = store.0.journal.end().number;
        match purpose {
            Purpose::Look if !is_news && end == recovered => {
                store.0.looked_at.store(end, Ordering::Release);
            }
            Purpose::Look | Purpose::Change => {
                let started = store
                    .0
                    .journal
                    .append_start(&store.0.clock, store.revision());
                started.map_err(StoreError::from)?;
            }
        }
        if let Some(was) = store.0.database.was() {
            let detail = format!("from schema {was} to {SCHEMA}");
            store.record_act(
                &Actor::new("provost"),
                Act::DatabaseUpdate,
                "provost.db",
                Some(&detail),
            )?;
            tracing::info!("the database was brought {detail}");
        }
        store.record_restore(restored, &timeline)?;
        store.record_format()?;
        store.reseal_if_needed()?;
        store.log_report();
        if later {
            store.0.folder.begin()?;
        }
        if let Some(running) = lock(&store.0.running).as_mut() {
            let folder = Arc::clone(&store.0.folder);
            running.fold_thread = FoldThread::start(folder, later).map_err(in_journal)?;
        }
        Ok(store)
    }

    /// Brings together what the journal says of the control plane and what the
    /// database holds. Where the journal says nothing yet, the database is
    /// believed as it stands, once.
    fn settle_control(&self, begin: Begin, rows: ReadingRows) -> Result<(), StoreError> {
        let inner = &self.0;
        match begin {
            Begin::OfFormat1 => {
                let found = Expected::as_found(&inner.database.reading(), self.revision())?;
                inner.folder.believe(found);
                inner.folder.checkpoint(None)?;
                inner
                    .database
                    .writing()
                    .execute("DELETE FROM counters", [])?;
            }
            Begin::Known => {
                let (was_in_doubt, open, last) = inner.folder.expected(|expected| {
                    let was_in_doubt = expected.settle_doubt();
                    (was_in_doubt, expected.open_change(), expected.revision)
                })?;
                if was_in_doubt {
                    tracing::error!(
                        "entries of the journal that may have changed grants, servers or policies are missing: \
                         none of these is in force until it is created again; or restore a backup"
                    );
                }
                if let Some(open) = open.filter(|it| *it <= self.revision()) {
                    inner.journal.append_made(inner.clock.now(), open)?;
                }
                // A number is never used for two changes.
                if last > self.revision() {
                    let writing = inner.database.writing();
                    set_meta(&writing, "revision", &last.to_string())?;
                    inner.revision.store(last, Ordering::Release);
                }
            }
        }
        self.hold_rows_against_journal(&rows.join()?).map(drop)
    }

    /// Records that a backup was restored, and that another timeline begins.
    fn record_restore(
        &self,
        restored: Option<Restored>,
        timeline: &Timeline,
    ) -> Result<(), OpenError> {
        let Some(restored) = restored else {
            return Ok(());
        };
        let data = &self.0.locations.data;
        let mut detail = format!("epoch {} begins", timeline.epoch);
        if let Some(more) = &restored.detail {
            detail.push_str("; ");
            detail.push_str(more);
        }
        let who = Actor(restored.who);
        self.record_act(&who, Act::Restore, &restored.archive, Some(&detail))?;
        self.0.journal.sync().map_err(StoreError::from)?;
        Restored::forget(data).map_err(OpenError::io(data, "written"))
    }

    /// Records once that segments of an older format stand before those of
    /// today's.
    fn record_format(&self) -> Result<(), StoreError> {
        let journal = &self.0.journal;
        let Some(first) = segments(journal.directory())
            .map_err(StoreError::read)?
            .first()
            .copied()
        else {
            return Ok(());
        };
        let oldest = first_entry(journal.directory(), first).map_err(StoreError::read)?;
        let Some(older) = oldest
            .map(|(header, _)| header.format)
            .filter(|format| *format < FORMAT)
        else {
            return Ok(());
        };
        self.0.folder.fold()?;
        let is_said: bool = self.0.database.reading().query_row(
            "SELECT EXISTS (SELECT 1 FROM acts WHERE what = ?1)",
            [Act::JournalFormat.name()],
            |row| row.get(0),
        )?;
        if is_said {
            return Ok(());
        }
        let detail = format!("segments of format {older} stay as they are and are read");
        self.record_act(
            &Actor::new("provost"),
            Act::JournalFormat,
            &format!("format {FORMAT}"),
            Some(&detail),
        )
    }

    fn log_report(&self) {
        let report = self.report();
        if report.torn_bytes > 0 {
            tracing::warn!(
                bytes = report.torn_bytes,
                "an unfinished entry at the end of the journal was cut off"
            );
        }
        for refused in self.refused() {
            tracing::error!("{refused} differs from what the journal says; it is not in force");
        }
        for damage in &report.damage {
            tracing::error!(damage = %damage, "the journal is damaged; what is intact is used");
        }
    }
}

/// Reads the id of a data directory.
pub(crate) fn read_id(data: &Path) -> Result<Option<String>, OpenError> {
    let path = id_path(data);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let id = text.trim();
            // It becomes part of a file name.
            let sound =
                !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
            if sound {
                return Ok(Some(id.to_owned()));
            }
            let source = std::io::Error::other("it is not the id of a data directory");
            Err(OpenError::io(&path, "understood")(source))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(OpenError::io(&path, "read")(source)),
    }
}

/// The id and the keys; made when the directory is new.
fn open_keys(locations: &Locations) -> Result<(String, Keyring), OpenError> {
    let Locations { data, config } = locations;
    let holds_data = database_path(data).exists() || journal_directory(data).exists();
    let id = match read_id(data)? {
        Some(id) => id,
        None if holds_data => {
            let source = std::io::ErrorKind::NotFound.into();
            return Err(OpenError::io(&id_path(data), "read")(source));
        }
        None => {
            let id = random_name("")
                .map_err(|error| OpenError::Store(error.into()))?
                .to_string();
            let path = id_path(data);
            write_private(&path, format!("{id}\n").as_bytes())
                .map_err(OpenError::io(&path, "written"))?;
            id
        }
    };
    let keys = match Keyring::load(config, &id) {
        // Nothing was sealed yet, so nothing is lost with a new key.
        Err(OpenError::KeyMissing { .. }) if !holds_data => Keyring::create(config, &id)?,
        loaded => loaded?,
    };
    Ok((id, keys))
}

fn no_key(locations: &Locations, id: &str) -> OpenError {
    OpenError::KeyMissing {
        path: key_path(&locations.config, id),
    }
}

/// Goes on with the steady line, and keeps it for the next start.
fn resume_clock(
    database: &Database,
    last: Option<Moment>,
    last_steady: u64,
) -> rusqlite::Result<Clock> {
    let connection = database.writing();
    let boot = meta(&connection, "boot")?;
    let offset = meta(&connection, "steady_offset")?.and_then(|text| text.parse().ok());
    let kept = boot
        .zip(offset)
        .map(|(boot, offset)| KeptLine { boot, offset });
    let clock = Clock::resume(kept.as_ref(), &Boot::current(), wall(), last, last_steady);
    let keep = clock.kept();
    set_meta(&connection, "boot", &keep.boot)?;
    set_meta(&connection, "steady_offset", &keep.offset.to_string())?;
    Ok(clock)
}
