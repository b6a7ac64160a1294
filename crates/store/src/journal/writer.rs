//! The one that writes: numbers, chains, one `write(2)` for a batch.
//!
//! Whoever holds the writer is the leader; nobody else waits on it under a
//! lock.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::chain::{ChainKey, Mac, push_hex};
use super::disk::Disk;
use super::encode;
use super::segment::{self, NewSegment};
use super::walk::Walk;
use crate::clock::Clock;
use crate::timeline::Timeline;

/// Bodies that wait for their numbers.
#[derive(Debug, Default)]
pub(super) struct Queue {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Where the journal ends: everything before it is in the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) number: u64,
    pub(crate) mac: Mac,
}

/// The writing end of the last segment.
#[derive(Debug)]
pub(super) struct Writer {
    directory: PathBuf,
    clock: Clock,
    timeline: Timeline,
    key: ChainKey,
    /// The keys that were the newest before, since this process writes.
    older_keys: Vec<ChainKey>,
    file: Arc<File>,
    end: End,
    /// A failed write may have left bytes behind the end.
    torn: bool,
    /// Files that a roll left to be synced.
    pub(super) rolled: Vec<Arc<File>>,
    limit: u64,
    out: Vec<u8>,
}

// === impl Queue ===

impl Queue {
    /// Adds a body; returns its place in the batch.
    pub(super) fn push(&mut self, body: &[u8]) -> u64 {
        let place = self.ends.len() as u64;
        self.bytes.extend_from_slice(body);
        self.ends.push(self.bytes.len());
        place
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        // One burst must not keep its memory for ever.
        self.bytes.shrink_to(1 << 20);
        self.ends.shrink_to(1 << 14);
    }

    fn bodies(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let body = self.bytes.get(start..*end).unwrap_or_default();
            start = *end;
            body
        })
    }
}

// === impl Writer ===

impl Writer {
    /// Goes on with the last segment, whose file ends at `end`.
    pub(super) fn go_on(
        directory: PathBuf,
        clock: Clock,
        timeline: Timeline,
        key: ChainKey,
        end: End,
        limit: u64,
    ) -> io::Result<Self> {
        let file = segment::open_to_append(&directory, end.segment)?;
        Ok(Self {
            directory,
            clock,
            timeline,
            key,
            older_keys: Vec::new(),
            file: Arc::new(file),
            end,
            torn: false,
            rolled: Vec::new(),
            limit,
            out: Vec::new(),
        })
    }

    /// Begins a new segment after the entry that `end` names.
    pub(super) fn begin(
        directory: PathBuf,
        clock: Clock,
        timeline: Timeline,
        key: ChainKey,
        end: End,
        limit: u64,
    ) -> io::Result<Self> {
        let segment = end
            .segment
            .checked_add(1)
            .ok_or_else(|| io::Error::other("there is no number for another segment"))?;
        segment::create(&directory, segment)?;
        let begin = End {
            segment,
            offset: 0,
            ..end
        };
        let mut writer = Self::go_on(directory, clock, timeline, key, begin, limit)?;
        let started = writer.write_header(end);
        if started.is_err() {
            // A segment without a header helps nobody.
            std::fs::remove_file(segment::path(&writer.directory, segment))?;
        }
        started.map(|()| writer)
    }

    pub(super) fn end(&self) -> End {
        self.end
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Writes a batch, whole or not at all; returns its first number.
    pub(super) fn commit(&mut self, queue: &Queue) -> io::Result<u64> {
        self.repair()?;
        let size = queue.bytes.len() as u64;
        if self.end.offset + size > self.limit && self.end.offset > 1_000 {
            self.roll(None)?;
        }
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        let (mut number, mut mac) = (self.end.number, self.end.mac);
        for body in queue.bodies() {
            number += 1;
            frame(&mut out, number, body, &mut mac, &self.key);
        }
        let written = self.write(&out, number, mac);
        out.shrink_to(1 << 20);
        self.out = out;
        written.map(|()| number + 1 - queue.ends.len() as u64)
    }

    /// Ends the segment and begins the next one, perhaps with a new key.
    pub(super) fn roll(&mut self, key: Option<ChainKey>) -> io::Result<()> {
        self.repair()?;
        // The next segment must follow from what is on the disk.
        segment::is_in_place(&self.directory, self.end.segment, &self.file)?;
        let key = key.unwrap_or_else(|| self.key.clone());
        let next = Self::begin(
            self.directory.clone(),
            self.clock.clone(),
            self.timeline.clone(),
            key,
            self.end,
            self.limit,
        )?;
        self.rolled.push(Arc::clone(&self.file));
        // The new file's name must reach the disk as well.
        self.rolled.push(Arc::new(File::open(&self.directory)?));
        self.file = next.file;
        let before = std::mem::replace(&mut self.key, next.key);
        if before.version != self.key.version {
            self.older_keys.push(before);
        }
        self.end = next.end;
        Ok(())
    }

    /// Writes the segments from `from` on again: each as a new file that is on
    /// the disk before it takes the old one's place.
    pub(super) fn write_again(&mut self, from: u32, disk: &Disk) -> io::Result<()> {
        self.repair()?;
        for segment in from..=self.end.segment {
            let path = segment::path(&self.directory, segment);
            let bytes = match std::fs::read(&path) {
                // Retention took it.
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound && segment != self.end.segment =>
                {
                    continue;
                }
                read => read.map_err(|error| {
                    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
                })?,
            };
            self.believe(segment, &bytes)?;
            let file = segment::replace(&path, &bytes, disk)?;
            if segment == self.end.segment {
                self.file = Arc::new(file);
            }
        }
        disk.sync_all(&File::open(&self.directory)?)
    }

    /// What is read back is only written again if it is what was written: the
    /// kernel may have dropped a part of it already.
    fn believe(&self, segment: u32, bytes: &[u8]) -> io::Result<()> {
        let keys = self.older_keys.iter().chain([&self.key]).cloned();
        let mut walk = Walk::new(keys.collect());
        let torn = walk.segment(segment, bytes, |_| {});
        walk.finish();
        let is_whole = torn == 0 && walk.damage.is_empty();
        let is_end = walk.last == Some((self.end.number, self.end.mac));
        if is_whole && (is_end || segment != self.end.segment) {
            return Ok(());
        }
        Err(io::Error::other(format!(
            "`{}` could not be synced to the disk, and does not hold what was written any more",
            segment::path(&self.directory, segment).display()
        )))
    }

    fn write_header(&mut self, before: End) -> io::Result<()> {
        let new = NewSegment {
            timeline: &self.timeline,
            segment: self.end.segment,
            key: self.key.version,
            prev_number: before.number,
            prev_mac: before.mac,
        };
        let mut body = Vec::new();
        segment::header_body(&mut body, &new, &self.clock);
        let (number, mut mac) = (before.number + 1, before.mac);
        let mut out = Vec::new();
        frame(&mut out, number, &body, &mut mac, &self.key);
        self.write(&out, number, mac)
    }

    fn write(&mut self, bytes: &[u8], number: u64, mac: Mac) -> io::Result<()> {
        if let Err(error) = (&*self.file).write_all(bytes) {
            // Part of it may be there. It goes now if it can, otherwise
            // before the next write: nothing half-written may stay between
            // entries.
            self.torn = true;
            self.repair().ok();
            return Err(error);
        }
        self.end.offset += bytes.len() as u64;
        self.end.number = number;
        self.end.mac = mac;
        Ok(())
    }

    fn repair(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.end.offset)?;
            self.torn = false;
        }
        Ok(())
    }
}

/// One line: payload, tab, mac, newline. Moves `mac` on.
fn frame(out: &mut Vec<u8>, number: u64, body: &[u8], mac: &mut Mac, key: &ChainKey) {
    let start = out.len();
    out.extend_from_slice(b"{\"n\":");
    encode::number(out, number);
    out.push(b',');
    out.extend_from_slice(body);
    *mac = key.link(mac, out.get(start..).unwrap_or_default());
    out.push(b'\t');
    push_hex(out, mac);
    out.push(b'\n');
}
