//! Records: what was decided, and how it ended.

use provost_policy::document::did_you_mean;
use provost_store::{Filter, Order, Store};
use serde::{Deserialize, Serialize};

use crate::{Actor, Administration, Failure, Micros, Outcome, Page, Paging};
pub use provost_store::{Decision, Record, Status as CallStatus};

/// Which records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Only this server, by name or id.
    pub server: Option<String>,
    /// Only this grant, by label or id.
    pub grant: Option<String>,
    /// Only this client, by name, or name and version.
    pub client: Option<String>,
    /// Only this tool.
    pub tool: Option<String>,
    /// Only this decision.
    pub decision: Option<Decision>,
    /// Nothing older.
    pub since: Option<Micros>,
    /// In which order.
    #[serde(default)]
    pub order: Sequence,
    /// Which part; a cursor is the number of a record.
    #[serde(default)]
    pub page: Paging,
}

/// In which order records come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sequence {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
    /// New ones, and those that ended, in the order in which that happened: a record comes again
    /// when the outcome of its call does. The cursor goes on, also where there is nothing yet.
    AsTheyChange,
}

/// What a follower is sent, one JSON document a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Followed {
    /// A record that is new or has ended.
    pub record: Option<Record>,
    /// Where to go on when the connection is lost: a cursor of [`Sequence::AsTheyChange`].
    pub cursor: Option<u64>,
}

pub(crate) fn log(wish: Log, to: &Administration<'_>, _: &Actor) -> Outcome<Page<Record>> {
    let page = select(to.store, &wish)?;
    check_names(to.store, &wish, &page)?;
    Ok(page)
}

/// A mistyped name must not look like silence. Records outlive their servers and grants, so only a
/// name that nothing knows is refused.
pub(crate) fn check_names(store: &Store, wish: &Log, page: &Page<Record>) -> Outcome {
    if !page.items.is_empty() || wish.page.cursor.is_some() {
        return Ok(());
    }
    let recorded = |filter: Filter| {
        let records = store.records(&Filter { limit: 1, ..filter });
        records
            .map(|records| !records.is_empty())
            .map_err(Failure::from)
    };
    let missing = |kind: &str, name: &str, known: &mut dyn Iterator<Item = &str>| {
        let failure =
            Failure::not_found(format!("there is no {kind} `{name}` and no record of one"));
        match did_you_mean(name, known) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint(format!("`provost {kind} list` shows the {kind}s")),
        }
    };
    if let Some(name) = &wish.server
        && store.server(name).is_err()
        && !recorded(Filter {
            server: Some(name.clone()),
            ..Filter::default()
        })?
    {
        let servers = store.servers()?;
        let mut names = servers.iter().map(|server| &*server.name);
        return Err(missing("server", name, &mut names));
    }
    if let Some(name) = &wish.grant {
        let grants = store.grants(None)?;
        let mut all = grants.iter().map(|found| &found.grant);
        let is_known = all.any(|grant| *grant.label == **name || grant.id.as_str() == name);
        if !is_known
            && !recorded(Filter {
                grant: Some(name.clone()),
                ..Filter::default()
            })?
        {
            let mut labels = grants.iter().map(|found| &*found.grant.label);
            return Err(missing("grant", name, &mut labels));
        }
    }
    Ok(())
}

/// The records that are asked for.
pub(crate) fn select(store: &Store, query: &Log) -> Outcome<Page<Record>> {
    let cursor: Option<u64> = query
        .page
        .cursor
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|_| {
            Failure::usage("a cursor is the number of a record, from the answer before")
        })?;
    let limit = query.page.limit();
    let mut filter = Filter {
        server: query.server.clone(),
        grant: query.grant.clone(),
        client: query.client.clone(),
        tool: query.tool.clone(),
        decision: query.decision,
        since: query.since,
        limit,
        ..Filter::default()
    };
    match query.order {
        Sequence::NewestFirst => (filter.order, filter.before) = (Order::NewestFirst, cursor),
        Sequence::OldestFirst => (filter.order, filter.after) = (Order::OldestFirst, cursor),
        Sequence::AsTheyChange => filter.changed_after = cursor.or(Some(0)),
    }
    let records = store.records(&filter)?;
    let last = records.last();
    let next = match query.order {
        Sequence::NewestFirst | Sequence::OldestFirst => last
            .filter(|_| records.len() >= limit)
            .map(|record| record.number),
        Sequence::AsTheyChange => last.map(|record| record.changed).or(cursor),
    };
    let next = next.map(|number| number.to_string());
    Ok(Page {
        items: records,
        next,
    })
}
