//! What can be told of instances from their rows alone.

use provost_store::fleet::{FleetDatabase, InstanceId, Listing};

use crate::failure::Failure;
use crate::rules::{Caller, asked_for};
use crate::tools::{InstanceRow, List, Listed, Progress, Tool};

/// `list`: the instances that the caller leads.
///
/// # Errors
/// When it may not list, or does not lead the parent that it names.
pub fn list(fleet: &FleetDatabase, caller: &Caller, asked: &List) -> Result<Listed, Failure> {
    caller.may_call(Tool::List)?;
    if let Some(parent) = &asked.parent {
        let found = fleet.instance(parent)?;
        asked_for(caller, Tool::List, parent, found)?;
    }
    let which = Listing {
        role: asked.role,
        parent: asked.parent.as_ref(),
    };
    let found = fleet.instances(caller.whose(), which)?;
    Ok(Listed {
        instances: found.iter().map(InstanceRow::from).collect(),
    })
}

/// `getProgress`: how far the tasks of an instance and of all below it are.
///
/// # Errors
/// When the caller does not lead it.
pub fn progress(
    fleet: &FleetDatabase,
    caller: &Caller,
    id: &InstanceId,
) -> Result<Progress, Failure> {
    let found = fleet.instance(id)?;
    let it = asked_for(caller, Tool::GetProgress, id, found)?;
    let counts = fleet.task_counts(&it.id)?;
    Ok(Progress::of(it.id.to_string(), &counts))
}

#[cfg(test)]
mod tests;
