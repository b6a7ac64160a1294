//! Where a server is, as people say it.

use std::path::PathBuf;

use provost_store::Processes;
use serde::{Deserialize, Serialize};

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Transport {
    /// An HTTP endpoint.
    Http {
        /// Its address.
        url: String,
    },
    /// A child process.
    Stdio {
        /// The program and its arguments.
        command: Vec<String>,
        /// Where it runs.
        directory: Option<PathBuf>,
        /// Who shares one.
        processes: Processes,
    },
    /// A part of the daemon.
    Builtin,
}
