//! All child processes: who shares one, how many there may be, and when one
//! that nobody uses leaves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provost_policy::Text;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::child::{Child, ChildBounds, ChildSpec, Holder, Inbox};
use super::{Fault, process};
use crate::protocol::Era;
use crate::session::Session;

/// All child processes.
pub(crate) struct Children {
    runtime: Handle,
    inbox: Arc<dyn Inbox>,
    bounds: ChildBounds,
    // A std mutex: look-ups and inserts only.
    by_key: Mutex<HashMap<Key, Arc<Child>>>,
}

/// A process speaks one era: one that was asked in both might mix them up.
type Key = (Text, Holder, Era);

// === impl Children ===

impl Children {
    pub(crate) fn new(runtime: Handle, inbox: Arc<dyn Inbox>, bounds: ChildBounds) -> Self {
        Self {
            runtime,
            inbox,
            bounds,
            by_key: Mutex::default(),
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Key, Arc<Child>>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process for this holder, with the session among its users.
    pub(crate) fn attach(
        &self,
        spec: &Arc<ChildSpec>,
        holder: Holder,
        era: Era,
        session: &Arc<Session>,
    ) -> Result<Arc<Child>, Fault> {
        let key = (spec.server.clone(), holder.clone(), era);
        let (child, gone) = {
            let mut children = self.map();
            let known = children.get(&key).cloned();
            let (child, gone) = match known {
                Some(child) if child.of().0 == spec => (child, None),
                replaced => {
                    let gone = match replaced {
                        Some(replaced) => Some(replaced),
                        None if children.len() < self.bounds.most => None,
                        None => Some(make_room(&mut children)?),
                    };
                    let child = Arc::new(Child::new(
                        Arc::clone(spec),
                        holder,
                        era,
                        self.runtime.clone(),
                        Arc::clone(&self.inbox),
                        self.bounds,
                    ));
                    children.insert(key, Arc::clone(&child));
                    (child, gone)
                }
            };
            // Before anybody can find that nobody uses it.
            child.join(session);
            (child, gone)
        };
        if let Some(gone) = gone {
            gone.stop();
        }
        Ok(child)
    }

    /// The session ended: one agent's own process leaves with it, others after
    /// their idle time.
    pub(crate) fn detach(&self, server: &Text, holder: Holder, era: Era, session: &Session) {
        let key = (server.clone(), holder, era);
        let child = self.map().get(&key).cloned();
        let Some(child) = child else { return };
        if child.leave(session) && matches!(key.1, Holder::Agent(_)) {
            self.map().remove(&key);
            child.stop();
        }
    }

    /// The session has no use for the process any more; without others it ends.
    pub(crate) fn part(&self, server: &Text, holder: Holder, era: Era, session: &Session) {
        let key = (server.clone(), holder, era);
        let child = self.map().get(&key).cloned();
        let Some(child) = child else { return };
        if child.leave(session) {
            self.map().remove(&key);
            child.stop();
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
        self.take_if(|child| {
            let (spec, holder) = child.of();
            !stays(spec, holder)
        });
    }

    /// Ends the processes of grants that are `gone`, where nobody uses them any more.
    pub(crate) fn dismiss(&self, gone: impl Fn(&Text) -> bool) {
        self.take_if(|child| match child.of().1 {
            Holder::Grant(grant) => child.unused() && gone(grant),
            Holder::Agent(_) | Holder::Shared => false,
        });
    }

    fn take_if(&self, gone: impl Fn(&Child) -> bool) {
        let gone: Vec<Arc<Child>> = {
            let mut children = self.map();
            let leaving = children.extract_if(|_, child| gone(child));
            leaving.map(|(_, child)| child).collect()
        };
        for child in gone {
            child.stop();
        }
    }

    /// Ends every process and waits, for a short while, until they are gone.
    pub(crate) async fn stop_all(&self) {
        let all: Vec<Arc<Child>> = self.map().drain().map(|(_, child)| child).collect();
        let gone: Vec<_> = all.iter().filter_map(|child| child.stop()).collect();
        for gone in gone {
            drop(tokio::time::timeout(process::LONGEST_END, gone.cancelled()).await);
        }
    }

    /// How many processes are running.
    pub(crate) fn running(&self) -> usize {
        self.map().values().filter(|child| child.runs()).count()
    }
}

/// Takes out a process that nobody uses, if there is one.
fn make_room(children: &mut HashMap<Key, Arc<Child>>) -> Result<Arc<Child>, Fault> {
    let unused = children.iter().find(|(_, child)| child.unused());
    let key = unused.map(|(key, _)| key.clone());
    key.and_then(|key| children.remove(&key)).ok_or_else(|| {
        warn!(
            processes = children.len(),
            "No room for another server process"
        );
        Fault::not_sent()
    })
}
