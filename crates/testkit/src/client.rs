//! An MCP client for tests: the same questions over HTTP and over stdio, answers as they came.
//!
//! It speaks the legacy era, or the modern one when it is told to ([`Client::modern`]).

mod era;
mod http;
mod inbox;
mod modern;
mod stdio;

use crate::process::Start;
use crate::wait::{wait_for, within};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};

use era::Modern;
use inbox::Inbox;

pub use http::HttpLink;
pub use inbox::polite;
pub use modern::Subscription;
pub use stdio::StdioLink;

/// The protocol revision that [`Client::connect`] asks for.
pub const VERSION: &str = crate::fixture::LATEST;

/// A client. A clone is another handle on the same one.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    link: Link,
    /// What the server said besides responses: notifications and requests, in order.
    inbox: Inbox,
    last_id: AtomicU64,
    /// What makes it modern, if it is.
    modern: Option<Arc<Modern>>,
}

enum Link {
    Http(HttpLink),
    Stdio(StdioLink),
}

// === impl Client ===

impl Client {
    /// A client for a URL; with a token, `Authorization: Bearer` is sent. Nothing is sent yet.
    pub fn http(url: &str, token: Option<&str>) -> Client {
        Client::new(|inbox| Link::Http(HttpLink::new(url, token, inbox)))
    }

    /// Starts a program and talks to it. It is killed when the last handle is dropped.
    ///
    /// # Panics
    /// When it does not start.
    pub fn stdio(start: &Start) -> Client {
        Client::new(|inbox| Link::Stdio(StdioLink::spawn(start, inbox)))
    }

    /// Talks to whoever holds the other end.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Client {
        Client::new(|inbox| Link::Stdio(StdioLink::over(stream, inbox)))
    }

    fn new(link: impl FnOnce(Inbox) -> Link) -> Client {
        let inbox = Inbox::default();
        let link = link(inbox.clone());
        Client(Arc::new(Inner {
            link,
            inbox,
            last_id: AtomicU64::new(0),
            modern: None,
        }))
    }

    /// Initializes the session (in the modern era: asks the server who it is) and returns the server's result.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect(&self) -> Value {
        match self.0.modern {
            Some(_) => self.discover().await,
            None => self.connect_as(VERSION).await,
        }
    }

    /// The same with a protocol revision of choice.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect_as(&self, version: &str) -> Value {
        let usual = json!({"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}});
        self.connect_with(version, usual).await
    }

    /// The same with capabilities of choice.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect_with(&self, version: &str, capabilities: Value) -> Value {
        let answer = self
            .request(
                "initialize",
                json!({
                    "protocolVersion": version,
                    "capabilities": capabilities,
                    "clientInfo": {"name": "provost-testkit", "version": "1.0.0"},
                }),
            )
            .await;
        let result = answer
            .get("result")
            .unwrap_or_else(|| panic!("initialize was refused: {answer}"))
            .clone();
        if let Link::Http(link) = &self.0.link {
            link.agree(result["protocolVersion"].as_str().unwrap_or(version));
        }
        self.notify("notifications/initialized", json!({})).await;
        result
    }

    /// The next id of a request.
    pub fn next_id(&self) -> u64 {
        self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Asks, and returns the whole response. Params of null are left out.
    ///
    /// # Panics
    /// When no response comes.
    pub async fn request(&self, method: &str, params: Value) -> Value {
        self.request_as(self.next_id(), method, params).await
    }

    /// The same with an id that the test knows, to cancel it for example.
    ///
    /// # Panics
    /// When no response comes.
    pub async fn request_as(&self, id: u64, method: &str, params: Value) -> Value {
        let mut message = json!({"jsonrpc": "2.0", "id": id, "method": method});
        if !params.is_null() {
            message["params"] = params;
        }
        if let Some(modern) = &self.0.modern {
            modern.wrap(&mut message);
        }
        let exchange = async {
            match &self.0.link {
                Link::Http(link) => link.exchange(&message).await,
                Link::Stdio(link) => link.exchange(&message).await,
            }
        };
        match within(&format!("the response to `{method}`"), exchange).await {
            Ok(response) => response,
            Err(e) => panic!("`{method}` failed: {e:#}"),
        }
    }

    /// Calls a tool, and returns the whole response.
    ///
    /// # Panics
    /// When no response comes.
    pub async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
            .await
    }

    /// The names of the listed tools, of all pages.
    ///
    /// # Panics
    /// When the list is refused.
    pub async fn tools(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut params = json!({});
        loop {
            let answer = self.request("tools/list", params).await;
            let tools = answer["result"]["tools"]
                .as_array()
                .unwrap_or_else(|| panic!("no list: {answer}"));
            if let Some(modern) = &self.0.modern {
                modern.learn(tools);
            }
            names.extend(
                tools
                    .iter()
                    .map(|tool| tool["name"].as_str().expect("a tool has a name").to_owned()),
            );
            match answer["result"].get("nextCursor") {
                Some(cursor) => params = json!({"cursor": cursor}),
                None => return names,
            }
        }
    }

    /// Sends a notification.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub async fn notify(&self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
            .await;
    }

    /// Cancels a request: with a notification, or in the modern era over HTTP by closing its stream.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub async fn cancel(&self, id: u64) {
        if let (Some(modern), Link::Http(_)) = (&self.0.modern, &self.0.link) {
            modern.give_up(&json!(id));
            return;
        }
        self.notify(
            "notifications/cancelled",
            json!({"requestId": id, "reason": "a test wants it"}),
        )
        .await;
    }

    /// Sends a message that wants no answer.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub async fn send(&self, message: &Value) {
        let sent = match &self.0.link {
            Link::Http(link) => link.send(message).await,
            Link::Stdio(link) => link.write(message.to_string()),
        };
        sent.unwrap_or_else(|e| panic!("{message} was not taken: {e:#}"));
    }

    /// The HTTP side, for tests that need headers and statuses.
    ///
    /// # Panics
    /// When this client talks over stdio.
    pub fn as_http(&self) -> &HttpLink {
        match &self.0.link {
            Link::Http(link) => link,
            Link::Stdio(_) => panic!("this client talks over stdio"),
        }
    }

    /// The stdio side, for tests that need raw lines.
    ///
    /// # Panics
    /// When this client talks over HTTP.
    pub fn as_stdio(&self) -> &StdioLink {
        match &self.0.link {
            Link::Stdio(link) => link,
            Link::Http(_) => panic!("this client talks over HTTP"),
        }
    }

    /// Opens the stream for what belongs to no request. Over stdio it is always there.
    ///
    /// # Panics
    /// When the server refuses it.
    pub async fn listen(&self) {
        if let Link::Http(link) = &self.0.link {
            link.listen().await;
        }
    }

    /// Notifications and requests of the server so far, in order.
    pub fn inbox(&self) -> Vec<Value> {
        self.0.inbox.messages.lock().unwrap().clone()
    }

    /// The same, and over stdio responses that nobody waited for too.
    pub fn everything(&self) -> Vec<Value> {
        match &self.0.link {
            Link::Stdio(link) => link.messages(),
            Link::Http(_) => self.inbox(),
        }
    }

    /// The params of all notifications and requests of a method so far.
    pub fn received(&self, method: &str) -> Vec<Value> {
        self.inbox()
            .into_iter()
            .filter(|m| m["method"] == method)
            .map(|m| m["params"].clone())
            .collect()
    }

    /// Waits for a notification or request, and returns its params.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn wait_for(&self, method: &str) -> Value {
        wait_for(&format!("`{method}` from the server"), async || {
            self.received(method).into_iter().next()
        })
        .await
    }

    /// Answers requests of the server differently from [`polite`].
    pub fn on_request(&self, answer: impl Fn(&str, &Value) -> Value + Send + Sync + 'static) {
        *self.0.inbox.answering.lock().unwrap() = Arc::new(answer);
    }

    /// Ends the session: DELETE over HTTP, the end of the input over stdio.
    pub async fn close(&self) {
        match &self.0.link {
            Link::Http(link) => link.delete().await,
            Link::Stdio(link) => link.end_input(),
        }
    }
}
