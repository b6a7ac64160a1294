//! An instance is made, or started again: counted and entered in one step, so that no two
//! take the same place.

use rusqlite::Transaction;

use super::file::Numbered;
use super::instance::{count_made, find, kept_lineage, other_state, require, require_living};
use super::{
    FleetDatabase, FleetError, Instance, InstanceId, InstanceState, Role, Standing, Workspace,
};
use crate::GrantId;
use crate::database::int;

/// An instance to make.
#[derive(Debug, Clone)]
pub struct NewInstance {
    /// What it is.
    pub role: Role,
    /// Who leads it; `None` for the person of `root`.
    pub parent: Option<InstanceId>,
    /// The person's grant at the root of the tree.
    pub root: GrantId,
    /// The kind of its agent, such as `claude`.
    pub agent: String,
    /// The directory that was asked for.
    pub work_dir: String,
    /// What it is told about its work.
    pub context: String,
    /// Whose files it works on.
    pub workspace: Workspace,
}

/// What the rules say to an instance that may be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// What it is called.
    pub id: InstanceId,
    /// The directory it works in.
    pub project: String,
}

// === impl FleetDatabase ===

impl FleetDatabase {
    /// Makes an instance in the state `Starting`, if `admit` lets it: that one sees what
    /// stands there and nobody comes in between. What it refuses leaves no trace. `now`
    /// and `since`, where the window for what is new begins, are unix time in microseconds.
    /// Its leader has to run.
    pub fn create<E>(
        &self,
        new: &NewInstance,
        now: u64,
        since: u64,
        admit: impl FnOnce(&Standing) -> Result<Admitted, E>,
    ) -> Result<Result<Instance, E>, FleetError> {
        self.change(|tx| {
            let parent = match &new.parent {
                Some(id) => Some(in_tree(require_living(tx, id)?, &new.root)?),
                None => None,
            };
            let number = Numbered::Instance.next(tx)?;
            let standing = Standing::read(tx, number, &new.root, parent, since)?;
            let admitted = match admit(&standing) {
                Ok(admitted) => admitted,
                Err(refused) => return Ok(Err(refused)),
            };
            let number = Numbered::Instance.give(tx)?;
            insert(tx, new, &admitted, &standing.above, number, now)?;
            count_made(tx, &new.root, &standing.above)?;
            require(tx, &admitted.id).map(Ok)
        })
    }

    /// Starts an instance again that has exited or is dead, if `admit` lets it; it is in
    /// the state `Starting` then.
    pub fn revive<E>(
        &self,
        id: &InstanceId,
        since: u64,
        admit: impl FnOnce(&Standing) -> Result<(), E>,
    ) -> Result<Result<Instance, E>, FleetError> {
        self.change(|tx| {
            let found = require(tx, id)?;
            if found.state.is_living() {
                return Err(other_state(&found, "exited or dead"));
            }
            let parent = match &found.parent {
                Some(id) => find(tx, id)?,
                None => None,
            };
            let standing = Standing::read(tx, found.number, &found.root, parent, since)?;
            if let Err(refused) = admit(&standing) {
                return Ok(Err(refused));
            }
            let mut statement = tx.prepare_cached(
                "UPDATE instances SET state = ?2, started = NULL, ended = NULL,
                 exit_code = NULL, exit_signal = NULL, why = NULL WHERE id = ?1",
            )?;
            statement.execute((id, InstanceState::Starting))?;
            require(tx, id).map(Ok)
        })
    }
}

/// A parent in another person's tree is none.
fn in_tree(parent: Instance, root: &GrantId) -> Result<Instance, FleetError> {
    match parent.root == *root {
        true => Ok(parent),
        false => Err(FleetError::NoInstance { id: parent.id }),
    }
}

fn insert(
    tx: &Transaction<'_>,
    new: &NewInstance,
    admitted: &Admitted,
    above: &[u64],
    number: u64,
    now: u64,
) -> Result<(), FleetError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO trees (root, made, tokens, micros) VALUES (?1, 0, 0, 0) ON CONFLICT DO NOTHING",
    )?;
    statement.execute([new.root.as_str()])?;
    let mut lineage = kept_lineage(above);
    lineage.push_str(&kept_lineage(&[number]));
    let mut statement = tx.prepare_cached(
        "INSERT INTO instances (number, id, root, parent, lineage, role, agent, work_dir, project,
             context, workspace, state, created, made_below, tokens, micros)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, 0, 0)",
    )?;
    statement.execute((
        int(number),
        &admitted.id,
        new.root.as_str(),
        &new.parent,
        lineage,
        new.role,
        &new.agent,
        &new.work_dir,
        &admitted.project,
        &new.context,
        new.workspace,
        InstanceState::Starting,
        int(now),
    ))?;
    Ok(())
}
