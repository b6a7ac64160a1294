//! All child processes: who shares one, how many there may be, and when one
//! that nobody uses leaves.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provost_policy::Text;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::child::{Child, Inbox};
use super::spec::{ChildBounds, ChildSpec, Holder, ProcessKey};
use super::starts::Starts;
use super::{Witness, process};
use crate::agent::session::Session;
use crate::host::budget::{Account, Full};
use crate::message::fault::{Fault, FaultKind};

/// All child processes.
pub(crate) struct Children {
    runtime: Handle,
    inbox: Arc<dyn Inbox>,
    bounds: ChildBounds,
    // A std mutex: look-ups and inserts only.
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_key: HashMap<ProcessKey, Arc<Child>>,
    /// Processes that are told to end; each says when it is gone.
    leaving: Vec<CancellationToken>,
    /// How the programs of registered servers fare, by the server's id.
    starts: HashMap<Text, (Arc<ChildSpec>, Arc<Starts>)>,
}

/// The use somebody makes of a process: it is counted from the moment the
/// process was looked up until this value is dropped, so that nobody takes a
/// process away that is about to be used, and nobody stays among its users.
pub(crate) struct Use {
    children: Arc<Children>,
    child: Arc<Child>,
    session: Arc<Session>,
}

// === impl Children ===

impl Children {
    pub(crate) fn new(runtime: Handle, inbox: Arc<dyn Inbox>, bounds: ChildBounds) -> Self {
        Self {
            runtime,
            inbox,
            bounds,
            known: Mutex::default(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process for this holder, used by the session until the value is dropped.
    pub(crate) fn attach(
        self: &Arc<Self>,
        spec: &Arc<ChildSpec>,
        key: ProcessKey,
        session: &Arc<Session>,
        account: &Arc<Account>,
    ) -> Result<Use, Fault> {
        let (child, gone) = {
            let mut known = self.known();
            let (child, gone) = match known.by_key.get(&key).cloned() {
                Some(child) if child.spec() == spec => (child, None),
                Some(replaced) => {
                    let child = self.child(&mut known, spec, key, account);
                    (child, Some(replaced))
                }
                None => {
                    let gone = self.make_room(&mut known, spec, &key.holder)?;
                    (self.child(&mut known, spec, key, account), gone)
                }
            };
            // Before anybody can find that nobody uses it.
            child.begin(session);
            (child, gone)
        };
        if let Some(gone) = gone {
            self.end(&gone);
        }
        Ok(self.used(child, session))
    }

    /// The process for this holder, if there is one, used in the same way. Whoever
    /// only has something to tell it starts none and takes nobody's place.
    pub(crate) fn find(
        self: &Arc<Self>,
        spec: &Arc<ChildSpec>,
        key: &ProcessKey,
        session: &Arc<Session>,
    ) -> Option<Use> {
        let child = {
            let known = self.known();
            let child = known.by_key.get(key).cloned();
            let child = child.filter(|child| child.spec() == spec)?;
            child.begin(session);
            child
        };
        Some(self.used(child, session))
    }

    fn used(self: &Arc<Self>, child: Arc<Child>, session: &Arc<Session>) -> Use {
        Use {
            children: Arc::clone(self),
            child,
            session: Arc::clone(session),
        }
    }

    fn child(
        &self,
        known: &mut Known,
        spec: &Arc<ChildSpec>,
        key: ProcessKey,
        account: &Arc<Account>,
    ) -> Arc<Child> {
        let child = Arc::new(Child::new(
            Arc::clone(spec),
            key.clone(),
            self.runtime.clone(),
            Arc::clone(&self.inbox),
            self.bounds.clone(),
            known.starts_of(spec, &key.holder),
            Arc::clone(account),
        ));
        known.by_key.insert(key, Arc::clone(&child));
        child
    }

    /// Makes sure that there is room for another process, if need be by one that
    /// nobody uses.
    fn make_room(
        &self,
        known: &mut Known,
        spec: &ChildSpec,
        holder: &Holder,
    ) -> Result<Option<Arc<Child>>, Fault> {
        if let Some(grant) = holder.grant() {
            let most = self.bounds.most_of_grant;
            if known.count_of(grant) >= most {
                let unused = known.give_up(|of| of.grant() == Some(grant));
                return unused.map(Some).ok_or_else(|| {
                    warn!(server.name = %spec.name, grant.id = %grant, processes = most,
                        "Server `{}` is not started: grant `{grant}` has {most} server processes, and `max_children_per_grant` allows no more", spec.name);
                    Fault::unsent(FaultKind::NoProcess(Full::Share))
                });
            }
        }
        if known.by_key.len() < self.bounds.most {
            return Ok(None);
        }
        let most = self.bounds.most;
        known.give_up(|_| true).map(Some).ok_or_else(|| {
            warn!(server.name = %spec.name, processes = most,
                "Server `{}` is not started: there are {most} server processes, and `max_children` allows no more", spec.name);
            Fault::unsent(FaultKind::NoProcess(Full::Whole))
        })
    }

    /// A use has ended. Who leaves a process of its own, or that of a grant that
    /// is gone, leaves it for good.
    fn use_ended(&self, child: &Arc<Child>, session: &Session) {
        let over = {
            let mut known = self.known();
            child.end(session) && child.leaves_at_once() && known.remove(child)
        };
        if over {
            self.end(child);
        }
    }

    /// The session ended: a process of its own leaves with it, others after their
    /// idle time.
    pub(crate) fn session_ended(&self, key: &ProcessKey, session: &Session) {
        let child = self.known().by_key.get(key).cloned();
        if let Some(child) = child {
            // What the process was not told in time is of no use to anybody either.
            child.forget_all(session);
        }
        self.remove_user(key, session, Child::leaves_with_its_user);
    }

    /// The session has no use for the process any more; without others it ends.
    pub(crate) fn release(&self, key: &ProcessKey, session: &Session) {
        self.remove_user(key, session, |_| true);
    }

    fn remove_user(&self, key: &ProcessKey, session: &Session, over: impl Fn(&Child) -> bool) {
        let gone = {
            let mut known = self.known();
            let child = known.by_key.get(key).cloned();
            child.filter(|child| child.remove_user(session) && over(child) && known.remove(child))
        };
        if let Some(child) = gone {
            self.end(&child);
        }
    }

    /// Ends, again and again, what nobody has used for its idle time.
    pub(crate) async fn sweep(self: Arc<Self>, stop: CancellationToken) {
        let pause = (self.bounds.idle / 2).max(Duration::from_millis(10));
        let mut every = tokio::time::interval(pause);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => return,
            }
            self.take_if(|child| child.long_unused());
        }
    }

    /// Ends the processes of servers that are gone or changed.
    pub(crate) fn retain(&self, stays: impl Fn(&Arc<ChildSpec>, &Holder) -> bool) {
        self.take_if(|child| !stays(child.spec(), &child.key().holder));
        let mut known = self.known();
        known
            .starts
            .retain(|_, (spec, _)| stays(spec, &Holder::Shared));
    }

    /// Ends the processes of grants that are `gone`; one that is in use as soon
    /// as nobody uses it any more.
    pub(crate) fn grants_ended(&self, gone: impl Fn(&Text) -> bool) {
        self.take_if(|child| {
            let ended = child.key().holder.grant().is_some_and(&gone);
            ended && child.grant_ended()
        });
    }

    fn take_if(&self, gone: impl Fn(&Child) -> bool) {
        let gone: Vec<Arc<Child>> = {
            let mut known = self.known();
            let leaving = known.by_key.extract_if(|_, child| gone(child));
            leaving.map(|(_, child)| child).collect()
        };
        for child in gone {
            self.end(&child);
        }
    }

    /// Ends a process that nobody knows any more.
    fn end(&self, child: &Child) {
        if let Some(gone) = child.stop() {
            let leaving = &mut self.known().leaving;
            leaving.retain(|gone| !gone.is_cancelled());
            leaving.push(gone);
        }
    }

    /// Ends every process and waits, for a short while, until they are gone.
    pub(crate) async fn stop_all(&self) {
        self.take_if(|_| true);
        let gone = std::mem::take(&mut self.known().leaving);
        let all_gone = async {
            for gone in gone {
                gone.cancelled().await;
            }
        };
        drop(tokio::time::timeout(process::LONGEST_END, all_gone).await);
    }

    /// What was seen to go wrong with the program of a registered server, if it
    /// was ever started.
    pub(crate) fn witness(&self, server: &Text) -> Option<Arc<Witness>> {
        let known = self.known();
        let (_, starts) = known.starts.get(server)?;
        Some(Arc::clone(&starts.witness))
    }

    /// The same of a program that an agent brought along, and whether it runs.
    pub(crate) fn witness_of_agent(&self, agent: u64) -> Option<(Arc<Witness>, bool)> {
        let known = self.known();
        let own = |key: &&ProcessKey| key.holder == Holder::Agent(agent);
        let (_, child) = known.by_key.iter().find(|(key, _)| own(key))?;
        Some((child.witness(), child.runs()))
    }

    /// How many processes are running.
    pub(crate) fn running(&self) -> usize {
        let known = self.known();
        known.by_key.values().filter(|child| child.runs()).count()
    }

    /// How many users all processes have.
    pub(crate) fn users(&self) -> usize {
        let known = self.known();
        known.by_key.values().map(|child| child.users()).sum()
    }
}

// === impl Use ===

impl Use {
    /// Whose it is.
    pub(super) fn session(&self) -> &Session {
        &self.session
    }
}

impl Deref for Use {
    type Target = Arc<Child>;

    fn deref(&self) -> &Self::Target {
        &self.child
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.children.use_ended(&self.child, &self.session);
    }
}

// === impl Known ===

impl Known {
    /// How the program fares. One that an agent brought along is that agent's own
    /// affair, and so is one that was changed since.
    fn starts_of(&mut self, spec: &Arc<ChildSpec>, holder: &Holder) -> Arc<Starts> {
        if matches!(holder, Holder::Agent(_)) {
            return Arc::default();
        }
        match self.starts.get(&spec.server) {
            Some((known, starts)) if known == spec => Arc::clone(starts),
            Some(_) | None => {
                let starts = Arc::<Starts>::default();
                let entry = (Arc::clone(spec), Arc::clone(&starts));
                self.starts.insert(spec.server.clone(), entry);
                starts
            }
        }
    }

    fn count_of(&self, grant: &Text) -> usize {
        let of_grant = |child: &&Arc<Child>| child.key().holder.grant() == Some(grant);
        self.by_key.values().filter(of_grant).count()
    }

    /// Takes out a process that nobody uses, if there is one among those.
    fn give_up(&mut self, among: impl Fn(&Holder) -> bool) -> Option<Arc<Child>> {
        let unused = |child: &Arc<Child>| among(&child.key().holder) && child.unused();
        let key = self.by_key.iter().find(|(_, child)| unused(child));
        let key = key.map(|(key, _)| key.clone())?;
        self.by_key.remove(&key)
    }

    /// Takes out this very process, if it has not been replaced.
    fn remove(&mut self, child: &Arc<Child>) -> bool {
        let key = child.key();
        let same = self
            .by_key
            .get(key)
            .is_some_and(|known| Arc::ptr_eq(known, child));
        same && self.by_key.remove(key).is_some()
    }
}
