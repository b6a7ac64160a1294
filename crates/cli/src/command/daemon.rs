//! The daemon that `run` and `connect` start. It reports once on stdout, then lives on its own.

use std::io::Write;

use clap::Args;
use provost_admin::open_now;

use crate::context::Context;
use crate::daemon::{self, Beginning, Started, config};
use crate::failure::Outcome;
use crate::runtime::block_on;

/// The daemon that `run` and `connect` start when there is none
#[derive(Debug, Args)]
pub(crate) struct Daemon {}

// === impl Daemon ===

impl Daemon {
    pub(crate) fn run(self, context: &Context) -> Outcome {
        // A session of its own: closing the terminal of the agent must not end it. Fails only for
        // a group leader, which has one already or was started by hand.
        let _ = rustix::process::setsid();
        let begun = self.begin(context);
        if let Err(failure) = &begun {
            report(&Started::Failed(failure.clone()));
        }
        begun
    }

    fn begin(self, context: &Context) -> Outcome {
        let places = context.places()?;
        let (filter, verbose) = (context.environment.log.as_deref(), context.global.verbose);
        daemon::start_logging_to(places.daemon_log(), filter, verbose)?;
        let limits = config::File::default().limits(&config::variable)?;
        // No patience here: whoever started this looks whether another daemon has come up meanwhile.
        let beginning = Beginning {
            store: open_now(&places.store())?,
            places,
            limits,
            fleet: None,
            listen: None,
            ready: Box::new(|_| report(&Started::Ready)),
        };
        block_on(daemon::run(beginning))
    }
}

fn report(started: &Started) {
    let line = serde_json::to_string(started).unwrap_or_default();
    // Whoever started this daemon may be gone already.
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}
