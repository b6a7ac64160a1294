//! What is forgotten of grants that ended long ago.

use rusqlite::Transaction;

use crate::change::Change;
use crate::database::int;
use crate::{Act, Actor, ChangeError, Store};

/// How long a revoked grant stays in lists, in days.
const KEPT_DAYS: u64 = 90;
const DAY: u64 = 24 * 3_600 * 1_000_000;

// === impl Store ===

impl Store {
    /// Forgets grants that were revoked more than 90 days ago; returns how
    /// many. Their calls stay in the journal and in the records.
    ///
    /// On a server that a run brought they stay: a run that was revoked is
    /// refused for as long as somebody could start it again.
    pub fn purge_grants(&self, who: &Actor) -> Result<usize, ChangeError> {
        self.change(who, Act::GrantPurge, |tx, now| {
            let gone = purge(tx, now.saturating_sub(KEPT_DAYS * DAY))?;
            if gone == 0 {
                return Ok(Change::Already(0));
            }
            let detail = format!("revoked more than {KEPT_DAYS} days ago");
            Ok(Change::detailed(gone, format!("{gone} grants"), detail))
        })
    }
}

/// Those that others were minted below go after these: nothing refers to what
/// is not there.
fn purge(tx: &Transaction<'_>, before: u64) -> rusqlite::Result<usize> {
    let mut leaves = tx.prepare(
        "DELETE FROM grants WHERE revoked < ?1 AND opens NOT IN (SELECT server FROM runs)
             AND NOT EXISTS (SELECT 1 FROM grants below WHERE below.parent = grants.id)",
    )?;
    let mut gone = 0;
    loop {
        match leaves.execute([int(before)])? {
            0 => return Ok(gone),
            count => gone += count,
        }
    }
}
