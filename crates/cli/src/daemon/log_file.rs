//! The log of a daemon that nobody looks at: a file that begins anew when it has
//! grown large. One old file is kept, so what is said fills no disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A log is not larger than this.
const LARGEST: u64 = 10 << 20;

/// A log that is written to.
pub(crate) struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
    largest: u64,
}

/// Opens the file behind a log, to add to it.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

// === impl LogFile ===

impl LogFile {
    /// Goes on with the log at `path`.
    pub(crate) fn at(path: PathBuf) -> io::Result<Self> {
        let file = open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            size,
            largest: LARGEST,
        })
    }

    /// Begins anew. What is written past the log (by a fault of the process
    /// itself) follows it.
    fn begin_anew(&mut self) -> io::Result<()> {
        self.size = 0;
        let old = self.path.with_extension("log.1");
        let file = std::fs::rename(&self.path, old).and_then(|()| open(&self.path));
        match file {
            Ok(file) => {
                rustix::stdio::dup2_stderr(&file)?;
                self.file = file;
                Ok(())
            }
            // Its directory is gone, or full: better without the old part than larger and larger.
            Err(_) => self.file.set_len(0),
        }
    }
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = bytes.len() as u64;
        if self.size > 0 && self.size.saturating_add(more) > self.largest {
            self.begin_anew()?;
        }
        let written = self.file.write(bytes)?;
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests;
