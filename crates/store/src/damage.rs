//! What can be wrong with a journal.

use std::fmt;

use crate::journal::FORMAT;

/// One place that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The segment's number.
    pub segment: u32,
    /// The line in it, from 1.
    pub line: u64,
    /// Where the line begins, in bytes.
    pub offset: u64,
    /// What is wrong.
    pub kind: DamageKind,
}

/// What is wrong at a damaged place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// The line is not what was written: changed, or inserted.
    Altered,
    /// Entries are missing before this one.
    Missing {
        /// The first that is missing.
        first: u64,
        /// The last that is missing.
        last: u64,
    },
    /// The entry stands at another place than where it was written, or twice.
    Misplaced {
        /// The number it carries.
        number: u64,
    },
    /// The segment follows from another entry of that number than the one
    /// that stands before it: two histories were put together.
    OtherHistory {
        /// The number both have.
        number: u64,
    },
    /// The segment has a format this program does not know.
    UnknownFormat {
        /// The format.
        format: u32,
    },
    /// The entry is of a kind this program does not know.
    UnknownKind {
        /// The kind.
        kind: String,
    },
    /// The file of a checkpoint that an entry names is not there.
    CheckpointMissing {
        /// The file.
        file: String,
    },
    /// The file of a checkpoint is not what the entry says.
    CheckpointAltered {
        /// The file.
        file: String,
    },
    /// The last line is unfinished.
    Torn,
    /// A whole segment is missing, and no checkpoint stands for it.
    SegmentMissing,
    /// This segment and those after it, up to another, are missing.
    SegmentsMissing {
        /// The last of them.
        last: u32,
    },
    /// There are more damaged places than are named.
    More {
        /// How many.
        places: u64,
    },
    /// The segment was written with a key that is not there.
    KeyMissing {
        /// The key's version.
        version: u32,
    },
    /// The journal ends before the given head.
    Cut {
        /// Where it ends.
        end: u64,
    },
    /// The entry with the head's number is another one.
    OtherHead,
    /// The given head is older than what retention left.
    HeadPruned,
}

// === impl DamageKind ===

impl DamageKind {
    /// This, there; line 0 is no line in particular.
    pub(crate) fn at(self, segment: u32, line: u64, offset: u64) -> Damage {
        Damage {
            segment,
            line,
            offset,
            kind: self,
        }
    }
}

// === impl Damage ===

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let DamageKind::More { places } = self.kind {
            return write!(f, "and {places} more places");
        }
        write!(
            f,
            "segment {}, line {}, offset {}: ",
            self.segment, self.line, self.offset
        )?;
        match &self.kind {
            DamageKind::Altered => write!(f, "the entry was altered or inserted"),
            DamageKind::Missing { first, last } if first == last => {
                write!(f, "entry {first} is missing")
            }
            DamageKind::Missing { first, last } => {
                write!(f, "entries {first} to {last} are missing")
            }
            DamageKind::Misplaced { number } => {
                write!(f, "entry {number} is at the wrong place")
            }
            DamageKind::OtherHistory { number } => write!(
                f,
                "the segment does not continue the one before it (entry {number} differs): \
                 it belongs to another history"
            ),
            DamageKind::UnknownFormat { format } => write!(
                f,
                "the segment has format {format}, this program knows up to {FORMAT}"
            ),
            DamageKind::UnknownKind { kind } => write!(
                f,
                "the entry is of the kind `{}`, which this program does not know",
                kind.escape_default()
            ),
            DamageKind::CheckpointMissing { file } => {
                write!(f, "the checkpoint `{}` is missing", file.escape_default())
            }
            DamageKind::CheckpointAltered { file } => write!(
                f,
                "the checkpoint `{}` is not what was written",
                file.escape_default()
            ),
            DamageKind::Torn => write!(f, "the last entry is unfinished"),
            DamageKind::SegmentMissing => {
                write!(
                    f,
                    "the segment is missing, and no checkpoint says that it was removed"
                )
            }
            DamageKind::SegmentsMissing { last } => write!(
                f,
                "the segments up to {last} are missing, and no checkpoint says that they were removed"
            ),
            DamageKind::More { places } => write!(f, "{places} more places"),
            DamageKind::KeyMissing { version } => {
                write!(f, "chain key {version} is not in the key file")
            }
            DamageKind::Cut { end } => write!(
                f,
                "the journal was cut: it ends at entry {end}, before the given head"
            ),
            DamageKind::OtherHead => write!(
                f,
                "the entry with the number of the given head is a different one"
            ),
            DamageKind::HeadPruned => write!(
                f,
                "the given head is older than the oldest entry that was kept (setting `retention`)"
            ),
        }
    }
}
