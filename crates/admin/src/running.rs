//! What is asked of a running daemon.

use std::collections::HashMap;
use std::time::Duration;

use provost_store::{Server, Transport};

use crate::servers::furnish;
use crate::{
    Actor, Administration, DaemonStatus, JournalStanding, LastMinute, Listen, Metrics, Outcome,
    Overview, OverviewView, Restore, Restored, ServerStanding, Status, Stop, TestServer, Upstream,
};

const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn restore(wish: Restore, to: &Administration<'_>, who: &Actor) -> Outcome<Restored> {
    to.daemon()?.restore(&who.recorded(), &wish)
}

pub(crate) fn status(_: Status, to: &Administration<'_>, _: &Actor) -> Outcome<DaemonStatus> {
    Ok(to.daemon()?.status())
}

pub(crate) fn metrics(_: Metrics, to: &Administration<'_>, _: &Actor) -> Outcome<String> {
    Ok(to.daemon()?.metrics())
}

pub(crate) fn stop(_: Stop, to: &Administration<'_>, who: &Actor) -> Outcome<DaemonStatus> {
    let daemon = to.daemon()?;
    daemon.stop(&who.recorded(), "asked to stop");
    Ok(daemon.status())
}

pub(crate) fn test_server(
    wish: TestServer,
    to: &Administration<'_>,
    who: &Actor,
) -> Outcome<Upstream> {
    furnish(to.store, &wish.name, who)?;
    to.daemon()?.test_server(&wish.name)
}

pub(crate) fn listen(wish: Listen, to: &Administration<'_>, who: &Actor) -> Outcome<DaemonStatus> {
    let daemon = to.daemon()?;
    daemon.listen(&who.recorded(), &wish)?;
    Ok(daemon.status())
}

pub(crate) fn overview(_: Overview, to: &Administration<'_>, _: &Actor) -> Outcome<OverviewView> {
    let (store, daemon) = (to.store, to.daemon()?);
    let now = store.clock().now().wall;
    let mut eras: HashMap<_, _> = daemon.eras().into_iter().collect();
    let servers = store.servers()?;
    let grants = store.grants(None)?;
    let minute = u64::try_from(MINUTE.as_micros()).unwrap_or(u64::MAX);
    let tally = store.tally_since(now.saturating_sub(minute))?;
    let standing = |server: &Server| {
        let eras = eras.remove(server.name.as_str()).unwrap_or_default();
        standing(server, &eras)
    };
    Ok(OverviewView {
        daemon: daemon.status(),
        data: store.locations().data.clone(),
        config: store.locations().config.clone(),
        servers: servers.iter().map(standing).collect(),
        grants: grants
            .iter()
            .filter(|found| found.revoked.is_none() && found.grant.live(now))
            .count(),
        last_minute: LastMinute {
            calls: tally.calls,
            denied: tally.denied,
        },
        journal: JournalStanding {
            bytes: store.journal_bytes()?,
            entries: store.audit_head().number,
            intact_at_start: store.report().damage.is_empty(),
        },
    })
}

fn standing(server: &Server, eras: &[&str]) -> ServerStanding {
    let kind = server.transport.as_ref().map(|transport| match transport {
        Transport::Http { .. } => "http",
        Transport::Stdio { .. } => "stdio",
        Transport::Builtin => "built in",
    });
    ServerStanding {
        name: server.name.to_string(),
        kind: kind.map(str::to_owned),
        eras: eras.iter().map(|era| (*era).to_owned()).collect(),
        usable: server.unreadable.is_empty(),
    }
}
