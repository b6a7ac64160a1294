//! An MCP server that answers calls with whatever it was told to, and says on its
//! stream whatever it was told to: for measuring what a server can do to a gateway.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use anyhow::Result;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What it answers and says.
#[derive(Default)]
struct Script {
    /// The whole answer to the next call, id 7.
    answer: Bytes,
    /// One event that its streams repeat for ever.
    event: Bytes,
}

/// The server; it is there until the runtime ends.
#[derive(Clone)]
pub(super) struct Scripted {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

type Reply = Response<Out>;

/// One piece, or the same event for ever (nothing ever, when it is empty).
enum Out {
    Whole(Option<Bytes>),
    Forever(Bytes),
}

impl Body for Out {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Out::Whole(whole) => Poll::Ready(whole.take().map(|whole| Ok(Frame::data(whole)))),
            Out::Forever(event) if event.is_empty() => Poll::Pending,
            Out::Forever(event) => Poll::Ready(Some(Ok(Frame::data(event.clone())))),
        }
    }
}

impl Scripted {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Self {
            address: listener.local_addr()?,
            script: Arc::default(),
        };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let own = own.clone();
                tokio::spawn(async move {
                    let serve = service_fn(move |request| {
                        let own = own.clone();
                        async move { Ok::<_, Infallible>(own.serve(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    // Whoever goes away in the middle is gone.
                    drop(
                        connection
                            .serve_connection(TokioIo::new(socket), serve)
                            .await,
                    );
                });
            }
        });
        Ok(server)
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Answers the calls that follow with this.
    pub(super) fn answers(&self, answer: impl Into<Bytes>) {
        self.script().answer = answer.into();
    }

    /// Says this again and again on the streams that are opened from now on.
    pub(super) fn says(&self, message: &str) {
        self.script().event = match message.is_empty() {
            true => Bytes::new(),
            false => Bytes::from(format!("data: {message}\n\n")),
        };
    }

    fn script(&self) -> std::sync::MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, request: Request<Incoming>) -> Reply {
        match *request.method() {
            Method::POST => {}
            Method::GET => return self.stream(),
            _ => return whole("application/json", Bytes::new()),
        }
        let Ok(body) = request.into_body().collect().await else {
            return whole("application/json", Bytes::new());
        };
        let body = body.to_bytes();
        // What is sent to it can be anything; a plain search finds what matters.
        let is = |method: &str| holds(&body, format!("\"method\":\"{method}\"").as_bytes());
        if is("initialize") {
            let id = serde_json::from_slice::<Value>(&body).map_or(json!(1), |m| m["id"].clone());
            let result = json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "resources": {"subscribe": true}, "logging": {}}, "serverInfo": {"name": "scripted", "version": "1"}});
            let answer = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
            let mut reply = whole("application/json", Bytes::from(answer));
            let session = HeaderValue::from_static("scripted");
            reply.headers_mut().insert("mcp-session-id", session);
            return reply;
        }
        if is("tools/call") || is("tools/list") {
            return whole("application/json", self.script().answer.clone());
        }
        if holds(&body, b"\"id\":") {
            let answer = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
            return whole("application/json", Bytes::from_static(answer.as_bytes()));
        }
        let mut reply = whole("application/json", Bytes::new());
        *reply.status_mut() = hyper::StatusCode::ACCEPTED;
        reply
    }

    fn stream(&self) -> Reply {
        let event = self.script().event.clone();
        let mut reply = Response::new(Out::Forever(event));
        let kind = HeaderValue::from_static("text/event-stream");
        reply.headers_mut().insert(CONTENT_TYPE, kind);
        reply
    }
}

fn whole(kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Out::Whole(Some(body)));
    let kind = HeaderValue::from_static(kind);
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}

fn holds(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
