//! HTTP as it is: one request, its status, its headers, its bytes.
//!
//! Every request has a connection of its own, so that no test is helped by the connection of another one.

use crate::sse::{Event, Reader};
use crate::wait::within;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderMap;
use hyper::{Request, Response, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::collections::VecDeque;
use tokio::net::TcpStream;

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte by byte.
    pub body: Bytes,
}

/// An answer whose body is still coming, as server-sent events.
#[derive(Debug)]
pub struct Stream {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    body: Incoming,
    reader: Reader,
    ready: VecDeque<Event>,
}

/// Sends one request and reads the whole answer. Headers are sent as given; `Host` and `Content-Length` are added.
pub async fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Reply> {
    let response = open(method, url, headers, body.into()).await?;
    let (head, body) = response.into_parts();
    let body = within("the end of the answer", body.collect())
        .await
        .context("the body ended too early")?
        .to_bytes();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}

/// Posts a JSON-RPC message with the headers that streamable HTTP wants, and more if given.
pub async fn post(url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Result<Reply> {
    let mut all = vec![
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    all.extend_from_slice(headers);
    send("POST", url, &all, body).await
}

/// Sends one request and returns once the headers of the answer are there.
pub async fn stream(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Result<Stream> {
    let (head, body) = open(method, url, headers, body.into()).await?.into_parts();
    let (status, headers) = (head.status.as_u16(), head.headers);
    Ok(Stream {
        status,
        headers,
        body,
        reader: Reader::default(),
        ready: VecDeque::new(),
    })
}

async fn open(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Result<Response<Incoming>> {
    let uri: Uri = url
        .parse()
        .with_context(|| format!("`{url}` is not a URL"))?;
    let Some(authority) = uri.authority() else {
        bail!("`{url}` has no host")
    };
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let socket = TcpStream::connect(address)
        .await
        .with_context(|| format!("nobody listens at {authority}"))?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    // The connection ends by itself when the sender and the body are gone.
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder().method(method).uri(path);
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        request = request.header("host", authority.as_str());
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body))?;
    within("the head of an answer", sender.send_request(request))
        .await
        .context("no answer came")
}

// === impl Reply ===

impl Reply {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as text, whatever it is.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The events of the body.
    pub fn events(&self) -> Vec<Event> {
        crate::sse::read_all(&self.body)
    }

    /// All messages of the body: one when it is JSON, many when it is an event stream.
    ///
    /// # Panics
    /// When it is neither.
    pub fn messages(&self) -> Vec<Value> {
        if self
            .header("content-type")
            .unwrap_or_default()
            .starts_with("text/event-stream")
        {
            return self
                .events()
                .iter()
                .map(Event::json)
                .filter(|message| !message.is_null())
                .collect();
        }
        let parsed = serde_json::from_slice(&self.body);
        vec![parsed.unwrap_or_else(|e| {
            panic!(
                "{}: the body is not JSON ({e}): {}",
                self.status,
                self.text()
            )
        })]
    }

    /// The response in the body: the only message, or the last of a stream.
    ///
    /// # Panics
    /// When there is none.
    pub fn message(&self) -> Value {
        let messages = self.messages();
        messages
            .into_iter()
            .next_back()
            .unwrap_or_else(|| panic!("{}: a stream without a message", self.status))
    }
}

// === impl Stream ===

impl Stream {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next event; nothing when the stream has ended or broken off.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let frame = self.body.frame().await?.ok()?;
            if let Some(bytes) = frame.data_ref() {
                self.ready.extend(self.reader.feed(bytes));
            }
        }
    }

    /// The next event that carries a message, as JSON.
    ///
    /// # Panics
    /// When nothing comes for too long.
    pub async fn message(&mut self) -> Option<Value> {
        loop {
            let event = within("the next event", self.next()).await?;
            if !event.data.is_empty() {
                return Some(event.json());
            }
        }
    }
}

impl Stream {
    /// The rest of the body as far as it comes.
    pub async fn bytes(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(Ok(frame)) = self.body.frame().await {
            all.extend(frame.data_ref().into_iter().flatten());
        }
        all
    }

    /// The rest of the body, all at once.
    pub async fn rest(self) -> Result<Bytes> {
        Ok(within("the end of the answer", self.body.collect())
            .await
            .context("the body ended too early")?
            .to_bytes())
    }
}
