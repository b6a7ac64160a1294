//! Entries that the store writes itself: starts and stops, changes, checkpoints.

use provost_policy::Moment;

use super::chain::{Mac, hex};
use super::decode::Named;
use super::entry::Rows;
use super::kind::Kind;
use super::{Journal, encode, segment};
use crate::clock::Clock;
use crate::guard::lock;
use crate::{AdminAct, JournalError, Position};

// === impl Journal ===

impl Journal {
    /// The store's own entry: says that this process serves from here on, and
    /// which change was the last one. So it shows later whether entries that are
    /// missing before it may have been changes.
    pub(crate) fn append_start(
        &self,
        clock: &Clock,
        revision: u64,
    ) -> Result<Position, JournalError> {
        self.append_with(|out| {
            encode::begin(out, Kind::Start, clock.now());
            encode::text_field(out, "boot", clock.boot());
            encode::number_field(out, "pid", u64::from(std::process::id()));
            encode::text_field(out, "program", env!("CARGO_PKG_VERSION"));
            encode::number_field(out, "revision", revision);
            out.push(b'}');
        })
    }

    /// The store's own entry: an orderly end.
    pub(crate) fn append_stop(
        &self,
        clock: &Clock,
        revision: u64,
    ) -> Result<Position, JournalError> {
        self.append_with(|out| {
            encode::begin(out, Kind::Stop, clock.now());
            encode::number_field(out, "revision", revision);
            out.push(b'}');
        })
    }

    /// A change of the control plane that is about to be committed as
    /// `revision`.
    pub(crate) fn append_change(
        &self,
        act: &AdminAct<'_>,
        revision: u64,
        rows: &Rows,
    ) -> Result<Position, JournalError> {
        self.pay()?;
        self.append_with(|out| {
            encode::write_act(out, Kind::Change, act);
            encode::number_field(out, "revision", revision);
            write_rows(out, rows);
            out.push(b'}');
        })
    }

    /// Says that the change recorded for `revision` was made.
    pub(crate) fn append_made(&self, at: Moment, revision: u64) -> Result<Position, JournalError> {
        self.append_with(|out| {
            encode::begin(out, Kind::Made, at);
            encode::number_field(out, "revision", revision);
            out.push(b'}');
        })
    }

    /// Says that the change recorded for `revision` was not made.
    pub(crate) fn append_undone(
        &self,
        act: &AdminAct<'_>,
        revision: u64,
    ) -> Result<Position, JournalError> {
        let written = self.append_with(|out| write_undone(out, act, revision));
        if written.is_err() {
            let mut body = Vec::new();
            write_undone(&mut body, act, revision);
            *lock(&self.0.owed) = Some(body);
        }
        written
    }

    /// Writes what is owed. Until then no change is made.
    pub(crate) fn pay(&self) -> Result<(), JournalError> {
        let mut owed = lock(&self.0.owed);
        if let Some(body) = owed.as_deref() {
            self.append_body(body)?;
            *owed = None;
        }
        Ok(())
    }

    /// Names a checkpoint whose file is on the disk; `pruned` is what retention
    /// is about to remove.
    pub(crate) fn append_checkpoint(
        &self,
        at: Moment,
        named: &Named,
        pruned: Option<(u64, &Mac)>,
    ) -> Result<Position, JournalError> {
        self.append_with(|out| {
            encode::begin(out, Kind::Checkpoint, at);
            encode::text_field(out, "file", &named.file);
            encode::text_field(out, "sha256", &hex(&named.sha256.0));
            if let Some((number, mac)) = pruned {
                out.extend_from_slice(b",\"pruned\":");
                segment::push_link(out, number, mac);
            }
            out.push(b'}');
        })
    }
}

fn write_undone(out: &mut Vec<u8>, act: &AdminAct<'_>, revision: u64) {
    encode::write_act(out, Kind::Undone, act);
    encode::number_field(out, "revision", revision);
    out.push(b'}');
}

/// The digests of the rows that a change leaves behind.
fn write_rows(out: &mut Vec<u8>, rows: &Rows) {
    encode::field(out, "rows");
    out.push(b'{');
    for (place, (key, digest)) in rows.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        encode::text(out, key);
        out.push(b':');
        match digest {
            Some(digest) => encode::text(out, &hex(&digest.0)),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.push(b'}');
}
