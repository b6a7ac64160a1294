//! What all stages of all calls share, and the threads that carry them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use provost_policy::Text;
use provost_policy::ledger::Ledger;
use provost_store::{Clock, Journal, Store};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent::session::Session;
use crate::agent::sessions::Sessions;
use crate::host::budget::Budget;
use crate::host::metrics::Metrics;
use crate::host::settings::Settings;
use crate::message::continuation::Seals;
use crate::state::directory::CurrentDirectory;
use crate::state::questions::TaskQuestions;
use crate::state::tasks::TaskOwners;
use crate::upstream::child::Inbox;
use crate::upstream::{ChildBounds, ChildSpec, Children};

/// What the whole gateway shares.
pub(crate) struct GatewayState {
    pub(crate) store: Store,
    pub(crate) journal: Journal,
    pub(crate) clock: Clock,
    pub(crate) settings: Settings,
    /// Replaced as a whole.
    pub(crate) directory: CurrentDirectory,
    // A std mutex: looking and reserving are arithmetic, never across an await.
    ledger: Mutex<Ledger>,
    pub(crate) sessions: Sessions,
    pub(crate) stdio: StdioAgents,
    pub(crate) tasks: TaskOwners,
    /// What tasks asked, as far as it was let through.
    pub(crate) questions: TaskQuestions,
    pub(crate) seals: Seals,
    pub(crate) metrics: Metrics,
    pub(crate) budget: Budget,
    pub(crate) children: Arc<Children>,
    /// The thread of everything that belongs to no connection.
    pub(crate) background: Handle,
    /// Cancelled when no new messages are taken.
    pub(crate) stopping: CancellationToken,
    /// Every call on its way; a graceful stop waits for them.
    pub(crate) calls: TaskTracker,
}

/// The shared parts, seen from one worker thread.
#[derive(Clone)]
pub(crate) struct Worker {
    /// Which pool of upstream connections is this thread's.
    pub(crate) number: usize,
    pub(crate) shared: Arc<GatewayState>,
}

/// Agents that speak over stdio, and what `provost run` brought along for them.
#[derive(Default)]
pub(crate) struct StdioAgents {
    sessions: Mutex<HashMap<Text, Weak<Session>>>,
    overrides: Mutex<HashMap<u64, Arc<ChildSpec>>>,
}

// === impl Shared ===

impl GatewayState {
    pub(crate) fn new(
        store: Store,
        ledger: Ledger,
        seals: Seals,
        settings: Settings,
        background: Handle,
        inbox: Arc<dyn Inbox>,
    ) -> Self {
        let budget = Budget::new(settings.bounds());
        let bounds = ChildBounds::of(&settings);
        let children = Children::new(background.clone(), inbox, bounds);
        Self {
            budget,
            journal: store.journal(),
            clock: store.clock(),
            store,
            settings,
            directory: CurrentDirectory::default(),
            ledger: Mutex::new(ledger),
            sessions: Sessions::default(),
            stdio: StdioAgents::default(),
            tasks: TaskOwners::default(),
            questions: TaskQuestions::default(),
            seals,
            metrics: Metrics::default(),
            children: Arc::new(children),
            background,
            stopping: CancellationToken::new(),
            calls: TaskTracker::new(),
        }
    }

    /// The counters, for a few instructions.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // The ledger's own operations are all or nothing, so what a panic leaves
        // behind is a ledger without the last one.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sessions of both faces.
    pub(crate) fn all_sessions(&self) -> Vec<Arc<Session>> {
        let mut all = self.sessions.all();
        all.extend(self.stdio.sessions());
        all
    }
}

// === impl Worker ===

impl Worker {
    /// The worker of the background thread.
    pub(crate) fn background(shared: &Arc<GatewayState>) -> Self {
        Self {
            number: shared.settings.workers,
            shared: Arc::clone(shared),
        }
    }
}

// === impl StdioAgents ===

impl StdioAgents {
    pub(crate) fn add(&self, session: &Arc<Session>, child: Option<ChildSpec>) {
        lock(&self.sessions).insert(session.id.clone(), Arc::downgrade(session));
        if let (Some(agent), Some(child)) = (session.agent, child) {
            lock(&self.overrides).insert(agent, Arc::new(child));
        }
    }

    pub(crate) fn remove(&self, session: &Session) {
        lock(&self.sessions).remove(&session.id);
        if let Some(agent) = session.agent {
            lock(&self.overrides).remove(&agent);
        }
    }

    pub(crate) fn sessions(&self) -> Vec<Arc<Session>> {
        lock(&self.sessions)
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// The child process of one agent of `provost run`.
    pub(crate) fn child_of(&self, agent: u64) -> Option<Arc<ChildSpec>> {
        lock(&self.overrides).get(&agent).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
