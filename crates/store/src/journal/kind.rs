//! The kinds of entries, and the format they are written in.

use std::borrow::Cow;

use serde::Deserialize;

/// What kind of entry it is. Whoever adds one raises [`FORMAT`], so that an
/// older program sees it in the header of a segment already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Segment,
    Start,
    Stop,
    Intent,
    Refused,
    Outcome,
    Admin,
    /// A change of the control plane, written before it is committed.
    Change,
    /// That change was committed.
    Made,
    /// That change was not committed.
    Undone,
    Checkpoint,
}

/// The format of segments that this program writes. 1 is what was before
/// headers said it.
pub(crate) const FORMAT: u32 = 2;

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::Segment,
        Self::Start,
        Self::Stop,
        Self::Intent,
        Self::Refused,
        Self::Outcome,
        Self::Admin,
        Self::Change,
        Self::Made,
        Self::Undone,
        Self::Checkpoint,
    ];

    /// The word in an entry.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Intent => "intent",
            Self::Refused => "refused",
            Self::Outcome => "outcome",
            Self::Admin => "admin",
            Self::Change => "change",
            Self::Made => "made",
            Self::Undone => "undone",
            Self::Checkpoint => "checkpoint",
        }
    }

    /// Whether folding makes a row of it.
    pub(crate) const fn has_row(self) -> bool {
        match self {
            Self::Intent
            | Self::Refused
            | Self::Start
            | Self::Stop
            | Self::Admin
            | Self::Change
            | Self::Undone => true,
            Self::Segment | Self::Outcome | Self::Made | Self::Checkpoint => false,
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
