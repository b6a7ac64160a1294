//! Tasks: waited for, called off, reported on.

use std::time::Duration;

use provost_store::fleet::{InstanceId, InstanceState, TaskId, TaskState, TaskStep};
use tokio::time::{Instant, timeout_at};

use crate::failure::Failure;
use crate::fleet::{Fleet, apart};
use crate::refusal::Refusal;
use crate::rules::{Caller, asked_for};
use crate::schema;
use crate::tasks;
use crate::terminal::Terminal;
use crate::tools::{
    Cancel, Cancelled, InstanceRow, ReportResult, Reported, TaskRow, Tool, Wait, WaitFor, Waited,
};

/// What a wait is for.
pub(crate) enum Awaited {
    Task(TaskId),
    Instance(InstanceId),
}

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// `wait`
    pub(crate) async fn wait(&self, caller: &Caller, asked: &Wait) -> Result<Waited, Failure> {
        let awaited = Awaited::read(&asked.until)?;
        let until = Instant::now() + Duration::from_secs(asked.seconds);
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let mut waited = self.look(caller, &awaited)?;
            if waited.finished {
                return Ok(waited);
            }
            // The sender is in `self`.
            if timeout_at(until, changed.changed()).await.is_err() {
                waited.token = Some(awaited.token());
                return Ok(waited);
            }
        }
    }

    /// How it stands with what is waited for, by what the caller may know now.
    pub(crate) fn look(&self, caller: &Caller, awaited: &Awaited) -> Result<Waited, Failure> {
        let mut waited = Waited {
            finished: false,
            token: None,
            task: None,
            instance: None,
        };
        match awaited {
            Awaited::Task(id) => {
                let task = tasks::asked_for(self.rows(), caller, Tool::Wait, *id)?;
                waited.finished = !matches!(task.state, TaskState::Queued | TaskState::Running);
                waited.task = Some(TaskRow::from(&task));
            }
            Awaited::Instance(id) => {
                let found = self.rows().instance(id)?;
                let it = asked_for(caller, Tool::Wait, id, found)?;
                let is_idle = || -> Result<bool, Failure> {
                    let is_ready = it.state == InstanceState::Ready;
                    Ok(is_ready && self.rows().open_tasks(id)?.is_empty())
                };
                waited.finished = !it.state.is_living() || is_idle()?;
                waited.instance = Some(InstanceRow::from(&it));
            }
        }
        Ok(waited)
    }

    /// `cancel`
    pub(crate) async fn cancel(
        &self,
        caller: &Caller,
        asked: &Cancel,
    ) -> Result<Cancelled, Failure> {
        let task = tasks::asked_for(self.rows(), caller, Tool::Cancel, asked.task)?;
        let reason = asked.reason.clone();
        let reason = reason.unwrap_or_else(|| "it was called off".to_owned());
        let step = TaskStep::Cancel {
            reason: reason.clone(),
        };
        let task = self.rows().step_task(task.id, &step, self.now())?;
        self.tell();
        if let Some(it) = self.rows().instance(&task.instance)? {
            let text = format!("{} ({}) was called off: {reason}", task.id, task.name);
            self.mention(&it, caller.sender(), text).await;
        }
        Ok(Cancelled {
            success: true,
            task_id: task.id.to_string(),
        })
    }

    /// `report_result`
    pub(crate) async fn report(
        &self,
        caller: &Caller,
        asked: ReportResult,
    ) -> Result<Reported, Failure> {
        let (store, caller, now) = (self.store.clone(), caller.clone(), self.now());
        let report = move || tasks::report(store.fleet(), &caller, &asked, schema::fits, now);
        let taken = apart(report).await;
        self.tell();
        taken
    }
}

// === impl Awaited ===

impl Awaited {
    pub(crate) fn read(asked: &WaitFor) -> Result<Self, Refusal> {
        match asked {
            WaitFor::Task(id) => Ok(Self::Task(*id)),
            WaitFor::Instance(id) => Ok(Self::Instance(id.clone())),
            WaitFor::Token(token) => {
                let none = || Refusal::Token {
                    token: token.clone(),
                };
                let (kind, name) = token.split_once(':').ok_or_else(none)?;
                match kind {
                    "task" => name.parse().map(Self::Task).map_err(|_| none()),
                    "instance" => name.parse().map(Self::Instance).map_err(|_| none()),
                    _ => Err(none()),
                }
            }
        }
    }

    /// What a wait goes on with. It opens nothing: whoever brings it is asked again.
    fn token(&self) -> String {
        match self {
            Self::Task(id) => format!("task:{id}"),
            Self::Instance(id) => format!("instance:{id}"),
        }
    }
}
