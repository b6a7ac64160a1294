//! Logs: readable lines on stderr.

use tracing_subscriber::EnvFilter;

use crate::environment;
use crate::failure::{Failure, Outcome};

/// Starts the log. `PROVOST_LOG` decides what is logged, otherwise the number of `-v`.
pub(crate) fn start_logging(filter: Option<&str>, verbose: u8) -> Outcome {
    let default = match verbose {
        0 => "info",
        1 => "info,provost=debug,provost_gateway=debug,provost_store=debug",
        _ => "info,provost=trace,provost_gateway=trace,provost_store=trace",
    };
    let filter = EnvFilter::try_new(filter.unwrap_or(default)).map_err(|error| {
        Failure::usage(format!(
            "variable `{}` is not a log filter",
            environment::LOG
        ))
        .because(error)
        .hint("for example `info` or `provost_gateway=debug`")
    })?;
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
