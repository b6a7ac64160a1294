//! Instances begin, end, and begin again.

use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use provost_store::fleet::{
    End, Ended, Exit as Left, FleetError, Instance, InstanceId, InstanceState, Listing,
    NewInstance, Role, TaskState, TaskStep, Whose, Workspace,
};
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::fleet::Fleet;
use crate::launch::Program;
use crate::place;
use crate::refusal::Refusal;
use crate::rules::{Caller, SPAWN_WINDOW, admit_again, admitted, asked_for, leader};
use crate::terminal::{Size, TERM, Terminal, TerminalError};
use crate::tools::{Restarted, Spawn, Terminate, Terminated, Tool};
use crate::windows::{News, StartError};

/// How large a window is: what most programs are made for, and a little more.
const SIZE: Size = Size {
    columns: 120,
    rows: 40,
};

/// The variable that tells what runs in an instance which one it is.
pub const INSTANCE: &str = "PROVOST_INSTANCE";

// === impl Fleet ===

impl<T: Terminal> Fleet<T> {
    /// Makes an instance and starts its agent.
    pub(crate) async fn begin(&self, caller: &Caller, asked: &Spawn) -> Result<Instance, Failure> {
        let made = self.enter(caller, asked)?;
        let begun = match self.prepare(&made, &asked.context).await {
            Ok(()) => self.start(&made).await,
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &begun {
            self.give_up(&made, failure).await;
        }
        begun
    }

    /// Enters it into the rows, if the rules let it.
    fn enter(&self, caller: &Caller, asked: &Spawn) -> Result<Instance, Failure> {
        let found = match &asked.parent {
            Some(id) => self.rows().instance(id)?,
            None => None,
        };
        let leader = leader(caller, asked.parent.as_ref(), found)?;
        let agent = self.settings.agent(asked.agent.as_deref())?;
        let above = leader.as_ref().map(|it| it.work_dir.as_str());
        let work_dir = self.settings.places.admit(&asked.work_dir, above);
        let new = NewInstance {
            role: asked.role,
            parent: leader.map(|it| it.id),
            root: caller.root().clone(),
            agent,
            work_dir: work_dir.map_err(Refusal::from)?,
            context: asked.context.clone(),
            workspace: asked.workspace,
        };
        let now = self.now();
        let made = self
            .rows()
            .create(&new, now, now.saturating_sub(SPAWN_WINDOW), |standing| {
                admitted(&self.settings.limits, Role::Operator, &new, standing)
            });
        Ok(made??)
    }

    /// Makes its directories, writes down what it is told, and gives it a grant.
    async fn prepare(&self, it: &Instance, context: &str) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::NotStarted {
            id: it.id.clone(),
            why: format!("its directory cannot be made: {error}"),
        };
        place::create_directory(&self.place.instance(&it.id)).map_err(failed)?;
        place::write_file(&self.context_file(&it.id), context.as_bytes()).map_err(failed)?;
        if it.workspace == Workspace::Isolated {
            // Not one that is there: it, or a link in its place, is somebody else's.
            let made = std::fs::DirBuilder::new().mode(0o755).create(&it.project);
            made.map_err(failed)?;
        }
        self.equip(it).await
    }

    /// Starts its agent in a window.
    async fn start(&self, it: &Instance) -> Result<Instance, Failure> {
        let started = self.windows.start(&it.id, self.program(it)?, SIZE).await;
        started.map_err(|error| not_started(&it.id, &error))?;
        let (from, to) = (InstanceState::Starting, InstanceState::Ready);
        let ready = self.rows().move_instance(&it.id, from, to, self.now());
        match ready {
            Err(FleetError::OtherState { .. }) => {
                let found = self.rows().instance(&it.id)?;
                let end = found.and_then(|it| it.ended).map(|end| end.why);
                Err(Failure::NotStarted {
                    id: it.id.clone(),
                    why: end.unwrap_or_else(|| "it ended at once".to_owned()),
                })
            }
            ready => {
                self.tell();
                Ok(ready?)
            }
        }
    }

    fn program(&self, it: &Instance) -> Result<Program, Failure> {
        let Some([program, args @ ..]) = self.settings.agents.get(&it.agent).map(Vec::as_slice)
        else {
            return Err(Failure::NotStarted {
                id: it.id.clone(),
                why: format!("there is no agent `{}` any more", it.agent),
            });
        };
        let mut environment = self.settings.environment.clone();
        let own: [(&str, OsString); 4] = [
            ("TERM", TERM.into()),
            (INSTANCE, it.id.as_str().into()),
            ("PROVOST_GRANT_FILE", self.grant_file(&it.id).into()),
            ("PROVOST_CONTEXT_FILE", self.context_file(&it.id).into()),
        ];
        environment.retain(|(name, _)| own.iter().all(|(other, _)| name != other));
        environment.extend(own.map(|(name, value)| (name.into(), value)));
        Ok(Program {
            program: program.clone(),
            args: args.to_vec(),
            environment,
            directory: PathBuf::from(&it.project),
        })
    }

    fn context_file(&self, id: &InstanceId) -> PathBuf {
        self.place.instance(id).join("context.md")
    }

    /// One that was not started leaves nothing behind but its row.
    async fn give_up(&self, it: &Instance, failure: &Failure) {
        if let Err(error) = self.finish(it, &failure.to_string()).await {
            error!(instance.id = %it.id, "What is left of `{}` cannot be cleared away: {error}", it.id);
        }
    }

    /// `terminate`
    pub(crate) async fn terminate(
        &self,
        caller: &Caller,
        asked: &Terminate,
    ) -> Result<Terminated, Failure> {
        let found = self.rows().instance(&asked.id)?;
        let top = asked_for(caller, Tool::Terminate, &asked.id, found)?;
        let mut branch = match asked.cascade {
            true => self.rows().branch(&top.id)?,
            false => vec![top.clone()],
        };
        let mut terminated = Vec::new();
        while !branch.is_empty() {
            for it in &branch {
                self.finish(it, "it was terminated").await?;
                terminated.push(it.id.to_string());
            }
            branch.clear();
            if asked.cascade {
                // One that still ran may have started another meanwhile. The youngest first:
                // nobody is younger than what is below it.
                let below = Whose::Below(&top.id);
                branch = self.rows().instances(below, Listing::default())?;
                branch.reverse();
            }
        }
        Ok(Terminated {
            success: true,
            terminated,
        })
    }

    /// Ends an instance for good, with everything it started.
    async fn finish(&self, it: &Instance, why: &str) -> Result<(), Failure> {
        match self.windows.terminal().close(&it.id).await {
            Ok(()) | Err(TerminalError::NoWindow(_)) => {}
            Err(error) => {
                return Err(Failure::NotEnded {
                    id: it.id.clone(),
                    why: error.to_string(),
                });
            }
        }
        let ended = Ended {
            at: self.now(),
            exit: left(self.windows.exit(&it.id).as_ref()),
            why: why.to_owned(),
        };
        match self.rows().end_instance(&it.id, End::Terminated, &ended) {
            // Somebody else was first.
            Ok(_) | Err(FleetError::NoInstance { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.forget(&it.id);
        self.tell();
        info!(instance.id = %it.id, "`{}` was ended: {why}", it.id);
        self.dismiss(&it.id).await
    }

    /// `restart`
    pub(crate) async fn restart(
        &self,
        caller: &Caller,
        id: &InstanceId,
    ) -> Result<Restarted, Failure> {
        let found = self.rows().instance(id)?;
        let before = asked_for(caller, Tool::Restart, id, found)?;
        if !before.state.is_living() {
            self.still_there(&before)?;
            let since = self.now().saturating_sub(SPAWN_WINDOW);
            let limits = &self.settings.limits;
            let again = self
                .rows()
                .revive(id, since, |standing| admit_again(limits, standing))??;
            let begun = match self.equip(&again).await {
                Ok(()) => self.start(&again).await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = begun {
                self.note_end(id, None, &failure.to_string());
                return Err(failure);
            }
        }
        Ok(Restarted::from_state(id.to_string(), before.state))
    }

    /// Whether its directory is the one it was: somebody may have put another in its place.
    fn still_there(&self, it: &Instance) -> Result<(), Failure> {
        let real = self.settings.places.admit(&it.project, None);
        match real.map_err(Refusal::from)? == it.project {
            true => Ok(()),
            false => Err(Failure::NotStarted {
                id: it.id.clone(),
                why: format!("its directory `{}` leads elsewhere now", it.project),
            }),
        }
    }

    /// Takes over what was there before this process: instances whose windows are gone have
    /// ended, and texts that were just being typed may have arrived.
    ///
    /// # Errors
    /// When the rows cannot be read or changed.
    pub fn recover(&self) -> Result<(), Failure> {
        let windows = self.windows.terminal().windows();
        let everybody = self
            .rows()
            .instances(Whose::Everybody, Listing::default())?;
        for it in everybody.iter().filter(|it| it.state.is_living()) {
            if !windows.iter().any(|window| window.instance == it.id) {
                let exit = self.windows.exit(&it.id);
                self.note_end(&it.id, exit.as_ref(), "it ended while no daemon ran");
                continue;
            }
            if it.state == InstanceState::Starting {
                let (from, to) = (InstanceState::Starting, InstanceState::Ready);
                self.rows().move_instance(&it.id, from, to, self.now())?;
            }
            self.settle(&it.id)?;
        }
        for window in &windows {
            let id = &window.instance;
            if !everybody.iter().any(|it| it.id == *id) {
                warn!(instance.id = %id, "There is a window of `{id}`, of which the fleet knows nothing");
            }
        }
        Ok(())
    }

    /// Takes in what is new of the windows, until there is nothing to come.
    pub async fn follow(&self, mut news: mpsc::Receiver<News>) {
        while let Some(new) = news.recv().await {
            match new {
                News::Ended(id, exit) => {
                    self.note_end(&id, exit.as_ref(), "nobody knows how it ended")
                }
                News::TerminalGone => warn!("The terminal was ended, and every agent in it"),
                News::Attached(_) | News::Detached(_) => {}
            }
        }
    }

    /// An agent has ended, without anybody's having asked for it; `else_why` is said where no
    /// exit is known.
    fn note_end(&self, id: &InstanceId, exit: Option<&Exit>, else_why: &str) {
        let (end, why) = match exit {
            Some(Exit::Code(code)) => (End::Exited, format!("its program ended with code {code}")),
            Some(Exit::Signal(signal)) => {
                let words = format!("its program was ended by signal {signal}");
                (End::Dead, words)
            }
            Some(Exit::NotStarted(reason)) => (End::Dead, reason.clone()),
            None => (End::Dead, else_why.to_owned()),
        };
        let ended = Ended {
            at: self.now(),
            exit: left(exit),
            why,
        };
        match self.rows().end_instance(id, end, &ended) {
            Ok(it) => {
                info!(instance.id = %id, "`{id}` has ended: {}", ended.why);
                self.end_tasks(&it, &ended.why);
            }
            // It was terminated, or is not known.
            Err(FleetError::NoInstance { .. } | FleetError::OtherState { .. }) => {}
            Err(error) => error!(instance.id = %id, "The end of `{id}` cannot be noted: {error}"),
        }
        self.tell();
    }

    /// What it had to do comes to nothing.
    fn end_tasks(&self, it: &Instance, why: &str) {
        let tasks = self.rows().open_tasks(&it.id).unwrap_or_default();
        for task in tasks {
            let reason = format!("`{}` ended: {why}", it.id);
            let step = match task.state {
                TaskState::Running => TaskStep::Fail { reason },
                _ => TaskStep::Cancel { reason },
            };
            if let Err(error) = self.rows().step_task(task.id, &step, self.now()) {
                warn!("`{}` cannot be ended: {error}", task.id);
            }
        }
    }
}

/// How a program ended, as rows keep it.
fn left(exit: Option<&Exit>) -> Option<Left> {
    match exit? {
        Exit::Code(code) => Some(Left::Code(*code)),
        Exit::Signal(signal) => Some(Left::Signal(*signal)),
        Exit::NotStarted(_) => None,
    }
}

fn not_started(id: &InstanceId, error: &StartError) -> Failure {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        why = format!("{why}: {error}");
        cause = error.source();
    }
    let id = id.clone();
    Failure::NotStarted { id, why }
}
