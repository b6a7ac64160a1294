//! The journal: an append-only, chained record of what was decided and done.

mod entry;

use std::sync::Arc;

pub use entry::{AdminAct, Decision, Entry, Intent, Outcome, Refund, Refused, Shadow, Status};

/// The writing end of the journal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal(#[expect(dead_code, reason = "filled in with the body")] Arc<()>);

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The entry's number; the first is 1, and there are no gaps.
    pub number: u64,
}

/// Why an entry was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Writing failed; the next append tries again.
    #[error("the journal cannot be written: {0}")]
    Unavailable(Arc<std::io::Error>),
    /// The store was closed.
    #[error("the journal is closed")]
    Closed,
}

// === impl Journal ===

impl Journal {
    /// Numbers, chains and writes one entry.
    ///
    /// When this returns, the entry is in the kernel: it outlives the
    /// process. Blocks for one `write(2)`.
    pub fn append(&self, entry: &Entry<'_>) -> Result<Position, JournalError> {
        let _ = entry;
        todo!()
    }
}

/// Reads 64 lower-case hexadecimal digits.
pub(crate) fn parse_mac(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut mac = [0; 32];
    for (byte, pair) in mac.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(mac)
}
