//! Finding programs, before something fails far away because one is missing.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use provost_admin::Transport;

/// Where a program is: a path seen from `directory`, or a name looked up in `search`.
pub(crate) fn find(program: &str, directory: &Path, search: Option<&OsStr>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(directory.join(program)).filter(|file| executable(file));
    }
    std::env::split_paths(search?)
        .map(|entry| directory.join(entry).join(program))
        .find(|file| executable(file))
}

/// The program of a server, if it has one and that is not there.
pub(crate) fn missing<'t>(transport: &'t Transport, search: Option<&OsStr>) -> Option<&'t str> {
    let Transport::Stdio {
        command, directory, ..
    } = transport
    else {
        return None;
    };
    let program = command.first()?;
    let directory = directory.as_deref().unwrap_or(Path::new("/"));
    find(program, directory, search)
        .is_none()
        .then_some(program)
}

fn executable(file: &Path) -> bool {
    std::fs::metadata(file)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_and_paths_are_taken_from_the_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let tool = scratch.path().join("bin/tool");
        std::fs::create_dir(scratch.path().join("bin")).unwrap();
        std::fs::write(&tool, "").unwrap();
        let search = scratch.path().join("bin");
        let search = Some(search.as_os_str());
        assert_eq!(
            find("tool", Path::new("/"), search),
            None,
            "it cannot be executed"
        );
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find("tool", Path::new("/"), search), Some(tool.clone()));
        assert_eq!(find("bin/tool", scratch.path(), None), Some(tool));
        assert_eq!(find("tool", Path::new("/"), None), None);
    }
}
