//! Which process of a server the messages of a session go to.

use std::sync::Arc;

use provost_store::Processes;

use crate::message::fault::Fault;
use crate::state::route::Route;
use crate::state::worker::Worker;
use crate::text::era::Era;
use crate::upstream::{ChildSpec, Holder, ProcessEnd, ProcessKey, Upstream, Use};

// === impl Route ===

impl Route {
    /// The process this session's messages go to, used until the value is dropped.
    /// A session that is open uses it from its first message to its end, and so
    /// does a connection of the modern era; other modern requests by themselves.
    pub(crate) fn child(
        &self,
        worker: &Worker,
        spec: &Arc<ChildSpec>,
        era: Era,
    ) -> Result<Use, Fault> {
        let children = &worker.shared.children;
        let session = &self.session;
        let spec = &self.started_by(worker, spec);
        // A process that agents of several grants share is the server's own.
        let account = match spec.processes {
            Processes::Shared => &self.backend.account,
            Processes::Session | Processes::Grant => session.account(),
        };
        let child = children.attach(spec, self.process_key(spec, era), session, account)?;
        let stays = match era {
            Era::Legacy => session.is_open(),
            Era::Modern => session.is_stdio(),
        };
        if stays {
            child.keep_user(session);
        }
        Ok(child)
    }

    /// The process of this session, if there is one, which stays as long as the value.
    pub(crate) fn process(&self, worker: &Worker) -> Option<Use> {
        match &self.backend.upstream {
            Some(Upstream::Stdio(spec)) => {
                let era = self.session.era().unwrap_or(Era::Legacy);
                self.found_child(worker, spec, era)
            }
            Some(Upstream::Http(_) | Upstream::Builtin(_)) | None => None,
        }
    }

    /// The process that a session is to be opened in, used in the same way.
    pub(crate) fn process_to_open(&self, worker: &Worker) -> Option<Use> {
        match &self.backend.upstream {
            Some(Upstream::Stdio(spec)) => self.child(worker, spec, Era::Legacy).ok(),
            Some(Upstream::Http(_) | Upstream::Builtin(_)) | None => None,
        }
    }

    /// How the process ended that this session's messages of that era went to.
    pub(crate) fn last_end(&self, worker: &Worker, era: Era) -> Option<ProcessEnd> {
        let Some(Upstream::Stdio(spec)) = &self.backend.upstream else {
            return None;
        };
        self.found_child(worker, spec, era)?.last_end()
    }

    /// The same where only a process that is there is of interest.
    pub(super) fn found_child(
        &self,
        worker: &Worker,
        spec: &Arc<ChildSpec>,
        era: Era,
    ) -> Option<Use> {
        let children = &worker.shared.children;
        let spec = &self.started_by(worker, spec);
        children.find(spec, &self.process_key(spec, era), &self.session)
    }

    /// What is started for this session: what its agent brought along, or what is
    /// registered.
    fn started_by(&self, worker: &Worker, registered: &Arc<ChildSpec>) -> Arc<ChildSpec> {
        let agent = self.session.agent;
        let own = agent.and_then(|agent| worker.shared.stdio.child_of(agent));
        own.unwrap_or_else(|| Arc::clone(registered))
    }

    /// This session has no use for its process of that era any more.
    pub(crate) fn release_process(&self, worker: &Worker, era: Era) {
        let spec = match &self.backend.upstream {
            Some(Upstream::Stdio(spec)) => spec,
            Some(Upstream::Http(_) | Upstream::Builtin(_)) | None => return,
        };
        let key = self.process_key(spec, era);
        worker.shared.children.release(&key, &self.session);
    }

    /// Whose process this session's messages of that era go to. A modern request
    /// stands alone, so all of a grant may share a process.
    pub(super) fn process_key(&self, spec: &ChildSpec, era: Era) -> ProcessKey {
        let session = &self.session;
        let holder = match (session.agent, spec.processes, era) {
            (Some(agent), _, _) => Holder::Agent(agent),
            (None, Processes::Shared, _) => Holder::Shared,
            (None, Processes::Session, Era::Legacy) => Holder::Session {
                grant: session.grant.clone(),
                session: session.id.clone(),
            },
            (None, Processes::Session | Processes::Grant, _) => {
                Holder::Grant(session.grant.clone())
            }
        };
        ProcessKey {
            server: spec.server.clone(),
            holder,
            era,
        }
    }
}
