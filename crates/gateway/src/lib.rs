//! Carry a call from agent to server and back, under decision.
//!
//! `path.rs` is the walk of a call, a line per stage. Nothing reaches an
//! upstream without a `Permit`, and for a governed call only the stage that
//! recorded the intent makes one.

mod answer;
mod brief;
mod directory;
mod envelope;
mod eras;
mod face;
mod filter;
mod inbound;
mod inbox;
mod listener;
mod metrics;
mod modern;
mod outgoing;
mod outlet;
mod path;
mod patience;
mod permit;
mod present;
mod probe;
mod protocol;
mod random;
mod relay;
mod route;
mod session;
mod settings;
mod socket;
mod splice;
mod sse;
mod stage;
mod tasks;
mod threads;
mod tls;
mod upstream;
mod worker;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use provost_store::{GrantId, ServerId, Store, StoreError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use listener::ListenError;
pub use probe::{ServerFault, ServerReport};
pub use settings::{Listen, Settings, TlsFiles};

use crate::directory::Directory;
use crate::session::Session;
use crate::stage::continuation::{LIFETIME, Seals};
use crate::threads::Threads;
use crate::upstream::Children;
use crate::upstream::child::{ChildBounds, ChildSpec};
use crate::upstream::process::Program;
use crate::worker::{Shared, Worker};

/// Sessions that nobody uses are not looked for more often.
const LEAST_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);
/// How long upstreams may take to hear that their sessions are over.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);

/// A running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    threads: Threads,
    tls: tls::Connector,
    agents: AtomicU64,
    /// Held while the directory is replaced, so that the newest one stays.
    reloading: Mutex<()>,
    listening: Mutex<Option<SocketAddr>>,
    accepting: CancellationToken,
}

/// One agent on stdio, as the unix socket's hello described it.
#[derive(Debug, Clone)]
pub struct StdioAgent {
    /// The grant it works under; authenticated by the caller.
    pub grant: GrantId,
    /// The server it speaks to.
    pub server: ServerId,
    /// With `provost run`: the agent's own child process.
    pub child: Option<ChildOverride>,
}

/// What `provost run` starts for its agent, instead of the registered command.
#[derive(Debug, Clone)]
pub struct ChildOverride {
    /// The program.
    pub command: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its working directory.
    pub directory: PathBuf,
    /// Its whole environment.
    pub environment: Vec<(OsString, OsString)>,
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

/// The directory of servers, grants and policies cannot be read; the one before
/// stays in force.
#[derive(Debug, thiserror::Error)]
#[error("servers, grants and policies cannot be read; what was in force stays in force")]
pub struct ReloadError(#[source] StoreError);

/// What continues calls of agents, those of before a restart included.
fn seals(store: &Store) -> Result<Seals, StoreError> {
    let since = store.clock().now().wall.saturating_sub(LIFETIME);
    let before = store.continued_since(since)?;
    Ok(Seals::new(&store.continuation_keys(), before))
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
        let background = threads.background();
        let shared = Arc::new(Shared::new(store, ledger, seals, settings, background));
        let bounds = ChildBounds {
            most: shared.settings.max_children,
            idle: shared.settings.idle_child,
            line: shared.settings.result_limit,
            start: shared
                .settings
                .call_timeout
                .min(std::time::Duration::from_secs(60)),
        };
        let inbox = inbox::new(Worker::background(&shared));
        let children = Arc::new(Children::new(threads.background(), inbox, bounds));
        let sweep = Arc::clone(&children).sweep(shared.stopping.clone());
        threads.background().spawn(sweep);
        // Set once, here, before anything can read it.
        drop(shared.children.set(children));
        let gateway = Self(Arc::new(Inner {
            shared,
            threads,
            tls: tls::Connector::default(),
            agents: AtomicU64::new(0),
            reloading: Mutex::new(()),
            listening: Mutex::new(None),
            accepting: CancellationToken::new(),
        }));
        gateway.load().map_err(StartError::Directory)?;
        gateway.sweep_idle_sessions();
        Ok(gateway)
    }

    /// Reads servers, grants and policies again. Holds from the next message on;
    /// agents whose list of tools changed are told.
    ///
    /// # Errors
    /// When the store cannot be read; the directory before stays in force.
    pub fn reload(&self) -> Result<(), ReloadError> {
        self.load().map_err(ReloadError)
    }

    fn load(&self) -> Result<(), StoreError> {
        let shared = &self.0.shared;
        let _reloading = self
            .0
            .reloading
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let source = shared.store.directory()?;
        let own_roots = shared.settings.upstream_ca.as_deref();
        let connector = || self.0.tls.get(own_roots);
        let (settings, metrics) = (&shared.settings, &shared.metrics);
        shared.directory.replace(
            |before| Directory::compile(source, before, settings, metrics, &connector),
            |before, after| inbox::after_reload(shared, before, after),
        );
        Ok(())
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
        let address = listener::open(&self.0.shared, &self.0.threads, listen, &self.0.accepting)?;
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
            shared: false,
        };
        Some((self.0.agents.fetch_add(1, Ordering::Relaxed), spec))
    }

    /// Connects to a server, lists its tools, and says what it found.
    ///
    /// # Errors
    /// When the server is not known, cannot be reached or does not speak MCP.
    pub async fn test_server(&self, server: &str) -> Result<ServerReport, ServerFault> {
        let shared = Arc::clone(&self.0.shared);
        let worker = Worker::background(&shared);
        let server = server.to_owned();
        let probe = self
            .0
            .threads
            .background()
            .spawn(async move { probe::run(&worker, &server).await });
        probe.await.unwrap_or(Err(ServerFault::Broken))
    }

    /// The counts, in Prometheus' text format.
    #[must_use]
    pub fn metrics(&self) -> String {
        let shared = &self.0.shared;
        let children = shared
            .children
            .get()
            .map_or(0, |children| children.running());
        let gauges = metrics::Gauges {
            sessions: shared.sessions.len(),
            children,
        };
        shared.metrics.render(&gauges)
    }

    /// Whether calls can be taken.
    ///
    /// # Errors
    /// Says in a sentence why not.
    pub fn ready(&self) -> Result<(), String> {
        if self.0.shared.stopping.is_cancelled() {
            return Err("the gateway is stopping".to_owned());
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
                let long_unused = |session: &Session| session.last_used().elapsed() >= idle;
                for session in worker.shared.sessions.take_if(long_unused) {
                    worker.end(&session);
                }
            }
        });
    }
}
