//! The daemon: one per data directory, with a socket for administration and one for agents.

mod admin_socket;
mod agent_socket;
pub(crate) mod config;
mod data_gone;
mod lifecycle;
mod local_run;
mod log_file;
mod logging;
mod overview;
mod serve;
mod signals;
mod start;
mod upkeep;

pub(crate) use admin_socket::export_format;
pub(crate) use lifecycle::{Beginning, already_up, run};
pub(crate) use logging::{start_logging, start_logging_to};
pub(crate) use serve::{Engine, Listen};
pub(crate) use signals::{Signals, end_at_once};
pub(crate) use start::{Started, connect_or_start};

use std::time::{Duration, Instant};

use provost_store::Store;

use crate::exit::Kind;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;

/// How long a command waits for whoever has the store open without a socket: another short command,
/// or a daemon that finishes the calls in flight.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the store in this process; waits a moment when another short command has it.
pub(crate) fn open_store(places: &Places) -> Outcome<Store> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match try_open_store(places) {
            Err(failure) if failure.kind == Kind::Conflict && Instant::now() < deadline => {
                wait_a_moment()
            }
            opened => return opened,
        }
    }
}

/// Opens the store in this process, if nobody has it.
pub(crate) fn try_open_store(places: &Places) -> Outcome<Store> {
    Store::open(&places.store()).map_err(|error| crate::admin::open_failure(&error, places))
}

/// Between two attempts to open a store.
#[expect(
    clippy::disallowed_methods,
    reason = "the lock of another process gives no event to wait for"
)]
pub(crate) fn wait_a_moment() {
    std::thread::sleep(Duration::from_millis(30));
}

/// The failure of a command that needs a running daemon.
pub(crate) fn none_runs(places: &Places) -> Failure {
    Failure::unavailable(format!("no daemon runs on `{}`", places.data.display()))
        .hint("`run` and `connect` start one by themselves; `provost up` starts one for HTTP")
}
