//! Restoring an archive: what was there is put aside, and comes back when the archive is not sound.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::restore_failure;
use crate::failure::{Failure, Outcome};
use crate::locations::{Places, own_directory};
use crate::when;

/// What was restored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Restored {
    /// The end of the journal.
    pub(crate) head: String,
    /// Whether the key came from the archive.
    pub(crate) key_restored: bool,
    /// Where the data is that was there before.
    pub(crate) put_aside: Option<PathBuf>,
}

/// Restores an archive. The store must not be open, unless by this very process, which then only
/// ends: what it has open moves with the directory.
pub(crate) fn restore(places: &Places, archive: &Path, replace: bool) -> Outcome<Restored> {
    if !archive.exists() {
        return Err(Failure::not_found(format!(
            "there is no archive `{}`",
            archive.display()
        )));
    }
    let aside = if replace && places.data.exists() {
        Some(put_aside(places)?)
    } else {
        None
    };
    match provost_store::restore(archive, &places.store()) {
        Ok(report) => Ok(Restored {
            head: report.head.to_string(),
            key_restored: report.key_restored,
            put_aside: aside,
        }),
        Err(error) => {
            let failure = restore_failure(&error);
            match aside.map(|aside| bring_back(places, &aside)).transpose() {
                Ok(_) => Err(failure),
                Err(worse) => Err(worse.because(failure.message)),
            }
        }
    }
}

fn put_aside(places: &Places) -> Outcome<PathBuf> {
    let fail = |error: std::io::Error| {
        Failure::unavailable(format!("cannot put `{}` aside", places.data.display()))
            .because(error)
            .hint("nothing was changed")
    };
    // A link to the data directory stays; what it leads to is put aside.
    let real = std::fs::canonicalize(&places.data).map_err(fail)?;
    let mut name = real.file_name().unwrap_or_default().to_owned();
    name.push(format!(".before-restore-{}", when::now()));
    let aside = real.with_file_name(name);
    std::fs::rename(&real, &aside).map_err(fail)?;
    own_directory(&real)?;
    Ok(aside)
}

fn bring_back(places: &Places, aside: &Path) -> Outcome {
    let fail = |error: std::io::Error| {
        Failure::unavailable(format!("cannot bring back `{}`", aside.display()))
            .because(error)
            .hint(format!("move it to `{}` by hand", places.data.display()))
    };
    let real = std::fs::canonicalize(&places.data).map_err(fail)?;
    std::fs::remove_dir_all(&real).map_err(fail)?;
    std::fs::rename(aside, &real).map_err(fail)
}
