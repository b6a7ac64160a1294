//! Run one program, and take down with it whatever it started, however that
//! detached itself: servers today, agents later.
//!
//! The wrapper is a process between the one that wants the program and the
//! program. It is a subreaper, so what loses its parent becomes its child, and
//! it hears of the end of its own parent. The program has the standard streams
//! to itself: no byte passes through here. What the wrapper must not do: know
//! what the program is for.
//!
//! Linux alone has subreapers; elsewhere this room is empty and programs are
//! started without a wrapper.
#![cfg(target_os = "linux")]

mod running;
mod tree;

use std::ffi::OsString;

pub use running::run;

/// What to run, and for whom.
#[derive(Debug, Clone)]
pub struct Wrapped {
    /// The process that wants it. When that one is gone, so is the program.
    pub parent: u32,
    /// The program; a name without a slash is looked for in `PATH`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
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
}

// === impl WrapError ===

impl WrapError {
    /// The exit code that shells use for it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Program { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Program { .. } | Self::Wrapper(_) => 126,
        }
    }
}

// === impl Wrapped ===

impl Wrapped {
    /// Reads `PARENT PROGRAM ARGS…`; `None` when it is anything else.
    #[must_use]
    pub fn read(mut words: impl Iterator<Item = OsString>) -> Option<Self> {
        let parent = words.next()?.to_str()?.parse().ok()?;
        Some(Self {
            parent,
            program: words.next()?,
            args: words.collect(),
        })
    }
}
