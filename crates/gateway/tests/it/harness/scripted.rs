//! A server over HTTP that says what it is told to, byte for byte: one request on
//! each connection, which stays open until the other side closes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a server says to a request.
pub(crate) enum Said {
    /// These bytes.
    Now(Vec<u8>),
    /// These, but only once it was let go.
    Later(Vec<u8>),
}

/// A server that says what it is told to.
pub(crate) struct ScriptedServer {
    pub(crate) url: String,
    seen: Arc<Seen>,
    go: watch::Sender<bool>,
    accepts: watch::Sender<bool>,
}

#[derive(Default)]
struct Seen {
    held_back: AtomicUsize,
    waiting: AtomicUsize,
    most_waiting: AtomicUsize,
}

// === impl ScriptedServer ===

impl ScriptedServer {
    pub(crate) async fn start(
        say: impl Fn(&Value) -> Said + Send + Sync + 'static,
    ) -> ScriptedServer {
        ScriptedServer::on(TcpListener::bind("127.0.0.1:0").await.unwrap(), say)
    }

    /// The same behind a listener of one's own.
    pub(crate) fn on(
        listener: TcpListener,
        say: impl Fn(&Value) -> Said + Send + Sync + 'static,
    ) -> ScriptedServer {
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let (go, gone) = watch::channel(false);
        let (accepts, mut accepting) = watch::channel(true);
        let (say, seen) = (Arc::new(say), Arc::new(Seen::default()));
        let all = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                if accepting.wait_for(|accepting| *accepting).await.is_err() {
                    return;
                }
                let Ok((socket, _)) = listener.accept().await else {
                    return;
                };
                let (say, seen) = (Arc::clone(&say), Arc::clone(&all));
                let gone = gone.clone();
                tokio::spawn(async move { serve(socket, &*say, &seen, gone).await });
            }
        });
        ScriptedServer {
            url,
            seen,
            go,
            accepts,
        }
    }

    /// Whether connections are accepted after the next one.
    pub(crate) fn accept(&self, accepts: bool) {
        self.accepts.send_replace(accepts);
    }

    /// Requests whose answers were held back, so far.
    pub(crate) fn held_back(&self) -> usize {
        self.seen.held_back.load(Ordering::SeqCst)
    }

    /// The most answers that were held back at a time.
    pub(crate) fn most_waiting(&self) -> usize {
        self.seen.most_waiting.load(Ordering::SeqCst)
    }

    /// From now on nothing is held back.
    pub(crate) fn let_go(&self) {
        self.go.send_replace(true);
    }
}

async fn serve(
    mut socket: TcpStream,
    say: &(impl Fn(&Value) -> Said + Sync),
    seen: &Seen,
    mut gone: watch::Receiver<bool>,
) {
    let Some(message) = request(&mut socket).await else {
        return;
    };
    let bytes = match say(&message) {
        Said::Now(bytes) => bytes,
        Said::Later(bytes) => {
            seen.held_back.fetch_add(1, Ordering::SeqCst);
            let waiting = seen.waiting.fetch_add(1, Ordering::SeqCst) + 1;
            seen.most_waiting.fetch_max(waiting, Ordering::SeqCst);
            drop(gone.wait_for(|gone| *gone).await);
            seen.waiting.fetch_sub(1, Ordering::SeqCst);
            bytes
        }
    };
    drop(socket.write_all(&bytes).await);
    // Until the other side has enough of it.
    drop(socket.read(&mut [0]).await);
}

/// The message of a POST; null for a request without one.
async fn request(socket: &mut TcpStream) -> Option<Value> {
    let mut text = String::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.map_or("0", |rest| rest.lines().next().unwrap_or("0"));
            if body.len() >= length.parse().ok()? {
                return Some(serde_json::from_str(body).unwrap_or_default());
            }
        }
        let Ok(length @ 1..) = socket.read(&mut chunk).await else {
            return None;
        };
        text.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
}

/// A whole answer.
fn whole(status: &str, body: &str) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    head.into_bytes()
}

/// What an honest server answers: calls with a text, notifications with 202.
pub(crate) fn honest(message: &Value) -> Vec<u8> {
    let id = &message["id"];
    let result = match message["method"].as_str() {
        Some("initialize") => {
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "s", "version": "1"}})
        }
        Some("tools/call") => json!({"content": [{"type": "text", "text": "honest"}]}),
        _ if id.is_null() => return whole("202 Accepted", ""),
        _ => json!({}),
    };
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": result});
    whole("200 OK", &answer.to_string())
}

/// The beginning of a stream whose first line never ends.
pub(crate) fn endless_line(length: usize) -> Vec<u8> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\ndata: ";
    [head.as_bytes(), &vec![b'x'; length]].concat()
}
