//! Finding programs, before something fails far away because one is missing.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where a program is: a path seen from `directory`, or a name looked up in `search`.
pub(crate) fn find(program: &str, directory: &Path, search: Option<&OsStr>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(directory.join(program)).filter(|file| executable(file));
    }
    std::env::split_paths(search?)
        .map(|entry| directory.join(entry).join(program))
        .find(|file| executable(file))
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
