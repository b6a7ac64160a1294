//! Backup of a running store into one file, and restore from it.

mod archive;
mod compare;
mod error;
mod unpack;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use archive::{DATABASE, FORMAT, KEY, Manifest};
pub use compare::{Ended, Lost, Revived, Undone, compare};
pub use error::{BackupError, RestoreError};
use rusqlite::Connection;
use rusqlite::backup::Backup;
use unpack::{Checked, restore_key};

use crate::checkpoint;
use crate::database::{SCHEMA, trust_no_schema};
use crate::journal::{End, segment_path, segments};
use crate::private::new_private;
use crate::timeline::Restored;
use crate::{Act, Actor, Head, Locations, Store, StoreError};

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

/// Whether a backup must prove who wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// The key in the configuration directory must vouch for it.
    Verified,
    /// It is taken as it is: whoever could write the file may have put grants,
    /// policies and records of their own into it.
    Unverified,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The end of the journal.
    pub head: Head,
    /// Whether the key came from the archive.
    pub key_restored: bool,
    /// Why nothing vouches for the archive, if it was taken as it is.
    pub unverified: Option<String>,
}

/// Restores a backup into an empty data directory. Its journal says so from the
/// next start on.
///
/// The whole archive is checked before anything is written: that it is what
/// its manifest says, and that the key in the configuration directory vouches
/// for the manifest. A key that comes in the archive itself proves nothing.
pub fn restore(
    who: &Actor,
    archive: &Path,
    locations: &Locations,
    trust: Trust,
) -> Result<RestoreReport, RestoreError> {
    let Locations { data, config } = locations;
    if std::fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(RestoreError::NotEmpty { path: data.clone() });
    }
    let checked = Checked::read(archive)?;
    let unverified = checked.doubt(config)?;
    if let (Some(reason), Trust::Verified) = (&unverified, trust) {
        return Err(RestoreError::Unverified {
            path: archive.to_owned(),
            reason: reason.clone(),
        });
    }
    let key_restored = restore_key(checked.key(), config, &checked.manifest.id)?;
    let restored = Restored {
        who: who.0.clone(),
        archive: archive.to_string_lossy().into_owned(),
        detail: Some(match &unverified {
            None => "verified".to_owned(),
            Some(reason) => format!("unverified: {reason}"),
        }),
    };
    checked.unpack(archive, data, &restored)?;
    Ok(RestoreReport {
        head: checked.head,
        key_restored,
        unverified,
    })
}

/// The database's copy while a backup is made.
fn copy_path(data: &Path) -> PathBuf {
    data.join("backup.db")
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

// === impl Store ===

impl Store {
    /// Writes the whole store into one new file, while it runs.
    ///
    /// The archive is read back and checked before this returns.
    pub fn backup(
        &self,
        who: &Actor,
        archive: &Path,
        key: WithKey,
    ) -> Result<BackupReport, BackupError> {
        // Retention and key rotation must not happen in between.
        let _alone = self.alone()?;
        let what = match key {
            WithKey::No => Act::Backup,
            WithKey::Yes => Act::BackupWithKey,
        };
        self.record_act(who, what, &archive.to_string_lossy(), None)?;
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
        // SQLite would make it, and what it keeps beside it, as the umask says.
        let made = new_private().open(&copy);
        let made = made.map_err(|source| BackupError::Io {
            path: copy.clone(),
            action: "created",
            source,
        });
        let written = made
            .and_then(|_| self.copy_database(&copy).map_err(BackupError::Store))
            .and_then(|end| {
                self.write_members(&mut writing, &copy, &end, key)
                    .map_err(at("written"))
                    .map(|()| end)
            });
        remove_copy(&self.0.locations.data);
        let finished = written.and_then(|end| {
            let head = Head::from(end);
            let manifest = Manifest {
                format: FORMAT,
                id: self.0.id.clone(),
                schema: SCHEMA,
                head: head.to_string(),
                members: Vec::new(),
                key: None,
                mac: None,
            };
            let key = self.0.keys.newest_chain();
            let bytes = writing
                .finish(manifest, key.as_ref())
                .map_err(at("written"))?;
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
        trust_no_schema(&to)?;
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
        for name in checkpoint::list(directory)? {
            let file = File::open(directory.join(&name))?;
            writing.add(&format!("journal/{name}"), file.metadata()?.len(), file)?;
        }
        if key == WithKey::Yes {
            let text = self.0.keys.text();
            writing.add(KEY, text.len() as u64, text.as_bytes())?;
        }
        Ok(())
    }
}
