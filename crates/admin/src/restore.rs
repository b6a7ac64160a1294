//! Restoring an archive: beside what is there, which is put aside once the archive has proven sound.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use provost_store::{Locations, RestoreReport, Trust, Undone};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use crate::patience::{PATIENCE, wait_a_moment};
use crate::refusal::restore_failure;
use crate::{Actor, Failure, Micros, Outcome, Time};

/// The lock, in the data directory, that lets one process at a time start a daemon.
pub const START_LOCK: &str = "start.lock";

/// Stop the daemon, replace everything by an archive, start again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// The archive.
    pub archive: PathBuf,
    /// Take it although nothing vouches for it.
    pub unverified: bool,
}

/// How to restore where no store is open.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// What is restored.
    pub restore: Restore,
    /// Whether what is there is put aside.
    pub replace: bool,
    /// Now, for the name of what is put aside.
    pub now: Micros,
}

/// What was restored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Restored {
    /// The end of the journal.
    pub head: String,
    /// Whether the key came from the archive.
    pub key_restored: bool,
    /// Why nothing vouches for the archive, if it was taken as it is.
    pub unverified: Option<String>,
    /// Where the data is that was there before.
    pub put_aside: Option<PathBuf>,
    /// Grants that are in force again although they, or their tokens, had ended.
    #[serde(default)]
    pub grants_in_force_again: Vec<Revived>,
    /// What the journal that was replaced has more.
    #[serde(default)]
    pub entries_lost: Option<Lost>,
    /// Why the two could not be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_compared: Option<String>,
}

/// A grant that a restored archive brings back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revived {
    /// What it opens.
    pub server: String,
    /// What people call it.
    pub label: String,
    /// What had been done after the backup.
    pub was: Ended,
}

/// How a grant, or its token, had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It was revoked.
    Revoked,
    /// It got another token; the earlier one works again.
    Rotated,
}

/// Entries of a journal that a restored one does not have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub entries: u64,
    /// When the first was written.
    pub first: Time,
    /// When the last was.
    pub last: Time,
}

/// Restores an archive. The store must not be open: a daemon closes it first.
pub(crate) fn restore(who: &Actor, locations: &Locations, how: &Restoration) -> Outcome<Restored> {
    let archive = &how.restore.archive;
    if !archive.exists() {
        return Err(Failure::not_found(format!(
            "there is no archive `{}`",
            archive.display()
        )));
    }
    if how.replace && locations.data.exists() {
        return swap(who, locations, how);
    }
    unpack(who, how, locations).map(|report| restored(report, None))
}

fn unpack(who: &Actor, how: &Restoration, to: &Locations) -> Outcome<RestoreReport> {
    let trust = match how.restore.unverified {
        true => Trust::Unverified,
        false => Trust::Verified,
    };
    provost_store::restore(&who.recorded(), &how.restore.archive, to, trust)
        .map_err(|error| restore_failure(&error))
}

fn restored(report: RestoreReport, put_aside: Option<PathBuf>) -> Restored {
    Restored {
        head: report.head.to_string(),
        key_restored: report.key_restored,
        unverified: report.unverified,
        put_aside,
        grants_in_force_again: Vec::new(),
        entries_lost: None,
        not_compared: None,
    }
}

// === impl Restored ===

impl Restored {
    fn compared(mut self, with: Result<Undone, provost_store::StoreError>) -> Self {
        match with {
            Ok(undone) => {
                let revived = undone.grants.into_iter().map(|grant| Revived {
                    server: grant.server,
                    label: grant.label,
                    was: match grant.was {
                        provost_store::Ended::Revoked => Ended::Revoked,
                        provost_store::Ended::Rotated => Ended::Rotated,
                    },
                });
                self.grants_in_force_again = revived.collect();
                self.entries_lost = undone.lost.map(|lost| Lost {
                    entries: lost.entries,
                    first: Time(lost.first),
                    last: Time(lost.last),
                });
            }
            Err(error) => self.not_compared = Some(error.to_string()),
        }
        self
    }
}

/// Restores beside what is there, then swaps: until the archive has proven sound nothing is moved,
/// and nobody opens the store meanwhile.
fn swap(who: &Actor, locations: &Locations, how: &Restoration) -> Outcome<Restored> {
    let fail = |error: std::io::Error| {
        Failure::unavailable(format!("cannot put `{}` aside", locations.data.display()))
            .because(error)
            .hint("nothing was changed")
    };
    // A link to the data directory stays; what it leads to is put aside.
    let real = std::fs::canonicalize(&locations.data).map_err(fail)?;
    let _lock = hold(&real)?;
    let beside = |word: &str| {
        let mut name = real.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{word}-{}", how.now));
        real.with_file_name(name)
    };
    let (fresh, aside) = (beside("restoring"), beside("before-restore"));
    let beside = Locations {
        data: fresh.clone(),
        config: locations.config.clone(),
    };
    let swapped = unpack(who, how, &beside).and_then(|report| {
        // What is replaced may be damaged: that is no reason not to restore.
        let undone = provost_store::compare(&real, &fresh, report.head);
        // Whoever holds it goes on holding it: the file stays the same, not only its name. Where
        // it cannot be linked, or is not there, another daemon may be the first to open the store.
        let lock = |data: &Path| data.join(START_LOCK);
        drop(std::fs::hard_link(lock(&real), lock(&fresh)));
        exchange(&fresh, &real, &aside).map_err(fail)?;
        Ok((report, undone))
    });
    let (report, undone) = swapped.inspect_err(|_| {
        // What is left of an archive that was not sound is of no use, and does no harm.
        drop(std::fs::remove_dir_all(&fresh));
    })?;
    Ok(restored(report, Some(aside)).compared(undone))
}

/// Holds the lock of a data directory, as whoever opens the store does; waits for a short command.
fn hold(data: &Path) -> Outcome<Option<File>> {
    let path = data.join("lock");
    let fail =
        |error| Failure::unavailable(format!("cannot lock `{}`", path.display())).because(error);
    let file = match OpenOptions::new().write(true).open(&path) {
        Ok(file) => file,
        // Nobody has ever opened a store here.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => wait_a_moment(),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::conflict(format!(
                    "another process is using `{}`",
                    data.display()
                ))
                .hint("nothing was changed; try again"));
            }
            Err(TryLockError::Error(error)) => return Err(fail(error)),
        }
    }
}

/// Puts `fresh` in the place of `real`, and what was there to `aside`. In one step, where the file
/// system can do that: a directory that is not there for a moment would be made by whoever looks.
fn exchange(fresh: &Path, real: &Path, aside: &Path) -> std::io::Result<()> {
    let swapped = renameat_with(CWD, fresh, CWD, real, RenameFlags::EXCHANGE);
    match swapped {
        Ok(()) => std::fs::rename(fresh, aside),
        Err(_) => {
            std::fs::rename(real, aside)?;
            std::fs::rename(fresh, real).inspect_err(|_| drop(std::fs::rename(aside, real)))
        }
    }
}
