//! The connections to one upstream over HTTP, kept for each worker thread, so
//! that a call stays on the core it came in on.
//!
//! An HTTP/1.1 connection carries one exchange at a time and waits in a pool in
//! between. An HTTP/2 connection, where TLS negotiated it, carries many at once
//! and is shared by all calls of a worker.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tracing::debug;

use crate::host::socket;
use crate::message::fault::Fault;
use crate::upstream::Witness;

/// Idle HTTP/1.1 connections kept for each worker.
const MAX_IDLE: usize = 64;
/// Largest head of an answer, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
/// Exchanges on one HTTP/2 connection at a time, whatever the upstream allows.
const MOST_STREAMS: usize = 128;
/// How much of one answer an upstream may send before it is read; and of all
/// answers on a connection: no reader that is slow ever stops the others.
const WINDOW: u32 = 64 * 1024;
const ALL_WINDOWS: u32 = WINDOW * 128;
/// Streams of an upstream that has not said how many it takes.
const UNSAID: usize = 1;
/// How long it may take to say so.
const SETTINGS: Duration = Duration::from_millis(500);

type Message = Request<Full<Bytes>>;

/// How long the parts of an exchange may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    pub(crate) connect: Duration,
    /// From the last byte of a request to the first of the answer, and between
    /// two parts of an answer.
    pub(crate) answer: Duration,
    /// How long a connection is kept that nobody uses.
    pub(crate) idle: Duration,
    /// How long one that acknowledges nothing counts as alive.
    pub(crate) dead_peer: Duration,
}

/// Where an upstream is.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<(TlsConnector, ServerName<'static>)>,
    pub(crate) timeouts: Timeouts,
}

/// All connections to one upstream.
pub(crate) struct Connections {
    target: Target,
    /// Whether the upstream negotiated HTTP/1.1 when last asked: then nobody
    /// waits for a connection that could be shared.
    exclusive: AtomicBool,
    /// By worker.
    seats: Vec<Arc<Seat>>,
    witness: Arc<Witness>,
}

/// The connections of one worker. Std mutexes: sections are a push or a pop.
#[derive(Default)]
struct Seat {
    idle: Mutex<Idle>,
    shared: Mutex<Vec<Arc<Multiplexed>>>,
    /// Held while a connection is made that others may share. Tokio's, because
    /// making one waits; whoever waits here has a deadline.
    dialing: tokio::sync::Mutex<()>,
}

/// Connections that wait to be used again.
#[derive(Default)]
struct Idle {
    /// Since when; the last one has waited least.
    kept: Vec<(Instant, http1::SendRequest<Full<Bytes>>)>,
    /// Whether somebody closes those that wait too long.
    swept: bool,
}

/// An HTTP/2 connection.
struct Multiplexed {
    sender: http2::SendRequest<Full<Bytes>>,
    /// Exchanges on it now.
    open: AtomicUsize,
    /// How many the upstream takes at a time.
    room: Arc<AtomicUsize>,
}

/// A connection for one exchange.
pub(crate) enum Sender {
    /// Nobody else uses it until the exchange is over.
    Exclusive(http1::SendRequest<Full<Bytes>>),
    /// Others use it at the same time.
    Multiplexed(Stream),
}

/// A place on a shared connection, given back when it is dropped.
pub(crate) struct Stream(Arc<Multiplexed>);

/// Whether a connection was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Age {
    /// It may have been closed in the meantime.
    OpenCall,
    /// Made for this exchange.
    Fresh,
}

// === impl Connections ===

impl Connections {
    pub(crate) fn new(target: Target, workers: usize, witness: Arc<Witness>) -> Self {
        Self {
            target,
            exclusive: AtomicBool::new(false),
            seats: (0..workers).map(|_| Arc::default()).collect(),
            witness,
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.target.host
    }

    /// A connection with room for one exchange, of this worker's or a new one.
    pub(crate) async fn take(&self, worker: usize) -> Result<(Sender, Age), Fault> {
        let Some(seat) = self.seats.get(worker) else {
            return Err(Fault::not_sent());
        };
        if let Some(kept) = seat.kept() {
            return Ok((kept, Age::OpenCall));
        }
        let connect = async {
            let _dialing = if self.target.tls.is_some() && !self.exclusive.load(Ordering::Relaxed) {
                let dialing = seat.dialing.lock().await;
                // What somebody else made in the meantime may do for both.
                if let Some(kept) = seat.kept() {
                    return Ok((kept, Age::OpenCall));
                }
                Some(dialing)
            } else {
                None
            };
            let sender = self.dial(seat).await?;
            Ok::<_, std::io::Error>((sender, Age::Fresh))
        };
        tokio::time::timeout(self.target.timeouts.connect, connect)
            .await
            .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
            .map_err(|error| {
                let Target { host, port, .. } = &self.target;
                debug!(%host, %port, %error, "Cannot connect to a server");
                let words = format!("cannot connect to `{host}`, port {port}: {error}");
                self.witness.failed(words);
                Fault::not_sent()
            })
    }

    /// An exchange is over, its answer read to the end.
    pub(crate) fn give_back(&self, worker: usize, sender: Sender) {
        let Sender::Exclusive(sender) = sender else {
            return;
        };
        if let Some(seat) = self.seats.get(worker) {
            let mut idle = lock(&seat.idle);
            if idle.kept.len() < MAX_IDLE {
                idle.kept.push((Instant::now(), sender));
            }
            if !std::mem::replace(&mut idle.swept, true) {
                tokio::spawn(sweep(Arc::downgrade(seat), self.target.timeouts.idle));
            }
        }
    }

    async fn dial(&self, seat: &Seat) -> std::io::Result<Sender> {
        let Target { host, port, .. } = &self.target;
        let stream = TcpStream::connect((host.as_str(), *port)).await?;
        socket::prepare(&stream, self.target.timeouts.dead_peer)?;
        let Some((connector, name)) = &self.target.tls else {
            return exclusive(stream).await;
        };
        let stream = connector.connect(name.clone(), stream).await?;
        let multiplexes = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.exclusive.store(!multiplexes, Ordering::Relaxed);
        if multiplexes {
            let shared = shared(stream, socket::ping(self.target.timeouts.dead_peer)).await?;
            lock(&seat.shared).push(Arc::clone(&shared));
            Ok(Sender::Multiplexed(Stream::on(shared)))
        } else {
            exclusive(stream).await
        }
    }
}

// === impl Seat ===

impl Seat {
    /// A connection that is there already and has room.
    fn kept(&self) -> Option<Sender> {
        {
            let mut idle = lock(&self.idle);
            while let Some((_, sender)) = idle.kept.pop() {
                if !sender.is_closed() {
                    return Some(Sender::Exclusive(sender));
                }
            }
        }
        let mut shared = lock(&self.shared);
        shared.retain(|connection| !connection.sender.is_closed());
        let chosen = shared.iter().find(|connection| connection.has_room())?;
        let stream = Stream::on(Arc::clone(chosen));
        // What a crowd needed is let go when the crowd is gone.
        shared.retain(|connection| connection.open.load(Ordering::Relaxed) > 0);
        Some(Sender::Multiplexed(stream))
    }
}

/// Closes the connections of a seat that wait too long, until none is left.
async fn sweep(seat: Weak<Seat>, longest: Duration) {
    loop {
        tokio::time::sleep(longest).await;
        let Some(seat) = seat.upgrade() else { return };
        let mut idle = lock(&seat.idle);
        idle.kept.retain(|(since, _)| since.elapsed() < longest);
        if idle.kept.is_empty() {
            idle.swept = false;
            return;
        }
    }
}

// === impl Shared ===

impl Multiplexed {
    fn has_room(&self) -> bool {
        let room = self.room.load(Ordering::Relaxed).min(MOST_STREAMS);
        self.open.load(Ordering::Relaxed) < room
    }
}

// === impl Stream ===

impl Stream {
    fn on(shared: Arc<Multiplexed>) -> Self {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Sender ===

impl Sender {
    /// Waits until it can take a message.
    pub(crate) async fn ready(&mut self) -> hyper::Result<()> {
        match self {
            Self::Exclusive(sender) => sender.ready().await,
            Self::Multiplexed(stream) => stream.0.sender.clone().ready().await,
        }
    }

    /// Sends; a message of which nothing was sent comes back with the error.
    pub(crate) async fn try_send(
        &mut self,
        message: Message,
    ) -> Result<Response<Incoming>, TrySendError<Message>> {
        match self {
            Self::Exclusive(sender) => sender.try_send_request(message).await,
            Self::Multiplexed(stream) => stream.0.sender.clone().try_send_request(message).await,
        }
    }
}

async fn exclusive<S>(stream: S) -> std::io::Result<Sender>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_LIMIT)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    // Owned by the connection itself: it ends when the sender is dropped or the
    // upstream closes.
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "An upstream connection ended");
        }
    });
    Ok(Sender::Exclusive(sender))
}

async fn shared<S>(stream: S, ping: Duration) -> std::io::Result<Arc<Multiplexed>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .initial_max_send_streams(UNSAID)
        .keep_alive_interval(ping)
        .keep_alive_timeout(ping)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    // The upstream says so first of all; nothing tells us when it has been read.
    let begun = Instant::now();
    while connection.current_max_send_streams() == UNSAID && begun.elapsed() < SETTINGS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let room = Arc::new(AtomicUsize::new(connection.current_max_send_streams()));
    let seen = Arc::clone(&room);
    // Owned by the connection itself: it ends when the last sender is dropped or
    // the upstream closes.
    tokio::spawn(async move {
        let mut connection = std::pin::pin!(connection);
        let ended = poll_fn(|context| {
            let polled = connection.as_mut().poll(context);
            // What the upstream takes may change at any time.
            seen.store(connection.current_max_send_streams(), Ordering::Relaxed);
            polled
        });
        if let Err(error) = ended.await {
            debug!(%error, "An upstream connection ended");
        }
    });
    Ok(Arc::new(Multiplexed {
        sender,
        open: AtomicUsize::new(0),
        room,
    }))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
