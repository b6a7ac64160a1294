//! A reverse proxy that adds one header to every request and touches nothing else: the harness cannot send a token.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A running forwarder; it stops when it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    url: String,
    task: AbortHandle,
    seen: watch::Receiver<Seen>,
}

/// What has passed so far.
#[derive(Debug, Default)]
struct Seen {
    /// A session was opened.
    session: bool,
    /// A GET, which is how a session's stream is opened, was answered.
    stream: bool,
}

/// Where requests go, and what is added to them.
#[derive(Debug)]
struct Onward {
    authority: String,
    authorization: HeaderValue,
    seen: watch::Sender<Seen>,
}

type Body = BoxBody<Bytes, hyper::Error>;

impl Forwarder {
    /// Forwards to `url`, with a bearer token.
    ///
    /// # Errors
    /// When no port is free, or the URL is not one.
    pub async fn start(url: &str, token: &str) -> Result<Self> {
        let target: hyper::Uri = url.parse()?;
        let (sender, seen) = watch::channel(Seen::default());
        let onward = Arc::new(Onward {
            authority: target.authority().context("a host")?.to_string(),
            authorization: HeaderValue::from_str(&format!("Bearer {token}"))?,
            seen: sender,
        });
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}{}", listener.local_addr()?, target.path());
        let task = tokio::spawn(accept(listener, onward)).abort_handle();
        Ok(Self { url, task, seen })
    }

    /// Waits until the session, if there is one, has its stream: clients open it beside their requests, and a scenario
    /// that counts streams must not meet it later.
    pub async fn settled(&self) {
        let settled = |seen: &Seen| seen.stream || !seen.session;
        // It can only fail when the forwarder is gone, and then nothing else works.
        drop(self.seen.clone().wait_for(settled).await);
    }

    /// The same endpoint, as the harness reaches it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, onward: Arc<Onward>) {
    while let Ok((stream, _)) = listener.accept().await {
        let onward = onward.clone();
        let service = service_fn(move |request| {
            let onward = onward.clone();
            async move { Ok::<_, Infallible>(onward.send(request).await) }
        });
        let server = hyper::server::conn::http1::Builder::new();
        // A client that leaves in the middle is none of our business.
        tokio::spawn(async move { server.serve_connection(TokioIo::new(stream), service).await });
    }
}

impl Onward {
    async fn send(&self, request: Request<Incoming>) -> Response<Body> {
        match self.exchange(request).await {
            Ok(response) => response.map(BodyExt::boxed),
            Err(_) => {
                let nothing = Empty::new().map_err(|never| match never {}).boxed();
                let mut response = Response::new(nothing);
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    /// A connection for each request, so that whoever leaves closes exactly his own.
    async fn exchange(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.authorization.clone());
        let stream = request.method() == Method::GET;
        let response = sender.send_request(request).await?;
        self.seen.send_modify(|seen| {
            seen.session |= response.headers().contains_key("mcp-session-id");
            seen.stream |= stream;
        });
        Ok(response)
    }
}
