//! What the tests, the checks and the bench of this project are made of.
//!
//! * [`agent`]: real agents, without a terminal and in one.
//! * [`fixture`]: an MCP server that does what it is told, kindly or not, and remembers every byte it was sent.
//! * [`http`], [`tcp`], [`client`]: clients that show the raw truth of an answer; [`sse`] reads event streams.
//! * [`modern`]: what both sides must know about the modern era: names, headers, annotations.
//! * [`mod@bench`]: a minimal upstream, a load generator, nginx as the yardstick.
//! * [`mod@wait`]: awaiting a state instead of sleeping.
//! * [`conformance`]: the conformance suite of the protocol's authors, and the server and the client that it plays with.
//! * [`shipped`]: the product's own binary, started as a user would.
//! * [`mod@soak`]: mutated traffic against the shipped binary, for as long as one likes.
//! * [`negative`]: the numbered list of bad input.
//! * [`terminal`]: a terminal without windows on any screen.
//! * [`spec`]: what the published schemas of the protocol say about who may ask whom.
//! * [`model`]: a model that follows the script in its prompt, for real agents.
//! * [`real`]: real MCP servers and client libraries, and the scenarios they run.
//!
//! Only tests, the checks and the bench depend on this room; nothing here is part of the product.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test support: when the ground gives way, the test should stop there, loudly"
)]

pub mod agent;
pub mod bench;
pub mod client;
pub mod conformance;
pub mod fixture;
pub mod http;
pub mod model;
pub mod modern;
pub mod negative;
pub mod process;
pub mod real;
pub mod shipped;
pub mod soak;
pub mod spec;
pub mod sse;
pub mod tcp;
pub mod terminal;
pub mod wait;

pub use wait::{wait_for, wait_until};
