//! Where things lie in the fleet's own directory. Nobody else may enter it.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use provost_store::fleet::InstanceId;

/// The fleet's directory.
#[derive(Debug, Clone)]
pub struct Place(PathBuf);

// === impl Place ===

impl Place {
    /// Takes the directory over, and creates it where it is absent.
    ///
    /// # Errors
    /// When it cannot be created or closed to others.
    pub fn create(directory: PathBuf) -> io::Result<Self> {
        create_directory(&directory)?;
        // One that was there already may have been open to others.
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o700))?;
        Ok(Self(directory))
    }

    /// The socket of the terminal.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("tmux")
    }

    /// The settings of the terminal.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.0.join("tmux.conf")
    }

    /// What is kept of one instance.
    #[must_use]
    pub fn instance(&self, instance: &InstanceId) -> PathBuf {
        self.0.join("instances").join(instance.as_str())
    }

    /// What its wrapper reads to start it.
    pub(crate) fn launch(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join("launch")
    }

    /// What its wrapper leaves when it has ended.
    pub(crate) fn exit(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join("exit")
    }

    /// What it printed.
    pub(crate) fn output(&self, instance: &InstanceId) -> PathBuf {
        self.instance(instance).join("output")
    }
}

/// Creates a directory that only its owner may enter, and those above it; one that is
/// there stays as it is.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner may read, whole or not at all as far as other
/// processes see it. It is not synced: what it is for does not outlive the machine.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let unfinished = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&unfinished)?;
    file.write_all(content)?;
    std::fs::rename(&unfinished, path)
}
