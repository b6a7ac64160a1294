//! The archive: a tar file that any `tar` can read, written and checked by
//! hand. Its last member, `manifest`, names the others with their hashes.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::journal::{ChainKey, hex};
use crate::private::new_private;

/// Names of members; the segments are `journal/<number>.log`.
pub(super) const DATABASE: &str = "provost.db";
pub(super) const KEY: &str = "key";

/// No key file is longer.
pub(super) const KEY_BYTES: u64 = 1 << 20;

const BLOCK: usize = 512;
const MANIFEST: &str = "manifest";

/// The format of archives. The first had no mac.
pub(super) const FORMAT: u32 = 2;

/// No manifest is longer: a hundred bytes for each member.
const MANIFEST_BYTES: u64 = 8 << 20;
/// No backup has more members: a segment is 64 MiB.
const MEMBERS: usize = 50_000;

/// What stands before a manifest's text under its mac: no entry of a journal
/// begins like this.
const SEALED: &[u8] = b"provost backup\n";

/// What an archive says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The format of archives.
    pub(super) format: u32,
    /// The data directory's id.
    pub(super) id: String,
    /// The database's schema.
    pub(super) schema: u32,
    /// The journal's end.
    pub(super) head: String,
    /// Every other member.
    pub(super) members: Vec<Member>,
    /// The version of the chain key that vouches for all of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<u32>,
    /// Its mac of all of this, and so of every member's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mac: Option<String>,
}

/// One file in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// An archive that is being written.
pub(super) struct Writing {
    out: BufWriter<File>,
    members: Vec<Member>,
}

// === impl Manifest ===

impl Manifest {
    /// The mac of everything but itself.
    fn mac_with(&self, key: &ChainKey) -> io::Result<String> {
        let without = Self {
            mac: None,
            ..self.clone()
        };
        let mut text = SEALED.to_vec();
        serde_json::to_writer(&mut text, &without).map_err(io::Error::other)?;
        Ok(hex(&key.link(&[0; 32], &text)))
    }

    /// Why none of our keys vouches for it, if none does.
    pub(super) fn doubt(&self, keys: &[ChainKey]) -> Option<String> {
        let (Some(version), Some(mac)) = (self.key, &self.mac) else {
            return Some("it carries no proof of who wrote it".to_owned());
        };
        let Some(key) = keys.iter().find(|key| key.version == version) else {
            return Some(format!("key {version} is not in the key file"));
        };
        match self.mac_with(key) {
            Ok(own) if own == *mac => None,
            Ok(_) | Err(_) => {
                Some("it was changed after it was written, or written with another key".to_owned())
            }
        }
    }
}

// === impl Writing ===

impl Writing {
    /// Makes a new file that only its owner can read.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self {
            out: BufWriter::new(new_private().open(path)?),
            members: Vec::new(),
        })
    }

    /// Adds a member of exactly `bytes` bytes.
    pub(super) fn add(&mut self, name: &str, bytes: u64, content: impl Read) -> io::Result<()> {
        self.out.write_all(&header(name, bytes))?;
        let mut content = Hashing {
            inner: content.take(bytes),
            hash: Sha256::new(),
        };
        let copied = io::copy(&mut content, &mut self.out)?;
        if copied != bytes {
            return Err(io::Error::other(format!(
                "`{name}` became shorter while it was copied"
            )));
        }
        self.out.write_all(&vec![0; padding(bytes)])?;
        self.members.push(Member {
            name: name.to_owned(),
            bytes,
            sha256: hex(&content.hash.finalize()),
        });
        Ok(())
    }

    /// Writes the manifest and brings everything to the disk.
    pub(super) fn finish(mut self, manifest: Manifest, key: Option<&ChainKey>) -> io::Result<u64> {
        let mut manifest = Manifest {
            members: self.members,
            key: key.map(|key| key.version),
            ..manifest
        };
        if let Some(key) = key {
            manifest.mac = Some(manifest.mac_with(key)?);
        }
        let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::other)?;
        self.out.write_all(&header(MANIFEST, text.len() as u64))?;
        self.out.write_all(&text)?;
        self.out
            .write_all(&vec![0; padding(text.len() as u64) + 2 * BLOCK])?;
        let file = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

/// Reads an archive through and shows each member; then holds what was read
/// against the manifest.
pub(super) fn read(
    path: &Path,
    mut show: impl FnMut(&str, &mut dyn Read) -> io::Result<()>,
) -> io::Result<Result<Manifest, String>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut found = Vec::new();
    loop {
        let mut block = [0; BLOCK];
        if file.read_exact(&mut block).is_err() {
            return Ok(Err("it ends too early".to_owned()));
        }
        let Some((name, bytes)) = parse_header(&block) else {
            return Ok(Err("it is not an archive of `provost backup`".to_owned()));
        };
        let mut content = Hashing {
            inner: (&mut file).take(bytes),
            hash: Sha256::new(),
        };
        if name == MANIFEST && bytes > MANIFEST_BYTES {
            return Ok(Err(
                "its manifest is longer than that of any backup".to_owned()
            ));
        }
        if found.len() >= MEMBERS {
            return Ok(Err("it has more members than any backup".to_owned()));
        }
        if name == MANIFEST {
            let mut text = Vec::new();
            content.read_to_end(&mut text)?;
            return Ok(compare(&text, &found));
        }
        show(&name, &mut content)?;
        // Whoever looked may have stopped early.
        io::copy(&mut content, &mut io::sink())?;
        let hash = hex(&content.hash.finalize());
        found.push(Member {
            name,
            bytes,
            sha256: hash,
        });
        io::copy(
            &mut (&mut file).take(padding(bytes) as u64),
            &mut io::sink(),
        )?;
    }
}

fn compare(text: &[u8], found: &[Member]) -> Result<Manifest, String> {
    let manifest: Manifest =
        serde_json::from_slice(text).map_err(|_| "its manifest cannot be read".to_owned())?;
    if !(1..=FORMAT).contains(&manifest.format) {
        return Err(format!(
            "it has format {}, this program knows {FORMAT}",
            manifest.format
        ));
    }
    if manifest.members != found {
        let name = manifest
            .members
            .iter()
            .zip(found)
            .find(|(said, is)| said != is)
            .map(|(said, _)| said.name.clone());
        return Err(name.map_or_else(
            || "a member is missing".to_owned(),
            |name| format!("`{name}` was changed"),
        ));
    }
    Ok(manifest)
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// A header of the `ustar` form.
fn header(name: &str, bytes: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, b"0000600\0");
    put(&mut block, 108, b"0000000\0");
    put(&mut block, 116, b"0000000\0");
    if bytes < 1 << 33 {
        put(&mut block, 124, format!("{bytes:011o}\0").as_bytes());
    } else {
        // More than the octal field holds: binary, as GNU tar writes it.
        put(&mut block, 124, &[0x80, 0, 0, 0]);
        put(&mut block, 128, &bytes.to_be_bytes());
    }
    put(&mut block, 136, b"00000000000\0");
    put(&mut block, 148, b"        ");
    put(&mut block, 156, b"0");
    put(&mut block, 257, b"ustar\x0000");
    let sum = checksum(&block);
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

fn parse_header(block: &[u8; BLOCK]) -> Option<(String, u64)> {
    let field = |start: usize, length: usize| block.get(start..start + length).unwrap_or_default();
    let octal = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
    };
    let mut unsummed = *block;
    put(&mut unsummed, 148, b"        ");
    if octal(field(148, 8))? != u64::from(checksum(&unsummed)) {
        return None;
    }
    let name = field(0, 100).split(|byte| *byte == 0).next()?;
    let size = field(124, 12);
    let bytes = if size.first() == Some(&0x80) {
        u64::from_be_bytes(size.get(4..12)?.try_into().ok()?)
    } else {
        octal(size)?
    };
    Some((std::str::from_utf8(name).ok()?.to_owned(), bytes))
}

fn checksum(block: &[u8; BLOCK]) -> u32 {
    block.iter().map(|byte| u32::from(*byte)).sum()
}

fn put(block: &mut [u8; BLOCK], start: usize, bytes: &[u8]) {
    for (place, byte) in block.iter_mut().skip(start).zip(bytes) {
        *place = *byte;
    }
}

fn padding(bytes: u64) -> usize {
    usize::try_from((512 - bytes % 512) % 512).unwrap_or(0)
}

#[cfg(test)]
mod tests;
