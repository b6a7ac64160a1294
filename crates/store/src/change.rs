//! How the control plane is changed: one transaction, one entry.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::checkpoint::Begin;
use crate::control::{self, Distrust, FEW, Found, Whole};
use crate::database::{Commit, begin, meta, set_meta, uint};
use crate::guard::{lock, read, write};
use crate::journal::Rows;
use crate::{Act, Actor, AdminAct, ChangeError, Store, StoreError};

/// A change that is ready to be committed, and what to record about it.
pub(crate) struct Made<T> {
    pub(crate) value: T,
    /// To what, such as `github/ci-runner`.
    pub(crate) target: String,
    /// Details worth keeping. Never a secret.
    pub(crate) detail: Option<String>,
}

/// What came of a wish to change something.
pub(crate) enum Change<T> {
    Made(Made<T>),
    /// It was so already; nothing is recorded.
    Already(T),
}

// === impl Change ===

impl<T> Change<T> {
    pub(crate) fn made(value: T, target: impl Into<String>) -> Self {
        Self::Made(Made {
            value,
            target: target.into(),
            detail: None,
        })
    }

    pub(crate) fn detailed(value: T, target: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Made(Made {
            value,
            target: target.into(),
            detail: Some(detail.into()),
        })
    }
}

/// How many changes there were.
pub(crate) fn read_revision(connection: &Connection) -> rusqlite::Result<u64> {
    Ok(meta(connection, "revision")?
        .and_then(|text| text.parse().ok())
        .unwrap_or(0))
}

// === impl Store ===

impl Store {
    /// Makes one change of the control plane: one transaction, one entry.
    ///
    /// The entry is on the disk before the transaction is committed, so no
    /// change takes effect without a record. If the process stops in between,
    /// the next start finds an entry whose revision the database does not
    /// have, and records that the change was not made.
    pub(crate) fn change<T>(
        &self,
        who: &Actor,
        what: Act,
        make: impl FnOnce(&Transaction<'_>, u64) -> Result<Change<T>, ChangeError>,
    ) -> Result<T, ChangeError> {
        let inner = &self.0;
        let at = inner.clock.now();
        let changing = lock(&inner.changing);
        let mut connection = inner.database.writing();
        let transaction = begin(&mut connection, Commit::Durable)?;
        control::forget_touched(&transaction)?;
        let made = match make(&transaction, at.wall)? {
            Change::Already(value) => return Ok(value),
            Change::Made(made) => made,
        };
        let known = self.revision();
        if read_revision(&transaction)? != known {
            tracing::error!(
                "the database's count of changes was altered outside of Provost; this change corrects it"
            );
        }
        // From memory: with a number that was set back, what the journal says
        // of this change would be taken for an older one.
        let revision = known.saturating_add(1);
        set_meta(&transaction, "revision", &revision.to_string())?;
        let rows = control::touched(&transaction)?;
        self.notice_planted(&transaction, &rows)?;
        let distrusts = self.refuse_differing(&transaction, &rows)?;
        let act = AdminAct {
            at,
            who: &who.0,
            what: what.name(),
            target: &made.target,
            detail: made.detail.as_deref(),
        };
        inner.journal.append_change(&act, revision, &rows)?;
        let done = inner
            .journal
            .sync()
            .map_err(StoreError::from)
            .and_then(|()| Ok(transaction.commit()?));
        if let Err(error) = done {
            // If this does not get through either, the journal owes it: nothing
            // else is changed before it is written, by the next start at last.
            inner.journal.append_undone(&act, revision).ok();
            return Err(error.into());
        }
        inner.revision.store(revision, Ordering::Release);
        let mut expected = lock(&inner.expected);
        expected.change(revision, rows.clone());
        expected.made(revision);
        drop(expected);
        self.follow_change(&connection, &rows);
        drop((connection, changing));
        if let Err(error) = inner.journal.append_made(inner.clock.now(), revision) {
            // It was made all the same: the next change or the next start says so.
            tracing::warn!(error = %error, "a change was made, but the journal does not say yet that it was completed");
        }
        if distrusts && let Err(error) = self.hold_against_journal() {
            // What was refused stays refused.
            tracing::error!(error = %error, "servers, policies and grants could not be compared with the journal");
        }
        self.tell_change();
        Ok(made.value)
    }

    /// Holds the control plane against the journal, from now on what differs is
    /// not in force. Tells whether that is something else than before.
    pub(crate) fn hold_against_journal(&self) -> Result<bool, StoreError> {
        let _changing = lock(&self.0.changing);
        let rows = control::all_rows(&self.0.database.reading())?;
        self.hold_rows_against_journal(&rows)
    }

    /// The same for rows that were read before, while nobody made changes.
    pub(crate) fn hold_rows_against_journal(&self, rows: &Found) -> Result<bool, StoreError> {
        let (found, settled) = self.0.folder.expected(|expected| {
            let open = expected.open_change();
            let made = open.filter(|it| *it <= self.revision());
            let connection = self.0.database.reading();
            let mut expected = expected.clone();
            // It was made, even if the journal does not say so yet.
            if let Some(open) = made {
                expected.made(open);
            }
            if made.is_some() || expected.is_in_doubt() {
                expected.settle_doubt();
            }
            let found = Distrust::find(&connection, rows, &expected)?;
            Ok::<_, StoreError>((found, expected))
        })??;
        *lock(&self.0.expected) = settled;
        let mut distrust = write(&self.0.distrust);
        let is_other = *distrust != found;
        *distrust = found;
        drop(distrust);
        if is_other {
            self.forget_directory();
        }
        Ok(is_other)
    }

    /// What a change writes, and what it makes the directory read again, must be
    /// what the last change left. If any of it is not, somebody has written past
    /// the journal, and what differs is not in force from here on.
    fn notice_planted(&self, transaction: &Transaction<'_>, rows: &Rows) -> Result<(), StoreError> {
        let expected = lock(&self.0.expected);
        let (servers, grants) = self.reached(transaction, rows, &lock(&self.0.kept))?;
        // What was there before this change.
        let before = self.0.database.reading();
        if grants.len() <= FEW {
            let mut keys: BTreeSet<_> = rows.keys().cloned().collect();
            let servers = servers.iter().map(|id| Whole::Server(id.as_str()));
            let grants = grants.iter().map(|id| Whole::Grant(id.as_str()));
            for whole in servers.chain(grants) {
                control::rows_of(&before, whole, &expected, &mut keys)?;
            }
            if control::are_as_left(&before, &keys, &expected)? {
                return Ok(());
            }
        }
        let found = Distrust::find(&before, &control::all_rows(&before)?, &expected)?;
        let mut distrust = write(&self.0.distrust);
        let is_other = *distrust != found;
        *distrust = found;
        drop((distrust, before));
        if is_other {
            self.forget_directory();
        }
        Ok(())
    }

    /// Refuses a change that would keep something that differs from what the
    /// journal says. Tells whether anything does.
    fn refuse_differing(
        &self,
        transaction: &Transaction<'_>,
        rows: &Rows,
    ) -> Result<bool, ChangeError> {
        let distrust = read(&self.0.distrust);
        match distrust.kept_by(transaction, rows)? {
            Some(row) => Err(ChangeError::Differs { row }),
            None => Ok(!distrust.is_empty()),
        }
    }

    /// Records an act that changes nothing in the database, before it is done.
    pub fn record_act(
        &self,
        who: &Actor,
        what: Act,
        target: &str,
        detail: Option<&str>,
    ) -> Result<(), StoreError> {
        let act = AdminAct {
            at: self.0.clock.now(),
            who: &who.0,
            what: what.name(),
            target,
            detail,
        };
        self.0.journal.append(&crate::Entry::Admin(act))?;
        Ok(())
    }

    /// Records that the last change was not made, if the process stopped
    /// between its entry and its commit.
    pub(crate) fn settle_last_change(&self, begin: Begin) -> Result<(), StoreError> {
        // A change that was made and is not there is no crash: somebody put an
        // older database back, which holding it against the journal finds.
        let open = self.0.folder.expected(|expected| expected.open_change())?;
        if begin == Begin::Known && open.is_none_or(|open| open <= self.revision()) {
            return Ok(());
        }
        self.0.folder.fold()?;
        let last = "SELECT revision, who, what, target FROM acts WHERE kind = 'change'
            AND n > coalesce((SELECT max(n) FROM acts WHERE kind = 'undone'), 0) ORDER BY n DESC LIMIT 1";
        let reading = self.0.database.reading();
        let found: Option<(i64, String, String, String)> = reading
            .query_row(last, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()?;
        drop(reading);
        let Some((revision, who, what, target)) = found else {
            return Ok(());
        };
        let revision = uint(revision);
        let is_open = begin == Begin::OfFormat1 || open == Some(revision);
        if revision <= self.revision() || !is_open {
            return Ok(());
        }
        let detail = "the process stopped before the change was made";
        let at = self.0.clock.now();
        let act = AdminAct {
            at,
            who: &who,
            what: &what,
            target: &target,
            detail: Some(detail),
        };
        self.0.journal.append_undone(&act, revision)?;
        tracing::warn!(what, target, "the last change was recorded but not made");
        Ok(())
    }
}
