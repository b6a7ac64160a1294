//! Where instances may work: below the directories that are configured, and below the one
//! of whoever leads them. Symbolic links are followed before it is looked.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use provost_store::fleet::{InstanceId, Workspace};

/// The directories that instances may work in or below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    roots: Vec<PathBuf>,
}

/// A directory is not one to work in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceRefused {
    /// It does not begin at the root of the file system.
    #[error("the directory `{}` is not an absolute path", path.display())]
    Relative {
        /// As it was given.
        path: PathBuf,
    },
    /// It is not there.
    #[error("there is no directory `{}`", path.display())]
    Missing {
        /// As it was given.
        path: PathBuf,
    },
    /// It is something else.
    #[error("`{}` is not a directory", path.display())]
    NoDirectory {
        /// As it was given.
        path: PathBuf,
    },
    /// It cannot be looked at.
    #[error("the directory `{}` cannot be used: {reason}", path.display())]
    Unusable {
        /// As it was given.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// It is not below a configured directory.
    #[error("the directory `{}`{} is not in or below a directory that agents may work in: {}", path.display(), led(path, real), listed(roots))]
    Outside {
        /// As it was given.
        path: PathBuf,
        /// Where it leads.
        real: PathBuf,
        /// The configured ones.
        roots: Vec<PathBuf>,
    },
    /// It is not below the directory of who leads the instance.
    #[error("the directory `{}`{} is not in or below `{}`, the directory of who leads the new instance", path.display(), led(path, real), parent.display())]
    OutsideLeader {
        /// As it was given.
        path: PathBuf,
        /// Where it leads.
        real: PathBuf,
        /// The leader's.
        parent: PathBuf,
    },
}

// === impl Places ===

impl Places {
    /// Takes the configured directories, with links followed.
    ///
    /// # Errors
    /// When one of them is not an absolute path of a directory.
    pub fn new(roots: &[PathBuf]) -> Result<Self, PlaceRefused> {
        let roots = roots
            .iter()
            .map(|root| directory(root))
            .collect::<Result<_, _>>()?;
        Ok(Self { roots })
    }

    /// The real path of a directory that was asked for, if an instance may work there;
    /// `leader` is the real path of the directory that its leader asked for, if that is an
    /// instance. What is started goes by the answer: a link that is turned afterwards
    /// leads nowhere else.
    ///
    /// # Errors
    /// When it is no directory, or lies outside.
    pub fn admit(&self, asked: &str, leader: Option<&str>) -> Result<String, PlaceRefused> {
        let path = PathBuf::from(asked);
        let real = directory(&path)?;
        if !self.roots.iter().any(|root| real.starts_with(root)) {
            let roots = self.roots.clone();
            return Err(PlaceRefused::Outside { path, real, roots });
        }
        match leader.map(PathBuf::from) {
            Some(parent) if !real.starts_with(&parent) => {
                Err(PlaceRefused::OutsideLeader { path, real, parent })
            }
            _ => utf8(path, real),
        }
    }
}

// === impl PlaceRefused ===

impl PlaceRefused {
    /// What may be done instead.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Relative { .. } => "give the whole path, from `/` on",
            Self::Missing { .. } | Self::NoDirectory { .. } | Self::Unusable { .. } => {
                "give the path of a directory that is there"
            }
            Self::Outside { .. } => "choose one of these, or ask your operator to add it",
            Self::OutsideLeader { .. } => "choose a directory in or below that one",
        }
    }
}

/// Where an instance works: in a directory of its own that has its name, or in `work_dir`
/// itself.
pub(crate) fn project(work_dir: &str, workspace: Workspace, id: &InstanceId) -> String {
    match workspace {
        Workspace::Isolated => format!("{}/{id}", work_dir.trim_end_matches('/')),
        Workspace::Shared => work_dir.to_owned(),
    }
}

/// The real path of a directory.
fn directory(path: &Path) -> Result<PathBuf, PlaceRefused> {
    let path = path.to_owned();
    if !path.is_absolute() {
        return Err(PlaceRefused::Relative { path });
    }
    let real = match std::fs::canonicalize(&path) {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(PlaceRefused::Missing { path });
        }
        Err(error) => {
            let reason = error.to_string();
            return Err(PlaceRefused::Unusable { path, reason });
        }
    };
    match real.is_dir() {
        true => Ok(real),
        false => Err(PlaceRefused::NoDirectory { path }),
    }
}

fn utf8(path: PathBuf, real: PathBuf) -> Result<String, PlaceRefused> {
    real.into_os_string().into_string().map_err(|_| {
        let reason = "its real path is not UTF-8".to_owned();
        PlaceRefused::Unusable { path, reason }
    })
}

/// Where a path leads, if elsewhere than it says.
fn led(path: &Path, real: &Path) -> String {
    match path == real {
        true => String::new(),
        false => format!(", which is `{}`,", real.display()),
    }
}

fn listed(roots: &[PathBuf]) -> String {
    let roots: Vec<String> = roots
        .iter()
        .map(|root| format!("`{}`", root.display()))
        .collect();
    match roots.is_empty() {
        true => "none is configured".to_owned(),
        false => roots.join(", "),
    }
}

#[cfg(test)]
mod tests;
