//! Logs: readable lines on stderr, or in a file where nobody looks at stderr.

use std::path::PathBuf;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use super::log_file::LogFile;
use crate::environment;
use crate::failure::{Failure, Outcome};

/// Starts the log on stderr. `PROVOST_LOG` decides what is logged, otherwise the number of `-v`.
pub(crate) fn start_logging(filter: Option<&str>, verbose: u8) -> Outcome {
    let filter = wanted(filter, verbose)?;
    // The choice of colours was made for the whole process before.
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colours)
        .with_target(false)
        .try_init();
    started.map_err(|error| Failure::internal("cannot start the log").because(error))
}

/// Starts the log in a file that is kept small.
pub(crate) fn start_logging_to(path: PathBuf, filter: Option<&str>, verbose: u8) -> Outcome {
    let filter = wanted(filter, verbose)?;
    let log = LogFile::at(path.clone()).map_err(|error| {
        Failure::unavailable(format!("cannot write the log `{}`", path.display())).because(error)
    })?;
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Mutex::new(log))
        .with_ansi(false)
        .with_target(false)
        .try_init();
    started.map_err(|error| Failure::internal("cannot start the log").because(error))
}

fn wanted(filter: Option<&str>, verbose: u8) -> Outcome<EnvFilter> {
    let default = match verbose {
        0 => "info",
        1 => "info,provost=debug,provost_gateway=debug,provost_store=debug",
        _ => "info,provost=trace,provost_gateway=trace,provost_store=trace",
    };
    EnvFilter::try_new(filter.unwrap_or(default)).map_err(|error| {
        Failure::usage(format!(
            "variable `{}` is not a log filter",
            environment::LOG
        ))
        .because(error)
        .hint("for example `info` or `provost_gateway=debug`")
    })
}
