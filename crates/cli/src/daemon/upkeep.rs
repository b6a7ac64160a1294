//! What a daemon clears up by itself, at start and then every hour.

use std::sync::Arc;
use std::time::Duration;

use provost_admin::Outcome;
use provost_store::Actor;
use tracing::{info, warn};

use super::running::Daemon;
use crate::runtime::blocking;

const EVERY: Duration = Duration::from_secs(3_600);

/// Clears up until the task is aborted.
pub(super) async fn hourly(daemon: Arc<Daemon>, retention: Option<Duration>) {
    let mut hourly = tokio::time::interval(EVERY);
    loop {
        hourly.tick().await;
        let at = Arc::clone(&daemon);
        tell(blocking(move || forget_grants(&at)).await);
        let at = Arc::clone(&daemon);
        tell(blocking(move || clear_runs(&at)).await);
        if let Some(age) = retention {
            let at = Arc::clone(&daemon);
            tell(blocking(move || prune(&at, age)).await);
        }
    }
}

fn tell(done: Outcome) {
    if let Err(failure) = done {
        warn!("The hourly cleanup failed: {}", failure.message);
    }
}

/// Grants that were revoked long ago.
fn forget_grants(daemon: &Daemon) -> Outcome {
    let gone = daemon.store.purge_grants(&Actor::new("upkeep"))?;
    if gone > 0 {
        info!(grants = gone, "Removed grants that were revoked long ago");
    }
    Ok(())
}

/// Entries of runs that nobody uses any more.
fn clear_runs(daemon: &Daemon) -> Outcome {
    let cleared = daemon.runs.clear(&daemon.store)?;
    if !cleared.is_empty() {
        info!(
            runs = cleared.len(),
            "Removed runs that were not used for a long time"
        );
    }
    Ok(())
}

/// Records that are older than the operator wants to keep.
fn prune(daemon: &Daemon, age: Duration) -> Outcome {
    let age = u64::try_from(age.as_micros()).unwrap_or(u64::MAX);
    let older_than = daemon.store.clock().now().steady.saturating_sub(age);
    let pruned = daemon.store.prune(&Actor::new("retention"), older_than)?;
    if pruned.segments > 0 {
        info!(
            segments = pruned.segments,
            records = pruned.records,
            "Removed old records"
        );
    }
    Ok(())
}
