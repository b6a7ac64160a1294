//! What the store promises, tried through its public face.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::unreachable,
    reason = "a test fails by panicking, helpers included"
)]

mod acts;
mod audit;
mod backup;
mod chain;
mod child;
mod clients;
mod clock;
mod control;
mod crash;
mod disk_full;
mod fleet;
mod follow;
mod format;
mod harness;
mod journal;
mod keys;
mod open;
mod planted;
mod property;
mod retention;
mod schema;
mod soak;
mod start;
mod truth;
