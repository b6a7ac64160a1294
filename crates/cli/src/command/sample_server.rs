//! A small MCP server over stdio: notes in memory, for demonstrations without anything installed.

use clap::Args;

use crate::failure::Outcome;

/// A small MCP server over stdio, for demonstrations
#[derive(Debug, Args)]
pub(crate) struct SampleServer {}

// === impl SampleServer ===

impl SampleServer {
    pub(crate) fn run(self) -> Outcome {
        crate::demo::serve_sample()
    }
}
