//! The demonstration: everything real, on a scratch directory.

use std::path::PathBuf;

use crate::command::Context;
use crate::failure::{Failure, Outcome};

/// Runs the demonstration.
pub(crate) fn run(_context: &Context, _fast: bool, _npm: Option<PathBuf>) -> Outcome {
    Err(Failure::internal("not yet"))
}

/// Serves the sample server on stdin and stdout.
pub(crate) fn serve_sample() -> Outcome {
    Err(Failure::internal("not yet"))
}
