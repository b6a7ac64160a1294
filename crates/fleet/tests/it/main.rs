//! Programs in windows: of a fake terminal, and of a real tmux on a socket of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod fake;
#[cfg(target_os = "linux")]
mod faults;
#[cfg(target_os = "linux")]
mod harness;
#[cfg(target_os = "linux")]
mod keys;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod people;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod restart;
mod tools;
