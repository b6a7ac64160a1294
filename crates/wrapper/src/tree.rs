//! Which processes are the children of this one, told by `/proc`.

use rustix::process::{Pid, Signal, getpid, kill_process, kill_process_group};

/// Where a process stands.
struct Place {
    parent: i32,
    group: i32,
}

/// Kills every child of this process; one that leads a process group with all
/// of it. Groups that others lead are left alone: a process may join any group
/// of its session, that of whoever started all this among them.
pub(crate) fn kill_children() {
    let own = getpid().as_raw_nonzero().get();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return;
    };
    let numbers = processes.flatten().filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.parse::<i32>().ok()
    });
    for number in numbers {
        let Some(place) = place(number).filter(|place| place.parent == own) else {
            continue;
        };
        let Some(child) = Pid::from_raw(number) else {
            continue;
        };
        // What ended in the meantime is as good as killed.
        if place.group == number {
            let _ = kill_process_group(child, Signal::KILL);
        }
        let _ = kill_process(child, Signal::KILL);
    }
}

/// Reads `/proc/N/stat`. The name of the program stands in parentheses and may
/// hold any of them itself; state, parent and group follow the last one.
fn place(number: i32) -> Option<Place> {
    let stat = std::fs::read(format!("/proc/{number}/stat")).ok()?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    Some(Place {
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
    })
}
