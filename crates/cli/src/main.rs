//! The binary `provost`.
fn main() {}
