//! The one place where files of the journal are brought to the disk.

use std::fs::File;
use std::io;

/// The disk, as the journal sees it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    #[cfg(test)]
    pub(super) plan: std::sync::Arc<std::sync::Mutex<Plan>>,
}

/// What a test wants the disk to do, and what it was asked to do.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// So many syncs fail from now on.
    pub(super) failing: u32,
    /// A file whose sync fails loses its last bytes, as if the kernel had
    /// dropped a page that it could not write.
    pub(super) losing: bool,
    /// Every file that was synced, by inode, and whether that failed.
    pub(super) asked: Vec<(u64, bool)>,
}

// === impl Disk ===

impl Disk {
    /// Brings a file's content to the disk.
    pub(super) fn sync_data(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.look(file)?;
        file.sync_data()
    }

    /// Brings a file or a directory to the disk, with what is known about it.
    pub(super) fn sync_all(&self, file: &File) -> io::Result<()> {
        #[cfg(test)]
        self.look(file)?;
        file.sync_all()
    }

    #[cfg(test)]
    fn look(&self, file: &File) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let mut plan = crate::guard::lock(&self.plan);
        let metadata = file.metadata()?;
        let fails = plan.failing > 0;
        plan.asked.push((metadata.ino(), fails));
        if !fails {
            return Ok(());
        }
        plan.failing -= 1;
        if plan.losing && metadata.is_file() {
            file.set_len(metadata.len() - 10)?;
        }
        Err(io::Error::other("input/output error"))
    }
}
