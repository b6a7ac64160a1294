//! The one way in: who asks may, it is done, and what was changed is in force before the answer.

use std::io::Write;

use provost_store::Store;
use serde_json::Value;

use crate::refusal::no_daemon;
use crate::{
    Actor, AnyRequest, AuditExport, Daemon, Log, Outcome, Page, RecordView, Request, RequestKind,
    audit, records,
};

/// Administration of one store, with the daemon that has it open, if one does.
#[derive(Clone, Copy)]
pub struct Administration<'a> {
    /// What is administered.
    pub store: &'a Store,
    /// Who answers what the store cannot.
    pub daemon: Option<&'a dyn Daemon>,
}

// === impl Administration ===

impl<'a> Administration<'a> {
    /// Administration of a store that no daemon has open.
    #[must_use]
    pub fn of(store: &'a Store) -> Self {
        Administration {
            store,
            daemon: None,
        }
    }

    /// Does what `actor` asks for.
    ///
    /// # Errors
    ///
    /// They may not, or it cannot be done.
    pub fn answer<R: Request>(&self, actor: &Actor, request: R) -> Outcome<R::Answer> {
        actor.may(R::KIND)?;
        let answer = request.execute(self, actor)?;
        match self.daemon {
            // What the person is told is in force holds for the next message.
            Some(daemon) if R::KIND.changes_calls() => daemon.take_over_changes()?,
            Some(_) | None => {}
        }
        Ok(answer)
    }

    /// The same for a request that came over a wire, with its answer as JSON.
    ///
    /// # Errors
    ///
    /// They may not, or it cannot be done.
    pub fn answer_any(&self, actor: &Actor, request: AnyRequest) -> Outcome<Value> {
        request.answer(self, actor)
    }

    /// Writes the export.
    ///
    /// # Errors
    ///
    /// They may not, or it cannot be read or written.
    pub fn export(&self, actor: &Actor, what: &AuditExport, out: &mut dyn Write) -> Outcome {
        actor.may(RequestKind::AuditExport)?;
        audit::export(self.store, what, out)
    }

    /// The next records for somebody who follows.
    ///
    /// # Errors
    ///
    /// They may not, or they cannot be read.
    pub fn follow(&self, actor: &Actor, query: &Log) -> Outcome<Page<RecordView>> {
        actor.may(RequestKind::Follow)?;
        records::select(self.store, query)
    }

    /// The daemon.
    ///
    /// # Errors
    ///
    /// None runs.
    pub(crate) fn daemon(&self) -> Outcome<&'a dyn Daemon> {
        self.daemon
            .ok_or_else(|| no_daemon(&self.store.locations().data))
    }
}

#[cfg(test)]
mod tests;
