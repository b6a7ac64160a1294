//! The ids of instances: role and lineage can be read in them.

use provost_store::fleet::{InstanceId, NoInstanceId, Role};

/// The id of an instance: its role, the numbers of those above it from the top down, its own
/// number. Because no number is given twice, no id is.
///
/// # Errors
/// When the numbers are so long that it is none.
pub(crate) fn instance_id(
    role: Role,
    above: &[u64],
    number: u64,
) -> Result<InstanceId, NoInstanceId> {
    let mut id = match role {
        Role::Operator => "op",
        Role::Executive => "exec",
        Role::Manager => "mgr",
        Role::Specialist => "spec",
    }
    .to_owned();
    for number in above.iter().chain([&number]) {
        id.push_str(&format!("_{number}"));
    }
    id.parse()
}

#[cfg(test)]
mod tests;
