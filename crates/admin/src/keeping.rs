//! Backup, and the key.

use std::path::PathBuf;

use provost_store::WithKey;
use serde::{Deserialize, Serialize};

use crate::{Actor, Administration, Outcome};

/// Writes one archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The file, which must not exist.
    pub archive: PathBuf,
    /// Whether the key goes in too.
    pub with_key: bool,
}

/// An archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BackupView {
    /// The file.
    pub archive: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Whether it opens the secrets in it.
    pub with_key: bool,
    /// The end of the journal in it.
    pub head: String,
}

/// A new key for secrets and chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotate {}

/// A key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyView {
    /// Which one.
    pub version: u32,
}

pub(crate) fn back_up(wish: Backup, to: &Administration<'_>, who: &Actor) -> Outcome<BackupView> {
    let key = match wish.with_key {
        true => WithKey::Yes,
        false => WithKey::No,
    };
    let written = to.store.backup(&who.recorded(), &wish.archive, key);
    let report = written?;
    Ok(BackupView {
        archive: wish.archive,
        bytes: report.bytes,
        with_key: wish.with_key,
        head: report.head.to_string(),
    })
}

pub(crate) fn rotate_key(_: KeyRotate, to: &Administration<'_>, who: &Actor) -> Outcome<KeyView> {
    let version = to.store.rotate_key(&who.recorded())?;
    Ok(KeyView { version })
}
