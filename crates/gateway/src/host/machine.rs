//! What the machine has to share: memory, and open files.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// The most memory that is used when nobody says how much.
const MOST_MEMORY: usize = 512 << 20;
/// And the least: below it large messages do not fit at all.
const LEAST_MEMORY: usize = 64 << 20;

/// Open files that are kept back, whatever else is there: for the journal and the
/// database, for what listens, and for connections that are taken only to be
/// turned away.
const KEPT_FILES: usize = 64;
/// Open files of one server process: input, output, errors, and where Linux
/// tells of its end.
const FILES_OF_A_CHILD: usize = 4;
/// One file in so many is one server process's, at most.
const CHILDREN_PART: usize = 16;

/// How many of what needs a file there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Files {
    /// Agents' connections; and as many to servers over HTTP.
    pub(crate) connections: usize,
    /// Server processes.
    pub(crate) children: usize,
}

/// A quarter of what this machine has, or of what this process may have of it,
/// and at most 512 MiB.
pub(crate) fn memory_to_use() -> usize {
    let machine = installed().unwrap_or(usize::MAX);
    let allowed = control_group(Path::new("/")).unwrap_or(usize::MAX);
    (machine.min(allowed) / 4).clamp(LEAST_MEMORY, MOST_MEMORY)
}

/// What the open files of this process are enough for.
pub(crate) fn files(wanted_children: usize) -> Files {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    shared_out(usize::try_from(most).unwrap_or(usize::MAX), wanted_children)
}

fn shared_out(files: usize, wanted_children: usize) -> Files {
    let children = wanted_children.min((files / CHILDREN_PART).max(4));
    let kept = KEPT_FILES + children * FILES_OF_A_CHILD;
    Files {
        connections: (files.saturating_sub(kept) / 2).max(16),
        children,
    }
}

#[cfg(target_os = "linux")]
fn installed() -> Option<usize> {
    let machine = rustix::system::sysinfo();
    let unit = usize::try_from(machine.mem_unit).ok()?;
    usize::try_from(machine.totalram).ok()?.checked_mul(unit)
}

#[cfg(not(target_os = "linux"))]
fn installed() -> Option<usize> {
    // Whatever it is, a quarter of it is more than is used.
    None
}

/// The least that a control group of this process allows, in either version of
/// the interface; nothing where there are none.
fn control_group(root: &Path) -> Option<usize> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            "memory" => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let base = root.join(base);
        let own = base.join(path.trim_start_matches('/'));
        // A group is bound by those around it.
        let around = own.ancestors().take_while(|group| group.starts_with(&base));
        around
            .map(PathBuf::from)
            .filter_map(|group| limit(&group.join(file)))
            .min()
    });
    limits.min()
}

fn limit(file: &Path) -> Option<usize> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests;
