//! One batch of entries on its way into the tables. Intents meet their
//! outcomes here, so that most calls are written once.

use std::collections::HashMap;

use provost_policy::ledger::Ledger;
use rusqlite::{Transaction, params};

use super::read::RawLine;
use super::state::State;
use crate::checkpoint::Tail;
use crate::control::Expected;
use crate::database::{int, to_json};
use crate::journal::{Charged, Decision, Kind, Line, Mac, RowOf, ShadowLine, Str, split_line};
use crate::{CallId, ShadowRecord, Status, StoreError};

/// Rows that wait for the transaction.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    calls: Vec<CallRow<'a>>,
    /// Allowed calls of this batch without an outcome yet.
    open: HashMap<CallId, usize>,
    /// Outcomes of calls of earlier batches.
    late: Vec<Ending>,
    acts: Vec<Line<'a>>,
    entries: u64,
}

#[derive(Debug)]
struct CallRow<'a> {
    line: Line<'a>,
    decision: Decision,
    ending: Option<Ending>,
}

#[derive(Debug, Clone, Copy)]
struct Ending {
    /// The outcome's own entry.
    number: u64,
    call: CallId,
    status: Status,
    http: Option<u16>,
    latency: Option<u64>,
}

// === impl Batch ===

impl<'a> Batch<'a> {
    /// Room for the calls of so many bytes: rows are large, and growing
    /// copies them.
    pub(super) fn for_bytes(bytes: usize) -> Self {
        let calls = bytes / 512;
        Self {
            calls: Vec::with_capacity(calls),
            open: HashMap::with_capacity(calls),
            ..Self::default()
        }
    }

    /// Takes one entry: counts it and keeps its row.
    pub(super) fn add(&mut self, raw: &RawLine<'a>, state: &mut State) {
        let Some((line, mac)) = read(raw, state) else {
            return;
        };
        self.entries += 1;
        state.at.end.number = line.number;
        state.at.end.mac = mac;
        state.at.steady = state.at.steady.max(line.at.0);
        if line.number <= state.rowed {
            return;
        }
        match line.kind.row() {
            Some(RowOf::Call(decision)) => {
                let decision = line.decision.unwrap_or(decision);
                self.add_call(line, decision);
            }
            Some(RowOf::Act) => self.acts.push(line),
            None if line.kind == Kind::Outcome => self.add_outcome(&line),
            None => {}
        }
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    /// How many rows it will write, outcomes of earlier calls aside.
    pub(super) fn rows(&self) -> u64 {
        (self.calls.len() + self.acts.len()) as u64
    }

    fn add_call(&mut self, line: Line<'a>, decision: Decision) {
        if let (Decision::Allow, Some(call)) = (decision, line.call) {
            self.open.insert(call, self.calls.len());
        }
        self.calls.push(CallRow {
            line,
            decision,
            ending: None,
        });
    }

    fn add_outcome(&mut self, line: &Line<'a>) {
        let Some(call) = line.call else { return };
        let status = line.status.unwrap_or(Status::Unknown);
        let ending = Ending {
            number: line.number,
            call,
            status,
            http: line.http,
            latency: line.latency,
        };
        match self
            .open
            .remove(&call)
            .and_then(|index| self.calls.get_mut(index))
        {
            Some(row) => row.ending = Some(ending),
            None => self.late.push(ending),
        }
    }

    /// Writes everything, as entries of one timeline.
    pub(super) fn save(
        &self,
        transaction: &Transaction<'_>,
        timeline: i64,
    ) -> Result<(), StoreError> {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO records (n, call, at, grant_id, label, server, method, tool, policy, version, decision,
                 rule, message, keys, retry, status, http, latency, shadow, policy_grant, timeline, changed, client)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        )?;
        for row in &self.calls {
            let line = &row.line;
            let shadow = line.shadow.as_ref().map(shadow_json).transpose()?;
            insert.execute(params![
                int(line.number),
                call_bytes(line.call),
                int(line.at.1),
                text(line.grant.as_ref()),
                text(line.label.as_ref()),
                text(line.server.as_ref()),
                text(line.method.as_ref()),
                line.tool.as_ref().map(Str::as_str),
                line.policy.as_ref().map(Str::as_str),
                line.version,
                row.decision.as_str(),
                line.rule.as_ref().map(Str::as_str),
                line.message.as_ref().map(Str::as_str),
                line.keys.as_ref().map(Str::as_str),
                line.retry.map(int),
                row.ending.map(|ending| ending.status.name()),
                row.ending.and_then(|ending| ending.http),
                row.ending.and_then(|ending| ending.latency).map(int),
                shadow,
                line.policy_grant.as_ref().map(Str::as_str),
                timeline,
                int(row.ending.map_or(line.number, |ending| ending.number)),
                line.client.as_ref().map(Str::as_str),
            ])?;
        }
        self.save_late(transaction)?;
        self.save_acts(transaction, timeline)
    }

    fn save_late(&self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        // A call that goes on has several entries: the last one before it is
        // the one that ended, however the journal is read in pieces.
        let mut update = transaction.prepare_cached(
            "UPDATE records SET status = ?2, http = ?3, latency = ?4, changed = ?5 WHERE n = (SELECT max(n) FROM records
                 WHERE call = ?1 AND status IS NULL AND decision = 'allow' AND n < ?5)",
        )?;
        for ending in &self.late {
            update.execute(params![
                ending.call.number().to_be_bytes(),
                ending.status.name(),
                ending.http,
                ending.latency.map(int),
                int(ending.number),
            ])?;
        }
        Ok(())
    }

    fn save_acts(&self, transaction: &Transaction<'_>, timeline: i64) -> Result<(), StoreError> {
        let mut insert = transaction.prepare_cached(
            "INSERT OR REPLACE INTO acts (n, at, kind, who, what, target, detail, revision, timeline)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for line in &self.acts {
            let what = match line.kind {
                Kind::Start => "daemon.start",
                Kind::Stop => "daemon.stop",
                Kind::Segment
                | Kind::Intent
                | Kind::Refused
                | Kind::Outcome
                | Kind::Admin
                | Kind::Change
                | Kind::Made
                | Kind::Undone
                | Kind::Checkpoint => text(line.what.as_ref()),
            };
            insert.execute(params![
                int(line.number),
                int(line.at.1),
                line.kind.word(),
                line.who.as_ref().map_or("provost", Str::as_str),
                what,
                text(line.target.as_ref()),
                line.detail.as_ref().map(Str::as_str),
                line.revision.map(int),
                timeline,
            ])?;
        }
        Ok(())
    }
}

/// Reads an entry, and counts it unless it is counted.
pub(super) fn read<'a>(raw: &RawLine<'a>, state: &mut State) -> Option<(Line<'a>, Mac)> {
    let State {
        ledger,
        control,
        counted,
        tail,
        cut,
        reader,
        ..
    } = state;
    let found = split_line(raw.text).and_then(|(payload, mac)| Some((reader.line(payload)?, mac)));
    let Some((mut line, mac)) = found else {
        tracing::warn!(
            offset = raw.offset,
            "an entry of the journal could not be read; it is left out of the records"
        );
        return None;
    };
    let before = counted.end.number;
    if line.number > before {
        if line.number != before + 1 && *cut != Some((before, line.number)) {
            control.miss();
        }
        counted.end.number = line.number;
        counted.end.mac = mac;
        counted.steady = counted.steady.max(line.at.0);
        if line.kind == Kind::Segment {
            *tail = Some(Tail::after(line.number - 1));
        } else if let Some(tail) = tail {
            tail.rows += u64::from(line.kind.row().is_some());
        }
        count(&mut line, ledger, control);
    }
    Some((line, mac))
}

/// Takes an entry into what all entries amount to.
fn count(line: &mut Line<'_>, ledger: &mut Ledger, control: &mut Expected) {
    let revision = line.revision.unwrap_or(0);
    match line.kind {
        Kind::Intent | Kind::Refused => charge(line, ledger),
        Kind::Outcome => refund(line, ledger),
        Kind::Change => control.change(revision, std::mem::take(&mut line.rows)),
        Kind::Made => control.made(revision),
        Kind::Undone => control.undone(revision),
        Kind::Start | Kind::Stop => {
            if let Some(revision) = line.revision {
                control.last_was(revision);
            }
        }
        Kind::Segment | Kind::Admin | Kind::Checkpoint => {}
    }
}

/// Counts what the entry says was charged; concurrent charges end with the
/// process, which the ledger knows.
fn charge(line: &Line<'_>, ledger: &mut Ledger) {
    let at = line.moment();
    let shadow = line
        .shadow
        .as_ref()
        .map_or(&[][..], |shadow| &shadow.charges);
    for Charged { counter, amount } in line.charges.iter().chain(shadow) {
        ledger.replay(counter, *amount, at);
    }
}

/// Gives back what the entry says did not count after all.
fn refund(line: &Line<'_>, ledger: &mut Ledger) {
    for refund in &line.refund {
        ledger.refund(&refund.counter, refund.amount, refund.at);
    }
}

fn shadow_json(shadow: &ShadowLine<'_>) -> Result<String, StoreError> {
    let own = |text: &Option<Str<'_>>| text.as_ref().map(|text| text.as_str().to_owned());
    to_json(&ShadowRecord {
        policy: shadow.policy.as_str().to_owned(),
        version: shadow.version,
        decision: shadow.decision,
        rule: own(&shadow.rule),
        message: own(&shadow.message),
    })
}

fn call_bytes(call: Option<CallId>) -> [u8; 16] {
    call.map_or(0, CallId::number).to_be_bytes()
}

fn text<'t>(value: Option<&'t Str<'_>>) -> &'t str {
    value.map_or("", Str::as_str)
}
