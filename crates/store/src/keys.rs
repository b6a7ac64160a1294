//! The key file: one per data directory, in the configuration directory.
//!
//! Two families of keys with versions: `seal` for secrets in the database,
//! `chain` for the journal. The newest of each is used for what is new.

mod key;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::RwLock;

use base64::prelude::{BASE64_STANDARD_NO_PAD, Engine};
use zeroize::Zeroizing;

use crate::guard::{read, write};
use crate::journal::ChainKey;
use crate::locations::key_path;
use crate::private::{create_private_dir, write_private};
use crate::{OpenError, StoreError};
pub(crate) use key::Key;

const FIRST_LINE: &str = "provost-key 1";

/// All keys of a data directory, shared by everything that needs one.
///
/// Versions are only ever added: an old backup, an old segment and an old row
/// stay readable.
#[derive(Debug)]
pub(crate) struct Keyring {
    path: PathBuf,
    keys: RwLock<Keys>,
}

/// The content of a key file.
#[derive(Clone)]
pub(crate) struct Keys {
    id: String,
    seal: Vec<Key>,
    chain: Vec<Key>,
}

// === impl Keyring ===

impl Keyring {
    /// Reads a key file after checking that nobody else can.
    pub(crate) fn load(config: &Path, id: &str) -> Result<Self, OpenError> {
        let path = key_path(config, id);
        let text = read_private(&path)?;
        let keys = Keys::parse(&text).map_err(|reason| OpenError::KeyFormat {
            path: path.clone(),
            reason: reason.to_owned(),
        })?;
        if keys.id != id {
            return Err(OpenError::KeyFormat {
                path,
                reason: format!(
                    "it is the key of data directory `{}`, not of `{id}`",
                    keys.id
                ),
            });
        }
        Ok(Self {
            path,
            keys: RwLock::new(keys),
        })
    }

    /// Makes a key file for a new data directory.
    pub(crate) fn create(config: &Path, id: &str) -> Result<Self, OpenError> {
        let path = key_path(config, id);
        let keys = Keys::fresh(id).map_err(|error| OpenError::Store(error.into()))?;
        create_private_dir(config)?;
        keys.save(&path).map_err(OpenError::io(&path, "written"))?;
        Ok(Self {
            path,
            keys: RwLock::new(keys),
        })
    }

    /// The key that new secrets are sealed with.
    pub(crate) fn newest_seal(&self) -> Option<Key> {
        read(&self.keys).seal.last().cloned()
    }

    /// The key a sealed value names.
    pub(crate) fn seal(&self, version: u32) -> Option<Key> {
        read(&self.keys)
            .seal
            .iter()
            .find(|key| key.version == version)
            .cloned()
    }

    /// Every key for secrets, the oldest first.
    pub(crate) fn seals(&self) -> Vec<Key> {
        read(&self.keys).seal.clone()
    }

    /// The key that new segments are chained with.
    pub(crate) fn newest_chain(&self) -> Option<ChainKey> {
        read(&self.keys).chain.last().map(ChainKey::new)
    }

    /// Every key a segment may name.
    pub(crate) fn chain(&self) -> Vec<ChainKey> {
        read(&self.keys).chain.iter().map(ChainKey::new).collect()
    }

    /// Adds a version to both families; the file is replaced in one step.
    pub(crate) fn rotate(&self) -> Result<u32, StoreError> {
        let mut keys = write(&self.keys);
        let mut next = keys.clone();
        let version = 1 + next
            .seal
            .iter()
            .chain(&next.chain)
            .map(|key| key.version)
            .max()
            .unwrap_or(0);
        next.seal.push(Key::random(version)?);
        next.chain.push(Key::random(version)?);
        next.save(&self.path)
            .map_err(|error| StoreError::KeyFile(error.to_string()))?;
        *keys = next;
        Ok(version)
    }

    /// The file's content, for a backup that carries it.
    pub(crate) fn text(&self) -> Zeroizing<String> {
        read(&self.keys).to_text()
    }
}

// === impl Keys ===

impl Keys {
    fn fresh(id: &str) -> Result<Self, crate::ids::NoRandomness> {
        Ok(Self {
            id: id.to_owned(),
            seal: vec![Key::random(1)?],
            chain: vec![Key::random(1)?],
        })
    }

    /// Reads the content of a key file.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err("it does not begin with `provost-key 1`");
        }
        let id = lines
            .next()
            .and_then(|line| line.strip_prefix("id "))
            .ok_or("it names no data directory")?;
        let mut keys = Self {
            id: id.to_owned(),
            seal: Vec::new(),
            chain: Vec::new(),
        };
        for line in lines.filter(|line| !line.is_empty()) {
            let mut words = line.split(' ');
            let family = words.next().ok_or("a line is empty")?;
            let version = words
                .next()
                .and_then(|word| word.parse().ok())
                .ok_or("a key has no version")?;
            let bytes = words
                .next()
                .and_then(decode_key)
                .ok_or("a key is not 32 bytes of base64")?;
            let key = Key { version, bytes };
            match family {
                "seal" => keys.seal.push(key),
                "chain" => keys.chain.push(key),
                _ => return Err("a line is neither `seal` nor `chain`"),
            }
        }
        if keys.seal.is_empty() || keys.chain.is_empty() {
            return Err("a family has no key");
        }
        Ok(keys)
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("{FIRST_LINE}\nid {}\n", self.id));
        for (family, keys) in [("seal", &self.seal), ("chain", &self.chain)] {
            for key in keys {
                let bytes = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(key.bytes.as_slice()));
                text.push_str(&format!("{family} {} {}\n", key.version, bytes.as_str()));
            }
        }
        text
    }

    /// Writes the file whole, then renames it into place.
    pub(crate) fn save(&self, path: &Path) -> std::io::Result<()> {
        write_private(path, self.to_text().as_bytes())
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn decode_key(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let bytes = Zeroizing::new(BASE64_STANDARD_NO_PAD.decode(text).ok()?);
    let bytes: [u8; 32] = bytes.as_slice().try_into().ok()?;
    Some(Zeroizing::new(bytes))
}

/// Reads a file that only its owner may read, and refuses one that is not so.
fn read_private(path: &Path) -> Result<Zeroizing<String>, OpenError> {
    let unreadable = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => OpenError::KeyMissing {
            path: path.to_owned(),
        },
        _ => OpenError::io(path, "read")(source),
    };
    let mut file = File::open(path).map_err(unreadable)?;
    // Of the open file, not of the path: it cannot be exchanged in between.
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o7777;
    if mode & !0o600 != 0 {
        return Err(OpenError::KeyMode {
            path: path.to_owned(),
            mode,
        });
    }
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != us {
        return Err(OpenError::KeyOwner {
            path: path.to_owned(),
            owner: metadata.uid(),
            us,
        });
    }
    let mut text = Zeroizing::new(String::new());
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

#[cfg(test)]
mod tests;
