//! Whose tasks are whose, and how a result is taken.

use provost_store::fleet::{FleetDatabase, Instance, Task, TaskId, TaskState, TaskStep};
use serde_json::Value;

use crate::failure::Failure;
use crate::refusal::Refusal;
use crate::role::may_call;
use crate::rules::Caller;
use crate::tools::{ReportResult, Reported, Tool};

/// The task that a call is about, if the caller may call the tool on who works on it.
///
/// # Errors
/// When the caller's role does not have the tool, or it does not lead who works on the task.
pub fn asked_for(
    fleet: &FleetDatabase,
    caller: &Caller,
    tool: Tool,
    id: TaskId,
) -> Result<Task, Failure> {
    caller.may_call(tool)?;
    let refused = Refusal::NotYourTask { id };
    let Some(task) = fleet.task(id)? else {
        return Err(refused.into());
    };
    let worker = fleet.instance(&task.instance)?;
    match worker.is_some_and(|it| caller.leads(&it)) {
        true => Ok(task),
        false => Err(refused.into()),
    }
}

/// Whether an instance can be given a task: it has to be one that reports results.
///
/// # Errors
/// When it is none.
pub fn may_be_given(worker: &Instance) -> Result<(), Refusal> {
    match may_call(worker.role, Tool::ReportResult) {
        Some(_) => Ok(()),
        None => Err(Refusal::NoWorker {
            id: worker.id.clone(),
            role: worker.role,
        }),
    }
}

/// `report_result`: takes the result of the caller's own task, once. `fits` says what is
/// wrong with a value, under a schema where there is one, both JSON. `now` is unix time in microseconds.
///
/// # Errors
/// When the caller works on no such task, or the result does not fit its schema.
pub fn report(
    fleet: &FleetDatabase,
    caller: &Caller,
    asked: &ReportResult,
    fits: impl FnOnce(Option<&str>, &Value) -> Result<(), String>,
    now: u64,
) -> Result<Reported, Failure> {
    let task = own(fleet, caller, asked.task)?;
    // Why there is none has no form.
    let schema = task.schema.as_deref().filter(|_| !asked.has_failed);
    fits(schema, &asked.result).map_err(|problem| Refusal::Result {
        id: task.id,
        problem,
    })?;
    let step = match asked.has_failed {
        true => TaskStep::Fail {
            reason: words(&asked.result),
        },
        false => TaskStep::Finish {
            result: asked.result.to_string(),
        },
    };
    let task = fleet.step_task(task.id, &step, now)?;
    Ok(Reported {
        success: true,
        task_id: task.id.to_string(),
        status: task.state.word(),
    })
}

/// The task that the caller works on: the named one, or the first that was begun.
fn own(fleet: &FleetDatabase, caller: &Caller, named: Option<TaskId>) -> Result<Task, Failure> {
    caller.may_call(Tool::ReportResult)?;
    let mut tasks = match caller.id() {
        Some(id) => fleet.open_tasks(id)?,
        // A person is given no tasks.
        None => Vec::new(),
    };
    tasks.retain(|task| task.state == TaskState::Running);
    let found = tasks
        .into_iter()
        .find(|task| named.is_none_or(|id| task.id == id));
    let refused = named.map_or(Refusal::NoTask, |id| Refusal::OtherTask { id });
    found.ok_or_else(|| refused.into())
}

/// A reason as a text, whatever it was given as.
fn words(reason: &Value) -> String {
    match reason {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
