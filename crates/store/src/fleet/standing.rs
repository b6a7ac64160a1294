//! Where in its tree an instance stands or would stand, and what is there already.

use rusqlite::{OptionalExtension, Transaction};

use super::instance::{find, no, range_below};
use super::{FleetError, Instance, InstanceId};
use crate::GrantId;
use crate::database::{int, uint};

/// The place of an instance that is to be made or started again. Itself is in none of the
/// counts, except in `made` when it is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its number.
    pub number: u64,
    /// The numbers above it, from the top down.
    pub above: Vec<u64>,
    /// Who leads it; `None` where that is a person.
    pub parent: Option<Instance>,
    /// Living instances with the same parent.
    pub siblings: u64,
    /// What it is part of: the whole tree first, then what is below each instance above it,
    /// from the top down.
    pub subtrees: Vec<Subtree>,
}

/// What is below somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subtree {
    /// Below which instance; `None`: the whole tree of a person.
    pub top: Option<InstanceId>,
    /// Living instances.
    pub living: u64,
    /// Instances made within the window that was asked about.
    pub recent: u64,
    /// Instances ever made.
    pub made: u64,
}

// === impl Standing ===

impl Standing {
    /// Reads the place below `parent`, or at the top of the tree of `root`; `since` is
    /// where the window of `recent` begins, unix time in microseconds.
    pub(super) fn read(
        tx: &Transaction<'_>,
        number: u64,
        root: &GrantId,
        parent: Option<Instance>,
        since: u64,
    ) -> Result<Self, FleetError> {
        let above = parent
            .as_ref()
            .map(|it| it.lineage.clone())
            .unwrap_or_default();
        let mut subtrees = vec![Subtree::of_tree(tx, root, since)?];
        for number in &above {
            let mut statement = tx.prepare_cached("SELECT id FROM instances WHERE number = ?1")?;
            let id: InstanceId = statement.query_row([int(*number)], |row| row.get(0))?;
            let top = find(tx, &id)?.ok_or_else(|| no(&id))?;
            subtrees.push(Subtree::below(tx, &top, since)?);
        }
        let parent_id = parent.as_ref().map(|it| &it.id);
        let mut statement = tx.prepare_cached(
            "SELECT count(*) FROM instances INDEXED BY living
             WHERE ended IS NULL AND root = ?1 AND parent IS ?2",
        )?;
        let siblings = statement.query_row((root.as_str(), parent_id), |row| row.get(0))?;
        Ok(Self {
            number,
            above,
            siblings: uint(siblings),
            parent,
            subtrees,
        })
    }

    /// How many levels below a person it is: 1 at the top.
    pub fn depth(&self) -> u64 {
        self.above.len() as u64 + 1
    }
}

// === impl Subtree ===

impl Subtree {
    fn of_tree(tx: &Transaction<'_>, root: &GrantId, since: u64) -> Result<Self, FleetError> {
        let mut statement = tx.prepare_cached("SELECT made FROM trees WHERE root = ?1")?;
        let made = statement
            .query_row([root.as_str()], |row| row.get(0))
            .optional()?;
        let made = made.map_or(0, uint);
        Self::count(tx, None, root, &[], made, since)
    }

    fn below(tx: &Transaction<'_>, top: &Instance, since: u64) -> Result<Self, FleetError> {
        let (root, lineage, made) = (&top.root, &top.lineage, top.made_below);
        Self::count(tx, Some(top.id.clone()), root, lineage, made, since)
    }

    fn count(
        tx: &Transaction<'_>,
        top: Option<InstanceId>,
        root: &GrantId,
        lineage: &[u64],
        made: u64,
        since: u64,
    ) -> Result<Self, FleetError> {
        let (first, end) = range_below(lineage);
        let mut statement = tx.prepare_cached(
            "SELECT count(*) FROM instances INDEXED BY living
             WHERE ended IS NULL AND root = ?1 AND lineage > ?2 AND lineage < ?3",
        )?;
        let living = statement.query_row((root.as_str(), &first, &end), |row| row.get(0))?;
        let mut statement = tx.prepare_cached(
            "SELECT count(*) FROM instances INDEXED BY made
             WHERE root = ?1 AND created > ?2 AND lineage > ?3 AND lineage < ?4",
        )?;
        let recent =
            statement.query_row((root.as_str(), int(since), &first, &end), |row| row.get(0))?;
        Ok(Self {
            top,
            living: uint(living),
            recent: uint(recent),
            made,
        })
    }
}
