//! Mutates policies and calls for as many seconds as asked:
//! `cargo run -p provost-authoring --example fuzz -- 60 [SEED]`.

#[path = "../tests/it/fuzz.rs"]
#[expect(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "shared with the tests"
)]
mod fuzz;

use std::time::{Duration, Instant};

#[expect(clippy::print_stdout, reason = "a program for a terminal")]
#[expect(clippy::disallowed_methods, reason = "a program with arguments")]
fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let seconds = numbers.next().unwrap_or(10);
    let seed = numbers.next().unwrap_or(1);
    let mut fuzzer = fuzz::Fuzzer::new(seed);
    let start = Instant::now();
    let mut rounds = 0_u64;
    while start.elapsed() < Duration::from_secs(seconds) {
        fuzzer.rounds(100);
        rounds += 100;
    }
    println!("{rounds} rounds without a finding, seed {seed}");
}
