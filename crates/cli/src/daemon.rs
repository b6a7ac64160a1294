//! The daemon: one per data directory, with a socket for administration and one for agents.

mod admin_socket;
mod agent_socket;
pub(crate) mod config;
mod data_gone;
mod fleet;
mod lifecycle;
mod local_run;
mod log_file;
mod logging;
mod peer;
mod running;
mod serve;
mod signals;
mod start;
mod upkeep;

pub(crate) use lifecycle::{Beginning, run};
pub(crate) use local_run::GRANT as RUN_GRANT;
pub(crate) use logging::{start_logging, start_logging_to};
pub(crate) use running::already_up;
pub(crate) use serve::Engine;
pub(crate) use signals::{Signals, end_at_once};
pub(crate) use start::{Started, connect_or_start};
