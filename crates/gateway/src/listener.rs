//! The listener for agents: one socket, shared out among all worker threads.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::face::{guard::Guard, http};
use crate::settings::Listen;
use crate::threads::Threads;
use crate::tls;
use crate::worker::{Shared, Worker};

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

/// How long a connection may take over TLS or over the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Opens the socket and starts to accept on every worker.
pub(crate) fn open(
    shared: &Arc<Shared>,
    threads: &Threads,
    listen: &Listen,
    stop: &CancellationToken,
) -> Result<SocketAddr, ListenError> {
    if !listen.address.ip().is_loopback() && listen.tls.is_none() && !listen.behind_proxy {
        return Err(ListenError::Unprotected(listen.address));
    }
    let tls = listen.tls.as_ref().map(tls::acceptor).transpose()?;
    let bind = |source| ListenError::Bind {
        address: listen.address,
        source,
    };
    let socket = bound(listen.address).map_err(bind)?;
    let address = socket.local_addr().map_err(bind)?;
    let guard = Arc::new(Guard::new(&Listen {
        address,
        ..listen.clone()
    }));
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
    let accept = accept(listener, seats, guard, tls);
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

/// Accepts, and gives each connection to the worker that has the fewest: were
/// all workers to accept for themselves, one that is awake would take them all.
async fn accept(
    listener: TcpListener,
    seats: Vec<Seat>,
    guard: Arc<Guard>,
    tls: Option<TlsAcceptor>,
) {
    loop {
        let accepted = listener.accept().await;
        // A socket belongs to the runtime it was made in, so it is made again there.
        match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => {
                let fewest = |seat: &&Seat| seat.connections.load(Ordering::Relaxed);
                let Some(seat) = seats.iter().min_by_key(fewest) else {
                    return;
                };
                seat.connections.fetch_add(1, Ordering::Relaxed);
                let connections = Arc::clone(&seat.connections);
                let connection =
                    connection(stream, seat.worker.clone(), Arc::clone(&guard), tls.clone());
                seat.runtime.spawn(async move {
                    connection.await;
                    connections.fetch_sub(1, Ordering::Relaxed);
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others have to end first.
                warn!(%error, "A connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(
    stream: StdStream,
    worker: Worker,
    guard: Arc<Guard>,
    tls: Option<TlsAcceptor>,
) {
    let stream = match TcpStream::from_std(stream).and_then(|s| s.set_nodelay(true).map(|()| s)) {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "A connection was gone before it was served"),
    };
    match tls {
        None => serve(stream, worker, guard).await,
        Some(tls) => match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, worker, guard).await,
            Ok(Err(error)) => debug!(%error, "A TLS handshake failed"),
            Err(_) => debug!("A TLS handshake took too long"),
        },
    }
}

async fn serve<S>(stream: S, worker: Worker, guard: Arc<Guard>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stopping = worker.shared.stopping.clone();
    let service = service_fn(move |request| {
        let serve = http::serve(worker.clone(), Arc::clone(&guard), request);
        async move { Ok::<_, Infallible>(serve.await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(64 * 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(64 * 1024);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "A connection of an agent ended");
    }
}
