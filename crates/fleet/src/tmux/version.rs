//! Which tmux there is, and whether it will do.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// A tmux that can be used cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// There is none.
    #[error("tmux is not installed: `{0}` was not found")]
    Missing(String),
    /// It is too old.
    #[error("tmux {0} is too old: agents need 3.2 or later")]
    TooOld(String),
    /// What it says of itself is no version of tmux.
    #[error("`{0}` is no tmux: it says `{1}` when asked for its version")]
    Unknown(String, String),
    /// A socket with such a long path cannot be.
    #[error("the path of the terminal's socket is longer than {LONGEST_SOCKET} bytes: `{0}`")]
    LongPath(String),
    /// The system refused.
    #[error("tmux cannot be started")]
    Io(#[from] io::Error),
}

/// The longest path of a socket that all systems take.
pub(super) const LONGEST_SOCKET: usize = 103;
/// Control clients can be told to pause since then.
const NEEDED: (u32, u32) = (3, 2);
/// A program that needs longer for its version is none we can use.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a tmux, which is known by this name, for its version.
pub(super) async fn check(name: &str, mut tmux: Command) -> Result<(), TmuxError> {
    let asked = tmux.arg("-V").stdin(Stdio::null()).output();
    let answer = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(TmuxError::Missing(name.to_owned()));
        }
        Ok(answer) => answer?,
        Err(_) => return Err(io::Error::from(io::ErrorKind::TimedOut).into()),
    };
    let says = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    match read(&says) {
        Some(Version::Numbered(major, minor)) if (major, minor) < NEEDED => {
            Err(TmuxError::TooOld(format!("{major}.{minor}")))
        }
        Some(_) => Ok(()),
        None => Err(TmuxError::Unknown(name.to_owned(), says)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Version {
    Numbered(u32, u32),
    /// Built from its repository.
    Newest,
}

/// Reads `tmux 3.3a`, `tmux next-3.5`, `tmux openbsd-7.4`, `tmux master`.
fn read(says: &str) -> Option<Version> {
    let version = says.strip_prefix("tmux ")?;
    if version == "master" || version.starts_with("openbsd-") {
        return Some(Version::Newest);
    }
    let version = version.strip_prefix("next-").unwrap_or(version);
    let (major, minor) = version.split_once('.')?;
    let digits = minor.find(|c: char| !c.is_ascii_digit());
    let minor = minor.get(..digits.unwrap_or(minor.len()))?;
    Some(Version::Numbered(major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        for (says, version) in [
            ("tmux 3.3a", Some(Version::Numbered(3, 3))),
            ("tmux 3.2", Some(Version::Numbered(3, 2))),
            ("tmux 2.9a", Some(Version::Numbered(2, 9))),
            ("tmux next-3.5", Some(Version::Numbered(3, 5))),
            ("tmux 3.5-rc", Some(Version::Numbered(3, 5))),
            ("tmux openbsd-7.4", Some(Version::Newest)),
            ("tmux master", Some(Version::Newest)),
            ("screen 4.9", None),
            ("tmux", None),
            ("", None),
        ] {
            assert_eq!(read(says), version, "{says}");
        }
    }
}
