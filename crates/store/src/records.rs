//! Records: what the journal says, as rows to search.

mod query;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::database::{int, uint};
use crate::{CallId, Decision, Status, StoreError};

/// Which records. Empty fields select everything.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The server's name.
    pub server: Option<String>,
    /// The grant's label or id.
    pub grant: Option<String>,
    /// The name of the agent's client, or name and version.
    pub client: Option<String>,
    /// The tool's name.
    pub tool: Option<String>,
    /// The decision.
    pub decision: Option<Decision>,
    /// One call.
    pub call: Option<CallId>,
    /// Not before, unix time in microseconds.
    pub since: Option<u64>,
    /// Not at or after, unix time in microseconds.
    pub until: Option<u64>,
    /// Only entries with a higher number: where the last page ended, or
    /// where one follows.
    pub after: Option<u64>,
    /// Only records that are new or have ended since this entry, in the order in
    /// which that happened, whatever `order` says. [`Record::changed`] is where
    /// to go on.
    pub changed_after: Option<u64>,
    /// Only entries with a lower number.
    pub before: Option<u64>,
    /// In which order.
    pub order: Order,
    /// At most so many; 0 means all.
    pub limit: usize,
}

/// In which order records come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// The newest first.
    #[default]
    NewestFirst,
    /// The oldest first.
    OldestFirst,
}

/// One governed call: what was decided, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The number of its first entry in the journal.
    pub number: u64,
    /// Whose journal that is.
    pub node: String,
    /// Which timeline of it: the next one begins with each restore.
    pub epoch: u32,
    /// Which call.
    pub call: CallId,
    /// When it was decided, unix time in microseconds; RFC 3339 in JSON.
    #[serde(serialize_with = "as_time", deserialize_with = "from_time")]
    pub at: u64,
    /// The grant's id.
    pub grant: String,
    /// The grant's label.
    pub grant_label: String,
    /// Who the agent's client says it is: name and version. Nothing vouches for it.
    pub client: Option<String>,
    /// The server's name.
    pub server: String,
    /// The method.
    pub method: String,
    /// The tool.
    pub tool: Option<String>,
    /// The policy that decided.
    pub policy: Option<String>,
    /// Its version.
    pub version: Option<u32>,
    /// The grant whose policy refused, if it is not the call's own: one that
    /// its grant was minted below.
    pub policy_grant: Option<String>,
    /// The decision.
    pub decision: Decision,
    /// The rule that decided.
    pub rule: Option<String>,
    /// What the agent was told, if it was refused.
    pub message: Option<String>,
    /// The top-level keys of the arguments, sorted.
    pub keys: Vec<String>,
    /// When asking again may help.
    pub retry_after_ms: Option<u64>,
    /// How an allowed call ended; `unknown` until its end is recorded.
    pub status: Option<Status>,
    /// The upstream's HTTP status.
    pub upstream_status: Option<u16>,
    /// How long the upstream took, in microseconds.
    pub latency_us: Option<u64>,
    /// What the shadow policy says.
    pub shadow: Option<ShadowRecord>,
    /// The number of the entry that last said something of it: its first one, or
    /// that of its outcome.
    #[serde(skip)]
    pub changed: u64,
}

/// How many calls there were, and how they were decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// All of them.
    pub calls: u64,
    /// Those that did not go on.
    pub denied: u64,
}

/// What a shadow policy said about a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShadowRecord {
    /// The policy.
    pub policy: String,
    /// Its version.
    pub version: u32,
    /// What it would have decided.
    pub decision: Decision,
    /// The rule that would have decided.
    pub rule: Option<String>,
    /// What the agent would have been told.
    pub message: Option<String>,
}

pub(crate) const COLUMNS: &str = "n, call, at, grant_id, label, server, method, tool, policy, version, decision, \
    rule, message, keys, retry, status, http, latency, shadow, policy_grant, \
    (SELECT node FROM timelines WHERE id = timeline), (SELECT epoch FROM timelines WHERE id = timeline), \
    coalesce(changed, n), client";

/// Shows every record that matches, one at a time.
pub(crate) fn each_record(
    connection: &Connection,
    filter: &Filter,
    mut show: impl FnMut(Record) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (conditions, values) = filter.conditions();
    let order = match (filter.changed_after, filter.order) {
        (Some(_), _) => "changed",
        (None, Order::NewestFirst) => "n DESC",
        (None, Order::OldestFirst) => "n",
    };
    let limit = if filter.limit == 0 {
        -1
    } else {
        int(filter.limit as u64)
    };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM records WHERE {conditions} ORDER BY {order} LIMIT {limit}"
    ))?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        if let Some(record) = readable(record_from(row)) {
            show(record)?;
        }
    }
    Ok(())
}

/// Leaves out a row that holds something else than what was written: it must
/// not hide all others.
pub(crate) fn readable<T>(row: Result<T, StoreError>) -> Option<T> {
    row.inspect_err(|error| {
        tracing::error!(error = %error, "a record cannot be read and is left out; `provost audit verify` makes it again");
    })
    .ok()
}

/// Reads a row of [`COLUMNS`].
pub(crate) fn record_from(row: &Row<'_>) -> Result<Record, StoreError> {
    let number = uint(row.get(0)?);
    let odd = |what: &str| StoreError::Unexpected(format!("record {number}: {what}"));
    let decision = row
        .get_ref(10)?
        .as_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| odd("its decision"))?;
    let status: Option<String> = row.get(15)?;
    let status = match status {
        Some(text) => Some(text.parse().map_err(|_| odd("its status"))?),
        None if decision == Decision::Allow => Some(Status::Unknown),
        None => None,
    };
    let keys: Option<String> = row.get(13)?;
    let shadow: Option<String> = row.get(18)?;
    let number_at = |index| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(index)?.map(uint));
    Ok(Record {
        number,
        node: row.get(20)?,
        epoch: row.get(21)?,
        call: CallId::new(u128::from_be_bytes(row.get(1)?)),
        at: uint(row.get(2)?),
        grant: row.get(3)?,
        grant_label: row.get(4)?,
        client: row.get(23)?,
        server: row.get(5)?,
        method: row.get(6)?,
        tool: row.get(7)?,
        policy: row.get(8)?,
        version: row.get(9)?,
        policy_grant: row.get(19)?,
        decision,
        rule: row.get(11)?,
        message: row.get(12)?,
        keys: keys
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| odd("its keys"))?
            .unwrap_or_default(),
        retry_after_ms: number_at(14)?,
        status,
        upstream_status: row.get(16)?,
        latency_us: number_at(17)?,
        shadow: shadow
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|_| odd("its shadow"))?,
        changed: uint(row.get(22)?),
    })
}

/// A moment as people and spreadsheets read it.
pub(crate) fn time(micros: u64) -> String {
    i64::try_from(micros)
        .ok()
        .and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok())
        .map_or_else(|| micros.to_string(), |time| time.to_string())
}

/// The same for serde.
pub(crate) fn as_time<S: Serializer>(micros: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&time(*micros))
}

/// The way back from [`as_time`].
pub(crate) fn from_time<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let text = String::deserialize(from)?;
    if let Ok(micros) = text.parse() {
        return Ok(micros);
    }
    let time: jiff::Timestamp = text.parse().map_err(de::Error::custom)?;
    u64::try_from(time.as_microsecond()).map_err(de::Error::custom)
}

// === impl Filter ===

impl Filter {
    /// The SQL of the conditions, and their values.
    pub(crate) fn conditions(&self) -> (String, Vec<Value>) {
        let mut parts = vec!["TRUE".to_owned()];
        let mut values = Vec::new();
        let mut add = |condition: &str, value: Value| {
            values.push(value);
            parts.push(condition.replace('?', &format!("?{}", values.len())));
        };
        let text = |value: &String| Value::from(value.clone());
        if let Some(server) = &self.server {
            add("server = ?", text(server));
        }
        if let Some(grant) = &self.grant {
            add("(label = ? OR grant_id = ?)", text(grant));
        }
        if let Some(client) = &self.client {
            let named = "(client = ? OR substr(client, 1, length(?) + 1) = ? || ' ')";
            add(named, text(client));
        }
        if let Some(tool) = &self.tool {
            add("tool = ?", text(tool));
        }
        if let Some(decision) = self.decision {
            add("decision = ?", Value::from(decision.as_str().to_owned()));
        }
        if let Some(call) = self.call {
            add(
                "call = ?",
                Value::from(call.number().to_be_bytes().to_vec()),
            );
        }
        for (condition, bound) in [
            ("at >= ?", self.since),
            ("at < ?", self.until),
            ("n > ?", self.after),
            ("changed > ?", self.changed_after),
            ("n < ?", self.before),
        ] {
            if let Some(bound) = bound {
                add(condition, Value::from(int(bound)));
            }
        }
        (parts.join(" AND "), values)
    }
}

#[cfg(test)]
mod tests;
