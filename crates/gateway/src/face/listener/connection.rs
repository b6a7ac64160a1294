//! One connection of an agent: its protocol, its bounds, and when it is given up.

use std::convert::Infallible;
use std::net::TcpStream as StdStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tracing::debug;

use super::crowd::Member;
use crate::face::body::Out;
use crate::face::{guard::Guard, http};
use crate::host::socket;
use crate::state::worker::Worker;

/// How long a connection may take over TLS or over the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest head of a request, in bytes, and its most headers. As much is buffered
/// of a connection, and set aside for it (`budget`).
const HEAD_LIMIT: usize = 32 * 1024;
const MOST_HEADERS: usize = 100;
/// Requests of one HTTP/2 connection at a time.
const MOST_STREAMS: u32 = 256;
/// Streams of HTTP/2 that were reset before they were looked at.
const MOST_RESETS: usize = 20;
/// What may wait for an agent to read it, for each stream of HTTP/2.
const SEND_BUFFER: usize = 64 * 1024;
/// How much of a body may come unasked on HTTP/2, and of all bodies together.
/// Bodies are read as they come, so a small window costs nothing.
const WINDOW: u32 = 128 * 1024;
const ALL_WINDOWS: u32 = 2 * WINDOW;
/// How long a connection that is closed here may take over its end.
const GOODBYE: Duration = Duration::from_secs(2);

/// What all connections have in common.
pub(super) struct Terms {
    pub(super) guard: Guard,
    pub(super) tls: Option<TlsAcceptor>,
}

/// What a connection has done so far.
struct Life {
    /// Requests that came.
    begun: AtomicU64,
    known: AtomicBool,
    member: Member,
}

/// A request on its way; over when it is dropped.
struct Begun(Arc<Life>);

/// A body that counts as open until it is gone.
struct Counted {
    out: Out,
    _begun: Begun,
}

/// Why a connection is ended here.
enum Ending {
    Stopping,
    Idle,
    SentAway,
}

/// Serves one connection to its end.
pub(super) async fn serve(stream: StdStream, worker: Worker, terms: Arc<Terms>, member: Member) {
    let dead_after = worker.shared.settings.dead_peer;
    let stream = TcpStream::from_std(stream)
        .and_then(|stream| socket::prepare(&stream, dead_after).map(|()| stream));
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "A connection was gone before it was served"),
    };
    let head = head_timeout(&worker);
    match &terms.tls {
        None => speak(stream, worker, Arc::clone(&terms), member).await,
        Some(tls) => {
            let handshake = tokio::select! {
                handshake = tokio::time::timeout(head, tls.accept(stream)) => handshake,
                () = member.sent_away.cancelled() => return,
            };
            match handshake {
                Ok(Ok(stream)) => speak(stream, worker, Arc::clone(&terms), member).await,
                Ok(Err(error)) => debug!(%error, "A TLS handshake failed"),
                Err(_) => debug!("A TLS handshake took too long"),
            }
        }
    }
}

fn head_timeout(worker: &Worker) -> Duration {
    HEAD_TIMEOUT.min(worker.shared.settings.request_timeout)
}

async fn speak<S>(stream: S, worker: Worker, terms: Arc<Terms>, member: Member)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stopping = worker.shared.stopping.clone();
    let head = head_timeout(&worker);
    let idle = worker.shared.settings.idle_connection;
    let ping = socket::ping(worker.shared.settings.dead_peer);
    let sent_away = member.sent_away.clone();
    let life = Arc::new(Life::new(member));
    let service = {
        let life = Arc::clone(&life);
        service_fn(move |request| {
            let begun = Life::begin(&life);
            let (worker, terms) = (worker.clone(), Arc::clone(&terms));
            async move {
                let response = http::serve(worker, &terms.guard, request).await;
                if response.status().is_success() {
                    begun.0.is_known();
                }
                Ok::<_, Infallible>(response.map(|out| Counted { out, _begun: begun }))
            }
        })
    };
    let builder = builder(head, ping);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ending = tokio::select! {
        ended = connection.as_mut() => return note(ended),
        () = stopping.cancelled() => Ending::Stopping,
        () = life.runs_dry(head, idle) => Ending::Idle,
        () = sent_away.cancelled() => Ending::SentAway,
    };
    match ending {
        Ending::Stopping => {
            connection.as_mut().graceful_shutdown();
            note(connection.await);
        }
        Ending::SentAway if life.begun.load(Ordering::Relaxed) == 0 => {
            debug!("Closed a connection that had sent no request, to make room for others");
        }
        // One that brought requests may be sending another one just now.
        Ending::Idle | Ending::SentAway => {
            connection.as_mut().graceful_shutdown();
            if let Ok(ended) = tokio::time::timeout(GOODBYE, connection).await {
                note(ended);
            }
        }
    }
}

/// Both protocols, with bounds for what a peer may make us hold or do.
fn builder(head: Duration, ping: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_headers(MOST_HEADERS)
        .max_buf_size(HEAD_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HEAD_LIMIT).unwrap_or(u32::MAX))
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(ALL_WINDOWS)
        .keep_alive_interval(ping)
        .keep_alive_timeout(ping);
    builder
}

fn note<E: std::fmt::Display>(ended: Result<(), E>) {
    if let Err(error) = ended {
        debug!(%error, "A connection of an agent ended");
    }
}

// === impl Life ===

impl Life {
    fn new(member: Member) -> Self {
        Self {
            begun: AtomicU64::new(0),
            known: AtomicBool::new(false),
            member,
        }
    }

    fn begin(life: &Arc<Self>) -> Begun {
        life.begun.fetch_add(1, Ordering::Relaxed);
        life.member.begin();
        Begun(Arc::clone(life))
    }

    /// Something was served, so whoever is there may be there.
    fn is_known(&self) {
        if !self.known.load(Ordering::Relaxed) && !self.known.swap(true, Ordering::Relaxed) {
            self.member.is_known();
        }
    }

    /// Ends when no request came for too long: the first one is due soon.
    async fn runs_dry(&self, head: Duration, idle: Duration) {
        tokio::time::sleep(head).await;
        let mut before = self.begun.load(Ordering::Relaxed);
        while before > 0 {
            tokio::time::sleep(idle).await;
            let now = self.begun.load(Ordering::Relaxed);
            if now == before && self.member.is_idle() {
                return;
            }
            before = now;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        self.0.member.end();
    }
}

// === impl Counted ===

impl Body for Counted {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.get_mut().out).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.out.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.out.size_hint()
    }
}
