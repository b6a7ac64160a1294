//! The listener for agents: one socket, shared out among all worker threads.

mod connection;
mod crowd;

use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::connection::Terms;
use self::crowd::Crowd;
use crate::face::guard::Guard;
use crate::host::settings::{Listen, Settings};
use crate::host::threads::Threads;
use crate::host::tls::{self, BadFile};
use crate::host::{budget, machine};
use crate::state::worker::{GatewayState, Worker};

/// The listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not a loopback address, and nothing that protects the tokens on the way.
    #[error("`{0}` can be reached from other machines, and tokens would travel in the clear")]
    Unprotected(SocketAddr),
    /// The system refused the address.
    #[error("cannot listen on `{address}`")]
    Bind {
        /// The address that was asked for.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("the certificate in `{}` cannot be used: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// How often at most the log says that connections are turned away.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Opens the socket and starts to accept on every worker.
pub(crate) fn open(
    shared: &Arc<GatewayState>,
    threads: &Threads,
    listen: &Listen,
    stop: &CancellationToken,
) -> Result<SocketAddr, ListenError> {
    if !listen.address.ip().is_loopback() && listen.tls.is_none() && !listen.behind_proxy {
        return Err(ListenError::Unprotected(listen.address));
    }
    let tls = listen.tls.as_ref().map(tls::acceptor).transpose();
    let tls = tls.map_err(|BadFile { path, reason }| ListenError::Certificate { path, reason })?;
    let bind = |source| ListenError::Bind {
        address: listen.address,
        source,
    };
    let socket = bound(listen.address).map_err(bind)?;
    let address = socket.local_addr().map_err(bind)?;
    let guard = Guard::new(&Listen {
        address,
        ..listen.clone()
    });
    let listener = {
        let _background = shared.background.enter();
        TcpListener::from_std(socket).map_err(bind)?
    };
    let seats = threads.workers().iter().enumerate();
    let seats = seats
        .map(|(number, runtime)| Seat {
            worker: Worker {
                number,
                shared: Arc::clone(shared),
            },
            runtime: runtime.clone(),
            connections: Arc::default(),
        })
        .collect();
    let door = Door {
        seats,
        terms: Arc::new(Terms { guard, tls }),
        crowd: Arc::default(),
        most: most_connections(&shared.settings),
        shared: Arc::clone(shared),
        said: None,
    };
    let accept = door.accept(listener);
    let stop = stop.clone();
    shared.background.spawn(async move {
        tokio::select! {
            () = accept => {}
            () = stop.cancelled() => {}
        }
    });
    Ok(address)
}

/// A worker thread as the acceptor sees it.
struct Seat {
    worker: Worker,
    runtime: Handle,
    /// Connections it serves now.
    connections: Arc<AtomicUsize>,
}

fn bound(address: SocketAddr) -> std::io::Result<StdListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Where connections come in.
struct Door {
    seats: Vec<Seat>,
    terms: Arc<Terms>,
    crowd: Arc<Crowd>,
    most: usize,
    shared: Arc<GatewayState>,
    /// When the log last said that connections are turned away.
    said: Option<Instant>,
}

/// As many as the operator wants, and no more than there are files and memory for.
fn most_connections(settings: &Settings) -> usize {
    let wanted = settings.max_connections;
    let files = machine::files(settings.max_children).connections;
    let memory = budget::connections(settings.memory_limit);
    let most = wanted.min(files).min(memory);
    if most < wanted {
        info!(
            connections = most,
            "At most {most} connections of agents at a time: the limit of open files allows {files}, and `memory_limit` {memory}"
        );
    }
    most
}

// === impl Door ===

impl Door {
    /// Accepts, and gives each connection to the worker that has the fewest: were
    /// all workers to accept for themselves, one that is awake would take them all.
    async fn accept(mut self, listener: TcpListener) {
        loop {
            let accepted = listener.accept().await;
            // A socket belongs to the runtime it was made in, so it is made again there.
            match accepted.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => self.admit(stream),
                Err(error) => {
                    // Out of file descriptors, most likely: others have to end first.
                    if self.may_say() {
                        warn!(%error, "A connection was not accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Serves a connection. When there are too many, another one makes room; when
    /// all of them are in use, the new one is closed.
    fn admit(&mut self, stream: StdStream) {
        let metrics = &self.shared.metrics;
        let full = metrics.connections.load(Ordering::Relaxed) >= self.most;
        let made_room = full && self.crowd.send_one_away();
        if full {
            metrics.turned_away.fetch_add(1, Ordering::Relaxed);
            if self.may_say() {
                warn!(
                    connections = self.most,
                    "Too many connections of agents: {}",
                    if made_room {
                        "idle ones are closed to make room"
                    } else {
                        "new ones are closed"
                    }
                );
            }
        }
        if full && !made_room {
            return;
        }
        let fewest = |seat: &&Seat| seat.connections.load(Ordering::Relaxed);
        let Some(seat) = self.seats.iter().min_by_key(fewest) else {
            return;
        };
        let place = Place::take(&self.shared, &seat.connections);
        let member = self.crowd.admit();
        let terms = Arc::clone(&self.terms);
        let serve = connection::serve(stream, seat.worker.clone(), terms, member);
        seat.runtime.spawn(async move {
            serve.await;
            drop(place);
        });
    }

    /// Whether it is time to say it again: a flood must not flood the log.
    fn may_say(&mut self) -> bool {
        let due = self.said.is_none_or(|said| said.elapsed() >= SAY_AGAIN);
        if due {
            self.said = Some(Instant::now());
        }
        due
    }
}

/// A connection's place among all, given back when it is dropped.
struct Place {
    shared: Arc<GatewayState>,
    seat: Arc<AtomicUsize>,
}

// === impl Place ===

impl Place {
    fn take(shared: &Arc<GatewayState>, seat: &Arc<AtomicUsize>) -> Self {
        shared.metrics.connections.fetch_add(1, Ordering::Relaxed);
        seat.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            seat: Arc::clone(seat),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let all = &self.shared.metrics.connections;
        all.fetch_sub(1, Ordering::Relaxed);
        self.seat.fetch_sub(1, Ordering::Relaxed);
    }
}
