//! Roles: who may call which tool on whom, and who may make whom. Both are tables here;
//! `docs/fleet-roles.md` is written from them.

use provost_store::fleet::Role;
use serde_json::Value;

use crate::tools::{Tool, definition};

/// On whom somebody may call a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Itself and all below it; a person: all in their tree.
    Below,
    /// All below it, and who leads it: messages go up one step.
    BelowAndLeader,
    /// Its own task only.
    OwnTask,
}

/// A row of the table: operator, executive, manager, specialist.
type Row = [Option<Reach>; 4];

/// Who leads others.
const LEADERS: Row = [
    Some(Reach::Below),
    Some(Reach::Below),
    Some(Reach::Below),
    None,
];

/// Who sends messages: a person leads a tree and is led by nobody.
const SENDERS: Row = [
    Some(Reach::Below),
    Some(Reach::BelowAndLeader),
    Some(Reach::BelowAndLeader),
    None,
];

/// Who works.
const WORKERS: Row = [None, None, None, Some(Reach::OwnTask)];

const fn row(tool: Tool) -> Row {
    match tool {
        Tool::Spawn
        | Tool::Read
        | Tool::List
        | Tool::Terminate
        | Tool::Restart
        | Tool::EnhancedRead
        | Tool::Subscribe
        | Tool::Unsubscribe
        | Tool::GetProgress
        | Tool::Wait
        | Tool::Cancel => LEADERS,
        Tool::Send | Tool::EnhancedSend => SENDERS,
        Tool::ReportResult => WORKERS,
    }
}

/// On whom a role may call a tool; `None`: not at all.
pub const fn may_call(role: Role, tool: Tool) -> Option<Reach> {
    let [operator, executive, manager, specialist] = row(tool);
    match role {
        Role::Operator => operator,
        Role::Executive => executive,
        Role::Manager => manager,
        Role::Specialist => specialist,
    }
}

/// The tools that a role may call, in the order of lists.
pub(crate) fn tools_of(role: Role) -> impl Iterator<Item = Tool> {
    Tool::ALL
        .into_iter()
        .filter(move |tool| may_call(role, *tool).is_some())
}

/// The tools of a role as `tools/list` shows them.
pub fn listed(role: Role) -> Value {
    tools_of(role).map(definition).collect()
}

/// The roles that one of this role may make below itself.
pub const fn may_spawn(parent: Role) -> &'static [Role] {
    match parent {
        Role::Operator => &[Role::Executive, Role::Manager, Role::Specialist],
        Role::Executive => &[Role::Manager, Role::Specialist],
        Role::Manager => &[Role::Specialist],
        Role::Specialist => &[],
    }
}

#[cfg(test)]
mod tests;
