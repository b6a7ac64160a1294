//! Policies that a command writes: to stdout, or into a file.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::{Failure, Outcome};
use crate::terminal::{Output, escape, escape_json};

/// Where a policy that is written goes
#[derive(Debug, Args)]
pub(crate) struct Written {
    /// The file to write; what exists already stays [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that exists
    #[arg(long, requires = "output")]
    force: bool,
}

// === impl Written ===

impl Written {
    /// The file, where one is written.
    pub(super) fn file(&self) -> Option<&Path> {
        self.output.as_deref()
    }

    /// Says early what would be refused at the end.
    pub(super) fn check(&self) -> Outcome {
        match &self.output {
            Some(path) if !self.force && path.exists() => Err(exists(path)),
            Some(_) | None => Ok(()),
        }
    }

    /// Writes the file, if one is wanted.
    pub(super) fn save(&self, text: &str) -> Outcome {
        let Some(path) = &self.output else {
            return Ok(());
        };
        let file = match self.force {
            true => File::create(path),
            false => OpenOptions::new().write(true).create_new(true).open(path),
        };
        // What a server's names hide is seen in the file, and it stays the same JSON.
        file.and_then(|mut file| file.write_all(escape_json(text).as_bytes()))
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::AlreadyExists => exists(path),
                _ => Failure::unavailable(format!("cannot write `{}`", path.display()))
                    .because(error),
            })
    }

    /// Prints the policy, or where it is.
    pub(super) fn print(&self, output: Output, text: &str) -> Outcome {
        match &self.output {
            Some(path) => {
                output.write(|out| writeln!(out, "wrote {}", escape(&path.display().to_string())))
            }
            None => output.write(|out| write!(out, "{}", escape_json(text))),
        }
    }
}

fn exists(path: &Path) -> Failure {
    Failure::conflict(format!("file `{}` exists already", path.display()))
        .because("nothing was written")
        .hint("name another file, or `--force` writes over it")
}
