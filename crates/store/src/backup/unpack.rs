//! From an archive to a data directory: checked whole, then written.

use std::collections::HashSet;
use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::archive::{self, DATABASE, KEY, KEY_BYTES, Manifest};
use super::error::RestoreError;
use crate::checkpoint;
use crate::database::SCHEMA;
use crate::journal::segment_path;
use crate::keys::Keyring;
use crate::locations::{database_path, id_path, journal_directory, key_path};
use crate::private::{new_private, write_private};
use crate::timeline::Restored;
use crate::{Head, OpenError};

/// An archive that is what its manifest says.
pub(super) struct Checked {
    pub(super) manifest: Manifest,
    pub(super) head: Head,
    key: Option<Zeroizing<String>>,
}

// === impl Checked ===

impl Checked {
    pub(super) fn read(archive: &Path) -> Result<Self, RestoreError> {
        let unsound = |reason| RestoreError::Unsound {
            path: archive.to_owned(),
            reason,
        };
        let mut key = None;
        let manifest = archive::read(archive, |name, content| {
            if name == KEY {
                let mut text = Zeroizing::new(String::new());
                content.take(KEY_BYTES).read_to_string(&mut text)?;
                key = Some(text);
            }
            Ok(())
        });
        let manifest = manifest
            .map_err(failed(archive, "read"))?
            .map_err(unsound)?;
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
        check_members(&manifest).map_err(unsound)?;
        Ok(Self {
            manifest,
            head,
            key,
        })
    }

    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref().map(String::as_str)
    }

    /// Why our own key does not vouch for the archive, if it does not.
    pub(super) fn doubt(&self, config: &Path) -> Result<Option<String>, RestoreError> {
        let keys = match Keyring::load(config, &self.manifest.id) {
            Ok(keys) => keys,
            Err(OpenError::KeyMissing { path }) if self.key.is_none() => {
                return Err(RestoreError::KeyMissing { path });
            }
            Err(OpenError::KeyMissing { path }) => {
                return Ok(Some(format!(
                    "the only key for it is in it, and `{}` is missing",
                    path.display()
                )));
            }
            Err(error) => return Err(Box::new(error).into()),
        };
        Ok(self.manifest.doubt(&keys.chain()))
    }

    /// Writes the members to their places.
    pub(super) fn unpack(
        &self,
        archive: &Path,
        data: &Path,
        restored: &Restored,
    ) -> Result<(), RestoreError> {
        for directory in [data.to_owned(), journal_directory(data)] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&directory)
                .map_err(failed(&directory, "created"))?;
        }
        let again = archive::read(archive, |name, content| match place_of(name, data) {
            Some(path) => {
                let mut file = new_private().open(path)?;
                std::io::copy(content, &mut file)?;
                file.sync_all()
            }
            None => Ok(()),
        });
        let unsound = |reason| RestoreError::Unsound {
            path: archive.to_owned(),
            reason,
        };
        let again = again.map_err(failed(data, "written"))?.map_err(unsound)?;
        if again != self.manifest {
            return Err(unsound("it changed while it was read".to_owned()));
        }
        restored.leave(data).map_err(failed(data, "written"))?;
        // Last: without it the directory is not opened, so a restore that was cut
        // short cannot be taken for a whole one.
        write_private(&id_path(data), format!("{}\n", self.manifest.id).as_bytes())
            .map_err(failed(data, "written"))
    }
}

/// What could not be done to a file.
fn failed(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io {
        path,
        action,
        source,
    }
}

/// A backup holds a database and what we know to put somewhere; nothing else,
/// and nothing twice.
fn check_members(manifest: &Manifest) -> Result<(), String> {
    let mut seen = HashSet::new();
    for member in &manifest.members {
        let known = member.name == KEY || place_of(&member.name, Path::new("")).is_some();
        if !known {
            return Err(format!(
                "it holds `{}`, which is part of no backup",
                member.name
            ));
        }
        if !seen.insert(&member.name) {
            return Err(format!("it holds `{}` twice", member.name));
        }
    }
    if manifest
        .members
        .iter()
        .any(|member| member.name == DATABASE)
    {
        return Ok(());
    }
    Err("it holds no database".to_owned())
}

/// Where a member goes. Only names we write ourselves: an archive must not be
/// able to write elsewhere.
fn place_of(name: &str, data: &Path) -> Option<PathBuf> {
    if name == DATABASE {
        return Some(database_path(data));
    }
    let name = name.strip_prefix("journal/")?;
    if checkpoint::is_name(name) {
        return Some(journal_directory(data).join(name));
    }
    let number = name.strip_suffix(".log")?;
    Some(segment_path(&journal_directory(data), number.parse().ok()?))
}

/// Puts the archive's key in place, or makes sure that the right one is there.
pub(super) fn restore_key(
    key: Option<&str>,
    config: &Path,
    id: &str,
) -> Result<bool, RestoreError> {
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
