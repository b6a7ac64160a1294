//! Restoring an archive: beside what is there, which is put aside once the archive has proven sound.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use provost_store::{Ended, Lost, Revived};
use provost_store::{Locations, RestoreReport, Trust, Undone};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use crate::patience::{PATIENCE, wait_a_moment};
use crate::{Actor, Failure, Micros, Outcome};

/// The lock, in the data directory, that lets one process at a time start a daemon.
pub const START_LOCK: &str = "start.lock";

/// The lock, in the data directory, of whoever has its store open.
const LOCK: &str = "lock";
/// Between the name of a data directory and a time: what is being restored, and what was there before.
const FRESH: &str = ".restoring-";
const ASIDE: &str = ".before-restore-";

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
    provost_store::restore(&who.recorded(), &how.restore.archive, to, trust).map_err(Failure::from)
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
                self.grants_in_force_again = undone.grants;
                self.entries_lost = undone.lost;
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
    clear_unfinished(&real);
    let now = how.now.to_string();
    let (fresh, aside) = (beside(&real, FRESH, &now), beside(&real, ASIDE, &now));
    let there = Locations {
        data: fresh.clone(),
        config: locations.config.clone(),
    };
    let swapped = unpack(who, how, &there).and_then(|report| {
        // What is replaced may be damaged: that is no reason not to restore.
        let undone = provost_store::compare(&real, &fresh, report.head);
        // Whoever holds it goes on holding it: the file stays the same, not only its name. Where
        // it cannot be linked, or is not there, another daemon may be the first to open the store.
        let lock = |data: &Path| data.join(START_LOCK);
        drop(std::fs::hard_link(lock(&real), lock(&fresh)));
        exchange(&fresh, &real, &aside).map_err(fail)?;
        Ok((report, undone))
    });
    // What is left of an archive that was not sound is of no use.
    let (report, undone) = swapped.inspect_err(|_| clear_unfinished(&real))?;
    Ok(restored(report, Some(aside)).compared(undone))
}

/// What stands beside a data directory: its name, then a word and a time.
fn beside(real: &Path, word: &str, time: &str) -> PathBuf {
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(format!("{word}{time}"));
    real.with_file_name(name)
}

/// Clears what a restore left beside a data directory when its process was killed. Only for who
/// holds the directory's lock: nobody else restores there meanwhile. What cannot be cleared does no
/// harm.
pub(crate) fn clear_unfinished(data: &Path) {
    // What a link leads to.
    let Ok(real) = std::fs::canonicalize(data) else {
        return;
    };
    let Some((parent, own)) = real.parent().zip(real.file_name().and_then(OsStr::to_str)) else {
        return;
    };
    let prefix = format!("{own}{FRESH}");
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let time = name.to_str().and_then(|name| name.strip_prefix(&prefix));
        let is_time = |time: &&str| time.parse::<Micros>().is_ok();
        let Some(time) = time.filter(is_time) else {
            continue;
        };
        let path = entry.path();
        drop(match path.join(LOCK).exists() {
            // Somebody has used it: it is what was to be put aside, in the very moment of the change.
            true => std::fs::rename(&path, beside(&real, ASIDE, time)),
            false => std::fs::remove_dir_all(&path),
        });
    }
}

/// Holds the lock of a data directory, as whoever opens the store does; waits for a short command.
/// Where nobody has ever opened one, the lock is made: by it what is put aside is known.
fn hold(data: &Path) -> Outcome<File> {
    let path = data.join(LOCK);
    let fail =
        |error| Failure::unavailable(format!("cannot lock `{}`", path.display())).because(error);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).map_err(fail)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
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
        // Whoever opens the store in this moment clears what is unfinished, and has done it then.
        Ok(()) => std::fs::rename(fresh, aside).or_else(|error| match aside.exists() {
            true => Ok(()),
            false => Err(error),
        }),
        Err(_) => {
            std::fs::rename(real, aside)?;
            std::fs::rename(fresh, real).inspect_err(|_| drop(std::fs::rename(aside, real)))
        }
    }
}

#[cfg(test)]
mod tests;
