//! Where a server is, as the command line says it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use provost_admin::{ServerShow, Transport};
use provost_store::Processes;

use crate::context::Context;
use crate::failure::{Failure, Outcome};

/// Where a server is
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The MCP endpoint of an HTTP server
    #[arg(long, conflicts_with = "command")]
    url: Option<String>,
    /// Working directory of the child process [default: this directory]
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    dir: Option<PathBuf>,
    /// Who shares a child process: nobody (each session has its own), the sessions of one grant,
    /// or everybody. Sharing is for servers that keep nothing for a client, and for clients of
    /// one protocol version and the same capabilities [default: session]
    #[arg(long, value_enum, value_name = "WHO", conflicts_with = "url")]
    processes: Option<Sharing>,
    /// The command of a child-process server, after `--`
    #[arg(last = true, value_name = "CMD")]
    command: Vec<String>,
}

/// Who shares a child process of a server
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Sharing {
    /// Each session has a process of its own
    Session,
    /// The sessions of a grant share one
    Grant,
    /// Everybody shares one
    Shared,
}

// === impl Place ===

impl Place {
    /// What is known of the server, where that decides what stays as it is.
    pub(super) fn known(&self, context: &Context, name: &str) -> Outcome<Option<Transport>> {
        if self.command.is_empty() && self.processes.is_none() {
            return Ok(None);
        }
        let name = name.to_owned();
        let view = context.admin()?.ask(ServerShow { name })?;
        Ok(view.transport)
    }

    /// Where it is said to be; nothing when that stays as it is known.
    pub(super) fn transport(self, known: Option<Transport>) -> Outcome<Option<Transport>> {
        if let Some(url) = self.url {
            return Ok(Some(Transport::Http { url }));
        }
        let wanted = self.processes.map(Processes::from);
        if self.command.is_empty() {
            if self.dir.is_some() {
                return Err(
                    Failure::usage("`--dir` needs the command").hint("repeat it after `--`")
                );
            }
            return match (wanted, known) {
                (None, _) => Ok(None),
                (
                    Some(processes),
                    Some(Transport::Stdio {
                        command, directory, ..
                    }),
                ) => Ok(Some(Transport::Stdio {
                    command,
                    directory,
                    processes,
                })),
                (Some(_), Some(Transport::Http { .. } | Transport::Builtin) | None) => Err(
                    Failure::usage("`--processes` is for servers that are a child process")
                        .hint("give the command after `--`"),
                ),
            };
        }
        // The daemon runs elsewhere: relative arguments mean this directory.
        let here = std::env::current_dir().map_err(|error| {
            Failure::unavailable("the current directory cannot be found out").because(error)
        })?;
        let directory = here.join(self.dir.unwrap_or_default());
        if !directory.is_dir() {
            return Err(Failure::not_found(format!(
                "there is no directory `{}`",
                directory.display()
            )));
        }
        let before = match known {
            Some(Transport::Stdio { processes, .. }) => processes,
            Some(Transport::Http { .. } | Transport::Builtin) | None => Processes::default(),
        };
        Ok(Some(Transport::Stdio {
            command: self.command,
            directory: Some(directory),
            processes: wanted.unwrap_or(before),
        }))
    }
}

// === impl Sharing ===

impl From<Sharing> for Processes {
    fn from(sharing: Sharing) -> Self {
        match sharing {
            Sharing::Session => Self::Session,
            Sharing::Grant => Self::Grant,
            Sharing::Shared => Self::Shared,
        }
    }
}
