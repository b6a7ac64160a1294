//! The two eras of the protocol.
//!
//! Legacy is 2024-11-05 … 2025-11-25: sessions, and requests in both directions.
//! Modern is 2026-07-28: every request stands alone and says what it is.

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

// === impl Era ===

impl Era {
    /// Its word in what people and scripts read.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }
}
