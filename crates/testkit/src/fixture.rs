//! An MCP server that does what it is told, and remembers every byte it was sent.
//!
//! It speaks the legacy era (2024-11-05 … 2025-11-25), the modern one (2026-07-28) or both ([`Eras`]), over streamable
//! HTTP in the test's own process ([`Fixture`]), and over stdio as the program `provost-fixture` ([`Stdio`]). It is written on plain JSON so that
//! it can also do what no library would: see [`Hostility`].

mod answer;
mod host;
mod hostile;
mod http;
mod misbehaviour;
mod modern;
mod options;
mod outcome;
mod recorder;
mod resources;
mod server;
mod session;
mod socket;
mod stdio;
mod streams;
mod task;
mod tasks;
mod tools;

pub use hostile::Hostility;
pub use http::Fixture;
pub use options::{Eras, LATEST, Options, Replies, Sessions, VERSIONS};
pub use recorder::{Event, Recorder};
pub use stdio::{Stdio, serve as serve_stdio};
