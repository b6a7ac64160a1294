//! `admin.sock`: requests of this user's own commands, health and metrics.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{get, post};
use provost_store::{Act, Actor, ExportFormat, Store, Trust};
use serde::de::DeserializeOwned;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tracing::warn;

use super::agent_socket::Client;
use super::lifecycle::{Daemon, Restoring, wanted};
use super::overview;
use crate::admin::{
    AuditFormat, Control, LogQuery, PAGE, Reply, Request, Response, execute, select,
};
use crate::failure::{Failure, Outcome};
use crate::runtime::blocking;

/// How often a follower looks whether the journal has grown. It asks memory, not the disk.
const FOLLOW_TICK: Duration = Duration::from_millis(100);
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
        .route("/v1/control", post(control))
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
    // A task of the daemon's, not of the connection: whoever asked may go away in the middle.
    let tasks = daemon.tasks.clone();
    let executed = tasks.spawn(async move { run_command(&daemon, &body).await });
    reply(
        executed
            .await
            .unwrap_or_else(|error| Err(Failure::internal("the request broke off").because(error))),
    )
}

async fn run_command(daemon: &Daemon, body: &[u8]) -> Outcome<Response> {
    let request: Request = parse(body)?;
    let changes = request.changes_calls();
    let store = daemon.store.clone();
    let response = blocking(move || execute(&store, request)).await?;
    if changes {
        // Before the answer: what the person was told is in force holds for the next message.
        reload(daemon).await?;
    }
    Ok(response)
}

/// Makes sure that what the store holds is in force.
pub(super) async fn reload(daemon: &Daemon) -> Outcome {
    let engine = daemon.engine.clone();
    blocking(move || engine.reload()).await
}

async fn control(State(daemon): Shared, body: Bytes) -> HttpResponse {
    match parse::<Control>(&body) {
        Err(failure) => reply::<()>(Err(failure)),
        Ok(Control::Status) => reply(Ok(daemon.status())),
        Ok(Control::Overview) => reply(blocking(move || overview::overview(&daemon)).await),
        Ok(Control::Stop) => reply(Ok(stop(&daemon).await)),
        Ok(Control::TestServer { name }) => {
            // A daemon that started itself does not leave while somebody waits for a server.
            let _client = Client::new(&daemon.clients);
            reply(daemon.engine.test_server(&name).await)
        }
        Ok(Control::Restore {
            archive,
            unverified,
        }) => {
            let trust = if unverified {
                Trust::Unverified
            } else {
                Trust::Verified
            };
            reply(restore(&daemon, archive, trust).await)
        }
        Ok(listen @ Control::Listen { .. }) => {
            reply(blocking(move || open_listener(&daemon, listen)).await)
        }
    }
}

/// Who asks over the administration socket.
fn admin() -> Actor {
    Actor::new("admin")
}

/// Records that the daemon is told to end, and begins with it.
async fn stop(daemon: &Arc<Daemon>) -> crate::admin::DaemonStatus {
    record_end(daemon, "asked to stop".to_owned()).await;
    daemon.stop.cancel();
    daemon.status()
}

async fn record_end(daemon: &Arc<Daemon>, why: String) {
    let at = Arc::clone(daemon);
    let recorded = blocking(move || {
        at.record(&admin(), Act::DaemonEnd, Some(&why));
        Ok(())
    });
    // A thread that broke off has said so in the log.
    drop(recorded.await);
}

fn open_listener(daemon: &Daemon, control: Control) -> Outcome<crate::admin::DaemonStatus> {
    if let Control::Listen { limits, .. } = &control {
        daemon.check_limits(limits)?;
    }
    if let Some(listen) = wanted(control)? {
        daemon.listen(&admin(), &listen)?;
    }
    Ok(daemon.status())
}

/// The daemon stops, restores, answers, and starts again.
async fn restore(
    daemon: &Arc<Daemon>,
    archive: std::path::PathBuf,
    trust: Trust,
) -> Outcome<crate::admin::Restored> {
    if !archive.is_file() {
        return Err(Failure::not_found(format!(
            "there is no archive `{}`",
            archive.display()
        )));
    }
    record_end(daemon, format!("to restore {}", archive.display())).await;
    let (told, result) = tokio::sync::oneshot::channel();
    *daemon
        .restore
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Restoring {
        archive,
        trust,
        told,
    });
    daemon.stop.cancel();
    result
        .await
        .map_err(|_| Failure::conflict("the daemon is stopping already"))?
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
    let query: LogQuery = match parse(&body) {
        Ok(query) => query,
        Err(failure) => return reply::<()>(Err(failure)),
    };
    let (sender, receiver) = mpsc::channel(EXPORT_CHUNKS);
    tokio::spawn(async move {
        let stop = daemon.stop.clone();
        tokio::select! {
            () = stop.cancelled() => {}
            result = send_records(&daemon.store, query, &sender) => {
                if let Err(failure) = result {
                    drop(sender.send(Ok(line(&Reply::<()>::Error(failure)))).await);
                }
            }
        }
    });
    streamed(receiver)
}

async fn send_records(
    store: &Store,
    mut query: LogQuery,
    sender: &mpsc::Sender<Result<Bytes, Infallible>>,
) -> Outcome {
    let mut seen = None;
    if query.limit.is_none() {
        // Everything: from the oldest on, page by page.
        query.after = query.after.or(Some(0));
    }
    let mut tick = tokio::time::interval(FOLLOW_TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        if sender.is_closed() {
            return Ok(());
        }
        let head = store.audit_head().number;
        if seen == Some(head) {
            continue;
        }
        seen = Some(head);
        loop {
            let (at, asked) = (store.clone(), query.clone());
            let records = blocking(move || select(&at, &asked)).await?;
            let more = records.len() >= PAGE as usize;
            // A call without an outcome is shown once, as it is; later lines are later calls. What
            // was looked at up to the head and not selected is never looked at again.
            let shown = records.last().map_or(0, |record| record.number);
            let reached = if more { shown } else { shown.max(head) };
            query.after = Some(reached.max(query.after.unwrap_or(0)));
            query.limit = None;
            if !records.is_empty() {
                let text: Vec<u8> = records.iter().flat_map(line).collect();
                if sender.send(Ok(Bytes::from(text))).await.is_err() {
                    return Ok(());
                }
            }
            if !more {
                break;
            }
        }
    }
}

async fn export(State(daemon): Shared, body: Bytes) -> HttpResponse {
    let format: AuditFormat = match parse(&body) {
        Ok(format) => format,
        Err(failure) => return reply::<()>(Err(failure)),
    };
    let (sender, receiver) = mpsc::channel(EXPORT_CHUNKS);
    let store = daemon.store.clone();
    tokio::task::spawn_blocking(move || {
        let mut out = std::io::BufWriter::with_capacity(CHUNK, Pieces(sender));
        if let Err(error) = store.audit_export(export_format(format), &mut out) {
            // The reader sees a body without its end, and says that the export is not whole.
            warn!("An export broke off: {error}");
            let (mut pieces, _) = out.into_parts();
            pieces.abort();
        }
    });
    streamed(receiver)
}

/// The store's name of a format.
pub(crate) fn export_format(format: AuditFormat) -> ExportFormat {
    match format {
        AuditFormat::Jsonl => ExportFormat::Jsonl,
        AuditFormat::Csv => ExportFormat::Csv,
    }
}

/// Sends what is written as pieces of a body.
struct Pieces(mpsc::Sender<Result<Bytes, std::io::Error>>);

// === impl Pieces ===

impl Pieces {
    fn abort(&mut self) {
        drop(
            self.0
                .blocking_send(Err(std::io::Error::other("the export broke off"))),
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
        Failure::usage("the request is not understood")
            .because(error)
            .hint("command and daemon may be of different versions; restart the daemon")
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

/// Whether the peer runs as the user of this daemon. The mode of the socket says the same; this
/// holds even if somebody changed it.
pub(super) fn is_own_user(stream: &UnixStream) -> bool {
    let own = rustix::process::getuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own => true,
        Ok(peer) => {
            warn!(
                peer.uid = peer.uid(),
                "Refused a socket connection of another user"
            );
            false
        }
        Err(error) => {
            warn!("Refused a socket connection of an unknown user: {error}");
            false
        }
    }
}
