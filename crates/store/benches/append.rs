//! How long an append takes.
fn main() {}
