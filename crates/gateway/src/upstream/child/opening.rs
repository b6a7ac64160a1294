//! Starting and opening a process: the first time, and again after it died.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use provost_store::Status;
use tokio::sync::MutexGuard;
use tracing::{info, warn};

use super::reading::last_words;
use super::{Child, OpenedBy, ProcessEnd, answer_in};
use crate::agent::session::Session;
use crate::host::deadline;
use crate::message::cleared::Cleared;
use crate::message::fault::{Fault, FaultKind};
use crate::message::outgoing::Outgoing;
use crate::text::envelope::{self, Message, is_result};
use crate::text::protocol::INITIALIZED;
use crate::text::splice::{self, Splice};
use crate::upstream::process;
use crate::upstream::process::Line;

/// Why a process is told what its agents told the one before it.
const AGAIN: &str = "a server process is opened again";
/// How long a process may outlive its output before it is stopped.
const OWN_END: Duration = Duration::from_millis(500);

impl Child {
    /// Opens the process for a session: the first `initialize` goes to the
    /// process. Where sessions share it, later ones get the same answer, and one
    /// that asks for something else is told so.
    pub(crate) async fn initialize(
        self: &Arc<Self>,
        session: &Arc<Session>,
        cleared: Cleared<Outgoing>,
    ) -> Result<Bytes, Fault> {
        let message = cleared.message();
        let opening = self.opens().await?;
        let (opened, used) = {
            let state = self.state();
            (state.opened.clone(), state.users.others_than(session))
        };
        let as_answered = |opened: &OpenedBy| {
            let answer = restore(&opened.answer, message.id())?;
            Ok(session.account().carry(answer))
        };
        match opened {
            Some(opened) if opened.message.opens_like(message) => {
                if self.is_ready() {
                    return as_answered(&opened);
                }
                if used {
                    // It died under others, who go on in the one after it.
                    drop(opening);
                    self.reopen(session).await?;
                    let opened = self.state().opened.clone();
                    let opened = opened.ok_or_else(Fault::not_sent)?;
                    return as_answered(&opened);
                }
            }
            // Whether it runs or died: they go on in this one, or in the one after it.
            Some(opened) if used => {
                let (name, there) = (&self.spec.name, opened.message.opens_as());
                let asks = message.opens_as();
                warn!(server.name = %name, client = %asks, opened_by = %there,
                    "Server `{name}` cannot serve {asks}: its shared process is in use and was opened for {there}, and clients that share a process need the same protocol version and capabilities");
                return Err(Fault::unsent(FaultKind::OpenedOtherwise));
            }
            Some(_) | None => {}
        }
        // The one that runs can do other things than this agent, or was left
        // half open.
        self.replace_process()?;
        let message = message.clone();
        let answer = self.ask(session, cleared).await?;
        if is_result(&answer) {
            let mut state = self.state();
            state.opened = Some(OpenedBy {
                message,
                answer: answer.clone(),
                announced: false,
            });
            state.ready = true;
        }
        Ok(answer)
    }

    /// Passes the agent's `notifications/initialized` on, once per process.
    pub(crate) async fn announce(
        &self,
        session: &Session,
        message: Cleared<Bytes>,
    ) -> Result<(), Fault> {
        let first = self
            .state()
            .opened
            .as_mut()
            .is_some_and(|opened| !std::mem::replace(&mut opened.announced, true));
        if first {
            self.notify(session, message).await
        } else {
            Ok(())
        }
    }

    /// Waits for whoever starts and opens the process now.
    async fn opens(&self) -> Result<MutexGuard<'_, ()>, Fault> {
        let opening = deadline::lock(self.bounds.start, &self.opening).await;
        opening.map_err(|_| Fault::queue_timeout())
    }

    /// Starts a process of the modern era, which needs no opening.
    pub(super) async fn start(self: &Arc<Self>) -> Result<(), Fault> {
        let _opening = self.opens().await?;
        if self.is_ready() {
            return Ok(());
        }
        self.replace_process()?;
        self.state().ready = true;
        Ok(())
    }

    /// Starts a new process and opens it like the one before. On a task of its own:
    /// an agent that goes away in the midst of it must not leave a process that is
    /// half open.
    pub(super) async fn reopen(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), Fault> {
        let (child, session) = (Arc::clone(self), Arc::clone(session));
        let reopening = self
            .runtime
            .spawn(async move { child.open_again(&session).await });
        reopening.await.unwrap_or_else(|_| Err(Fault::not_sent()))
    }

    async fn open_again(self: &Arc<Self>, session: &Arc<Session>) -> Result<(), Fault> {
        let _opening = self.opens().await?;
        if self.is_ready() {
            return Ok(());
        }
        let opened = self
            .state()
            .opened
            .as_ref()
            .map(|opened| opened.message.clone());
        // A server that was changed has no process before it; it is opened as
        // this session was.
        let opening = opened.or_else(|| session.state().opening.clone());
        let opening = opening.ok_or(Fault::unsent(FaultKind::SessionLost))?;
        self.replace_process()?;
        let message = Cleared::own(AGAIN, opening.clone());
        let answer = self.ask(session, message).await;
        let answer = answer.map_err(Fault::before_sending)?;
        if !is_result(&answer) {
            warn!(server.name = %self.spec.name,
                "Server `{}` refused to be initialised again; its process is ended", self.spec.name);
            self.condemn();
            return Err(Fault::not_sent());
        }
        let initialized = Cleared::own(AGAIN, Bytes::from_static(INITIALIZED));
        self.tell(Line::ours(initialized)).await?;
        {
            let mut state = self.state();
            state.opened = Some(OpenedBy {
                message: opening,
                answer,
                announced: true,
            });
            state.ready = true;
        }
        self.repeat_standing().await;
        Ok(())
    }

    /// Repeats what the agents had arranged in the process that is gone.
    pub(super) async fn repeat_standing(self: &Arc<Self>) {
        for session in self.sessions() {
            let level = session.state().arrangements.level();
            if let Some(level) = level {
                self.repeat(&session, Cleared::own(AGAIN, level)).await;
            }
            let subscriptions = session.state().arrangements.subscriptions();
            for message in subscriptions {
                let Some((message, open_call)) = self.inbox.subscribe_again(&session, message)
                else {
                    break;
                };
                let status = self.repeat(&session, message).await;
                self.inbox.subscribed(&open_call, status);
            }
        }
    }

    /// Asks for something again. Whatever the process answers, the agent had its
    /// answer long ago.
    async fn repeat(
        self: &Arc<Self>,
        session: &Arc<Session>,
        message: Cleared<Outgoing>,
    ) -> Status {
        let Ok((number, mut lines)) = self.send(session, message).await else {
            return Status::NotSent;
        };
        let answer = answer_in(&mut lines);
        let answer = tokio::time::timeout(self.bounds.start, answer).await;
        self.forget(number);
        match answer {
            Ok(Ok(answer)) if is_result(&answer) => Status::Ok,
            Ok(Ok(_)) => Status::RpcError,
            Ok(Err(_)) => Status::UpstreamDown,
            Err(_) => Status::Timeout,
        }
    }

    /// One question, one answer; used for opening a process.
    pub(super) async fn ask(
        self: &Arc<Self>,
        session: &Arc<Session>,
        message: Cleared<Outgoing>,
    ) -> Result<Bytes, Fault> {
        let (_, mut lines) = self.send(session, message).await?;
        let answer = answer_in(&mut lines);
        match tokio::time::timeout(self.bounds.start, answer).await {
            Ok(answer) => answer,
            Err(_) => {
                self.condemn();
                Err(Fault::slow())
            }
        }
    }

    /// Starts a process in place of the one that runs, if one does.
    pub(super) fn replace_process(self: &Arc<Self>) -> Result<(), Fault> {
        self.kill();
        if self.state().over {
            return Err(Fault::not_sent());
        }
        let started = self.starts.take()?;
        let _runtime = self.runtime.enter();
        let (name, wrapper) = (&self.spec.name, self.bounds.wrapper.as_ref());
        let witness = &self.starts.witness;
        witness.starts();
        let begun = process::start(name, &self.spec.program, wrapper, witness);
        let (running, stdout) = begun.map_err(|error| {
            self.starts.failed(started);
            let program = self.spec.program.command.display();
            let why = match error.kind() {
                ErrorKind::NotFound => "there is no such program".to_owned(),
                _ => error.to_string(),
            };
            witness.failed(format!("program `{program}` cannot be started: {why}"));
            warn!(server.name = %name, %error, "Server `{name}` cannot be started");
            Fault::not_sent()
        })?;
        info!(server.name = %self.spec.name, "Started server `{}`", self.spec.name);
        let (stop, gone) = (running.stop.clone(), running.gone.clone());
        let generation = {
            let mut state = self.state();
            state.generation += 1;
            if state.over {
                // It is not to run any more, which was decided in the meantime.
                running.stop.cancel();
                return Err(Fault::not_sent());
            }
            state.end = Some(ProcessEnd::of(&running));
            state.process = Some(running);
            state.started = Some(started);
            state.answered = false;
            state.ready = false;
            state.generation
        };
        let child = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::select! {
                () = child.read(generation, stdout) => {}
                // What it started may hold its output open for ever.
                () = last_words(gone.clone()) => {}
            }
            child.died(generation);
            // One that ends by itself says how, unless it is stopped before.
            drop(tokio::time::timeout(OWN_END, gone.cancelled()).await);
            stop.cancel();
        });
        Ok(())
    }
}

/// An answer with another request's id.
fn restore(answer: &Bytes, id: &str) -> Result<Bytes, Fault> {
    let parsed = envelope::parse_upstream(answer).map_err(|_| Fault::bad_answer())?;
    let Ok(Message::Response { id: old, .. }) = envelope::read(&parsed) else {
        return Err(Fault::bad_answer());
    };
    let splice = Splice::new(old.span(), id);
    Ok(splice::apply(answer.clone(), vec![splice]))
}
