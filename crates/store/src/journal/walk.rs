//! Reading the chain: which entries are as they were written, and what is
//! wrong with the others.
//!
//! An entry is intact when its mac follows from the entry before it. After a
//! damaged line the walk finds its way again: the next line may follow from
//! the mac that stands in the damaged line, from the one it should have, or
//! from one a few lines before. What each bad line *is* gets decided when the
//! next intact entry shows how many were in between. No number is taken from
//! a line whose mac does not hold, not even the first.

use std::collections::VecDeque;

use super::chain::{ChainKey, Mac, parse_mac};
use super::decode::{self, Header};
use super::kind::{FORMAT, Kind};
use super::unusable::Unusable;
use crate::{Damage, DamageKind};

/// Macs that the next entry may follow from.
const REMEMBERED: usize = 16;

/// So many damaged places are named, and so many lines in a row are told apart.
const NAMED: usize = 1_000;

/// The walk through all segments, in order.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    keys: Vec<ChainKey>,
    /// The key of this segment; unknown while its header is damaged.
    key: Option<ChainKey>,
    /// The newest last.
    recent: VecDeque<Mac>,
    /// The number of the next entry, once one is known.
    expected: Option<u64>,
    /// Lines since the last intact entry.
    bad: Vec<Bad>,
    /// How many more.
    more_bad: u64,
    /// Every line that is not intact.
    pub(crate) unusable: Unusable,
    pub(crate) damage: Vec<Damage>,
    /// Damaged places that are not named, because there are too many.
    unnamed: u64,
    /// What the first line of a segment says, until its mac is checked.
    claimed: Option<Claimed>,
    /// The last header whose mac holds.
    pub(crate) header: Option<Header>,
    /// The first header, whose predecessor nobody has seen; `None` if it is
    /// damaged.
    pub(crate) first: Option<Header>,
    /// The last intact entry.
    pub(crate) last: Option<(u64, Mac)>,
    /// How many entries are intact.
    pub(crate) intact: u64,
    /// Whether the last whole line of the last segment is intact.
    pub(crate) ends_intact: bool,
}

/// An intact entry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    /// In its segment, from 1.
    pub(crate) line: u64,
    pub(crate) number: u64,
    pub(crate) mac: Mac,
    pub(crate) payload: &'a [u8],
}

#[derive(Debug, Clone, Copy)]
struct Place {
    segment: u32,
    line: u64,
    offset: u64,
    /// Where the next line begins.
    end: u64,
}

#[derive(Debug)]
struct Claimed {
    header: Header,
    /// Nothing comes before it.
    is_first: bool,
    /// The entry before is there, and it is another than the header says.
    is_foreign: bool,
}

#[derive(Debug)]
struct Bad {
    place: Place,
    /// The number it says it has.
    claims: Option<u64>,
}

// === impl Walk ===

impl Walk {
    pub(crate) fn new(keys: Vec<ChainKey>) -> Self {
        Self {
            keys,
            ..Self::default()
        }
    }

    /// Walks through one segment. Shows each intact entry and returns how
    /// many bytes at the end are no whole line.
    pub(crate) fn segment(
        &mut self,
        segment: u32,
        bytes: &[u8],
        mut show: impl FnMut(Seen<'_>),
    ) -> u64 {
        self.key = None;
        let ended_intact = std::mem::replace(&mut self.ends_intact, false);
        if let Some(length) = memchr::memchr(b'\n', bytes) {
            let text = bytes.get(..length).unwrap_or_default();
            let place = Place {
                segment,
                line: 1,
                offset: 0,
                end: length as u64 + 1,
            };
            self.enter(place, text, ended_intact);
        }
        self.lines(segment, 0, bytes, &mut show)
    }

    /// Begins behind an entry that is known, in the middle of a segment whose
    /// first line is this. `None` when that line is not what was written.
    pub(crate) fn behind(
        keys: Vec<ChainKey>,
        first_line: &[u8],
        number: u64,
        mac: Mac,
    ) -> Option<Self> {
        let mut walk = Self::new(keys);
        let (payload, its_mac) = split(first_line)?;
        let header = decode::header(payload)?;
        let key = walk.keys.iter().find(|key| key.version == header.key)?;
        if key.link(&header.prev.mac, payload) != its_mac || header.format > FORMAT {
            return None;
        }
        walk.key = Some(key.clone());
        walk.header = Some(header);
        walk.remember(mac);
        walk.expected = Some(number.saturating_add(1));
        walk.last = Some((number, mac));
        walk.ends_intact = true;
        Some(walk)
    }

    /// Walks through the rest of a segment, from an offset on. Lines are numbered
    /// from there.
    pub(crate) fn lines(
        &mut self,
        segment: u32,
        mut offset: u64,
        bytes: &[u8],
        show: &mut impl FnMut(Seen<'_>),
    ) -> u64 {
        let mut line = 0;
        let mut rest = bytes;
        while let Some(length) = memchr::memchr(b'\n', rest) {
            line += 1;
            let place = Place {
                segment,
                line,
                offset,
                end: offset + length as u64 + 1,
            };
            let (text, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.step(place, text, show);
            offset = place.end;
            rest = after.get(1..).unwrap_or_default();
        }
        rest.len() as u64
    }

    /// Says that the segments from `first` on are not there, up to `next`, which
    /// is.
    pub(crate) fn segments_missing(&mut self, first: u32, next: u32) {
        if first >= next {
            return;
        }
        self.settle(None);
        self.ends_intact = false;
        let last = next - 1;
        let kind = match first == last {
            true => DamageKind::SegmentMissing,
            false => DamageKind::SegmentsMissing { last },
        };
        self.push(kind.at(first, 0, 0));
    }

    /// Says that a segment that is not the last ends in the middle of a line.
    pub(crate) fn torn(&mut self, segment: u32, offset: u64) {
        self.settle(None);
        self.push(DamageKind::Torn.at(segment, 0, offset));
    }

    /// Whether everything so far is as it was written.
    pub(crate) fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.bad.is_empty() && self.unusable == Unusable::default()
    }

    /// Decides about what is still open at the end.
    pub(crate) fn finish(&mut self) {
        self.settle(None);
        let places = std::mem::take(&mut self.unnamed);
        if places > 0 {
            self.damage.push(DamageKind::More { places }.at(0, 0, 0));
        }
    }

    /// The number the next entry should have. Only after [`Walk::finish`].
    pub(crate) fn next_number(&self) -> u64 {
        self.expected.unwrap_or(1)
    }

    /// The version of the key the last segment was chained with.
    pub(crate) fn key_version(&self) -> Option<u32> {
        self.key.as_ref().map(|key| key.version)
    }

    /// Reads what the header says before its mac can be checked.
    fn enter(&mut self, place: Place, text: &[u8], ended_intact: bool) {
        let Some(header) = split(text).and_then(|(payload, _)| decode::header(payload)) else {
            return;
        };
        match self.keys.iter().find(|key| key.version == header.key) {
            Some(key) => self.key = Some(key.clone()),
            None => {
                let kind = DamageKind::KeyMissing {
                    version: header.key,
                };
                self.note(place, kind);
            }
        }
        let is_unseen = self.recent.iter().all(|mac| *mac != header.prev.mac);
        if is_unseen {
            // The end of the segment before is gone, or this one belongs to
            // another history. The header's own word for it counts only if
            // its mac holds, which `step` finds out.
            self.remember(header.prev.mac);
        }
        let seen = self.last.map_or(0, |(number, _)| number);
        self.claimed = Some(Claimed {
            is_first: self.expected.is_none() && self.bad.is_empty(),
            is_foreign: is_unseen && ended_intact && header.prev.number <= seen,
            header,
        });
    }

    fn step(&mut self, place: Place, text: &[u8], show: &mut impl FnMut(Seen<'_>)) {
        let claimed = self.claimed.take();
        let Some((payload, mac)) = split(text) else {
            self.reject(place, None);
            // The mac's own text may be what is damaged.
            if let Some(payload) = text.len().checked_sub(65).and_then(|end| text.get(..end)) {
                self.remember_link(payload);
            }
            return;
        };
        let number = decode::number(payload);
        if let (Some(number), true) = (number, self.follows(payload, &mac)) {
            self.recognise(place, payload, claimed);
            let in_order = self.arrive(place, number);
            self.remember(mac);
            if in_order {
                self.last = Some((number, mac));
                self.intact += 1;
                show(Seen {
                    line: place.line,
                    number,
                    mac,
                    payload,
                });
            }
            self.ends_intact = in_order;
            return;
        }
        self.reject(place, number);
        self.remember_link(payload);
        self.remember(mac);
    }

    /// Takes the word of a header whose mac holds, and notes what this program
    /// cannot know the meaning of.
    fn recognise(&mut self, place: Place, payload: &[u8], claimed: Option<Claimed>) {
        if let Some(Claimed {
            header,
            is_first,
            is_foreign,
        }) = claimed
        {
            if is_foreign {
                let number = header.prev.number;
                self.note(place, DamageKind::OtherHistory { number });
            }
            if header.format > FORMAT {
                let format = header.format;
                self.note(place, DamageKind::UnknownFormat { format });
            }
            if is_first {
                self.first = Some(header.clone());
            }
            self.header = Some(header);
        }
        let word = decode::kind_word(payload).unwrap_or_default();
        if Kind::from_word(word).is_none() {
            let kind = word.to_owned();
            self.note(place, DamageKind::UnknownKind { kind });
        }
    }

    /// Remembers the mac this payload should have.
    fn remember_link(&mut self, payload: &[u8]) {
        if let (Some(key), Some(previous)) = (&self.key, self.recent.back()) {
            let should = key.link(previous, payload);
            self.remember(should);
        }
    }

    fn reject(&mut self, place: Place, claims: Option<u64>) {
        self.ends_intact = false;
        self.unusable.add(place.segment, place.offset, place.end);
        if self.bad.len() < NAMED {
            self.bad.push(Bad { place, claims });
        } else {
            self.more_bad += 1;
        }
    }

    /// Whether the mac follows from one that was seen.
    fn follows(&mut self, payload: &[u8], mac: &Mac) -> bool {
        let holds = |key: &ChainKey| {
            self.recent
                .iter()
                .rev()
                .any(|previous| key.link(previous, payload) == *mac)
        };
        if let Some(key) = &self.key {
            return holds(key);
        }
        // The header is damaged: any key may be this segment's.
        let found = self.keys.iter().find(|key| holds(key)).cloned();
        self.key = found;
        self.key.is_some()
    }

    /// An entry that was written: says what was wrong before it, and whether
    /// it is where it belongs.
    fn arrive(&mut self, place: Place, number: u64) -> bool {
        self.settle(Some(number));
        let expected = self.expected.unwrap_or(number);
        if number < expected {
            // Here a second time, or too late: it must not count twice.
            self.unusable.add(place.segment, place.offset, place.end);
            self.note(place, DamageKind::Misplaced { number });
            return false;
        }
        if number > expected {
            self.note(
                place,
                DamageKind::Missing {
                    first: expected,
                    last: number - 1,
                },
            );
        }
        self.expected = Some(number.saturating_add(1));
        true
    }

    /// Decides what the bad lines are, now that the entry after them is known
    /// to be `next`, or that none comes.
    fn settle(&mut self, next: Option<u64>) {
        if self.bad.is_empty() {
            return;
        }
        let bad = std::mem::take(&mut self.bad);
        let more = std::mem::take(&mut self.more_bad);
        let limit = next.unwrap_or(u64::MAX);
        let room = bad.len() as u64 + more;
        // Nothing intact came before: they are counted back from what comes.
        let first = || next.map_or(1, |next| next.saturating_sub(room).max(1));
        let mut expected = self.expected.unwrap_or_else(first);
        // As many lines as numbers: they are those entries, whatever they say.
        let fits = next.is_some_and(|next| next.checked_sub(expected) == Some(room));
        for Bad { place, claims } in bad {
            match claims.filter(|_| !fits) {
                // It stands here twice, or was written further on.
                Some(number) if number < expected || number > limit => {
                    self.note(place, DamageKind::Misplaced { number });
                }
                // It takes the place of the entry that is to come: put in.
                Some(number) if number == limit => self.note(place, DamageKind::Altered),
                // A number a little further on: what it follows from is gone.
                // Without an intact entry behind it, a claim proves nothing,
                // and a wild one must not move the numbers.
                Some(number)
                    if number > expected && (next.is_some() || number - expected <= room) =>
                {
                    self.note(
                        place,
                        DamageKind::Missing {
                            first: expected,
                            last: number - 1,
                        },
                    );
                    expected = number + 1;
                }
                Some(_) | None => {
                    self.note(place, DamageKind::Altered);
                    if expected < limit {
                        expected += 1;
                    }
                }
            }
        }
        self.unnamed += more;
        self.expected = Some(expected.saturating_add(more).min(limit.max(expected)));
    }

    fn note(&mut self, place: Place, kind: DamageKind) {
        self.push(kind.at(place.segment, place.line, place.offset));
    }

    /// Names a damaged place, if there is room. What decides whether the journal
    /// can be read at all always is: nobody writes that without the key.
    fn push(&mut self, damage: Damage) {
        let decides = matches!(
            damage.kind,
            DamageKind::UnknownFormat { .. } | DamageKind::UnknownKind { .. }
        );
        if decides || self.damage.len() < NAMED {
            self.damage.push(damage);
        } else {
            self.unnamed += 1;
        }
    }

    fn remember(&mut self, mac: Mac) {
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(mac);
    }
}

/// A line without its newline, as payload and mac.
pub(crate) fn split(text: &[u8]) -> Option<(&[u8], Mac)> {
    let (head, mac) = text.split_at_checked(text.len().checked_sub(64)?)?;
    Some((head.strip_suffix(b"\t")?, parse_mac(mac)?))
}

#[cfg(test)]
mod tests;
