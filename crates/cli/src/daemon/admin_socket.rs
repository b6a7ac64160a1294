//! `admin.sock`: requests of this user's own commands, health and metrics.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use provost_admin::{
    Actor, AnyRequest, AuditExport, Failure, Followed, Log, Outcome, PAGE, Page, Record, Reply,
    Sequence,
};
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tracing::warn;

use super::peer::is_own_user;
use super::running::Daemon;
use crate::runtime::blocking;

/// How much of an export waits for a slow reader.
const EXPORT_CHUNKS: usize = 8;
const CHUNK: usize = 64 * 1024;
/// The largest policy, escaped as JSON in a request, fits.
const LARGEST_REQUEST: usize = 128 << 20;

/// Accepts connections of this user only.
struct OwnUser(UnixListener);

type Shared = State<Arc<Daemon>>;

/// Serves administration until the daemon stops.
pub(super) async fn serve(listener: UnixListener, daemon: Arc<Daemon>) {
    let ended = daemon.ended.clone();
    let router = axum::Router::new()
        .route("/v1/command", post(command))
        .route("/v1/follow", post(follow))
        .route("/v1/export", post(export))
        .route("/v1/attached", post(attached))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route(
            "/metrics",
            get(|State(daemon): Shared| async move { daemon.engine.metrics() }),
        )
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(daemon);
    let served =
        axum::serve(OwnUser(listener), router).with_graceful_shutdown(ended.cancelled_owned());
    if let Err(error) = served.await {
        warn!("The administration socket failed: {error}");
    }
}

async fn command(State(daemon): Shared, body: Bytes) -> HttpResponse {
    let request: AnyRequest = match parse(&body) {
        Ok(request) => request,
        Err(failure) => return reply::<()>(Err(failure)),
    };
    // A task of the daemon's, not of the connection: whoever asked may go away in the middle. What
    // ends the daemon must not be waited for by its end.
    let ends = request.kind().needs_daemon();
    let at = Arc::clone(&daemon);
    let work = blocking(move || at.administration().answer_any(&Actor::local(), request));
    let done = match ends {
        true => tokio::spawn(work),
        false => daemon.tasks.spawn(work),
    };
    reply(done.await.unwrap_or_else(|error| {
        Err(Failure::internal("the request was not received completely").because(error))
    }))
}

/// A body that ends when the daemon does: `up` follows a daemon it has taken over.
async fn attached(State(daemon): Shared) -> HttpResponse {
    let (sender, receiver) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    tokio::spawn(async move {
        // An empty frame makes the head of the answer go out now.
        drop(sender.send(Ok(Bytes::from_static(b"attached\n"))).await);
        daemon.ended.cancelled().await;
    });
    streamed(receiver)
}

/// Records as they come, one JSON line each.
async fn follow(State(daemon): Shared, body: Bytes) -> HttpResponse {
    let query: Log = match parse(&body) {
        Ok(query) => query,
        Err(failure) => return reply::<()>(Err(failure)),
    };
    let (sender, receiver) = mpsc::channel(EXPORT_CHUNKS);
    tokio::spawn(async move {
        let stop = daemon.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            result = send_records(&daemon, query, &sender) => {
                if let Err(failure) = result {
                    drop(sender.send(Ok(line(&Reply::<()>::Error(failure)))).await);
                }
            }
        }
    });
    streamed(receiver)
}

/// First what there is, as it was asked for; then what is new or ends, when the fold has written it.
async fn send_records(
    daemon: &Arc<Daemon>,
    mut query: Log,
    sender: &mpsc::Sender<Result<Bytes, Infallible>>,
) -> Outcome {
    // In this order: what comes after the head is told of.
    let mut following = daemon.store.follow();
    let head = daemon.store.audit_head().number;
    let mut shown = HashMap::new();
    if query.order != Sequence::AsTheyChange {
        let records = all_before(daemon, &mut query, head).await?;
        // What has ended since the head is shown so already, and comes once more below.
        let ended = records.iter().filter(|record| record.changed > head);
        shown.extend(ended.map(|record| (record.number, record.changed)));
        let lines = records.into_iter().map(|record| Followed {
            record: Some(record),
            cursor: None,
        });
        let begun = Followed {
            record: None,
            cursor: Some(head),
        };
        if send_lines(sender, lines.chain([begun])).await.is_err() {
            return Ok(());
        }
        query.order = Sequence::AsTheyChange;
        query.page.cursor = Some(head.to_string());
    } else if let Some(Ok(cursor)) = query.page.cursor.as_deref().map(str::parse::<u64>) {
        // A journal that was restored meanwhile may be shorter.
        query.page.cursor = Some(cursor.min(head).to_string());
    }
    query.page.limit = None;
    loop {
        let page = select(daemon, &query).await?;
        let full = page.items.len() >= PAGE as usize;
        let new = page.items.into_iter();
        let new = new.filter(|record| shown.remove(&record.number) != Some(record.changed));
        let lines = new.map(|record| Followed {
            cursor: Some(record.changed),
            record: Some(record),
        });
        if send_lines(sender, lines).await.is_err() {
            return Ok(());
        }
        query.page.cursor = page.next;
        if full {
            continue;
        }
        tokio::select! {
            more = following.changed() => if !more { return Ok(()) },
            () = sender.closed() => return Ok(()),
        }
    }
}

/// The records up to an entry, oldest first: the newest of them, or all, as was asked for.
async fn all_before(daemon: &Arc<Daemon>, query: &mut Log, head: u64) -> Outcome<Vec<Record>> {
    let newest = query.order == Sequence::NewestFirst;
    let mut records = Vec::new();
    loop {
        let page = select(daemon, query).await?;
        records.extend(
            page.items
                .into_iter()
                .filter(|record| record.number <= head),
        );
        if newest || page.next.is_none() {
            break;
        }
        query.page.cursor = page.next;
    }
    if newest {
        records.reverse();
    }
    Ok(records)
}

async fn select(daemon: &Arc<Daemon>, query: &Log) -> Outcome<Page<Record>> {
    let (at, query) = (Arc::clone(daemon), query.clone());
    blocking(move || at.administration().follow(&Actor::local(), &query)).await
}

/// Fails when nobody reads any more.
async fn send_lines(
    sender: &mpsc::Sender<Result<Bytes, Infallible>>,
    lines: impl Iterator<Item = Followed>,
) -> Result<(), mpsc::error::SendError<Result<Bytes, Infallible>>> {
    let text: Vec<u8> = lines.flat_map(|followed| line(&followed)).collect();
    match text.is_empty() {
        true => Ok(()),
        false => sender.send(Ok(Bytes::from(text))).await,
    }
}

async fn export(State(daemon): Shared, body: Bytes) -> HttpResponse {
    let what: AuditExport = match parse(&body) {
        Ok(what) => what,
        Err(failure) => return reply::<()>(Err(failure)),
    };
    let (sender, receiver) = mpsc::channel(EXPORT_CHUNKS);
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::with_capacity(CHUNK, Pieces(sender));
        let administration = daemon.administration();
        if let Err(failure) = administration.export(&Actor::local(), &what, &mut out) {
            // The reader sees a body without its end, and says that the export is not whole.
            warn!("An export was not completed: {}", failure.message);
            let (mut pieces, _) = out.into_parts();
            pieces.abort();
        }
    });
    streamed(receiver)
}

/// Sends what is written as pieces of a body.
struct Pieces(mpsc::Sender<Result<Bytes, std::io::Error>>);

// === impl Pieces ===

impl Pieces {
    fn abort(&mut self) {
        drop(
            self.0
                .blocking_send(Err(std::io::Error::other("the export was not completed"))),
        );
    }
}

impl std::io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| std::io::Error::from(std::io::ErrorKind::BrokenPipe))
            .map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn ready(State(daemon): Shared) -> HttpResponse {
    match daemon.engine.ready() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Outcome<T> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::usage("the request cannot be read")
            .because(error)
            .hint("this command and the daemon may be of different versions; restart the daemon")
    })
}

fn reply<T: serde::Serialize>(result: Outcome<T>) -> HttpResponse {
    Json(Reply::from(result)).into_response()
}

fn line(value: &impl serde::Serialize) -> Bytes {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    Bytes::from(line)
}

fn streamed<E>(receiver: mpsc::Receiver<Result<Bytes, E>>) -> HttpResponse
where
    E: Into<axum::BoxError> + Send + 'static,
{
    Body::new(Channel(receiver)).into_response()
}

/// A body whose frames come over a channel.
struct Channel<E>(mpsc::Receiver<Result<Bytes, E>>);

// === impl Channel ===

impl<E: Into<axum::BoxError> + Send + 'static> hyper::body::Body for Channel<E> {
    type Data = Bytes;
    type Error = E;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, E>>> {
        self.0
            .poll_recv(context)
            .map(|next| next.map(|piece| piece.map(hyper::body::Frame::data)))
    }
}

// === impl OwnUser ===

impl axum::serve::Listener for OwnUser {
    type Io = UnixStream;
    type Addr = ();

    async fn accept(&mut self) -> (UnixStream, ()) {
        loop {
            let (stream, _) = axum::serve::Listener::accept(&mut self.0).await;
            if is_own_user(&stream) {
                return (stream, ());
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<()> {
        Ok(())
    }
}
