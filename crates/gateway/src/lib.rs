//! Carry a call from agent to server and back, under decision.
//!
//! `path.rs` is the walk of a call, a line per stage. Nothing reaches an
//! upstream but a `Cleared` message, and that of a governed call is made by
//! recording its intent and by nothing else.
//!
//! The folders are layers; files import downwards only.

mod agent;
mod changes;
mod exchange;
mod face;
mod host;
mod message;
mod path;
mod stage;
mod state;
mod text;
mod told;
mod upstream;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use provost_store::{GrantId, Processes, ServerId, Store, StoreError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

pub use exchange::probe::{ArgumentReport, ServerFailed, ServerFault, ServerReport, ToolReport};
pub use face::listener::ListenError;
pub use face::stdio::{ChildOverride, StdioAgent};
pub use host::budget::Usage;
pub use host::settings::{Listen, Settings, TlsFiles, Wrapper};
pub use text::native::{HookedAgent, NATIVE, NativeVerdict};
pub use upstream::builtin::{Answering, Builtin, Builtins, Progress, ToolAnswer, ToolCall};
pub use upstream::native::Native;

use crate::agent::session::Session;
use crate::host::threads::Threads;
use crate::message::continuation::Seals;
use crate::message::principal::Principal;
use crate::state::directory::Directory;
use crate::state::present::{Claim, Present};
use crate::state::worker::{GatewayState, Worker};
use crate::upstream::ChildSpec;
use crate::upstream::process::Program;

/// Sessions that nobody uses are not looked for more often.
const LEAST_PAUSE: Duration = Duration::from_millis(10);
/// How long upstreams may take to hear that their sessions are over.
const FAREWELL: Duration = Duration::from_secs(2);

/// A running gateway. Cheap to clone.
#[derive(Clone)]
pub struct Gateway(Arc<Inner>);

struct Inner {
    shared: Arc<GatewayState>,
    threads: Threads,
    tls: host::tls::Connector,
    builtins: Builtins,
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

// === impl Gateway ===

impl Gateway {
    /// Starts the threads that carry calls; `builtins` stand behind it like servers.
    /// Nothing listens yet.
    ///
    /// # Errors
    /// When the system gives no threads, or the store cannot be read.
    pub fn start(store: Store, settings: Settings, builtins: Builtins) -> Result<Self, StartError> {
        let ledger = store.ledger().map_err(StartError::Directory)?;
        let threads = Threads::start(settings.workers).map_err(StartError::Threads)?;
        let seals = Seals::of(&store).map_err(StartError::Directory)?;
        let settings = settings.within_memory();
        let background = threads.background();
        let shared = Arc::new_cyclic(|state| {
            let inbox = exchange::inbox::new(Weak::clone(state));
            GatewayState::new(store, ledger, seals, settings, background, inbox)
        });
        let sweep = Arc::clone(&shared.children).sweep(shared.stopping.clone());
        threads.background().spawn(sweep);
        let gateway = Self(Arc::new(Inner {
            shared,
            threads,
            tls: host::tls::Connector::default(),
            builtins,
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

    /// Asks whether an agent may use a tool of its own, as its hook says; answers in that
    /// agent's words. None when the token opens no grant on server `native`.
    pub async fn ask_native(&self, token: &str, agent: HookedAgent, hook: Bytes) -> Option<String> {
        let worker = Worker::background(&self.0.shared);
        let token = provost_store::hash_token(token);
        let who = |present: &Present<'_>| Arc::clone(&present.principal);
        let principal = self.0.shared.presented(&token, who).ok()?;
        if principal.server_name != *NATIVE {
            return None;
        }
        let claim = Claim {
            principal,
            token: Some(token),
        };
        let asked = async move { path::native::asked(&worker, claim, agent, hook).await };
        self.0.threads.background().spawn(asked).await.ok()
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
        shared.children.stop_all().await;
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
