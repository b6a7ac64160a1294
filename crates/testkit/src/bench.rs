//! Measuring what a hop costs: a minimal upstream, a load generator, nginx to compare with, a table.
//!
//! All of it is closed-loop: a connection sends its next request when the answer to the last one is complete.

mod connection;
mod cost;
mod floods;
mod gateway;
mod load;
mod nginx;
mod report;
mod scripted;
mod upstream;
mod worst;
mod worst_corpus;

pub use cost::{Cost, cost, cost_json, cost_table, fill};
pub use floods::{Flooded, flooded_json, flooded_table, floods};
pub use gateway::{Audit, Gateway};
pub use load::{Load, Measured, Target, measure};
pub use nginx::Nginx;
pub use report::{Row, json, table};
pub use upstream::{Echo, serve_echo};
pub use worst::{Longest, longest_json, longest_table, worst};

use std::process::Command;

/// The resident memory of some processes together, in bytes; nothing when one of them is gone.
pub fn resident_bytes(pids: &[u32]) -> Option<u64> {
    pids.iter().map(|pid| one_resident(*pid)).sum()
}

fn one_resident(pid: u32) -> Option<u64> {
    let kilobytes = match std::fs::read_to_string(format!("/proc/{pid}/status")) {
        Ok(status) => {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix("VmRSS:"))?;
            line.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()?
        }
        // No /proc on macOS.
        Err(_) => {
            let output = Command::new("ps")
                .args(["-o", "rss=", "-p", &pid.to_string()])
                .output()
                .ok()?;
            String::from_utf8(output.stdout).ok()?.trim().parse().ok()?
        }
    };
    Some(kilobytes * 1024)
}

/// The processes that a process started.
pub fn children(pid: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output();
    let text = output
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let pairs = text.lines().filter_map(|line| {
        let mut numbers = line
            .split_whitespace()
            .filter_map(|word| word.parse::<u32>().ok());
        Some((numbers.next()?, numbers.next()?))
    });
    pairs
        .filter(|(_, parent)| *parent == pid)
        .map(|(child, _)| child)
        .collect()
}
