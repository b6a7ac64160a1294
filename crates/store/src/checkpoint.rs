//! Checkpoints: what all entries up to a place in the journal amount to.
//!
//! One is a file beside the segments. The journal names it by its hash, so it
//! can be believed as much as an entry; an entry itself stays short, because
//! those who append wait for it. Starting reads the last one and what came
//! after it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use provost_policy::ledger::CounterState;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::control::Expected;
use crate::journal::{
    ChainKey, CheckpointLine, End, FORMAT, Header, Hex, Named, Walk, blocks_from_the_end,
    first_entry, is_checkpoint, parse_mac, part, segment_path, segments, split_line,
};
use crate::private::write_private;
use crate::{Damage, DamageKind};

/// What stands in the entry of a checkpoint, and hardly anywhere else.
const MARK: &[u8] = br#""t":"checkpoint""#;

/// The entry of a checkpoint, and the mac before it, are shorter than this.
const AROUND: u64 = 4_096;

/// So many are looked for at a segment's end: as many as are kept.
const KEPT: usize = 2;

/// The content of a checkpoint.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    /// The last entry that is in it; 0 before the first.
    pub(crate) up_to: u64,
    pub(crate) mac: Hex,
    /// Where the next entry is.
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    /// The latest moment of an entry.
    pub(crate) steady: u64,
    /// What counts.
    pub(crate) counters: Vec<CounterState>,
    /// What the control plane has to be.
    pub(crate) control: Expected,
    /// What the segment it stands in asks of the database; older ones do not say.
    #[serde(default)]
    pub(crate) tail: Option<Tail>,
}

/// How far the journal is folded; by default not at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Folded {
    pub(crate) end: End,
    /// The latest moment of a folded entry.
    pub(crate) steady: u64,
}

/// What the entries of the last segment ask of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tail {
    /// The last entry of the segments before.
    pub(crate) after: u64,
    /// How many records and acts the entries since are.
    pub(crate) rows: u64,
}

/// Whether the journal says what the control plane has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It does.
    Known,
    /// Format 1 did not; nor did it name checkpoints.
    OfFormat1,
}

/// What there is to begin with.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The newest one that is whole and that the journal follows from.
    pub(crate) checkpoint: Option<Checkpoint>,
    /// The file that the journal names last, whole or not.
    pub(crate) newest: Option<String>,
    /// The entry that carries counters itself, as format 1 had it.
    pub(crate) of_format_1: Option<Vec<u8>>,
    /// Those that are named and are not what was written.
    pub(crate) damage: Vec<Damage>,
    /// The first header there is.
    pub(crate) first: Option<Header>,
    /// The number of the first segment there is.
    oldest: Option<u32>,
    /// What seems to name one cannot be believed.
    is_odd: bool,
}

// === impl Tail ===

impl Tail {
    /// Of a segment that begins after this entry.
    pub(crate) fn after(after: u64) -> Self {
        Self { after, rows: 0 }
    }
}

// === impl Checkpoint ===

impl Checkpoint {
    /// Writes the file; it is on the disk when this returns. Tells its size.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<(Named, u64)> {
        let text = serde_json::to_vec(self)?;
        let named = Named {
            file: format!("checkpoint-{:08}.json", self.up_to),
            sha256: Hex(Sha256::digest(&text).into()),
        };
        write_private(&directory.join(&named.file), &text)?;
        Ok((named, text.len() as u64))
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Folded {
        Folded {
            end: End {
                segment: self.segment,
                offset: self.offset,
                number: self.up_to,
                mac: self.mac.0,
            },
            steady: self.steady,
        }
    }
}

// === impl Named ===

impl Named {
    /// Where the file is. Only names we write ourselves are followed.
    pub(crate) fn path(&self, directory: &Path) -> Option<PathBuf> {
        is_name(&self.file).then(|| directory.join(&self.file))
    }

    /// Reads the file, if it is what was written.
    pub(crate) fn read(&self, directory: &Path) -> io::Result<Result<Checkpoint, DamageKind>> {
        let file = self.file.clone();
        let Some(path) = self.path(directory) else {
            return Ok(Err(DamageKind::CheckpointAltered { file }));
        };
        let text = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err(DamageKind::CheckpointMissing { file }));
            }
            text => text?,
        };
        let hash: [u8; 32] = Sha256::digest(&text).into();
        if Hex(hash) != self.sha256 {
            return Ok(Err(DamageKind::CheckpointAltered { file }));
        }
        Ok(serde_json::from_slice(&text).map_err(|_| DamageKind::CheckpointAltered { file }))
    }
}

/// Whether a file of the journal's directory is a checkpoint.
pub(crate) fn is_name(name: &str) -> bool {
    name.strip_prefix("checkpoint-")
        .and_then(|rest| rest.strip_suffix(".json"))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit()))
}

/// The checkpoints there are, oldest first.
pub(crate) fn list(directory: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        found.extend(
            name.to_str()
                .filter(|name| is_name(name))
                .map(str::to_owned),
        );
    }
    found.sort_unstable_by_key(|name| (name.len(), name.clone()));
    Ok(found)
}

/// Removes all but the newest one and the one that was named before it, in case
/// the newest is damaged. Only after the journal names the newest.
pub(crate) fn forget_others(
    directory: &Path,
    newest: &str,
    before: Option<&str>,
) -> io::Result<()> {
    let mut others = list(directory)?;
    others.retain(|name| name != newest && Some(name.as_str()) != before);
    for name in &others {
        std::fs::remove_file(directory.join(name))?;
    }
    if !others.is_empty() {
        File::open(directory)?.sync_all()?;
    }
    Ok(())
}

/// Looks for the newest checkpoint that the journal names, from its end
/// backwards.
pub(crate) fn find(directory: &Path, keys: &[ChainKey]) -> io::Result<Found> {
    let found = find_in(directory, keys, named_near_the_end)?;
    // Where an entry seems to name one and cannot be believed for what stands
    // before it, all that stands before it is looked at.
    let is_enough = found.checkpoint.is_some() || found.of_format_1.is_some() || !found.is_odd;
    match is_enough {
        true => Ok(found),
        false => find_in(directory, keys, named),
    }
}

/// Where a line stands in its segment.
#[derive(Debug, Clone, Copy)]
enum Place {
    Line(u64),
    Offset(u64),
}

/// Entries that name checkpoints, the last one first.
#[derive(Debug, Default)]
struct Entries {
    named: Vec<(Place, Vec<u8>)>,
    is_odd: bool,
}

fn find_in(
    directory: &Path,
    keys: &[ChainKey],
    named: fn(&Path, u32, &[ChainKey]) -> io::Result<Entries>,
) -> io::Result<Found> {
    let numbers = segments(directory)?;
    let mut found = Found {
        oldest: numbers.first().copied(),
        ..Found::default()
    };
    if let Some(first) = numbers.first() {
        found.first = first_entry(directory, *first)?.map(|(header, _)| header);
    }
    for segment in numbers.into_iter().rev() {
        let entries = named(directory, segment, keys)?;
        found.is_odd |= entries.is_odd;
        for (place, payload) in entries.named {
            let Ok(line) = serde_json::from_slice::<CheckpointLine>(&payload) else {
                continue;
            };
            let Some(named) = line.named() else {
                found.of_format_1 = Some(payload);
                return Ok(found);
            };
            found.newest.get_or_insert_with(|| named.file.clone());
            match named.read(directory)? {
                Ok(checkpoint) if found.reaches(checkpoint.up_to) => {
                    found.checkpoint = Some(checkpoint);
                    return Ok(found);
                }
                // What came after it is gone: it stands for nothing any more.
                Ok(_) => return Ok(found),
                Err(kind) => {
                    let line = place.line(directory, segment)?;
                    found.damage.push(kind.at(segment, line, 0));
                }
            }
        }
    }
    Ok(found)
}

/// The last entries of a segment that name checkpoints, as many as are kept.
///
/// One is believed when its mac follows from that of the entry before it: nobody
/// without the key can write two such lines. So only the segment's end is read.
fn named_near_the_end(directory: &Path, segment: u32, keys: &[ChainKey]) -> io::Result<Entries> {
    let file = File::open(segment_path(directory, segment))?;
    let length = file.metadata()?.len();
    let header = first_entry(directory, segment)?.map(|(header, _)| header);
    let key = header.and_then(|header| keys.iter().find(|key| key.version == header.key));
    let mut entries = Entries::default();
    let Some(key) = key else {
        entries.is_odd = true;
        return Ok(entries);
    };
    for (from, to) in blocks_from_the_end(length) {
        let begin = from.saturating_sub(AROUND);
        let bytes = part(&file, begin, (to + AROUND).min(length))?;
        let mut here = Vec::new();
        for mark in memchr::memmem::find_iter(&bytes, MARK) {
            if !(from..to).contains(&(begin + mark as u64)) {
                continue;
            }
            match believed(&bytes, mark, key) {
                Some((start, payload)) => {
                    here.push((Place::Offset(begin + start as u64), payload.to_vec()));
                }
                None => entries.is_odd = true,
            }
        }
        entries.named.extend(here.into_iter().rev());
        if entries.named.len() >= KEPT {
            break;
        }
    }
    Ok(entries)
}

/// The payload of the checkpoint's entry that has this mark in it, and where it
/// begins.
fn believed<'b>(bytes: &'b [u8], mark: usize, key: &ChainKey) -> Option<(usize, &'b [u8])> {
    let newline = memchr::memrchr(b'\n', bytes.get(..mark)?)?;
    let start = newline + 1;
    let end = mark + memchr::memchr(b'\n', bytes.get(mark..)?)?;
    let before = parse_mac(bytes.get(newline.checked_sub(64)?..newline)?)?;
    let (payload, mac) = split_line(bytes.get(start..end)?)?;
    let holds = is_checkpoint(payload) && key.link(&before, payload) == mac;
    holds.then_some((start, payload))
}

/// Every intact entry of a segment that names a checkpoint.
fn named(directory: &Path, segment: u32, keys: &[ChainKey]) -> io::Result<Entries> {
    let bytes = std::fs::read(segment_path(directory, segment))?;
    let mut entries = Entries::default();
    // Most segments have none.
    if memchr::memmem::find(&bytes, MARK).is_some() {
        let mut walk = Walk::new(keys.to_vec());
        walk.segment(segment, &bytes, |seen| {
            if is_checkpoint(seen.payload) {
                let place = Place::Line(seen.line);
                entries.named.push((place, seen.payload.to_vec()));
            }
        });
    }
    entries.named.reverse();
    Ok(entries)
}

// === impl Place ===

impl Place {
    fn line(self, directory: &Path, segment: u32) -> io::Result<u64> {
        match self {
            Self::Line(line) => Ok(line),
            Self::Offset(offset) => {
                let file = File::open(segment_path(directory, segment))?;
                let before = part(&file, 0, offset)?;
                Ok(memchr::memchr_iter(b'\n', &before).count() as u64 + 1)
            }
        }
    }
}

// === impl Found ===

impl Found {
    /// The last entry that retention removed.
    pub(crate) fn pruned(&self) -> u64 {
        self.first.as_ref().map_or(0, |first| first.prev.number)
    }

    pub(crate) fn kind(&self) -> Begin {
        let is_old = self
            .first
            .as_ref()
            .is_some_and(|first| first.format < FORMAT);
        match &self.checkpoint {
            None if is_old && self.damage.is_empty() => Begin::OfFormat1,
            _ => Begin::Known,
        }
    }

    /// Why there is nothing to begin with.
    pub(crate) fn missing(&self) -> String {
        match self.damage.last() {
            Some(damage) => damage.to_string(),
            None => {
                "its beginning is missing, and no checkpoint says that it was removed".to_owned()
            }
        }
    }

    /// Whether the journal has every entry after this one, as far as its
    /// beginning tells.
    pub(crate) fn reaches(&self, number: u64) -> bool {
        match &self.first {
            Some(first) => first.prev.number <= number,
            // Its header is damaged.
            None => self.oldest.is_none_or(|oldest| oldest == 1 || number > 0),
        }
    }
}
