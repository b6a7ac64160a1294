//! Where things are: data directory, configuration directory, sockets.

use std::fs::Metadata;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::environment::{self, Environment};
use crate::failure::{Failure, Outcome};

/// The longest socket path every supported system takes (`sun_path` has 104 bytes on macOS).
const LONGEST_SOCKET: usize = 100;

/// The directories of one installation.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Database, journal, lock and logs.
    pub(crate) data: PathBuf,
    /// The key of this data directory.
    pub(crate) config: PathBuf,
    /// Where sockets go when the data directory's path is too long for them.
    runtime: PathBuf,
}

// === impl Places ===

impl Places {
    /// Decides the directories: flag, then variable, then the platform's convention.
    pub(crate) fn decide(
        environment: &Environment,
        data: Option<&Path>,
        config: Option<&Path>,
    ) -> Outcome<Self> {
        let data = match data.or(environment.data.as_deref()) {
            Some(path) => absolute(path)?,
            None => default_data(environment)?,
        };
        let config = match config.or(environment.config.as_deref()) {
            Some(path) => absolute(path)?,
            None => default_config(environment)?,
        };
        let uid = rustix::process::getuid().as_raw();
        // Not XDG_RUNTIME_DIR: daemon and agents may be started with different environments, and
        // must meet all the same.
        let runtime = PathBuf::from(format!("/tmp/provost-{uid}"));
        Ok(Places {
            data,
            config,
            runtime,
        })
    }

    /// The store's view of these places.
    pub(crate) fn store(&self) -> provost_store::Locations {
        provost_store::Locations {
            data: self.data.clone(),
            config: self.config.clone(),
        }
    }

    /// The socket for administration.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.socket("admin.sock")
    }

    /// The socket for agents.
    pub(crate) fn agent_socket(&self) -> PathBuf {
        self.socket("agent.sock")
    }

    /// The log of a daemon that started itself.
    pub(crate) fn daemon_log(&self) -> PathBuf {
        self.data.join("daemon.log")
    }

    /// The URL under which agents were last served here.
    pub(crate) fn last_address(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.address_file()).ok()?;
        let url = text.trim_end();
        // Whatever stands there is printed as an address and used for nothing else.
        url.starts_with("http").then(|| url.to_owned())
    }

    /// Keeps the URL under which agents are served, for commands while no daemon runs.
    pub(crate) fn keep_address(&self, url: &str) -> std::io::Result<()> {
        std::fs::write(self.address_file(), format!("{url}\n"))
    }

    fn address_file(&self) -> PathBuf {
        self.data.join("address")
    }

    /// The lock that lets one process at a time start a daemon.
    pub(crate) fn start_lock(&self) -> PathBuf {
        self.data.join(provost_admin::START_LOCK)
    }

    /// Creates the directories that hold sockets, private to this user.
    pub(crate) fn prepare_sockets(&self) -> Outcome {
        for socket in [self.admin_socket(), self.agent_socket()] {
            if let Some(directory) = socket.parent().filter(|directory| *directory != self.data) {
                private_directory(&self.runtime)?;
                private_directory(directory)?;
            }
            if socket.as_os_str().len() > LONGEST_SOCKET {
                return Err(Failure::unavailable(format!(
                    "socket path `{}` is too long",
                    socket.display()
                ))
                .because(format!(
                    "sockets take paths of at most {LONGEST_SOCKET} bytes"
                ))
                .hint("use a data directory with a shorter path"));
            }
        }
        Ok(())
    }

    /// Removes the sockets, and the directory that was made for them.
    pub(crate) fn remove_sockets(&self) {
        // What is not there needs no removing, and what stays does no harm.
        for socket in [self.agent_socket(), self.admin_socket()] {
            drop(std::fs::remove_file(&socket));
            if let Some(directory) = socket.parent().filter(|directory| *directory != self.data) {
                drop(std::fs::remove_dir(directory));
            }
        }
    }

    fn socket(&self, name: &str) -> PathBuf {
        let beside = self.data.join(name);
        if beside.as_os_str().len() <= LONGEST_SOCKET {
            return beside;
        }
        // The same data directory must lead to the same socket, whichever way it was spelled.
        let real = std::fs::canonicalize(&self.data).unwrap_or_else(|_| self.data.clone());
        let digest = Sha256::digest(real.as_os_str().as_encoded_bytes());
        let digest: String = digest
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.runtime.join(digest).join(name)
    }
}

/// The same path from the root, links as they are: counters belong to the path a user wrote.
pub(crate) fn absolute(path: &Path) -> Outcome<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Failure::usage(format!("bad path `{}`", path.display())).because(error))
}

fn home(environment: &Environment) -> Outcome<&Path> {
    environment.home.as_deref().ok_or_else(|| {
        Failure::usage("there is no home directory")
            .because("variable `HOME` is not set")
            .hint(format!(
                "name directories with `--data` and `--config-dir`, or `{}` and `{}`",
                environment::DATA,
                environment::CONFIG
            ))
    })
}

fn default_data(environment: &Environment) -> Outcome<PathBuf> {
    if cfg!(target_os = "macos") {
        return Ok(home(environment)?.join("Library/Application Support/provost"));
    }
    match &environment.xdg_data {
        Some(path) => Ok(path.join("provost")),
        None => Ok(home(environment)?.join(".local/share/provost")),
    }
}

fn default_config(environment: &Environment) -> Outcome<PathBuf> {
    if cfg!(target_os = "macos") {
        return Ok(home(environment)?.join("Library/Preferences/provost"));
    }
    match &environment.xdg_config {
        Some(path) => Ok(path.join("provost")),
        None => Ok(home(environment)?.join(".config/provost")),
    }
}

/// Creates the data directory, or checks that nobody else can put anything into it.
///
/// Reading is not the question here: every file in it is private by itself.
pub(crate) fn own_directory(path: &Path) -> Outcome {
    let found = make_directory(path, |path| std::fs::metadata(path))?;
    accept(
        path,
        &found,
        0o022,
        "it belongs to another user, or others can write to it",
    )
}

/// Creates a directory only this user can enter, or checks that an existing one is that.
fn private_directory(path: &Path) -> Outcome {
    // Not `metadata`: in a shared /tmp a symbolic link may lead anywhere.
    let found = make_directory(path, |path| std::fs::symlink_metadata(path))?;
    accept(
        path,
        &found,
        0o077,
        "it belongs to another user, is a link, or others can enter it",
    )
}

fn make_directory(
    path: &Path,
    look: impl Fn(&Path) -> std::io::Result<Metadata>,
) -> Outcome<Metadata> {
    let built = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path);
    built.map_err(|error| {
        Failure::unavailable(format!("cannot create directory `{}`", path.display())).because(error)
    })?;
    look(path).map_err(|error| {
        Failure::unavailable(format!("cannot read directory `{}`", path.display())).because(error)
    })
}

fn accept(path: &Path, found: &Metadata, forbidden: u32, why: &str) -> Outcome {
    let ours = found.is_dir() && found.uid() == rustix::process::getuid().as_raw();
    if ours && found.permissions().mode() & forbidden == 0 {
        return Ok(());
    }
    Err(
        Failure::refused(format!("directory `{}` is not private", path.display()))
            .because(why)
            .hint(format!("`chmod 700 {}`", path.display())),
    )
}

#[cfg(test)]
mod tests;
