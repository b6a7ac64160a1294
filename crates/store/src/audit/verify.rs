//! Verification: the whole chain, read again.

use std::path::Path;

use super::{Head, Verified};
use crate::guard::lock;
use crate::journal::{
    ChainKey, CheckpointLine, End, Header, Link, Named, Seen, Walk, is_checkpoint, segment_path,
    segments,
};
use crate::{Damage, DamageKind, Store, StoreError};

// === impl Store ===

impl Store {
    /// The end of the chain.
    pub fn audit_head(&self) -> Head {
        self.0.journal.end().into()
    }

    /// Reads the whole journal and checks each entry, and that the chain
    /// goes through `head` if one is given.
    pub fn audit_verify(&self, head: Option<Head>) -> Result<Verified, StoreError> {
        // Retention must not take a segment away meanwhile.
        let _alone = lock(&self.0.maintenance);
        let end = self.0.journal.end();
        let mut verified = verify(
            self.0.journal.directory(),
            self.0.keys.chain(),
            Some(end),
            head,
        )?;
        verified.database = self.0.database.damage()?;
        // A journal that is damaged itself is no measure of its records.
        if verified.damage.is_empty() {
            // Nothing is written into a file that does not hold together.
            if verified.database.is_empty() {
                verified.rebuilt = self.0.folder.compare_records()?;
            }
            if self.hold_against_journal()? {
                self.tell_change();
            }
        }
        verified.refused = self.refused();
        Ok(verified)
    }
}

/// Verifies the journal of a directory up to `end`, or to its last byte.
pub(crate) fn verify(
    directory: &Path,
    keys: Vec<ChainKey>,
    end: Option<End>,
    head: Option<Head>,
) -> Result<Verified, StoreError> {
    let numbers = segments(directory).map_err(StoreError::read)?;
    let mut walk = Walk::new(keys);
    let mut wanted = Wanted {
        head,
        end,
        ..Wanted::default()
    };
    let mut expected: Option<u32> = None;
    let mut count = 0;
    for segment in numbers
        .into_iter()
        .filter(|number| end.is_none_or(|end| *number <= end.segment))
    {
        walk.segments_missing(expected.unwrap_or(segment), segment);
        expected = Some(segment.saturating_add(1));
        count += 1;
        let bytes = std::fs::read(segment_path(directory, segment)).map_err(StoreError::read)?;
        let torn = walk.segment(segment, &bytes, |seen| wanted.look(segment, &seen));
        // In the last segment of a running store, somebody may be writing.
        let being_written = end.is_some_and(|end| end.segment == segment);
        if torn > 0 && !being_written {
            walk.torn(segment, bytes.len() as u64 - torn);
        }
    }
    if let Some(end) = end {
        walk.segments_missing(expected.unwrap_or(1), end.segment.saturating_add(1));
    }
    walk.finish();
    let kept = wanted.checkpoint.iter().chain(&wanted.checkpoint_before);
    for (segment, line, named) in kept {
        if let Err(kind) = named.read(directory).map_err(StoreError::read)? {
            walk.damage.push(kind.at(*segment, *line, 0));
        }
    }
    Ok(conclude(walk, &wanted, end, count))
}

fn conclude(mut walk: Walk, wanted: &Wanted, end: Option<End>, segments: u32) -> Verified {
    let first = walk.first.take();
    let last = walk.last.map(|(number, mac)| Head { number, mac });
    let last = last.unwrap_or_default();
    if let Some(header) = &first
        && let Some(damage) = wanted.justify(header)
    {
        walk.damage.insert(0, damage);
    }
    let (segment, offset) = end.map_or((0, 0), |end| (end.segment, end.offset));
    // What this process itself has written is a head too.
    if let Some(end) = end {
        match wanted.found_end {
            Some(mac) if mac == end.mac => {}
            _ if walk.damage.is_empty() || end.number > last.number => {
                let kind = DamageKind::Cut { end: last.number };
                walk.damage.push(kind.at(segment, 0, offset));
            }
            // It was altered, which is said already.
            _ => {}
        }
    }
    if let Some(kind) = wanted.judge_head(first.as_ref(), &last) {
        walk.damage.push(kind.at(segment, 0, offset));
    }
    Verified {
        segments,
        entries: walk.intact,
        first: first.map_or(0, |header| header.number),
        head: end
            .filter(|end| end.number < last.number)
            .map_or(last, Head::from),
        damage: walk.damage,
        refused: Vec::new(),
        database: Vec::new(),
        rebuilt: 0,
    }
}

/// What to look for on the way.
#[derive(Default)]
struct Wanted {
    head: Option<Head>,
    /// The mac of the entry with the head's number.
    found: Option<[u8; 32]>,
    end: Option<End>,
    /// The mac of the entry with the end's number.
    found_end: Option<[u8; 32]>,
    /// What checkpoints stand for.
    pruned: Vec<Link>,
    /// The last one, and where it is named.
    checkpoint: Option<(u32, u64, Named)>,
    /// The one before it, which is kept in case that one is damaged.
    checkpoint_before: Option<(u32, u64, Named)>,
}

// === impl Wanted ===

impl Wanted {
    fn look(&mut self, segment: u32, seen: &Seen<'_>) {
        if self.head.is_some_and(|head| head.number == seen.number) {
            self.found = Some(seen.mac);
        }
        if self.end.is_some_and(|end| end.number == seen.number) {
            self.found_end = Some(seen.mac);
        }
        if is_checkpoint(seen.payload)
            && let Ok(checkpoint) = serde_json::from_slice::<CheckpointLine>(seen.payload)
        {
            self.pruned.extend(checkpoint.pruned);
            if let Some(named) = checkpoint.named() {
                let newest = (segment, seen.line, named);
                self.checkpoint_before = self.checkpoint.replace(newest);
            }
        }
    }

    /// The first segment there is must be the first ever, or follow from what
    /// a checkpoint stands for.
    fn justify(&self, first: &Header) -> Option<Damage> {
        let begins = first.prev.number == 0 && first.segment == 1;
        // Retention may have been stopped before all it stands for was gone.
        if begins
            || self
                .pruned
                .iter()
                .any(|link| link.number >= first.prev.number)
        {
            return None;
        }
        let segment = first.segment.saturating_sub(1);
        Some(DamageKind::SegmentMissing.at(segment, 0, 0))
    }

    fn judge_head(&self, first: Option<&Header>, last: &Head) -> Option<DamageKind> {
        let head = self.head?;
        if let Some(mac) = self.found {
            return (mac != head.mac).then_some(DamageKind::OtherHead);
        }
        if head.number == 0
            || self
                .pruned
                .iter()
                .any(|link| link.number == head.number && link.mac == head.mac)
        {
            return None;
        }
        if head.number > last.number {
            return Some(DamageKind::Cut { end: last.number });
        }
        match first {
            Some(first) if head.number < first.number => Some(DamageKind::HeadPruned),
            _ => Some(DamageKind::OtherHead),
        }
    }
}
