//! What an agent is started with, on its way to the wrapper that starts it: in a file,
//! because an argument ends at 128 KiB and everybody can read a command line.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::place;

/// A program and its surroundings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path; a name without a slash is looked for in the `PATH` of `environment`.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// The whole environment; nothing else is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub directory: PathBuf,
}

/// A program, and where its wrapper says how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// What to start.
    pub program: Program,
    /// The file for the [`Exit`](crate::Exit).
    pub report: PathBuf,
}

/// A launch file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The system refused.
    #[error("the launch file `{}` cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its content is not that of a launch file.
    #[error("`{}` is no launch file", .0.display())]
    Garbled(PathBuf),
    /// A program, an argument or a variable has a NUL character in it, which no system
    /// passes on.
    #[error("what is to be started has a NUL character in it")]
    Nul,
}

// What the entries of the file begin with. Each ends with a NUL character, which cannot
// be part of any of them, so that every other byte is only data.
const PROGRAM: u8 = b'p';
const ARGUMENT: u8 = b'a';
const VARIABLE: u8 = b'e';
const DIRECTORY: u8 = b'd';
const REPORT: u8 = b'r';
/// The last entry: without it the file is not whole.
const END: u8 = b'.';

// === impl Launch ===

impl Launch {
    /// Writes it to a file with mode 0600.
    ///
    /// # Errors
    /// When it cannot be written, or would not arrive as it is.
    pub fn write(&self, path: &Path) -> Result<(), LaunchError> {
        let content = self.encode()?;
        place::write_file(path, &content).map_err(|source| LaunchError::Io {
            path: path.to_owned(),
            source,
        })
    }

    /// Reads the file and removes it: there are secrets among the variables.
    ///
    /// # Errors
    /// When it is absent or not whole.
    pub fn take(path: &Path) -> Result<Self, LaunchError> {
        let content = std::fs::read(path).and_then(|content| {
            std::fs::remove_file(path)?;
            Ok(content)
        });
        let content = content.map_err(|source| LaunchError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::decode(&content).ok_or_else(|| LaunchError::Garbled(path.to_owned()))
    }

    fn encode(&self) -> Result<Vec<u8>, LaunchError> {
        let mut content = Vec::new();
        let mut entry = |kind: u8, parts: &[&OsStr]| {
            content.push(kind);
            for part in parts {
                if part.as_bytes().contains(&0) {
                    return Err(LaunchError::Nul);
                }
                content.extend_from_slice(part.as_bytes());
            }
            content.push(0);
            Ok(())
        };
        let program = &self.program;
        entry(PROGRAM, &[&program.program])?;
        for argument in &program.args {
            entry(ARGUMENT, &[argument])?;
        }
        for (name, value) in &program.environment {
            entry(VARIABLE, &[name, OsStr::new("="), value])?;
        }
        entry(DIRECTORY, &[program.directory.as_os_str()])?;
        entry(REPORT, &[self.report.as_os_str()])?;
        entry(END, &[])?;
        Ok(content)
    }

    fn decode(content: &[u8]) -> Option<Self> {
        let (mut program, mut directory, mut report) = (None, None, None);
        let (mut args, mut environment) = (Vec::new(), Vec::new());
        let whole = content.strip_suffix(&[END, 0])?;
        for entry in whole.split_inclusive(|byte| *byte == 0) {
            let (kind, value) = entry.strip_suffix(&[0])?.split_first()?;
            let text = || OsString::from_vec(value.to_vec());
            match *kind {
                PROGRAM => program = Some(text()),
                ARGUMENT => args.push(text()),
                VARIABLE => {
                    // A name may begin with `=`, but is never empty.
                    let at = 1 + value.get(1..)?.iter().position(|byte| *byte == b'=')?;
                    let (name, value) = (value.get(..at)?, value.get(at + 1..)?);
                    environment.push((
                        OsString::from_vec(name.to_vec()),
                        OsString::from_vec(value.to_vec()),
                    ));
                }
                DIRECTORY => directory = Some(PathBuf::from(text())),
                REPORT => report = Some(PathBuf::from(text())),
                _ => return None,
            }
        }
        let program = Program {
            program: program?,
            args,
            environment,
            directory: directory?,
        };
        Some(Self {
            program,
            report: report?,
        })
    }
}
