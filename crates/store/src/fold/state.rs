//! How far folding is, and what the entries up to there amount to.

use provost_policy::ledger::Ledger;

use crate::checkpoint::{Folded, Tail};
use crate::control::Expected;
use crate::journal::{QuickReader, Unusable};

/// How far it is, and what the entries up to there amount to.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) control: Expected,
    /// Up to where it was read for rows.
    pub(super) at: Folded,
    /// Up to where that is saved: it goes on from here when saving failed.
    pub(super) saved: Folded,
    /// Up to where entries are in `ledger`, `control` and `tail`: after a start
    /// further than the rows are.
    pub(super) counted: Folded,
    /// What the last segment asks of the database, as far as it is counted.
    pub(super) tail: Option<Tail>,
    /// The file of the checkpoint that the journal names last.
    pub(super) named: Option<String>,
    /// Entries up to this one are rows.
    pub(super) rowed: u64,
    /// The journal goes on from the first number to the second, because its end
    /// did not reach the disk.
    pub(super) cut: Option<(u64, u64)>,
    /// Bytes that were counted since the last checkpoint, and its size.
    pub(super) since: u64,
    pub(super) size: u64,
    pub(super) reader: QuickReader,
    pub(super) timeline: FoldedTimeline,
    /// Damaged lines that were found when the journal was opened.
    pub(super) unusable: Unusable,
}

/// Whose entries the rows of a segment are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FoldedTimeline {
    pub(super) segment: u32,
    pub(super) row: i64,
}
