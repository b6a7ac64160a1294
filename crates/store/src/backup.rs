//! Backup of a running store into one file, and restore from it.

mod archive;

use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;
use zeroize::Zeroizing;

use archive::Manifest;

use crate::database::{SCHEMA, database_path};
use crate::journal::{End, segment_path, segments};
use crate::keys::{key_path, write_private};
use crate::open::{id_path, journal_directory};
use crate::timeline::Restored;
use crate::{Actor, Head, Locations, Store, StoreError};

/// Names of members; the segments are `journal/<number>.log`.
const DATABASE: &str = "provost.db";
const KEY: &str = "key";

/// Pages that are copied at a time.
const PAGES: i32 = 4_096;

/// Whether a backup carries the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithKey {
    /// It does not: whoever has the file cannot read the secrets in it, and
    /// restoring needs the key file.
    No,
    /// It does: the file is as secret as everything in it.
    Yes,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// The archive's size.
    pub bytes: u64,
    /// The end of the journal in it.
    pub head: Head,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The end of the journal.
    pub head: Head,
    /// Whether the key came from the archive.
    pub key_restored: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file could not be written or read back.
    #[error("`{}` could not be {action}: {source}", path.display())]
    Io {
        /// The archive.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What was written is not what was read back.
    #[error("the archive `{}` is not what was written: {reason}", path.display())]
    Unsound {
        /// The archive.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something in the data directory.
    #[error("data directory `{}` is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The file is not a whole backup.
    #[error("`{}` is not a sound backup: {reason}", path.display())]
    Unsound {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Neither the archive nor the configuration directory has the key.
    #[error("the backup carries no key, and `{}` is missing", path.display())]
    KeyMissing {
        /// Where the key file should be.
        path: PathBuf,
    },
    /// The configuration directory has another key for the same data.
    #[error("`{}` holds another key than the backup", path.display())]
    OtherKey {
        /// The key file.
        path: PathBuf,
    },
    /// A file could not be used.
    #[error("`{}` could not be {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Restores a backup into an empty data directory.
///
/// The whole archive is checked before anything is written.
pub fn restore(archive: &Path, locations: &Locations) -> Result<RestoreReport, RestoreError> {
    let Locations { data, config } = locations;
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(RestoreError::NotEmpty { path: data.clone() });
    }
    let at = |path: &Path, action| {
        let path = path.to_owned();
        move |source| RestoreError::Io {
            path,
            action,
            source,
        }
    };
    let unsound = |reason| RestoreError::Unsound {
        path: archive.to_owned(),
        reason,
    };
    let mut key = None;
    let manifest = archive::read(archive, |name, content| {
        if name == KEY {
            let mut text = Zeroizing::new(String::new());
            content.read_to_string(&mut text)?;
            key = Some(text);
        }
        Ok(())
    });
    let manifest = manifest.map_err(at(archive, "read"))?.map_err(unsound)?;
    let head = manifest
        .head
        .parse()
        .map_err(|_| unsound("its head cannot be read".to_owned()))?;
    if manifest.schema > SCHEMA {
        return Err(unsound(format!(
            "it has schema {}, this program knows {SCHEMA}",
            manifest.schema
        )));
    }
    if !manifest.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(unsound("it names no data directory".to_owned()));
    }
    let key_restored = restore_key(key.as_deref().map(String::as_str), config, &manifest.id)?;

    for directory in [data.clone(), journal_directory(data)] {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(at(&directory, "created"))?;
    }
    archive::read(archive, |name, content| match place_of(name, data) {
        Some(path) => {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            std::io::copy(content, &mut file)?;
            file.sync_all()
        }
        None => Ok(()),
    })
    .map_err(at(data, "written"))?
    .map_err(unsound)?;
    let restored = Restored {
        who: "provost".to_owned(),
        archive: archive.to_string_lossy().into_owned(),
        detail: None,
    };
    restored.leave(data).map_err(at(data, "written"))?;
    // Last: without it the directory is not opened, so a restore that was cut
    // short cannot be taken for a whole one.
    write_private(&id_path(data), format!("{}\n", manifest.id).as_bytes())
        .map_err(at(data, "written"))?;
    Ok(RestoreReport { head, key_restored })
}

/// The database's copy while a backup is made.
fn copy_path(data: &Path) -> PathBuf {
    data.join("backup.db")
}

/// SQLite would make it, and what it keeps beside it, as the umask says.
fn make_copy(copy: &Path) -> std::io::Result<()> {
    let mut new = OpenOptions::new();
    new.write(true).create_new(true).mode(0o600);
    new.open(copy).map(drop)
}

/// Removes what is left of a copy: also that of a process that was stopped.
pub(crate) fn remove_copy(data: &Path) {
    let copy = copy_path(data);
    for beside in ["", "-journal", "-wal", "-shm"] {
        let mut name = copy.clone().into_os_string();
        name.push(beside);
        // Most often there is none.
        std::fs::remove_file(name).ok();
    }
}

/// Where a member goes. Only names we write ourselves: an archive must not be
/// able to write elsewhere.
fn place_of(name: &str, data: &Path) -> Option<PathBuf> {
    if name == DATABASE {
        return Some(database_path(data));
    }
    let number = name.strip_prefix("journal/")?.strip_suffix(".log")?;
    Some(segment_path(&journal_directory(data), number.parse().ok()?))
}

/// Puts the archive's key in place, or makes sure that the right one is there.
fn restore_key(key: Option<&str>, config: &Path, id: &str) -> Result<bool, RestoreError> {
    let path = key_path(config, id);
    let there = match std::fs::read_to_string(&path) {
        Ok(text) => Some(Zeroizing::new(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => {
            return Err(RestoreError::Io {
                path,
                action: "read",
                source,
            });
        }
    };
    match (key, there) {
        (None, Some(_)) => Ok(false),
        (None, None) => Err(RestoreError::KeyMissing { path }),
        // Keys are only ever added, so a longer file may be the newer one.
        (Some(key), Some(there))
            if key
                .lines()
                .all(|line| there.lines().any(|other| other == line)) =>
        {
            Ok(false)
        }
        (Some(_), Some(_)) => Err(RestoreError::OtherKey { path }),
        (Some(key), None) => {
            let written = DirBuilder::new().recursive(true).mode(0o700).create(config);
            written
                .and_then(|()| write_private(&path, key.as_bytes()))
                .map_err(|source| RestoreError::Io {
                    path,
                    action: "written",
                    source,
                })?;
            Ok(true)
        }
    }
}

// === impl RestoreError ===

impl RestoreError {
    /// What the user may do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotEmpty { .. } => Some("restore into a new directory, or move the old one away"),
            Self::Unsound { .. } => Some("use another backup"),
            Self::KeyMissing { .. } => {
                Some("put the key file there first, or use a backup made `--with-key`")
            }
            Self::OtherKey { .. } => Some("restore with another configuration directory"),
            Self::Io { .. } => None,
        }
    }
}

// === impl Store ===

impl Store {
    /// Writes the whole store into one new file, while it runs.
    ///
    /// The archive is read back and checked before this returns.
    pub fn backup(&self, archive: &Path, key: WithKey) -> Result<BackupReport, BackupError> {
        // Retention and key rotation must not happen in between.
        let _alone = self.alone()?;
        let what = match key {
            WithKey::No => "backup",
            WithKey::Yes => "backup.with-key",
        };
        self.record_act(
            &Actor::new("provost"),
            what,
            &archive.to_string_lossy(),
            None,
        )?;
        let at = |action| {
            move |source| BackupError::Io {
                path: archive.to_owned(),
                action,
                source,
            }
        };
        let mut writing = archive::Writing::create(archive).map_err(at("created"))?;
        let copy = copy_path(&self.0.locations.data);
        remove_copy(&self.0.locations.data);
        let made = make_copy(&copy).map_err(|source| BackupError::Io {
            path: copy.clone(),
            action: "created",
            source,
        });
        let written = made
            .and_then(|()| self.copy_database(&copy).map_err(BackupError::Store))
            .and_then(|end| {
                self.write_members(&mut writing, &copy, &end, key)
                    .map_err(at("written"))
                    .map(|()| end)
            });
        remove_copy(&self.0.locations.data);
        let finished = written.and_then(|end| {
            let head = Head {
                number: end.number,
                mac: end.mac,
            };
            let manifest = Manifest {
                format: 1,
                id: self.0.id.clone(),
                schema: SCHEMA,
                head: head.to_string(),
                members: Vec::new(),
            };
            let bytes = writing.finish(manifest).map_err(at("written"))?;
            let read = archive::read(archive, |_, _| Ok(())).map_err(at("read back"))?;
            read.map_err(|reason| BackupError::Unsound {
                path: archive.to_owned(),
                reason,
            })?;
            Ok(BackupReport { bytes, head })
        });
        if finished.is_err() {
            // Half a backup is worse than none.
            std::fs::remove_file(archive).ok();
        }
        finished
    }

    /// Copies the database, and tells where the journal ended meanwhile.
    fn copy_database(&self, copy: &Path) -> Result<End, StoreError> {
        let mut to = Connection::open(copy)?;
        // Changes of the control plane wait, so that database and journal
        // agree about the last one. Calls do not.
        let from = self.0.database.writing();
        Backup::new(&from, &mut to)?.run_to_completion(PAGES, Duration::ZERO, None)?;
        let end = self.0.journal.end();
        drop(from);
        let sound: String = to.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if sound != "ok" {
            return Err(StoreError::Unexpected(format!(
                "the database is damaged: {sound}"
            )));
        }
        Ok(end)
    }

    fn write_members(
        &self,
        writing: &mut archive::Writing,
        copy: &Path,
        end: &End,
        key: WithKey,
    ) -> std::io::Result<()> {
        let database = File::open(copy)?;
        writing.add(DATABASE, database.metadata()?.len(), database)?;
        let directory = self.0.journal.directory();
        for number in segments(directory)?
            .into_iter()
            .filter(|number| *number <= end.segment)
        {
            let file = File::open(segment_path(directory, number))?;
            let bytes = if number == end.segment {
                end.offset
            } else {
                file.metadata()?.len()
            };
            writing.add(&format!("journal/{number:08}.log"), bytes, file)?;
        }
        if key == WithKey::Yes {
            let text = self.0.keys.text();
            writing.add(KEY, text.len() as u64, text.as_bytes())?;
        }
        Ok(())
    }
}
