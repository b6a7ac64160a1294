//! Export: records and acts as JSON lines or as a table, one row at a time.

use std::io::{self, Write};

use provost_policy::invisible::{is_hidden, push_escaped};
use rusqlite::{Connection, Row, Rows, params_from_iter};
use serde::Serialize;

use super::ExportFormat;
use crate::database::{int, uint};
use crate::records::{COLUMNS, Record, as_time, readable, record_from, time};
use crate::{Filter, Store, StoreError};

/// An act as it is exported.
#[derive(Debug, Serialize)]
struct ActRecord {
    number: u64,
    node: String,
    epoch: u32,
    #[serde(serialize_with = "as_time")]
    at: u64,
    who: String,
    what: String,
    target: String,
    detail: Option<String>,
}

/// A line of the export.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Exported {
    Call(Box<Record>),
    Act(ActRecord),
}

const HEADER: [&str; 25] = [
    "kind",
    "number",
    "time",
    "call",
    "grant",
    "grant_label",
    "server",
    "method",
    "tool",
    "policy",
    "version",
    "decision",
    "rule",
    "message",
    "keys",
    "status",
    "upstream_status",
    "latency_us",
    "who",
    "what",
    "target",
    "policy_grant",
    "node",
    "epoch",
    "client",
];

// === impl Store ===

impl Store {
    /// Writes records and changes, oldest first. Returns how many. Changes are of no
    /// grant, server or tool, so where one is asked for, there are only records.
    pub fn audit_export(
        &self,
        format: ExportFormat,
        only: &Filter,
        out: &mut dyn Write,
    ) -> Result<u64, StoreError> {
        self.0.folder.fold()?;
        let connection = self.0.database.reading_alone()?;
        match format {
            ExportFormat::Jsonl => each(&connection, only, |line| {
                let mut text = serde_json::to_string(&line).map_err(io::Error::other)?;
                text.push('\n');
                out.write_all(visible(&text).as_bytes())
            }),
            ExportFormat::Csv => {
                let mut table = csv::Writer::from_writer(out);
                table
                    .write_record(HEADER)
                    .map_err(|error| written(error.into()))?;
                let count = each(&connection, only, |line| {
                    Ok(table.write_record(line.cells())?)
                })?;
                table.flush().map_err(written)?;
                Ok(count)
            }
        }
    }
}

fn written(error: io::Error) -> StoreError {
    StoreError::Export(std::sync::Arc::new(error))
}

/// Shows records and acts, merged by number.
fn each(
    connection: &Connection,
    only: &Filter,
    mut show: impl FnMut(Exported) -> io::Result<()>,
) -> Result<u64, StoreError> {
    let (conditions, values) = only.conditions();
    let mut calls = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM records WHERE {conditions} ORDER BY n"
    ))?;
    let calls_only = [&only.server, &only.grant, &only.client, &only.tool]
        .iter()
        .any(|asked| asked.is_some());
    let since = match calls_only {
        true => i64::MAX,
        false => only.since.map_or(0, int),
    };
    let mut acts =
        connection.prepare("SELECT n, at, who, what, target, detail,
             (SELECT node FROM timelines WHERE id = timeline), (SELECT epoch FROM timelines WHERE id = timeline)
         FROM acts WHERE at >= ?1 ORDER BY n")?;
    let mut calls = calls.query(params_from_iter(values))?;
    let mut acts = acts.query([since])?;
    let mut call = next(&mut calls, record_from)?;
    let mut act = next(&mut acts, act_from)?;
    let mut count = 0;
    loop {
        let call_first = match (&call, &act) {
            (Some(call), Some(act)) => call.number < act.number,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return Ok(count),
        };
        let first = if call_first {
            std::mem::replace(&mut call, next(&mut calls, record_from)?)
                .map(|call| Exported::Call(Box::new(call)))
        } else {
            std::mem::replace(&mut act, next(&mut acts, act_from)?).map(Exported::Act)
        };
        if let Some(first) = first {
            show(first).map_err(written)?;
            count += 1;
        }
    }
}

/// The next row that can be read.
fn next<T>(
    rows: &mut Rows<'_>,
    read: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    while let Some(row) = rows.next()? {
        if let Some(found) = readable(read(row)) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn act_from(row: &Row<'_>) -> Result<ActRecord, StoreError> {
    Ok(ActRecord {
        number: uint(row.get(0)?),
        at: uint(row.get(1)?),
        who: row.get(2)?,
        what: row.get(3)?,
        target: row.get(4)?,
        detail: row.get(5)?,
        node: row.get(6)?,
        epoch: row.get(7)?,
    })
}

// === impl Exported ===

impl Exported {
    /// The cells of [`HEADER`].
    fn cells(&self) -> Vec<String> {
        let none = String::new;
        let cells = match self {
            Self::Call(record) => {
                let text = |value: &Option<String>| value.clone().unwrap_or_default();
                let number =
                    |value: Option<u64>| value.map_or_else(none, |value| value.to_string());
                vec![
                    "call".to_owned(),
                    record.number.to_string(),
                    time(record.at),
                    record.call.to_string(),
                    record.grant.clone(),
                    record.grant_label.clone(),
                    record.server.clone(),
                    record.method.clone(),
                    text(&record.tool),
                    text(&record.policy),
                    number(record.version.map(u64::from)),
                    record.decision.to_string(),
                    text(&record.rule),
                    text(&record.message),
                    record.keys.join(" "),
                    record.status.map_or_else(none, |status| status.to_string()),
                    number(record.upstream_status.map(u64::from)),
                    number(record.latency_us),
                    none(),
                    none(),
                    none(),
                    text(&record.policy_grant),
                    record.node.clone(),
                    record.epoch.to_string(),
                    text(&record.client),
                ]
            }
            Self::Act(act) => {
                let mut cells = vec!["act".to_owned(), act.number.to_string(), time(act.at)];
                cells.resize(13, none());
                cells.push(act.detail.clone().unwrap_or_default());
                cells.resize(18, none());
                cells.extend([
                    act.who.clone(),
                    act.what.clone(),
                    act.target.clone(),
                    none(),
                ]);
                cells.extend([act.node.clone(), act.epoch.to_string(), none()]);
                cells
            }
        };
        cells.iter().map(|cell| defuse(cell)).collect()
    }
}

/// Spreadsheets take a cell that begins like a formula for one.
fn defuse(cell: &str) -> String {
    let plain = visible(cell);
    match plain.chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{plain}"),
        _ => plain.into_owned(),
    }
}

/// Shows what would move a cursor or turn the reading direction; a newline at
/// the very end stays.
fn visible(text: &str) -> std::borrow::Cow<'_, str> {
    let (body, end) = text
        .strip_suffix('\n')
        .map_or((text, ""), |body| (body, "\n"));
    if !body.chars().any(is_hidden) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for character in body.chars() {
        if is_hidden(character) {
            push_escaped(&mut shown, character);
        } else {
            shown.push(character);
        }
    }
    shown.push_str(end);
    shown.into()
}
