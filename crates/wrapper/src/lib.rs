//! Run one program, and take down with it whatever it started, however that
//! detached itself: servers and agents.
//!
//! The wrapper is a process between the one that wants the program and the
//! program. It is a subreaper, so what loses its parent becomes its child. A
//! server's wrapper hears of the end of its own parent; an agent's goes on
//! until its terminal does not. No byte passes through here. What the wrapper
//! must not do: know what the program is for.
//!
//! Linux alone has subreapers; elsewhere this room is empty and programs are
//! started without a wrapper.
#![cfg(target_os = "linux")]

mod running;
mod tree;

use std::ffi::OsString;
use std::path::PathBuf;

pub use running::run;

/// What to run, and where.
#[derive(Debug, Clone)]
pub struct Wrapped {
    /// In which surroundings.
    pub surroundings: Surroundings,
    /// The program; a name without a slash is looked for in its `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
}

/// What a program finds around it.
#[derive(Debug, Clone)]
pub enum Surroundings {
    /// Those of a server: the standard streams of this process, which it has to
    /// itself, its environment and its directory.
    Streams {
        /// The process that wants it. When that one is gone, so is the program.
        parent: u32,
    },
    /// Those of an agent: the terminal that this process leads the session of,
    /// which sends it the signals of its keys.
    Terminal {
        /// The whole environment.
        environment: Vec<(OsString, OsString)>,
        /// Where it runs.
        directory: PathBuf,
        /// What the terminal is told when all is over. It answers by going, and
        /// is not waited for long.
        farewell: Vec<u8>,
    },
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(u8),
}

/// The program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum WrapError {
    /// The system refused something that the wrapper itself needs.
    #[error("the wrapper of a server's process failed")]
    Wrapper(#[source] std::io::Error),
    /// The program cannot be started.
    #[error("`{}` cannot be started", program.display())]
    Program {
        /// What was to be started.
        program: OsString,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// There is no directory to start it in.
    #[error("`{}` is no directory", .0.display())]
    Directory(PathBuf),
}

// === impl WrapError ===

impl WrapError {
    /// The exit code that shells use for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Program { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Program { .. } | Self::Wrapper(_) | Self::Directory(_) => 126,
        }
    }
}

// === impl Ended ===

impl Ended {
    /// The exit code that shells use for it.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => signal.saturating_add(128),
        }
    }
}

// === impl Wrapped ===

impl Wrapped {
    /// Reads `PARENT PROGRAM ARGS…`, a server; `None` when it is anything else.
    #[must_use]
    pub fn read(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        let parent = words.next()?.to_str()?.parse().ok()?;
        Some(Self {
            surroundings: Surroundings::Streams { parent },
            program: words.next()?,
            args: words.collect(),
        })
    }
}
