//! Records and the chain.

use provost_store::{Filter, Head, Order, Record, Store};

use crate::admin::{AuditView, LogQuery, RecordView, Response, store_failure};
use crate::failure::{Failure, Outcome};
use crate::when::Time;

/// The most records of one answer; whoever wants more asks again.
pub(crate) const PAGE: u32 = 1_000;

pub(super) fn log(store: &Store, query: LogQuery) -> Outcome<Response> {
    if let Some(server) = &query.server {
        // A mistyped name must not look like silence. Records outlive their server, so only
        // a name that nothing knows is refused.
        let first_page = query.after.unwrap_or(0) == 0 && query.before.is_none();
        if first_page
            && store.server(server).is_err()
            && select(
                store,
                &LogQuery {
                    limit: Some(1),
                    ..query.clone()
                },
            )?
            .is_empty()
        {
            return Err(Failure::not_found(format!(
                "there is no server `{server}` and no record of one"
            ))
            .hint("`provost server list` shows the servers"));
        }
    }
    Ok(Response::Records(select(store, &query)?))
}

/// The records a query selects, oldest first: after a position the next ones, otherwise the newest.
pub(crate) fn select(store: &Store, query: &LogQuery) -> Outcome<Vec<RecordView>> {
    let decision = query.decision.as_deref().map(str::parse).transpose();
    let decision =
        decision.map_err(|_| Failure::usage("decisions are `allow`, `ask` and `deny`"))?;
    let order = if query.after.is_some() {
        Order::OldestFirst
    } else {
        Order::NewestFirst
    };
    let filter = Filter {
        server: query.server.clone(),
        grant: query.grant.clone(),
        tool: query.tool.clone(),
        decision,
        call: None,
        since: query.since,
        until: None,
        after: query.after,
        before: query.before,
        order,
        // To the store, 0 is no limit.
        limit: query.limit.unwrap_or(PAGE).clamp(1, PAGE) as usize,
    };
    let mut records = store
        .records(&filter)
        .map_err(|error| store_failure(&error))?;
    if order == Order::NewestFirst {
        records.reverse();
    }
    Ok(records.into_iter().map(view).collect())
}

pub(super) fn verify(store: &Store, head: Option<&str>) -> Outcome<Response> {
    let given: Option<Head> = head
        .map(str::parse)
        .transpose()
        .map_err(|error: provost_store::HeadError| Failure::usage(error.to_string()))?;
    let verified = store
        .audit_verify(given)
        .map_err(|error| store_failure(&error))?;
    let mut damage: Vec<String> = verified.damage.iter().map(ToString::to_string).collect();
    damage.extend(verified.refused.iter().map(|refused| {
        format!("{refused} is not what the journal says it is; it is not in force")
    }));
    damage.extend(
        verified
            .database
            .iter()
            .map(|what| format!("the database `provost.db`: {what}")),
    );
    if verified.rebuilt > 0 {
        damage.push(format!(
            "{} records were not what the journal says; they were made again from it",
            verified.rebuilt
        ));
    }
    Ok(Response::Audit(AuditView {
        intact: verified.intact(),
        entries: verified.entries,
        segments: verified.segments,
        first: verified.first,
        head: verified.head.to_string(),
        damage,
    }))
}

pub(super) fn head(store: &Store) -> Response {
    Response::Head(store.audit_head().to_string())
}

fn view(record: Record) -> RecordView {
    RecordView {
        number: record.number,
        node: record.node,
        epoch: record.epoch,
        at: Time(record.at),
        call: record.call.to_string(),
        grant: record.grant,
        grant_label: record.grant_label,
        server: record.server,
        method: record.method,
        tool: record.tool,
        decision: record.decision.to_string(),
        rule: record.rule,
        policy: record.policy,
        version: record.version,
        policy_grant: record.policy_grant,
        message: record.message,
        keys: record.keys,
        retry_after_ms: record.retry_after_ms,
        status: record.status.map(|status| status.to_string()),
        upstream_status: record.upstream_status,
        latency_us: record.latency_us,
        shadow: record.shadow.map(|shadow| crate::admin::ShadowView {
            policy: shadow.policy,
            version: shadow.version,
            decision: shadow.decision.to_string(),
            rule: shadow.rule,
        }),
    }
}
