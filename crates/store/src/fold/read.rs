//! Reading the journal in pieces, from a position to its end.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::journal::{End, segment_path, segments};

/// How much is folded in one transaction.
const CHUNK: u64 = 4 << 20;

/// Whole lines of one segment.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// One line: payload and mac.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawLine<'a> {
    pub(super) offset: u64,
    pub(super) text: &'a [u8],
}

/// The next whole lines after `from`; `None` at the end.
pub(super) fn chunk(directory: &Path, from: &End, end: &End) -> io::Result<Option<Chunk>> {
    let (mut segment, mut offset) = (from.segment, from.offset);
    loop {
        if segment >= end.segment && offset >= end.offset {
            return Ok(None);
        }
        if let Some(chunk) = read(directory, segment, offset, end)? {
            return Ok(Some(chunk));
        }
        // Segments may be missing; the next there is goes on.
        let next = segments(directory)?
            .into_iter()
            .find(|number| *number > segment);
        let Some(next) = next else { return Ok(None) };
        (segment, offset) = (next, 0);
    }
}

fn read(directory: &Path, segment: u32, offset: u64, end: &End) -> io::Result<Option<Chunk>> {
    let file = match File::open(segment_path(directory, segment)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // Behind the end there may be a line that is being written.
    let limit = if segment == end.segment {
        end.offset
    } else {
        file.metadata()?.len()
    };
    let mut size = CHUNK;
    loop {
        let size_now = size.min(limit.saturating_sub(offset));
        let mut bytes = vec![0; usize::try_from(size_now).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut bytes, offset)?;
        if let Some(last) = memchr::memrchr(b'\n', &bytes) {
            bytes.truncate(last + 1);
            return Ok(Some(Chunk {
                segment,
                offset,
                bytes,
            }));
        }
        if size_now < size {
            return Ok(None);
        }
        // A line longer than a chunk: a checkpoint with many counters.
        size *= 2;
    }
}

// === impl Chunk ===

impl Chunk {
    /// The segment, and where in it the next chunk begins.
    pub(super) fn end(&self) -> (u32, u64) {
        (self.segment, self.offset + self.bytes.len() as u64)
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = RawLine<'_>> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.bytes).map(move |end| {
            let line = RawLine {
                offset: self.offset + start as u64,
                text: self.bytes.get(start..end).unwrap_or_default(),
            };
            start = end + 1;
            line
        })
    }
}
