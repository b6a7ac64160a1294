//! A small MCP server over stdio, for demonstrations without anything installed.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Outcome;
use crate::runtime::block_on;

/// A small MCP server over stdio, for demonstrations
#[derive(Debug, Args)]
pub(crate) struct SampleServer {
    /// The folder to serve
    #[arg(default_value = ".")]
    root: PathBuf,
}

// === impl SampleServer ===

impl SampleServer {
    pub(crate) fn run(self) -> Outcome {
        block_on(provost_demo::serve_sample(&self.root))
    }
}
