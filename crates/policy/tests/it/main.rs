//! The policy language through its public face.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    reason = "a test that is wrong may panic"
)]

mod generate;
mod hostile;
mod properties;
mod readers;
