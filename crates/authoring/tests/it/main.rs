//! What people write policies with, through its public face.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is wrong may panic"
)]

mod documents;
mod fuzz;
#[path = "../../../policy/tests/it/generate.rs"]
mod generate;
mod properties;

#[test]
fn nothing_panics_on_mutated_policies_and_calls() {
    // `cargo run -p provost-authoring --example fuzz -- 600` goes on for longer.
    fuzz::Fuzzer::new(7).rounds(500);
}

#[test]
fn long_texts_take_linear_time() {
    fuzz::long_texts();
}
