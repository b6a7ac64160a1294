//! A small MCP server over stdio: notes in memory, for demonstrations without anything installed.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Outcome;

/// A small MCP server over stdio, for demonstrations
#[derive(Debug, Args)]
pub(crate) struct SampleServer {
    /// The folder to serve [default: this directory]
    root: Option<PathBuf>,
}

// === impl SampleServer ===

impl SampleServer {
    pub(crate) fn run(self) -> Outcome {
        crate::demo::serve_sample(self.root)
    }
}
