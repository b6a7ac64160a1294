//! What is there when the journal is opened: its end, and what is damaged.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use provost_policy::Moment;

use super::chain::{ChainKey, parse_mac};
use super::decode::{self, Header};
use super::kind::FORMAT;
use super::segment;
use super::unusable::Unusable;
use super::walk::{Seen, Walk};
use super::writer::End;
use crate::timeline::{Restored, Timeline};
use crate::{Damage, DamageKind};

/// A journal as it was found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    /// Where the next entry goes.
    pub(crate) end: End,
    /// The key version of the last segment, if it can be gone on with.
    open_key: Option<u32>,
    /// The last header whose mac holds.
    pub(crate) header: Option<Header>,
    /// Bytes of an unfinished entry that were cut off.
    pub(crate) torn_bytes: u64,
    /// What is damaged in the part that was read.
    pub(crate) damage: Vec<Damage>,
    /// Lines there that must not be used.
    pub(crate) unusable: Unusable,
    /// The latest moment of an entry, by the steady line.
    pub(crate) last: Option<Moment>,
    /// Entries after the first of these numbers and before the second did not
    /// reach the disk, as far as the database tells.
    pub(crate) cut: Option<(u64, u64)>,
    /// The entry that was folded last is another one here.
    pub(crate) is_other_history: bool,
}

/// Reads the journal to its end, and cuts off an entry that was never finished.
/// `known` is the entry that a checkpoint stands for, and `folded` what the
/// database knows.
///
/// It reads what comes after the checkpoint. Where anything of that is odd, it
/// begins with the whole segment instead, and says what is wrong with it.
pub(crate) fn recover(
    directory: &Path,
    keys: &[ChainKey],
    known: End,
    folded: Option<End>,
) -> io::Result<Recovered> {
    let mut segments = segment::list(directory)?;
    let mut found = Recovered {
        end: End {
            offset: 0,
            ..folded.unwrap_or_default()
        },
        ..Recovered::default()
    };
    found.cut_torn_end(directory, &mut segments)?;
    if let Some(walk) = found.walk_behind(directory, keys, known, folded, &segments)? {
        found.conclude(walk, folded);
        return Ok(found);
    }
    let first = known.segment.min(folded.map_or(0, |at| at.segment));
    let mut start = first.min(segments.last().copied().unwrap_or(0));
    let walk = loop {
        let walk = found.walk(
            directory,
            keys,
            folded,
            segments.iter().copied().filter(|number| *number >= start),
        )?;
        // Nothing intact there: the entries before say where the journal is.
        match segments.iter().rev().find(|number| **number < start) {
            Some(earlier) if walk.last.is_none() => start = *earlier,
            _ => break walk,
        }
    };
    found.conclude(walk, folded);
    Ok(found)
}

// === impl Recovered ===

impl Recovered {
    /// Whether the last segment can be gone on with.
    pub(super) fn goes_on(&self, key: &ChainKey, timeline: &Timeline) -> bool {
        let is_ours = self.header.as_ref().is_some_and(|header| {
            header.segment == self.end.segment
                && header.format == FORMAT
                && header.node.as_deref() == Some(&*timeline.node)
                && header.epoch == timeline.epoch
        });
        is_ours && self.open_key == Some(key.version)
    }

    /// Whose history goes on. A restored one is another from here on.
    pub(crate) fn timeline(&self, id: &str, restored: Option<&Restored>) -> Timeline {
        let header = self.header.as_ref();
        let epoch = header.map_or(1, |header| header.epoch);
        Timeline {
            node: header
                .and_then(|header| header.node.as_deref())
                .unwrap_or(id)
                .into(),
            epoch: epoch + u32::from(restored.is_some()),
        }
    }

    /// What of it this program cannot know the meaning of.
    pub(crate) fn unknown(&self) -> Option<&Damage> {
        self.damage.iter().find(|damage| {
            matches!(
                damage.kind,
                DamageKind::UnknownFormat { .. } | DamageKind::UnknownKind { .. }
            )
        })
    }

    /// Cuts off what is no whole line at the end of the last segment.
    fn cut_torn_end(&mut self, directory: &Path, segments: &mut Vec<u32>) -> io::Result<()> {
        let Some(last) = segments.last().copied() else {
            return Ok(());
        };
        let path = segment::path(directory, last);
        let file = File::open(&path)?;
        let length = file.metadata()?.len();
        let whole = segment::last_line_end(&file, length)?;
        self.torn_bytes = length - whole;
        if whole == 0 {
            // The process stopped while it began this segment.
            std::fs::remove_file(path)?;
            segments.pop();
        } else if self.torn_bytes > 0 {
            OpenOptions::new().write(true).open(&path)?.set_len(whole)?;
        }
        Ok(())
    }

    /// Walks from behind a known entry to the end; `None` where something is not
    /// as it should be.
    fn walk_behind(
        &mut self,
        directory: &Path,
        keys: &[ChainKey],
        known: End,
        folded: Option<End>,
        segments: &[u32],
    ) -> io::Result<Option<Walk>> {
        let is_there = segments.contains(&known.segment);
        if !is_there || !folded.is_none_or(|folded| is_folded_here(directory, folded, known)) {
            return Ok(None);
        }
        let header = segment::first_line(directory, known.segment)?;
        let Some(mut walk) = Walk::behind(keys.to_vec(), &header, known.number, known.mac) else {
            return Ok(None);
        };
        let (end, last) = (self.end, self.last);
        for number in segments.iter().filter(|it| **it >= known.segment) {
            if *number > known.segment {
                walk.segments_missing(self.end.segment.saturating_add(1), *number);
            }
            let from = match *number == known.segment {
                true => known.offset,
                false => 0,
            };
            self.take(directory, *number, from, folded, &mut walk)?;
        }
        if walk.is_whole() && !self.is_other_history {
            return Ok(Some(walk));
        }
        (self.end, self.last, self.is_other_history) = (end, last, false);
        Ok(None)
    }

    fn walk(
        &mut self,
        directory: &Path,
        keys: &[ChainKey],
        folded: Option<End>,
        segments: impl Iterator<Item = u32>,
    ) -> io::Result<Walk> {
        let mut walk = Walk::new(keys.to_vec());
        let mut expected = None;
        for number in segments {
            walk.segments_missing(expected.unwrap_or(number), number);
            expected = Some(number.saturating_add(1));
            self.take(directory, number, 0, folded, &mut walk)?;
        }
        Ok(walk)
    }

    /// Walks through one segment, or its end from an offset on.
    fn take(
        &mut self,
        directory: &Path,
        number: u32,
        from: u64,
        folded: Option<End>,
        walk: &mut Walk,
    ) -> io::Result<()> {
        let file = File::open(segment::path(directory, number))?;
        let length = file.metadata()?.len();
        let bytes = segment::part(&file, from.min(length), length)?;
        let mut last = self.last;
        let mut is_other_history = self.is_other_history;
        let mut show = |seen: Seen<'_>| {
            let at = decode::moment(seen.payload);
            last = last.into_iter().chain(at).max_by_key(|at| at.steady);
            is_other_history |=
                folded.is_some_and(|folded| folded.number == seen.number && folded.mac != seen.mac);
        };
        let torn = match from {
            0 => walk.segment(number, &bytes, &mut show),
            from => walk.lines(number, from, &bytes, &mut show),
        };
        self.is_other_history = is_other_history;
        self.last = last;
        let whole = from.min(length) + bytes.len() as u64 - torn;
        if torn > 0 {
            walk.torn(number, whole);
        }
        if number >= self.end.segment {
            self.end.segment = number;
            self.end.offset = whole;
        }
        Ok(())
    }

    fn conclude(&mut self, mut walk: Walk, folded: Option<End>) {
        walk.finish();
        if let Some((_, mac)) = walk.last {
            self.end.mac = mac;
        }
        let number = walk.next_number() - 1;
        if walk.ends_intact && walk.last.is_some_and(|(last, _)| last == number) {
            self.open_key = walk.key_version();
        }
        let End {
            segment, offset, ..
        } = self.end;
        match folded {
            // The database knows of entries that are not there: the machine
            // stopped before they reached the disk, or somebody cut them off.
            Some(folded) if folded.number > number => {
                let kind = DamageKind::Missing {
                    first: number + 1,
                    last: folded.number,
                };
                walk.damage.push(kind.at(segment, 0, offset));
                self.cut = Some((number, folded.number.saturating_add(1)));
                self.end.number = folded.number;
                self.end.mac = folded.mac;
                self.open_key = None;
            }
            _ => self.end.number = number,
        }
        self.header = walk.header;
        self.damage = walk.damage;
        self.unusable = walk.unusable;
    }
}

/// Whether the entry that was folded last is the one that stands there, as far as
/// that can be told before what comes after `known` is read.
fn is_folded_here(directory: &Path, folded: End, known: End) -> bool {
    if folded.number > known.number {
        return true;
    }
    let its_mac = || {
        let file = File::open(segment::path(directory, folded.segment)).ok()?;
        let from = folded.offset.checked_sub(65)?;
        segment::part(&file, from, folded.offset).ok()
    };
    let mac = its_mac().and_then(|text| parse_mac(text.strip_suffix(b"\n")?));
    mac == Some(folded.mac) && (folded.number != known.number || folded.mac == known.mac)
}
