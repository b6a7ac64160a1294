//! `provost demo`.

use std::path::PathBuf;

use clap::Args;

use super::Context;
use crate::failure::Outcome;

/// Show the main job, for real, in a scratch directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  provost demo
  provost demo --fast

It starts a daemon on a scratch directory, puts policies in front of an MCP server, and calls it
with a real MCP client. Nothing of yours is touched.")]
pub(crate) struct Demo {
    /// Do not pause between the steps
    #[arg(long)]
    fast: bool,
    /// A folder with `node_modules`, for a real server from npm [default: found when there is one]
    #[arg(long, value_name = "DIR")]
    npm: Option<PathBuf>,
}

// === impl Demo ===

impl Demo {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        crate::demo::run(context, self.fast, self.npm)
    }
}
