//! Entries that `provost run` makes by itself: which servers they are, when
//! they were last used, and when they go.

use rusqlite::Transaction;

use crate::change::Change;
use crate::database::{Commit, begin, int};
use crate::{Act, Actor, ChangeError, ServerId, Store, StoreError, servers};

/// How long an entry stays that nobody uses, in days. The longest window of a
/// limit is as long: what was counted is over before it is forgotten.
const KEPT_DAYS: u64 = 31;
const DAY: u64 = 24 * 3_600 * 1_000_000;
/// So many names are recorded; the number says how many there were.
const NAMED: usize = 20;

// === impl Store ===

impl Store {
    /// Notes that a run uses this server now. It is kept beside the journal:
    /// it decides nothing but when the entry is cleared.
    pub fn note_run(&self, server: &ServerId) -> Result<(), StoreError> {
        let now = self.0.clock.now().wall;
        let mut connection = self.0.database.writing();
        let transaction = begin(&mut connection, Commit::Repeatable)?;
        // The server may have been removed meanwhile.
        transaction.execute(
            "INSERT INTO runs (server, used) SELECT id, ?2 FROM servers WHERE id = ?1
             ON CONFLICT DO UPDATE SET used = max(used, ?2)",
            (server.as_str(), int(now)),
        )?;
        transaction.commit()?;
        Ok(())
    }

    /// Removes the entries of runs that nobody has used for 31 days, except
    /// those that are `in_use`; returns their names.
    ///
    /// What a person has changed stays: a revoked run is refused, a policy
    /// that was taken off or exchanged is not brought back.
    pub fn clear_runs(&self, who: &Actor, in_use: &[ServerId]) -> Result<Vec<String>, ChangeError> {
        self.change(who, Act::RunClear, |tx, now| {
            let mut cleared = unused(tx, now.saturating_sub(KEPT_DAYS * DAY))?;
            cleared.retain(|(id, _)| !in_use.contains(id));
            for (id, _) in &cleared {
                servers::forget(tx, id, now)?;
            }
            let names: Vec<String> = cleared.into_iter().map(|(_, name)| name).collect();
            if names.is_empty() {
                return Ok(Change::Already(names));
            }
            let shown = names.iter().take(NAMED).map(String::as_str);
            let detail = format!(
                "not used for {KEPT_DAYS} days: {}",
                shown.collect::<Vec<_>>().join(", ")
            );
            let target = format!("{} runs", names.len());
            Ok(Change::detailed(names, target, detail))
        })
    }
}

/// Entries that are as a run left them, and were last used before a moment.
fn unused(tx: &Transaction<'_>, before: u64) -> Result<Vec<(ServerId, String)>, StoreError> {
    let mut statement = tx.prepare(
        "SELECT n.id, n.name FROM runs r JOIN names n ON n.id = r.server WHERE r.used < ?1
         AND (SELECT count(*) FROM policies p WHERE p.server = n.id) <= 1
         AND (SELECT count(*) FROM grants g WHERE g.opens = n.id) <= 1
         AND NOT EXISTS (SELECT 1 FROM grants g LEFT JOIN grant_servers s ON s.grant_id = g.id
             WHERE g.opens = n.id AND (g.revoked IS NOT NULL OR s.policy IS NULL OR s.shadow IS NOT NULL))
         ORDER BY n.name",
    )?;
    let rows = statement.query_map([int(before)], |row| {
        let id: String = row.get(0)?;
        Ok((ServerId(id.into()), row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
