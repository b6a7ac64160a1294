//! The test kit tested: a fixture that lies to the tests would be worse than none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod conformance;
mod fixture;
mod hostile;
mod modern;
mod real;
