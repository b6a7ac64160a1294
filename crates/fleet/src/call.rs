//! Calls of the tools, from whoever a grant says it is.

use std::sync::Arc;

use provost_store::GrantId;
use provost_store::fleet::{NewMessage, Priority, Role, Subscription};
use serde_json::Value;
use tracing::warn;

use crate::delivery::check;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::refusal::Refusal;
use crate::role::listed;
use crate::role::may_spawn;
use crate::rules::{Caller, asked_for, leader};
use crate::terminal::Terminal;
use crate::tools::{Answer, Request, Spawn, Spawned, Tool, definition};
use crate::work::Awaited;
use crate::{mail, survey, tasks};

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// Who calls with a grant: the instance it was minted for, or a person, who has one that
    /// was minted below no other.
    fn caller(&self, grant: &GrantId) -> Result<Caller, Failure> {
        if let Some(caller) = Caller::instance(self.rows(), grant)? {
            return Ok(caller);
        }
        let found = self.store.grants_by_id(std::slice::from_ref(grant));
        let found = found.map_err(|error| Failure::Inside(error.to_string()))?;
        match found.first().map(|view| &view.grant) {
            Some(own) if own.parent.is_none() => {
                Ok(Caller::person(grant, &own.label, Role::Operator))
            }
            Some(_) | None => Err(Refusal::Nobody.into()),
        }
    }

    /// The tools of whoever calls with a grant, as `tools/list` shows them. Whoever is nobody,
    /// such as the operator who looks at servers, sees all and may call none.
    pub fn tools(&self, grant: &GrantId) -> Value {
        match self.caller(grant) {
            Ok(caller) => listed(caller.role()),
            Err(_) => Tool::ALL.into_iter().map(definition).collect(),
        }
    }

    /// Why no policy can allow a call. What the rows say later may refuse it still.
    pub fn refuses(&self, grant: &GrantId, tool: &str, arguments: &str) -> Option<Refusal> {
        match self.judge(grant, Tool::from_name(tool)?, arguments) {
            Err(Failure::Refused(refusal)) if refusal.rule().is_some() => Some(refusal),
            // Told by the call itself.
            Ok(()) | Err(_) => None,
        }
    }

    fn judge(&self, grant: &GrantId, tool: Tool, arguments: &str) -> Result<(), Failure> {
        let caller = self.caller(grant)?;
        caller.may_call(tool)?;
        let asked = Request::read(tool, arguments)?;
        let about = match &asked {
            Request::Spawn(spawn) => return self.judge_spawn(&caller, spawn),
            Request::Send(send) => &send.to,
            Request::Read(read) => &read.of,
            Request::Terminate(terminate) => &terminate.id,
            Request::Restart(id) | Request::GetProgress(id) => id,
            Request::EnhancedSend(send) => &send.to,
            Request::EnhancedRead(read) => &read.of,
            Request::Subscribe(subscribe) => &subscribe.subscriber,
            Request::Unsubscribe { subscriber, .. } => subscriber,
            Request::List(list) => match &list.parent {
                Some(parent) => parent,
                None => return Ok(()),
            },
            Request::Wait(wait) => {
                return self.look(&caller, &Awaited::read(&wait.until)?).map(drop);
            }
            Request::Cancel(cancel) => {
                return tasks::asked_for(self.rows(), &caller, tool, cancel.task).map(drop);
            }
            Request::ReportResult(_) => return Ok(()),
        };
        let found = self.rows().instance(about)?;
        Ok(asked_for(&caller, tool, about, found).map(drop)?)
    }

    fn judge_spawn(&self, caller: &Caller, asked: &Spawn) -> Result<(), Failure> {
        let found = match &asked.parent {
            Some(id) => self.rows().instance(id)?,
            None => None,
        };
        let leader = leader(caller, asked.parent.as_ref(), found)?;
        let parent = leader.as_ref().map_or(Role::Operator, |it| it.role);
        if !may_spawn(parent).contains(&asked.role) {
            let role = asked.role;
            return Err(Refusal::Spawn { parent, role }.into());
        }
        let above = leader.as_ref().map(|it| it.work_dir.as_str());
        let place = self.settings.places.admit(&asked.work_dir, above);
        Ok(place.map(drop).map_err(Refusal::from)?)
    }

    /// Carries a call out; `progress` is told how far it is, in numbers and words. What was
    /// begun is brought to its end, also when nobody waits for it any more.
    ///
    /// # Errors
    /// When it did nothing, or not all.
    pub async fn call(
        self: &Arc<Self>,
        grant: &GrantId,
        tool: Tool,
        arguments: &str,
        progress: &(dyn Fn(u64, &str) + Sync),
    ) -> Result<Answer, Failure> {
        let caller = self.caller(grant)?;
        let done = match Request::read(tool, arguments)? {
            Request::Read(asked) => self
                .read(&caller, &asked, progress)
                .await
                .map(Answer::Output),
            Request::Wait(asked) => {
                let waited = self.wait(&caller, &asked).await;
                waited.map(|waited| Answer::Waited(Box::new(waited)))
            }
            asked => {
                let fleet = Arc::clone(self);
                let work = tokio::spawn(async move { fleet.change(&caller, asked).await });
                match work.await {
                    Ok(done) => done,
                    Err(error) => Err(Failure::Inside(error.to_string())),
                }
            }
        };
        if let Err(Failure::Inside(_) | Failure::Rows(_)) = &done {
            let problem = done
                .as_ref()
                .err()
                .map(ToString::to_string)
                .unwrap_or_default();
            warn!(
                tool.name = tool.name(),
                "`{}` did nothing: {problem}",
                tool.name()
            );
        }
        done
    }

    async fn change(&self, caller: &Caller, asked: Request) -> Result<Answer, Failure> {
        let (rows, now) = (self.rows(), self.now());
        match asked {
            Request::Spawn(asked) => self.spawn(caller, asked).await.map(Answer::Spawned),
            Request::Send(asked) => self.send(caller, &asked).await.map(Answer::Sent),
            Request::Terminate(asked) => {
                let ended = self.terminate(caller, &asked).await;
                ended.map(Answer::Terminated)
            }
            Request::Restart(id) => self.restart(caller, &id).await.map(Answer::Restarted),
            Request::Cancel(asked) => self.cancel(caller, &asked).await.map(Answer::Cancelled),
            Request::ReportResult(asked) => {
                let taken = self.report(caller, asked).await;
                taken.map(Answer::Reported)
            }
            Request::Read(asked) => {
                let read = self.read(caller, &asked, &|_, _| ()).await;
                read.map(Answer::Output)
            }
            Request::Wait(asked) => {
                let waited = self.wait(caller, &asked).await;
                waited.map(|waited| Answer::Waited(Box::new(waited)))
            }
            Request::List(asked) => survey::list(rows, caller, &asked).map(Answer::Listed),
            Request::GetProgress(id) => survey::progress(rows, caller, &id).map(Answer::Progress),
            Request::EnhancedSend(asked) => {
                mail::send(rows, caller, &asked, now).map(Answer::EnhancedSent)
            }
            Request::EnhancedRead(asked) => {
                mail::read(rows, caller, &asked, now).map(Answer::Inbox)
            }
            Request::Subscribe(asked) => {
                mail::subscribe(rows, caller, &asked).map(Answer::Subscribed)
            }
            Request::Unsubscribe {
                pattern,
                subscriber,
            } => {
                let unwanted = Subscription {
                    subscriber,
                    pattern,
                };
                mail::unsubscribe(rows, caller, &unwanted).map(Answer::Unsubscribed)
            }
        }
    }

    /// `spawn`
    async fn spawn(&self, caller: &Caller, asked: Spawn) -> Result<Spawned, Failure> {
        if let Some(text) = &asked.instruction {
            check(text, asked.task.as_ref())?;
        }
        let it = self.begin(caller, &asked).await?;
        let mut task = None;
        if let Some(text) = asked.instruction {
            let message = NewMessage {
                to: it.id.clone(),
                from: caller.sender(),
                text,
                priority: Priority::Normal,
                copy_of: None,
            };
            let handed = self.hand_over(&it, message, asked.task.as_ref()).await?;
            task = handed.task;
        }
        Ok(Spawned {
            instance_id: it.id.to_string(),
            // As tmux names its window.
            pane_id: format!("{}:{}", crate::tmux::SESSION, it.id),
            project_path: it.project,
            status: it.state.word(),
            task_id: task.map(|id| id.to_string()),
        })
    }
}
