//! The daemon: one per data directory, with a socket for administration and one for agents.

mod admin_socket;
mod agent_socket;
pub(crate) mod config;
mod lifecycle;
mod local_run;
mod logging;
mod serve;
mod signals;
mod start;

pub(crate) use admin_socket::export_format;
pub(crate) use lifecycle::{Beginning, already_up, run};
pub(crate) use logging::start_logging;
pub(crate) use serve::{Engine, Listen};
pub(crate) use signals::{Signals, end_at_once};
pub(crate) use start::{Started, connect_or_start};

use std::time::{Duration, Instant};

use provost_store::Store;

use crate::exit::Kind;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;

/// How long a command waits for another one that has the store open.
const PATIENCE: Duration = Duration::from_secs(5);

/// Opens the store in this process; waits a moment when another short command has it.
pub(crate) fn open_store(places: &Places) -> Outcome<Store> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Store::open(&places.store()) {
            Ok(store) => return Ok(store),
            Err(error) => {
                let failure = crate::admin::open_failure(&error, places);
                if failure.kind != Kind::Conflict || Instant::now() >= deadline {
                    return Err(failure);
                }
                wait_a_moment();
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the lock of another process gives no event to wait for"
)]
fn wait_a_moment() {
    std::thread::sleep(Duration::from_millis(50));
}

/// The failure of a command that needs a running daemon.
pub(crate) fn none_runs(places: &Places) -> Failure {
    Failure::unavailable(format!("no daemon runs on `{}`", places.data.display()))
        .hint("start one with `provost up`")
}
