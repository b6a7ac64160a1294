//! The environment: the only file that reads it. Everything else gets values.

use std::ffi::OsString;
use std::path::PathBuf;

use provost_store::Secret;

use crate::failure::{Failure, Outcome};

/// The data directory. Flag: `--data`.
pub(crate) const DATA: &str = "PROVOST_DATA";
/// The configuration directory, where the keys are. Flag: `--config-dir`.
pub(crate) const CONFIG: &str = "PROVOST_CONFIG";
/// The grant token of `provost connect`. Flag: `--grant-file`.
pub(crate) const GRANT: &str = "PROVOST_GRANT";
/// Which log lines the daemon writes, as a `tracing` filter. Flag: `-v`.
pub(crate) const LOG: &str = "PROVOST_LOG";
/// Variables with this prefix are ours and never reach a child process.
const PREFIX: &str = "PROVOST_";

/// The table as `provost --help` shows it.
pub(crate) const HELP: &str = "\
Environment:
  PROVOST_DATA     data directory (--data)
  PROVOST_CONFIG   configuration directory, holds the key (--config-dir)
  PROVOST_GRANT    grant token for `provost connect`
  PROVOST_LOG      what the daemon logs, such as `provost_gateway=debug`
  NO_COLOR, CLICOLOR_FORCE   no colours, colours everywhere (--color)
  The settings of the daemon have variables too: see `provost up --help`";

/// What a registered server's child process inherits; everything else comes from `--env`.
const CHILD_BASE: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "TERM",
    "XDG_RUNTIME_DIR",
];

/// The variables Provost knows, read once at start.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `PROVOST_DATA`.
    pub(crate) data: Option<PathBuf>,
    /// `PROVOST_CONFIG`.
    pub(crate) config: Option<PathBuf>,
    /// `PROVOST_LOG`.
    pub(crate) log: Option<String>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub(crate) xdg_data: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub(crate) xdg_config: Option<PathBuf>,
    /// `PATH`, for finding programs in `doctor`.
    pub(crate) path: Option<OsString>,
}

// === impl Environment ===

impl Environment {
    /// Reads the process environment.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the environment"
    )]
    pub(crate) fn read() -> Self {
        // An empty variable counts as absent, as the XDG specification and shells have it.
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        Environment {
            data: path(DATA),
            config: path(CONFIG),
            log: set(LOG).and_then(|value| value.into_string().ok()),
            home: path("HOME"),
            // The specification wants relative paths ignored.
            xdg_data: path("XDG_DATA_HOME").filter(|path| path.is_absolute()),
            xdg_config: path("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
            path: set("PATH"),
        }
    }

    /// The value of one of Provost's settings, or `None`.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the environment"
    )]
    pub(crate) fn setting(name: &str) -> Outcome<Option<String>> {
        match std::env::var(name) {
            Ok(value) if value.is_empty() => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => {
                Err(Failure::usage(format!("variable `{name}` is not UTF-8")))
            }
        }
    }

    /// A secret that the user keeps in a variable (`K=env:NAME`, `PROVOST_GRANT`).
    pub(crate) fn secret(name: &str) -> Outcome<Option<Secret>> {
        Ok(Environment::setting(name)?.map(Secret::new))
    }

    /// What the child of `provost run` gets: everything `run` was started with, less
    /// `PROVOST_*`. Variables that are not UTF-8 cannot be handed over; their names come second.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the environment"
    )]
    pub(crate) fn for_child() -> (Vec<(String, String)>, Vec<String>) {
        let mut variables = Vec::new();
        let mut left_out = Vec::new();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(_)) if name.starts_with(PREFIX) => {}
                (Ok(name), Ok(value)) => variables.push((name, value)),
                (Ok(name), Err(_)) => left_out.push(name),
                (Err(name), _) => left_out.push(name.to_string_lossy().into_owned()),
            }
        }
        (variables, left_out)
    }

    /// What a daemon gets that `run` or `connect` starts: the basics, Provost's own settings
    /// and where directories are; no grant and no agent's secrets.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the environment"
    )]
    pub(crate) fn for_own_daemon() -> Vec<(OsString, OsString)> {
        let wanted = |name: &str| {
            CHILD_BASE.contains(&name)
                || name.starts_with("XDG_")
                || (name.starts_with(PREFIX) && name != GRANT)
        };
        std::env::vars_os()
            .filter(|(name, _)| name.to_str().is_some_and(wanted))
            .collect()
    }

    /// What every registered server's child process starts with.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one file that reads the environment"
    )]
    pub(crate) fn base_for_children() -> Vec<(String, String)> {
        CHILD_BASE
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
            .collect()
    }
}
