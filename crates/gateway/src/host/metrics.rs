//! Counts for Prometheus. Labels are names the operator gave, so their number
//! is bounded whatever agents send.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use provost_policy::Text;
use provost_store::{Decision, Status};

use super::unidentified::Unidentified;
use crate::host::budget::Usage;

/// Upper bounds of the latency buckets, in microseconds.
const BUCKETS: [u64; 10] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000,
];

/// All counts.
#[derive(Default)]
pub(crate) struct Metrics {
    // A std mutex, never on the path of a call: that has its `Counts` already.
    by_server: Mutex<BTreeMap<Text, Arc<Counts>>>,
    pub(crate) unidentified: Unidentified,
    pub(crate) malformed: AtomicU64,
    pub(crate) unrecorded: AtomicU64,
    /// Open connections of agents; a gauge.
    pub(crate) connections: AtomicUsize,
    /// Connections that were closed because there were too many.
    pub(crate) turned_away: AtomicU64,
}

/// The counts of one server.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    allowed: AtomicU64,
    denied: AtomicU64,
    asked: AtomicU64,
    failed: AtomicU64,
    latency: [AtomicU64; BUCKETS.len()],
    latency_sum: AtomicU64,
    latency_count: AtomicU64,
}

/// Counts that live elsewhere and are read when they are shown.
pub(crate) struct Gauges {
    pub(crate) sessions: usize,
    pub(crate) children: usize,
    pub(crate) child_users: usize,
    pub(crate) budget: Usage,
}

// === impl Metrics ===

impl Metrics {
    /// The counts of a server; looked up once for each of its definitions.
    pub(crate) fn server(&self, server: &Text) -> Arc<Counts> {
        let mut servers = self
            .by_server
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match servers.get(server) {
            Some(counts) => Arc::clone(counts),
            None => Arc::clone(servers.entry(server.clone()).or_default()),
        }
    }

    /// The counts in Prometheus' text format.
    pub(crate) fn render(&self, gauges: &Gauges) -> String {
        let servers: Vec<(Text, Arc<Counts>)> = {
            let servers = self
                .by_server
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            servers
                .iter()
                .map(|(name, counts)| (name.clone(), Arc::clone(counts)))
                .collect()
        };
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut out = String::new();
        head(
            &mut out,
            "provost_calls_total",
            "counter",
            "Governed calls by decision.",
        );
        for (name, counts) in &servers {
            let decisions = [
                ("allow", &counts.allowed),
                ("deny", &counts.denied),
                ("ask", &counts.asked),
            ];
            for (decision, count) in decisions {
                let label = format!(",decision=\"{decision}\"");
                line(&mut out, "calls_total", name, &label, read(count));
            }
        }
        head(
            &mut out,
            "provost_upstream_failures_total",
            "counter",
            "Calls to which the server gave no answer.",
        );
        for (name, counts) in &servers {
            let failed = read(&counts.failed);
            line(&mut out, "upstream_failures_total", name, "", failed);
        }
        head(
            &mut out,
            "provost_call_duration_microseconds",
            "histogram",
            "Time from the record that a call is allowed to the record of its outcome.",
        );
        for (name, counts) in &servers {
            let [bucket, sum, count] =
                ["bucket", "sum", "count"].map(|of| format!("call_duration_microseconds_{of}"));
            let mut below = 0;
            for (bound, counted) in BUCKETS.iter().zip(&counts.latency) {
                below += read(counted);
                let label = format!(",le=\"{bound}\"");
                line(&mut out, &bucket, name, &label, below);
            }
            let all = read(&counts.latency_count);
            line(&mut out, &bucket, name, ",le=\"+Inf\"", all);
            line(&mut out, &sum, name, "", read(&counts.latency_sum));
            line(&mut out, &count, name, "", all);
        }
        head(
            &mut out,
            "provost_unidentified_total",
            "counter",
            "Requests over HTTP refused because they had no valid token, host, origin or path.",
        );
        for (reason, count) in self.unidentified.by_reason() {
            let _ = writeln!(
                out,
                "provost_unidentified_total{{reason=\"{reason}\"}} {count}"
            );
        }
        let [malformed, unrecorded, turned_away] =
            [&self.malformed, &self.unrecorded, &self.turned_away].map(read);
        let connections = self.connections.load(Ordering::Relaxed);
        let Gauges {
            sessions,
            children,
            child_users,
            budget,
        } = gauges;
        let Usage {
            held,
            limit,
            calls,
            refused,
            ..
        } = budget;
        let _ = write!(
            out,
            "\
# HELP provost_malformed_total Messages that were malformed or ambiguous.
# TYPE provost_malformed_total counter
provost_malformed_total {malformed}
# HELP provost_unrecorded_total Calls refused because they could not be recorded.
# TYPE provost_unrecorded_total counter
provost_unrecorded_total {unrecorded}
# HELP provost_connections Open connections of agents over HTTP.
# TYPE provost_connections gauge
provost_connections {connections}
# HELP provost_connections_turned_away_total Connections closed because there were too many.
# TYPE provost_connections_turned_away_total counter
provost_connections_turned_away_total {turned_away}
# HELP provost_sessions Sessions of agents over HTTP.
# TYPE provost_sessions gauge
provost_sessions {sessions}
# HELP provost_server_processes Server processes running.
# TYPE provost_server_processes gauge
provost_server_processes {children}
# HELP provost_server_process_users Sessions and requests that use a server process.
# TYPE provost_server_process_users gauge
provost_server_process_users {child_users}
# HELP provost_memory_held_bytes Memory held on behalf of agents and servers.
# TYPE provost_memory_held_bytes gauge
provost_memory_held_bytes {held}
# HELP provost_memory_limit_bytes Limit of provost_memory_held_bytes.
# TYPE provost_memory_limit_bytes gauge
provost_memory_limit_bytes {limit}
# HELP provost_calls_in_flight Calls and streams in flight.
# TYPE provost_calls_in_flight gauge
provost_calls_in_flight {calls}
# HELP provost_no_room_total Messages and calls refused or delayed because there was no room.
# TYPE provost_no_room_total counter
provost_no_room_total {refused}
"
        );
        out
    }
}

// === impl Counts ===

impl Counts {
    pub(crate) fn decided(&self, decision: Decision) {
        let counter = match decision {
            Decision::Allow => &self.allowed,
            Decision::Deny => &self.denied,
            Decision::Ask => &self.asked,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn ended(&self, status: Status, latency_us: u64) {
        if !matches!(status, Status::Ok | Status::ToolError | Status::RpcError) {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_sum.fetch_add(latency_us, Ordering::Relaxed);
        self.latency_count.fetch_add(1, Ordering::Relaxed);
        let bucket = BUCKETS.iter().position(|bound| latency_us <= *bound);
        if let Some(bucket) = bucket.and_then(|index| self.latency.get(index)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

/// Server names are `[a-z0-9-]`, so they need no escaping.
fn line(out: &mut String, metric: &str, server: &str, more: &str, value: u64) {
    let _ = writeln!(out, "provost_{metric}{{server=\"{server}\"{more}}} {value}");
}
