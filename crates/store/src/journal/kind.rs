//! The kinds of entries, and the format they are written in.

use std::borrow::Cow;

use serde::Deserialize;

use super::entry::Decision;
use crate::words::words;

words! {
    /// What kind of entry it is. Whoever adds one raises [`FORMAT`], so that an
    /// older program sees it in the header of a segment already.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub(crate) enum Kind with word {
        /// The first of each file.
        #[default]
        Segment = "segment",
        Start = "start",
        Stop = "stop",
        Intent = "intent",
        Refused = "refused",
        Outcome = "outcome",
        Admin = "admin",
        /// A change of the control plane, written before it is committed.
        Change = "change",
        /// That change was committed.
        Made = "made",
        /// That change was not committed.
        Undone = "undone",
        Checkpoint = "checkpoint",
    }
}

/// What an entry is a row of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowOf {
    /// A record, with this decision unless the entry says another.
    Call(Decision),
    Act,
}

/// The format of segments that this program writes. 1 is what was before
/// headers said it.
pub(crate) const FORMAT: u32 = 2;

// === impl Kind ===

impl Kind {
    /// What row folding makes of it, if it makes one.
    pub(crate) const fn row(self) -> Option<RowOf> {
        match self {
            Self::Intent => Some(RowOf::Call(Decision::Allow)),
            Self::Refused => Some(RowOf::Call(Decision::Deny)),
            Self::Start | Self::Stop | Self::Admin | Self::Change | Self::Undone => {
                Some(RowOf::Act)
            }
            // An outcome joins the row of its call; what a checkpoint stands for is
            // folded already, or was taken over when the journal was opened.
            Self::Segment | Self::Outcome | Self::Made | Self::Checkpoint => None,
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = Cow::<str>::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| serde::de::Error::custom("an unknown kind"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../../docs/journal.md");

    #[test]
    fn d78_a_new_kind_raises_the_format() {
        let words = Kind::ALL.map(Kind::word).join(" ");
        let of_this_format =
            "segment start stop intent refused outcome admin change made undone checkpoint";
        assert_eq!((FORMAT, words.as_str()), (2, of_this_format), "see `Kind`");
    }

    #[test]
    fn d78_every_kind_has_a_row_in_the_description_of_the_journal() {
        let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
        let first_cells: String = rows.filter_map(|line| line.split('|').nth(1)).collect();
        for kind in Kind::ALL {
            let word = kind.word();
            assert!(
                first_cells.contains(&format!("`{word}`")),
                "`{word}` has no row in docs/journal.md"
            );
        }
    }
}
