//! Whether a counter has room.

/// Whether an amount fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Fits,
    /// Not now; after this many microseconds.
    FreeIn(u64),
    /// Not before a call in flight ends.
    InFlight,
}
