//! Tests of the whole program: real processes, real sockets, scratch directories.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "test support: when the ground gives way, the test should stop there, loudly"
)]

mod administration;
mod bad_input;
mod bridges;
mod committed;
mod daemon;
mod demo;
mod end_to_end;
mod fleet;
mod follow;
mod guides;
mod help;
mod negative;
mod outliving;
mod place;
mod policies;
mod processes;
mod secrets;
mod soak;
mod standing;
