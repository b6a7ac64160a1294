//! The table at the end.

use super::load::Measured;
use serde_json::{Value, json as value};
use std::time::Duration;

/// One line: a target under a number of connections.
#[derive(Debug, Clone)]
pub struct Row {
    /// The target's name.
    pub target: String,
    /// How many connections.
    pub connections: usize,
    /// What was measured, of the median round.
    pub measured: Measured,
    /// All calls that were sent, in all rounds.
    pub sent: u64,
}

impl Row {
    /// The median of several rounds, by calls per second.
    ///
    /// # Panics
    /// When there is no round.
    pub fn median(target: &str, connections: usize, mut rounds: Vec<Measured>) -> Row {
        rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
        let middle = rounds.len() / 2;
        let sent = rounds.iter().map(|round| round.sent).sum();
        Row {
            target: target.to_owned(),
            connections,
            measured: rounds.swap_remove(middle),
            sent,
        }
    }
}

/// The rows as text, each compared with `yardstick` (another target's name) at the same number of connections.
pub fn table(rows: &[Row], yardstick: &str) -> String {
    let mut text = format!(
        "{:>5}  {:<14} {:>10} {:>9} {:>10} {:>10} {:>10} {:>9}\n",
        "conns", "target", "calls/s", "ratio", "p50 µs", "p95 µs", "p99 µs", "RSS MiB"
    );
    for row in rows {
        let same = |other: &&Row| other.target == yardstick && other.connections == row.connections;
        let ratio = rows
            .iter()
            .find(same)
            .map(|other| row.measured.per_second / other.measured.per_second);
        let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{:.0} %", ratio * 100.0));
        let resident = row.measured.resident.map_or("-".to_owned(), |bytes| {
            format!("{:.1}", bytes as f64 / 1048576.0)
        });
        let m = &row.measured;
        text.push_str(&format!(
            "{:>5}  {:<14} {:>10.0} {:>9} {:>10} {:>10} {:>10} {:>9}\n",
            row.connections,
            row.target,
            m.per_second,
            ratio,
            micros(m.p50),
            micros(m.p95),
            micros(m.p99),
            resident,
        ));
    }
    text.push_str(&format!("ratio: calls/s compared with `{yardstick}`\n"));
    text
}

/// The rows as JSON.
pub fn json(rows: &[Row]) -> Value {
    let row = |row: &Row| {
        let m = &row.measured;
        value!({
            "target": row.target, "connections": row.connections, "calls": m.calls, "callsPerSecond": m.per_second,
            "p50Us": micros(m.p50), "p95Us": micros(m.p95), "p99Us": micros(m.p99), "residentBytes": m.resident,
        })
    };
    Value::Array(rows.iter().map(row).collect())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
