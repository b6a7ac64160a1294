//! What one instance printed, on disk: a few files that follow each other, so that the
//! oldest can go as a whole. A place in it is counted from the first byte ever printed,
//! and lost bytes are counted too: they are holes between two files.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::place;

/// A new file is begun when the last one has this length, and the oldest goes when the
/// others have as much: about twice this is kept at most.
pub(super) const HALF: u64 = 4 * 1024 * 1024;
/// At most so many files: each hole begins one.
const MOST: usize = 64;

/// The files of one instance.
pub(super) struct Segments {
    directory: PathBuf,
    files: VecDeque<Segment>,
    /// The last file, once something is written to it. The others are opened by those who
    /// read: there are many instances, and few open files.
    writer: Option<File>,
    end: u64,
    /// What was lost since the last byte that is kept.
    lost: Option<Hole>,
}

/// One file.
struct Segment {
    start: u64,
    length: u64,
    before: Option<Hole>,
    path: PathBuf,
}

/// Bytes that were printed and are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hole {
    /// As many as places are missing.
    Counted,
    /// Nobody knows how many; one place stands for them.
    Unseen,
}

/// Bytes without a hole among them.
pub(super) struct Run {
    pub(super) before: Option<(u64, Hole)>,
    pub(super) start: u64,
    pub(super) bytes: Vec<u8>,
}

// === impl Hole ===

impl Hole {
    fn word(hole: Option<Self>) -> &'static str {
        match hole {
            None => "on",
            Some(Self::Counted) => "lost",
            Some(Self::Unseen) => "unseen",
        }
    }

    fn named(word: &str) -> Option<Option<Self>> {
        [None, Some(Self::Counted), Some(Self::Unseen)]
            .into_iter()
            .find(|hole| Self::word(*hole) == word)
    }
}

// === impl Segments ===

impl Segments {
    /// Opens what is there, and goes on at its end.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        place::create_directory(directory)?;
        let mut files: Vec<Segment> = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if let Some((start, before)) = read_name(&path) {
                files.push(Segment {
                    start,
                    length: path.metadata()?.len(),
                    before,
                    path,
                });
            }
        }
        files.sort_by_key(|segment| segment.start);
        let end = files.last().map_or(0, Segment::end);
        Ok(Self {
            directory: directory.to_owned(),
            files: files.into(),
            writer: None,
            end,
            lost: None,
        })
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The first place that is kept.
    pub(super) fn first(&self) -> u64 {
        self.files.front().map_or(self.end, |segment| segment.start)
    }

    /// Keeps bytes. What the disk does not take is lost and counted; the next bytes are
    /// tried again.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.write(rest) {
                Ok(written) => {
                    self.end += written as u64;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.end += rest.len() as u64;
                    self.lost.get_or_insert(Hole::Counted);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Something may have been printed that nobody saw.
    pub(super) fn missed(&mut self) {
        if self.lost != Some(Hole::Unseen) {
            self.end += 1;
            self.lost = Some(Hole::Unseen);
        }
    }

    /// Whether what was printed last is not kept.
    pub(super) fn is_cut(&self) -> bool {
        self.lost == Some(Hole::Counted)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let full = self.files.back().is_none_or(|last| last.length >= HALF);
        if full || self.lost.is_some() {
            self.begin()?;
        }
        let Some(last) = self.files.back_mut() else {
            return Ok(0);
        };
        let written = match &mut self.writer {
            Some(writer) => writer.write(bytes),
            none => none.insert(appending(&last.path)?).write(bytes),
        };
        let written = match written {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            written => written,
        };
        last.length += *written.as_ref().unwrap_or(&0) as u64;
        if last.length == 0 {
            // A file that could not be begun leaves the hole before it as it was.
            let _ = std::fs::remove_file(&last.path);
            self.lost = self.files.pop_back().and_then(|last| last.before);
            self.writer = None;
        }
        written
    }

    /// Begins a file at the end, and lets old ones go.
    fn begin(&mut self) -> io::Result<()> {
        let name = format!("{:020}.{}", self.end, Hole::word(self.lost));
        let path = self.directory.join(name);
        self.writer = Some(appending(&path)?);
        self.files.push_back(Segment {
            start: self.end,
            length: 0,
            before: self.lost.take(),
            path,
        });
        // How much is kept without the oldest.
        let rest = |files: &VecDeque<Segment>| files.iter().skip(1).map(|file| file.length).sum();
        while HALF <= rest(&self.files) || self.files.len() > MOST {
            if let Some(oldest) = self.files.pop_front() {
                // A file that stays although it should go is found again at the next start.
                let _ = std::fs::remove_file(&oldest.path);
            }
        }
        Ok(())
    }

    /// What to read from `from` on, at most `most` bytes; reading itself needs no lock, and
    /// files that go meanwhile can be read to their ends.
    pub(super) fn plan(&self, from: u64, most: u64) -> io::Result<Plan> {
        let mut parts = Vec::new();
        let (mut at, mut room) = (from, most);
        for segment in &self.files {
            if segment.end() <= at || room == 0 {
                continue;
            }
            let before = (segment.start > at).then(|| {
                // What went because it was old is counted.
                (at, segment.before.unwrap_or(Hole::Counted))
            });
            let start = at.max(segment.start);
            let length = room.min(segment.end() - start);
            parts.push(Part {
                before,
                start,
                offset: start - segment.start,
                length,
                file: File::open(&segment.path)?,
            });
            (at, room) = (start + length, room - length);
        }
        // What was lost last is told when nothing follows it yet.
        let last = self.lost.filter(|_| room > 0 && at < self.end);
        Ok(Plan {
            parts,
            last: last.map(|hole| (at, hole)),
            end: self.end,
        })
    }
}

/// What to read of which files.
pub(super) struct Plan {
    parts: Vec<Part>,
    /// A hole at the very end.
    pub(super) last: Option<(u64, Hole)>,
    /// The end of everything, at the time.
    pub(super) end: u64,
}

struct Part {
    before: Option<(u64, Hole)>,
    start: u64,
    offset: u64,
    length: u64,
    file: File,
}

// === impl Plan ===

impl Plan {
    /// Reads it. Files that follow each other without a hole are one run.
    pub(super) fn read(&self) -> io::Result<Vec<Run>> {
        let mut runs: Vec<Run> = Vec::new();
        for part in &self.parts {
            let mut bytes = vec![0; usize::try_from(part.length).unwrap_or(0)];
            part.file.read_exact_at(&mut bytes, part.offset)?;
            match runs.last_mut() {
                Some(run) if part.before.is_none() => run.bytes.append(&mut bytes),
                _ => runs.push(Run {
                    before: part.before,
                    start: part.start,
                    bytes,
                }),
            }
        }
        Ok(runs)
    }
}

// === impl Segment ===

impl Segment {
    fn end(&self) -> u64 {
        self.start + self.length
    }
}

fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).open(path)
}

/// The start of a file and the hole before it, by its name.
fn read_name(path: &Path) -> Option<(u64, Option<Hole>)> {
    let (start, word) = path.file_name()?.to_str()?.split_once('.')?;
    Some((start.parse().ok()?, Hole::named(word)?))
}
