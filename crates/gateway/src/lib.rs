//! Carry a call from agent to server and back, under decision.
//!
//! `path.rs` is the walk of a call, a line per stage. Nothing reaches an
//! upstream but a `Cleared` message, and that of a governed call is made by
//! recording its intent and by nothing else.
//!
//! The folders are layers; files import downwards only.

mod agent;
mod exchange;
mod face;
mod host;
mod message;
mod path;
mod stage;
mod state;
mod text;
mod upstream;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use provost_store::{
    CallId, GrantId, Processes, Server, ServerId, Store, StoreError, Touched, WentOn,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

pub use exchange::probe::{ArgumentReport, ServerFailed, ServerFault, ServerReport, ToolReport};
pub use face::listener::ListenError;
pub use face::stdio::{ChildOverride, StdioAgent};
pub use host::budget::Usage;
pub use host::settings::{Listen, Settings, TlsFiles, Wrapper};

use crate::agent::session::Session;
use crate::host::threads::Threads;
use crate::message::continuation::{LIFETIME, Seals};
use crate::message::principal::Principal;
use crate::state::directory::{Directory, Means};
use crate::state::present::Present;
use crate::state::worker::{GatewayState, Worker};
use crate::text::era::Era;
use crate::upstream::process::Program;
use crate::upstream::{ChildBounds, ChildSpec, Children, Upstream};

/// Sessions that nobody uses are not looked for more often.
const LEAST_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);
/// A start waits for what continues in a journal of so many bytes.
const FEW_ENTRIES: u64 = 1 << 20;
/// How often a store that cannot be read is looked at again.
const LOOK_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// How long upstreams may take to hear that their sessions are over.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// A running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    shared: Arc<GatewayState>,
    threads: Threads,
    tls: host::tls::Connector,
    agents: AtomicU64,
    /// Held while the directory is replaced, so that the newest one stays.
    reloading: Mutex<()>,
    /// The store could not be read: nobody is let through until it can.
    closed: AtomicBool,
    listening: Mutex<Option<SocketAddr>>,
    accepting: CancellationToken,
}

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gave no thread or no runtime.
    #[error("the gateway's threads cannot be started")]
    Threads(#[source] std::io::Error),
    /// The directory of servers, grants and policies cannot be read.
    #[error("servers, grants and policies cannot be read")]
    Directory(#[source] StoreError),
}

/// The directory of servers, grants and policies cannot be read; nobody is let
/// through until it can.
#[derive(Debug, thiserror::Error)]
#[error("servers, grants and policies cannot be read; until they can, every call is refused")]
pub struct ReloadError(#[source] StoreError);

/// What continues calls of agents, those of before a restart included.
///
/// A seal lives from the answer of one request to the next one. Both have to be
/// seen, and the first is older than the seal, by as long as its call took: an
/// hour is more than any call that asks takes. Where looking for them takes a
/// while, that is done beside calls: see [`Gateway::learn_seals`].
fn seals(store: &Store) -> Result<Seals, StoreError> {
    let seals = Seals::new(&store.continuation_keys());
    if store.journal_bytes()? <= FEW_ENTRIES {
        seals.learn(continued(store)?);
    }
    Ok(seals)
}

fn continued(store: &Store) -> Result<HashMap<CallId, WentOn>, StoreError> {
    store.continued_since(store.clock().now().wall.saturating_sub(2 * LIFETIME))
}

// === impl Gateway ===

impl Gateway {
    /// Starts the threads that carry calls. Nothing listens yet.
    ///
    /// # Errors
    /// When the system gives no threads, or the store cannot be read.
    pub fn start(store: Store, settings: Settings) -> Result<Self, StartError> {
        let ledger = store.ledger().map_err(StartError::Directory)?;
        let threads = Threads::start(settings.workers).map_err(StartError::Threads)?;
        let seals = seals(&store).map_err(StartError::Directory)?;
        let settings = settings.within_memory();
        let background = threads.background();
        let shared = Arc::new(GatewayState::new(
            store, ledger, seals, settings, background,
        ));
        let bounds = ChildBounds {
            most: host::machine::files(shared.settings.max_children).children,
            most_of_grant: shared.settings.max_children_per_grant,
            wrapper: shared.settings.wrapper.clone(),
            idle: shared.settings.idle_child,
            line: shared.settings.result_limit,
            start: shared
                .settings
                .call_timeout
                .min(std::time::Duration::from_secs(60)),
            write_timeout: shared.settings.call_timeout,
        };
        let inbox = exchange::inbox::new(Worker::background(&shared));
        let children = Arc::new(Children::new(threads.background(), inbox, bounds));
        let sweep = Arc::clone(&children).sweep(shared.stopping.clone());
        threads.background().spawn(sweep);
        // Set once, here, before anything can read it.
        drop(shared.children.set(children));
        let gateway = Self(Arc::new(Inner {
            shared,
            threads,
            tls: host::tls::Connector::default(),
            agents: AtomicU64::new(0),
            reloading: Mutex::new(()),
            closed: AtomicBool::new(false),
            listening: Mutex::new(None),
            accepting: CancellationToken::new(),
        }));
        gateway.follow_store();
        gateway.load().map_err(StartError::Directory)?;
        gateway.learn_seals();
        gateway.sweep_idle_sessions();
        Ok(gateway)
    }

    /// Looks for the calls that were continued before this process, unless that is
    /// done. Until then nothing is continued.
    fn learn_seals(&self) {
        if self.0.shared.seals.are_known() {
            return;
        }
        self.try_until(|gateway| {
            let shared = &gateway.0.shared;
            match continued(&shared.store) {
                Ok(before) => {
                    shared.seals.learn(before);
                    true
                }
                Err(error) => {
                    error!(%error, "The list of calls that were continued cannot be read; until it can, no call is continued");
                    false
                }
            }
        });
    }

    /// Makes sure that what the store holds now is in force. It is already, as
    /// every change is taken over on the thread that makes it; asked is whether
    /// that went well.
    ///
    /// # Errors
    /// When the store cannot be read; nobody is let through until it can.
    pub fn reload(&self) -> Result<(), ReloadError> {
        self.catch_up().map_err(ReloadError)
    }

    /// Takes over every change of the store, whoever makes it and whoever is
    /// listening: when the change has been made, it holds for the next message.
    /// So does what verification finds.
    fn follow_store(&self) {
        // Weak: the store must not keep alive what keeps the store.
        let gateway = Arc::downgrade(&self.0);
        self.0.shared.store.on_change(Box::new(move || {
            let Some(inner) = gateway.upgrade() else {
                return;
            };
            // A failure is logged and looked at again; whoever made the change
            // may ask with `reload`.
            drop(Self(inner).catch_up());
        }));
    }

    /// Loads the directory unless it is that of the store's generation.
    fn catch_up(&self) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        let in_force = shared.directory.read(Directory::generation);
        if in_force >= Some(shared.store.generation()) {
            return Ok(());
        }
        self.load()
    }

    /// Tries something again and again until it is done, at once for the first
    /// time; not on a thread that others wait for.
    fn try_until(&self, done: impl Fn(&Self) -> bool + Clone + Send + 'static) {
        let gateway = Arc::downgrade(&self.0);
        self.0.threads.background().spawn(async move {
            loop {
                let Some(inner) = gateway.upgrade() else {
                    return;
                };
                let done = done.clone();
                let tried = tokio::task::spawn_blocking(move || done(&Self(inner)));
                if tried.await.unwrap_or(true) {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        });
    }

    fn load(&self) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        let _reloading = self
            .0
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Whoever made a change may have no runtime of their own.
        let _background = shared.background.enter();
        let own_roots = shared.settings.upstream_ca.as_deref();
        let means = Means {
            settings: &shared.settings,
            metrics: &shared.metrics,
            budget: &shared.budget,
            tls: &|| self.0.tls.get(own_roots),
        };
        let in_force = shared.directory.read(Directory::generation);
        let read = shared.store.directory_since(in_force);
        let was_closed = self.0.closed.swap(read.is_err(), Ordering::AcqRel);
        if let (Err(error), false) = (&read, was_closed) {
            error!(%error, "Servers, grants and policies cannot be read; every call is refused until they can");
            self.try_until(|gateway| gateway.catch_up().is_ok());
        }
        let (source, touched, result) = match read {
            Ok((source, touched)) => (Some(source), touched, Ok(())),
            Err(error) => (None, Touched::All, Err(error)),
        };
        shared.directory.replace(
            |before| match source {
                Some(source) => Directory::compile(source, &touched, before, &means),
                // What is not known opens nothing: with what was in force
                // before, a grant that was just revoked would go on.
                None => before.closed(),
            },
            |before, after| exchange::inbox::after_reload(shared, before, after, &touched),
        );
        result
    }

    /// Whose token this is, and for which server, if it opens that one: by its name
    /// or its id. Cheap: nothing is read for it.
    #[must_use]
    pub fn authenticate(&self, server: &str, token: &str) -> Option<(GrantId, ServerId)> {
        let token = provost_store::hash_token(token);
        let opened = |present: &Present<'_>| {
            let Principal {
                grant,
                server: opens,
                ..
            } = &*present.principal;
            let is_it = present.backend.server.name == *server || opens.as_str() == server;
            is_it.then(|| (grant.clone(), opens.clone()))
        };
        self.0.shared.presented(&token, opened).ok()?
    }

    /// Opens the listener for agents. Once; a second call says where it is.
    ///
    /// # Errors
    /// When the address is taken, not allowed, or the certificate cannot be used.
    pub fn listen(&self, listen: &Listen) -> Result<SocketAddr, ListenError> {
        let mut listening = self
            .0
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = *listening {
            return Ok(address);
        }
        let address =
            face::listener::open(&self.0.shared, &self.0.threads, listen, &self.0.accepting)?;
        *listening = Some(address);
        debug!(%address, "Listening for agents");
        Ok(address)
    }

    /// Where agents connect, if the listener is open.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        *self
            .0
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves one agent whose messages are lines of `stream`, until it ends.
    pub async fn serve_stdio<S>(&self, stream: S, agent: StdioAgent)
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let shared = Arc::clone(&self.0.shared);
        let (number, child) = match self.child_of(&agent) {
            Some((number, child)) => (Some(number), Some(child)),
            None => (None, None),
        };
        // On the background thread, beside the child processes.
        let worker = Worker::background(&shared);
        let served = self.0.threads.background().spawn(async move {
            face::stdio::serve(&worker, stream, agent, number, child).await;
        });
        if let Err(error) = served.await {
            warn!(%error, "Serving an agent on stdio failed");
        }
    }

    fn child_of(&self, agent: &StdioAgent) -> Option<(u64, ChildSpec)> {
        let own = agent.child.clone()?;
        let find = |directory: &Directory| directory.source.server(&agent.server).cloned();
        let server = self.0.shared.directory.read(find)?;
        let spec = ChildSpec {
            server: server.id.0.clone(),
            name: server.name.clone(),
            program: Program {
                command: own.command,
                args: own.args,
                directory: Some(own.directory),
                environment: own.environment,
            },
            processes: Processes::Session,
        };
        Some((self.0.agents.fetch_add(1, Ordering::Relaxed), spec))
    }

    /// The tools that a grant's server has listed so far, those included that are hidden from the
    /// grant: to its agents on stdio, and in the modern era to anybody.
    #[must_use]
    pub fn listed_tools(&self, grant: &GrantId) -> Vec<String> {
        let shared = &self.0.shared;
        let mut names = HashSet::new();
        let wall = shared.clock.now().wall;
        shared.directory.read(|directory| {
            if let Some(rights) = directory.rights(&grant.0, wall) {
                rights.backend.eras.any_tool(|name| {
                    names.insert(name.to_owned());
                    false
                });
            }
        });
        for session in shared.stdio.sessions() {
            if session.grant == grant.0
                && let Some(tools) = &session.state().tools
            {
                names.extend(tools.iter().map(str::to_owned));
            }
        }
        names.into_iter().collect()
    }

    /// What went wrong since then with the server of a grant's agents on stdio, as `test_server`
    /// tells it: for the person who started it, and not for the agent.
    pub async fn trouble(&self, grant: &GrantId, since: Instant) -> Vec<String> {
        let shared = &self.0.shared;
        let of_agent = |session: Arc<Session>| {
            let agent = session.agent.filter(|_| session.grant == grant.0)?;
            shared.children.get()?.witness_of_agent(agent)
        };
        let programs = shared.stdio.sessions().into_iter().filter_map(of_agent);
        let mut seen = Vec::new();
        for (witness, runs) in programs.collect::<Vec<_>>() {
            seen.extend(match runs {
                true => witness.since(since),
                false => witness.to_the_end(since).await,
            });
        }
        let wall = shared.clock.now().wall;
        let endpoint = shared.directory.read(|directory| {
            let rights = directory.rights(&grant.0, wall)?;
            match rights.backend.upstream.as_ref()? {
                Upstream::Http(http) => Some(Arc::clone(&http.witness)),
                Upstream::Stdio(_) => None,
            }
        });
        seen.extend(endpoint.iter().flat_map(|witness| witness.since(since)));
        seen
    }

    /// Connects to a server, lists its tools, and says what it found.
    ///
    /// # Errors
    /// When the server is not known, cannot be reached or does not speak MCP.
    pub async fn test_server(&self, server: &str) -> Result<ServerReport, ServerFailed> {
        let shared = Arc::clone(&self.0.shared);
        let worker = Worker::background(&shared);
        let server = server.to_owned();
        let probe = self
            .0
            .threads
            .background()
            .spawn(async move { exchange::probe::run(&worker, &server).await });
        probe
            .await
            .unwrap_or_else(|_| Err(ServerFault::Broken.into()))
    }

    /// The counts, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let shared = &self.0.shared;
        let children = shared.children.get();
        let gauges = host::metrics::Gauges {
            sessions: shared.sessions.len(),
            children: children.map_or(0, |children| children.running()),
            child_users: children.map_or(0, |children| children.users()),
            budget: shared.budget.usage(),
        };
        shared.metrics.render(&gauges)
    }

    /// How much memory is held for others, and how many calls are on their way.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.0.shared.budget.usage()
    }

    /// The servers by name, and the eras each is known to speak: those that
    /// somebody has used or tested since the gateway started.
    #[must_use]
    pub fn eras(&self) -> Vec<(String, Vec<&'static str>)> {
        let known = |directory: &Directory| {
            let servers = directory.source.servers();
            let known = |server: &Arc<Server>| {
                let eras = directory.backend(&server.id)?.eras.known();
                let words = eras.into_iter().map(Era::word).collect();
                Some((server.name.to_string(), words))
            };
            servers.filter_map(known).collect()
        };
        self.0.shared.directory.read(known)
    }

    /// Whether calls can be taken.
    ///
    /// # Errors
    /// Says in a sentence why not.
    pub fn ready(&self) -> Result<(), String> {
        if self.0.shared.stopping.is_cancelled() {
            return Err("the gateway is stopping".to_owned());
        }
        if self.0.closed.load(Ordering::Acquire) {
            return Err("servers, grants and policies cannot be read".to_owned());
        }
        Ok(())
    }

    /// Stops: no new messages, calls in flight finish up to the deadline and are
    /// then cancelled upstream, processes end, the journal is closed.
    pub async fn stop(&self) {
        let shared = &self.0.shared;
        self.0.accepting.cancel();
        shared.stopping.cancel();
        shared.calls.close();
        let deadline = shared.settings.stop_deadline;
        let finished = tokio::time::timeout(deadline, shared.calls.wait()).await;
        // Upstreams hear that their sessions are over, if they listen.
        let mut farewell = FAREWELL.min(deadline);
        if finished.is_err() {
            warn!(calls = shared.calls.len(), "Calls in flight are cancelled");
            farewell = deadline;
        }
        let worker = Worker::background(shared);
        for session in shared.all_sessions() {
            worker.end(&session);
        }
        drop(tokio::time::timeout(farewell, shared.calls.wait()).await);
        if let Some(children) = shared.children.get() {
            children.stop_all().await;
        }
        self.0.threads.stop();
        shared.store.close();
    }

    /// Ends sessions that nobody has used for long.
    fn sweep_idle_sessions(&self) {
        let worker = Worker::background(&self.0.shared);
        let idle = worker.shared.settings.idle_session;
        let stop = worker.shared.stopping.clone();
        self.0.threads.background().spawn(async move {
            let mut every = tokio::time::interval((idle / 4).max(LEAST_PAUSE));
            loop {
                tokio::select! {
                    _ = every.tick() => {}
                    () = stop.cancelled() => return,
                }
                let wall = worker.shared.clock.now().wall;
                worker
                    .shared
                    .directory
                    .read(|directory| directory.end_expired(wall));
                let long_unused = |session: &Session| session.last_used().elapsed() >= idle;
                for session in worker.shared.sessions.take_if(long_unused) {
                    worker.end(&session);
                }
            }
        });
    }
}
