//! The commands, one file per family: arguments, what is asked for, and how it is shown.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod daemon;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod grant;
pub(crate) mod hook;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod sample_server;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod up;
pub(crate) mod wrap;

/// The long help of `up`, which documents the configuration file.
#[cfg(test)]
pub(crate) fn up_help() -> &'static str {
    up::LONG_HELP
}
