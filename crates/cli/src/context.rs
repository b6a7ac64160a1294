//! What every command is given: where things are, and where its output goes.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::admin::Admin;
use crate::environment::Environment;
use crate::failure::Outcome;
use crate::locations::Places;
use crate::terminal::{ColorWhen, Output};

/// What every command is given: where things are, and where its output goes.
pub(crate) struct Context {
    /// The global options as given.
    pub(crate) global: Global,
    /// The environment as it was at start.
    pub(crate) environment: Environment,
    /// Where the result goes.
    pub(crate) output: Output,
}

// === impl Context ===

impl Context {
    /// The directories this command works on.
    pub(crate) fn places(&self) -> Outcome<Places> {
        Places::decide(
            &self.environment,
            self.global.data.as_deref(),
            self.global.config_dir.as_deref(),
        )
    }

    /// Administration of these directories, through the daemon when one runs.
    pub(crate) fn admin(&self) -> Outcome<Admin> {
        Ok(Admin::new(self.places()?))
    }
}

/// Options of every command; they may stand before or after it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Data directory [env: PROVOST_DATA]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) data: Option<PathBuf>,
    /// Configuration directory, holds the key [env: PROVOST_CONFIG]
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) config_dir: Option<PathBuf>,
    /// Print JSON, on stdout the result and on stderr the error
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// When to use colours [env: NO_COLOR, CLICOLOR_FORCE]
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global options"
    )]
    pub(crate) color: ColorWhen,
    /// Log more; twice for still more [env: PROVOST_LOG]
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// How this program is called in commands to paste: by name when that leads here.
pub(crate) fn program_name(context: &Context) -> String {
    let Ok(own) = std::env::current_exe() else {
        return "provost".to_owned();
    };
    let mut path = context
        .environment
        .path
        .iter()
        .flat_map(std::env::split_paths);
    let first = path.find_map(|directory| std::fs::canonicalize(directory.join("provost")).ok());
    if first.is_some_and(|first| Some(first) == std::fs::canonicalize(&own).ok()) {
        return "provost".to_owned();
    }
    own.display().to_string()
}
