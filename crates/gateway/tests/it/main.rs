//! The gateway as agents and upstreams see it: real connections, real processes,
//! a real store, and a record of every byte that went through.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests"
)]

#[macro_use]
mod harness;

mod asking;
mod budgets;
mod builtin;
mod changes;
mod clients;
mod committed;
mod crowded;
mod decisions;
mod doors;
mod fidelity;
mod fuzz;
mod http2;
mod isolation;
mod journal;
mod methods;
mod modern;
mod native;
mod negative;
mod noise;
mod own_processes;
mod pieces;
mod places;
mod pressure;
mod processes;
mod questions;
mod relayed;
mod reopened;
mod run;
mod servers;
mod sessions;
mod smuggled;
mod standing;
mod stopping;
mod tls;
mod traces;
mod upstreams;
mod waits;
mod wire;
