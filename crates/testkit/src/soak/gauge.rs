//! What a process holds: memory, files, threads, as the system counts them.

use std::time::{Duration, Instant};

/// What a process holds at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Resident memory, in KiB.
    pub rss_kib: u64,
    /// Open files.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

/// What the process holds now; nothing when it is gone.
pub(super) fn held(pid: u32) -> Option<Held> {
    let status = status(pid)?;
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    Some(Held {
        rss_kib: number(&status, "VmRSS:")?,
        files: files as u64,
        threads: number(&status, "Threads:")?,
    })
}

/// The most resident memory the process ever had, however short, without the pages
/// of its program, in KiB.
pub(super) fn peak_kib(pid: u32) -> Option<u64> {
    let status = status(pid)?;
    let most = number(&status, "VmHWM:")?;
    Some(most.saturating_sub(number(&status, "RssFile:")?))
}

fn status(pid: u32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/status")).ok()
}

fn number(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What the process holds once it holds no fewer files than before for a while:
/// honest agents go on, so the number never stands still.
pub(super) async fn at_rest(pid: u32) -> Option<Held> {
    let begun = Instant::now();
    let mut least = held(pid)?;
    let mut since = Instant::now();
    while since.elapsed() < Duration::from_secs(2) && begun.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = held(pid)?;
        if now.files < least.files {
            since = Instant::now();
        }
        least = Held {
            files: now.files.min(least.files),
            ..now
        };
    }
    Some(least)
}
