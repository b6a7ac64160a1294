//! Why an entry was not written.

use std::io;
use std::sync::Arc;

/// Why an entry was not written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Writing failed; the next append tries again.
    #[error("the journal cannot be written: {0}")]
    Unavailable(Arc<io::Error>),
    /// The store was closed.
    #[error("the journal is closed")]
    Closed,
}
