//! The client's side of streamable HTTP.

use super::era::Modern;
use super::inbox::{Inbox, is_response};
use crate::http::{self, Reply, Stream};
use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use std::sync::{Arc, Mutex, OnceLock};

/// A URL, a token, and what was agreed upon.
#[derive(Clone)]
pub struct HttpLink(Arc<Inner>);

struct Inner {
    url: String,
    token: Option<String>,
    inbox: Inbox,
    agreed: Mutex<Agreed>,
    modern: OnceLock<Arc<Modern>>,
}

#[derive(Default)]
struct Agreed {
    session: Option<String>,
    version: Option<String>,
    listener: Option<tokio::task::AbortHandle>,
}

// === impl HttpLink ===

impl HttpLink {
    pub(super) fn new(url: &str, token: Option<&str>, inbox: Inbox) -> HttpLink {
        let token = token.map(|token| format!("Bearer {token}"));
        HttpLink(Arc::new(Inner {
            url: url.to_owned(),
            token,
            inbox,
            agreed: Mutex::default(),
            modern: OnceLock::new(),
        }))
    }

    pub(super) fn set_modern(&self, modern: &Arc<Modern>) {
        drop(self.0.modern.set(Arc::clone(modern)));
    }

    pub(super) fn agree(&self, version: &str) {
        self.0.agreed.lock().unwrap().version = Some(version.to_owned());
    }

    /// The session's id, once there is one.
    pub fn session(&self) -> Option<String> {
        self.0.agreed.lock().unwrap().session.clone()
    }

    /// Changes the session's id, for tests with somebody else's.
    pub fn set_session(&self, id: Option<&str>) {
        self.0.agreed.lock().unwrap().session = id.map(str::to_owned);
    }

    /// The headers of the session: authorization, session id, protocol version.
    pub fn headers(&self) -> Vec<(String, String)> {
        let agreed = self.0.agreed.lock().unwrap();
        let all = [
            ("authorization", self.0.token.clone()),
            ("mcp-session-id", agreed.session.clone()),
            ("mcp-protocol-version", agreed.version.clone()),
        ];
        all.into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    /// The same, and in the modern era those that repeat what stands in the message.
    pub fn headers_for(&self, message: &Value) -> Vec<(String, String)> {
        let mut headers = self.headers();
        if let Some(modern) = self.0.modern.get() {
            headers.extend(modern.headers(message));
        }
        headers
    }

    fn with_headers<'h>(
        own: &'h [(String, String)],
        more: &[(&'h str, &'h str)],
    ) -> Vec<(&'h str, &'h str)> {
        let mut all: Vec<(&str, &str)> =
            own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        all.extend_from_slice(more);
        all
    }

    /// Posts bytes as they are and reads the whole answer. The headers are those that the bytes ask for, as far as
    /// they can be read.
    pub async fn post_raw(&self, body: impl Into<bytes::Bytes>) -> Result<Reply> {
        let body = body.into();
        let own = self.headers_for(&serde_json::from_slice(&body).unwrap_or_default());
        http::post(&self.0.url, &Self::with_headers(&own, &[]), body).await
    }

    /// Posts bytes with no headers but those of every POST and the given ones; `authorization` is added.
    pub async fn post_as(
        &self,
        headers: &[(&str, &str)],
        body: impl Into<bytes::Bytes>,
    ) -> Result<Reply> {
        let token = self
            .0
            .token
            .as_deref()
            .map(|token| ("authorization", token));
        let all: Vec<(&str, &str)> = token.into_iter().chain(headers.iter().copied()).collect();
        http::post(&self.0.url, &all, body).await
    }

    /// Where this client posts to.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Posts a message and returns its answer as a stream of events.
    pub async fn post_stream(&self, message: &Value) -> Result<Stream> {
        let own = self.headers_for(message);
        let kinds = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        http::stream(
            "POST",
            &self.0.url,
            &Self::with_headers(&own, &kinds),
            message.to_string(),
        )
        .await
    }

    /// Opens a GET stream, where it left off if an event id is given.
    pub async fn get(&self, last_event_id: Option<&str>) -> Result<Stream> {
        let own = self.headers();
        let mut more = vec![("accept", "text/event-stream")];
        more.extend(last_event_id.map(|id| ("last-event-id", id)));
        http::stream("GET", &self.0.url, &Self::with_headers(&own, &more), "").await
    }

    pub(super) async fn send(&self, message: &Value) -> Result<()> {
        let reply = self.post_raw(message.to_string()).await?;
        if reply.status != 202 {
            bail!("HTTP {}: {}", reply.status, reply.text());
        }
        Ok(())
    }

    /// Sends a request and reads until its response.
    pub(super) async fn exchange(&self, message: &Value) -> Result<Value> {
        let Some(modern) = self.0.modern.get() else {
            return self.converse(message).await;
        };
        let id = &message["id"];
        let given_up = modern.begin(id);
        let answer = tokio::select! {
            answer = self.converse(message) => answer,
            // What is dropped here closes the connection.
            () = given_up.notified() => Err(anyhow!("the client gave the request up")),
        };
        modern.end(id);
        answer
    }

    /// The same, resuming when the server hangs up before (in the legacy era).
    async fn converse(&self, message: &Value) -> Result<Value> {
        let mut stream = self.post_stream(message).await?;
        if let Some(id) = stream.header("mcp-session-id") {
            self.set_session(Some(id));
        }
        let kind = stream.header("content-type").unwrap_or_default().to_owned();
        if !kind.starts_with("text/event-stream") {
            let (status, body) = (stream.status, stream.rest().await?);
            return match serde_json::from_slice(&body) {
                Ok(response) => Ok(response),
                Err(_) => bail!("HTTP {status} ({kind}): {}", String::from_utf8_lossy(&body)),
            };
        }
        let mut last = None;
        loop {
            while let Some(event) = stream.next().await {
                last = event.id.clone().or(last);
                let message = event.json();
                if message.is_null() {
                    continue;
                }
                if is_response(&message) {
                    return Ok(message);
                }
                self.take(message);
            }
            let Some(id) = last.as_ref().filter(|_| self.0.modern.get().is_none()) else {
                bail!("the stream ended without a response")
            };
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            stream = self.get(Some(id)).await?;
            if stream.status != 200 {
                bail!("the stream could not be resumed: HTTP {}", stream.status);
            }
        }
    }

    fn take(&self, message: Value) {
        if let Some(reply) = self.0.inbox.take(message) {
            let link = self.clone();
            tokio::spawn(async move { link.send(&reply).await });
        }
    }

    pub(super) async fn listen(&self) {
        let mut stream = self
            .get(None)
            .await
            .unwrap_or_else(|e| panic!("no GET stream: {e:#}"));
        assert_eq!(stream.status, 200, "the GET stream was refused");
        let link = self.clone();
        let listener = tokio::spawn(async move {
            while let Some(event) = stream.next().await {
                if !event.data.is_empty() {
                    link.take(event.json());
                }
            }
        });
        self.0.agreed.lock().unwrap().listener = Some(listener.abort_handle());
    }

    pub(super) async fn delete(&self) {
        if let Some(listener) = self.0.agreed.lock().unwrap().listener.take() {
            listener.abort();
        }
        let own = self.headers();
        drop(http::send("DELETE", &self.0.url, &Self::with_headers(&own, &[]), "").await);
    }
}
