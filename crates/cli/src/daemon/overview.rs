//! What `provost status` tells: the daemon, and what it looks after.

use std::collections::HashMap;
use std::time::Duration;

use provost_store::{Server, Transport};

use super::lifecycle::Daemon;
use crate::admin::{
    JournalStanding, LastMinute, Overview, ServerStanding, change_failure, store_failure,
};
use crate::failure::Outcome;

const MINUTE: Duration = Duration::from_secs(60);

/// Looks at everything once. Blocks: the store reads the disk.
pub(super) fn overview(daemon: &Daemon) -> Outcome<Overview> {
    let store = &daemon.store;
    let now = store.clock().now().wall;
    let mut eras: HashMap<_, _> = daemon.engine.eras().into_iter().collect();
    let servers = store.servers().map_err(|error| store_failure(&error))?;
    let grants = store.grants(None).map_err(change_failure)?;
    let minute = u64::try_from(MINUTE.as_micros()).unwrap_or(u64::MAX);
    let tally = store
        .tally_since(now.saturating_sub(minute))
        .map_err(|error| store_failure(&error))?;
    Ok(Overview {
        daemon: daemon.status(),
        data: daemon.places.data.clone(),
        config: daemon.places.config.clone(),
        servers: servers
            .iter()
            .map(|server| {
                standing(
                    server,
                    &eras.remove(server.name.as_str()).unwrap_or_default(),
                )
            })
            .collect(),
        grants: grants
            .iter()
            .filter(|found| found.revoked.is_none() && found.grant.live(now))
            .count(),
        last_minute: LastMinute {
            calls: tally.calls,
            denied: tally.denied,
        },
        journal: JournalStanding {
            bytes: store
                .journal_bytes()
                .map_err(|error| store_failure(&error))?,
            entries: store.audit_head().number,
            intact_at_start: store.report().damage.is_empty(),
        },
    })
}

fn standing(server: &Server, eras: &[&str]) -> ServerStanding {
    let kind = server.transport.as_ref().map(|transport| match transport {
        Transport::Http { .. } => "http",
        Transport::Stdio { .. } => "stdio",
    });
    ServerStanding {
        name: server.name.to_string(),
        kind: kind.map(str::to_owned),
        eras: eras.iter().map(|era| (*era).to_owned()).collect(),
        usable: server.unreadable.is_empty(),
    }
}
