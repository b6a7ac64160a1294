//! The one way in: who asks may, it is done, and what was changed is in force before the answer.

use std::io::Write;

use provost_store::Locations;
use serde_json::Value;

use crate::{
    Actor, Administration, AnyRequest, AuditExport, Failure, Log, Outcome, Page, Record, Request,
    RequestKind, Restoration, Restored, audit, records,
};

// === impl Actor ===

impl Actor {
    /// Refuses what this role must not ask for.
    ///
    /// # Errors
    ///
    /// The role is too small.
    pub fn may(&self, request: RequestKind) -> Outcome {
        let needed = request.role();
        if self.role >= needed {
            return Ok(());
        }
        Err(
            Failure::refused(format!("`{}` may not do this", self.id)).because(format!(
                "`{}` needs the role `{}`, and theirs is `{}`",
                request.name(),
                needed.name(),
                self.role.name()
            )),
        )
    }
}

// === impl Administration ===

impl Administration<'_> {
    /// Does what `actor` asks for.
    ///
    /// # Errors
    ///
    /// They may not, or it cannot be done.
    pub fn answer<R: Request>(&self, actor: &Actor, request: R) -> Outcome<R::Answer> {
        actor.may(R::KIND)?;
        let before = self.store.generation();
        let answer = request.execute(self, actor)?;
        match self.daemon {
            // What the person is told is in force holds for the next message.
            Some(daemon) if self.store.generation() != before => daemon.take_over_changes()?,
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
    pub fn follow(&self, actor: &Actor, query: &Log) -> Outcome<Page<Record>> {
        actor.may(RequestKind::Follow)?;
        let page = records::select(self.store, query)?;
        records::check_names(self.store, query, &page)?;
        Ok(page)
    }
}

/// Restores an archive. The store must not be open: a daemon closes it first.
///
/// # Errors
///
/// Nothing was restored.
pub fn restore(who: &Actor, locations: &Locations, how: &Restoration) -> Outcome<Restored> {
    who.may(RequestKind::Restore)?;
    crate::restore::restore(who, locations, how)
}

#[cfg(test)]
mod tests;
