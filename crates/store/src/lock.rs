//! One process for one data directory.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::OpenError;

/// Takes the lock of a data directory. It is held as long as the file is
/// open; the kernel lets go of it when the process dies, however it dies.
pub(crate) fn lock_directory(data: &Path) -> Result<File, OpenError> {
    let path = data.join("lock");
    let failed = |action| OpenError::io(&path, action);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(failed("opened"))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Only for the message: the lock itself is the kernel's.
            let holder = file
                .read_to_string(&mut text)
                .ok()
                .and_then(|_| text.trim().parse().ok());
            return Err(OpenError::Locked {
                path: data.to_owned(),
                holder,
            });
        }
        Err(errno) => return Err(failed("locked")(errno.into())),
    }
    let told = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    told.map_err(failed("written"))?;
    Ok(file)
}
