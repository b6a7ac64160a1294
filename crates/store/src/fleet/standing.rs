//! Where in its tree an instance stands or would stand, and what is there already.

use rusqlite::{Connection, OptionalExtension, Transaction};

use super::instance::{find, find_numbered, no, range_below};
use super::{FleetDatabase, FleetError, Instance, InstanceId, Spent};
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
    /// What all of them have used, and the one at the top too.
    pub spent: Spent,
}

// === impl FleetDatabase ===

impl FleetDatabase {
    /// What an instance is part of: the whole tree first, then what is below each instance
    /// from the top down, itself last. `since` is where the window of `recent` begins, unix
    /// time in microseconds.
    pub fn subtrees_of(&self, id: &InstanceId, since: u64) -> Result<Vec<Subtree>, FleetError> {
        self.read(|connection| {
            let it = find(connection, id)?.ok_or_else(|| no(id))?;
            subtrees(connection, &it.root, &it.lineage, since)
        })
    }
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
        let subtrees = subtrees(tx, root, &above, since)?;
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
    fn of_tree(connection: &Connection, root: &GrantId, since: u64) -> Result<Self, FleetError> {
        let mut statement =
            connection.prepare_cached("SELECT made, tokens, micros FROM trees WHERE root = ?1")?;
        let sums = statement.query_row([root.as_str()], |row| {
            let spent = Spent {
                tokens: uint(row.get(1)?),
                micros: uint(row.get(2)?),
            };
            Ok((uint(row.get(0)?), spent))
        });
        let (made, spent) = sums.optional()?.unwrap_or_default();
        let (living, recent) = count(connection, root, &[], since)?;
        Ok(Self {
            top: None,
            living,
            recent,
            made,
            spent,
        })
    }

    fn below(connection: &Connection, top: Instance, since: u64) -> Result<Self, FleetError> {
        let (living, recent) = count(connection, &top.root, &top.lineage, since)?;
        Ok(Self {
            top: Some(top.id),
            living,
            recent,
            made: top.made_below,
            spent: top.spent,
        })
    }
}

fn subtrees(
    connection: &Connection,
    root: &GrantId,
    lineage: &[u64],
    since: u64,
) -> Result<Vec<Subtree>, FleetError> {
    let mut subtrees = vec![Subtree::of_tree(connection, root, since)?];
    for number in lineage {
        let top = find_numbered(connection, *number)?;
        subtrees.push(Subtree::below(connection, top, since)?);
    }
    Ok(subtrees)
}

/// Living instances below a lineage, and those made since.
fn count(
    connection: &Connection,
    root: &GrantId,
    lineage: &[u64],
    since: u64,
) -> Result<(u64, u64), FleetError> {
    let (first, end) = range_below(lineage);
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM instances INDEXED BY living
         WHERE ended IS NULL AND root = ?1 AND lineage > ?2 AND lineage < ?3",
    )?;
    let living = statement.query_row((root.as_str(), &first, &end), |row| row.get(0))?;
    let mut statement = connection.prepare_cached(
        "SELECT count(*) FROM instances INDEXED BY made
         WHERE root = ?1 AND created > ?2 AND lineage > ?3 AND lineage < ?4",
    )?;
    let since = int(since);
    let recent = statement.query_row((root.as_str(), since, &first, &end), |row| row.get(0))?;
    Ok((uint(living), uint(recent)))
}
