//! What only a client of the modern era can do.

use super::era::Modern;
use super::{Client, Link};
use crate::http::Stream;
use crate::modern::meta;
use crate::wait::{wait_for, within};
use serde_json::{Value, json};
use std::sync::Arc;

/// A subscription. Dropping it closes the stream over HTTP and does nothing over stdio.
pub struct Subscription {
    id: Value,
    heard: Heard,
}

enum Heard {
    Stream(Box<Stream>),
    /// Messages come to the client's inbox.
    Inbox {
        client: Client,
        next: usize,
    },
}

// === impl Client ===

impl Client {
    /// The same client, of the modern era. To be asked before anything is sent.
    ///
    /// # Panics
    /// When there is another handle on it already.
    #[must_use]
    pub fn modern(mut self) -> Client {
        let inner = Arc::get_mut(&mut self.0).expect("nobody has this client yet");
        let modern = Arc::new(Modern::default());
        if let Link::Http(link) = &mut inner.link {
            link.set_modern(&modern);
        }
        inner.modern = Some(modern);
        self
    }

    fn era(&self) -> &Modern {
        self.0.modern.as_ref().expect("this client is modern")
    }

    /// Says from now on that it can do this.
    ///
    /// # Panics
    /// When the client is not modern.
    pub fn declare(&self, capabilities: Value) {
        self.era().state.lock().unwrap().capabilities = capabilities;
    }

    /// Asks from now on for log messages; nothing asks for none.
    ///
    /// # Panics
    /// When the client is not modern.
    pub fn set_log_level(&self, level: Option<&str>) {
        self.era().state.lock().unwrap().log_level = level.map(str::to_owned);
    }

    /// Asks the server who it is, and returns the result.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn discover(&self) -> Value {
        let answer = self.request("server/discover", json!({})).await;
        let result = answer.get("result");
        result
            .unwrap_or_else(|| panic!("server/discover was refused: {answer}"))
            .clone()
    }

    /// A request with everything that a modern one has.
    ///
    /// # Panics
    /// When the client is not modern.
    pub fn wrapped(&self, id: impl Into<Value>, method: &str, params: Value) -> Value {
        let mut message =
            json!({"jsonrpc": "2.0", "id": id.into(), "method": method, "params": params});
        self.era().wrap(&mut message);
        message
    }

    /// Calls a tool, answers what it asks for as the client answers requests, and calls again until it is done.
    ///
    /// # Panics
    /// When it asks more than ten times.
    pub async fn call_through(&self, tool: &str, arguments: Value) -> Value {
        let mut params = json!({"name": tool, "arguments": arguments});
        for _ in 0..10 {
            let answer = self.request("tools/call", params.clone()).await;
            let result = &answer["result"];
            if result["resultType"] != "input_required" {
                return answer;
            }
            let members = params.as_object_mut().expect("params are an object");
            members.shift_remove("inputResponses");
            members.shift_remove("requestState");
            if let Some(questions) = result["inputRequests"].as_object() {
                params["inputResponses"] = self.answers(questions);
            }
            if let Some(state) = result.get("requestState") {
                params["requestState"] = state.clone();
            }
        }
        panic!("`{tool}` asks and asks");
    }

    /// The answers to questions, as `inputResponses` wants them.
    pub fn answers(&self, questions: &serde_json::Map<String, Value>) -> Value {
        let answering = Arc::clone(&*self.0.inbox.answering.lock().unwrap());
        let answer = |question: &Value| {
            let method = question["method"].as_str().unwrap_or_default();
            answering(method, &question["params"])["result"].take()
        };
        questions
            .iter()
            .map(|(key, question)| (key.clone(), answer(question)))
            .collect()
    }

    /// Subscribes, and returns the subscription; what the server says first is still to be read.
    ///
    /// # Panics
    /// When the server cannot be asked.
    pub async fn subscribe(&self, notifications: Value) -> Subscription {
        let id = json!(format!("listen:{}", self.next_id()));
        self.subscribe_as(id, notifications).await
    }

    /// The same with an id of choice.
    ///
    /// # Panics
    /// When the server cannot be asked.
    pub async fn subscribe_as(&self, id: Value, notifications: Value) -> Subscription {
        let params = json!({ "notifications": notifications });
        let message = self.wrapped(id.clone(), "subscriptions/listen", params);
        let heard = match &self.0.link {
            Link::Http(link) => {
                let stream = link.post_stream(&message).await;
                Heard::Stream(Box::new(stream.unwrap_or_else(|e| panic!("{e:#}"))))
            }
            Link::Stdio(link) => {
                let next = self.everything().len();
                link.write(message.to_string())
                    .unwrap_or_else(|e| panic!("{e:#}"));
                let client = self.clone();
                Heard::Inbox { client, next }
            }
        };
        Subscription { id, heard }
    }
}

// === impl Subscription ===

impl Subscription {
    /// The id of the request that opened it.
    pub fn id(&self) -> &Value {
        &self.id
    }

    /// The HTTP status; nothing over stdio.
    pub fn status(&self) -> Option<u16> {
        match &self.heard {
            Heard::Stream(stream) => Some(stream.status),
            Heard::Inbox { .. } => None,
        }
    }

    /// The next message of the subscription; nothing when it has ended. Over stdio an end is a message.
    ///
    /// # Panics
    /// When nothing comes for too long.
    pub async fn next(&mut self) -> Option<Value> {
        match &mut self.heard {
            Heard::Stream(stream)
                if stream
                    .header("content-type")
                    .is_some_and(|t| t.starts_with("text/event-stream")) =>
            {
                stream.message().await
            }
            Heard::Stream(stream) => {
                let body = within("the whole answer", stream.bytes()).await;
                serde_json::from_slice(&body).ok()
            }
            Heard::Inbox { client, next } => {
                let id = &self.id;
                let ours = |message: &Value| {
                    message["params"]["_meta"][meta::SUBSCRIPTION] == *id
                        || message["params"]["requestId"] == *id
                        || (message.get("method").is_none() && message["id"] == *id)
                };
                let found = wait_for("the next message of a subscription", async || {
                    let mut all = client.everything().into_iter().enumerate().skip(*next);
                    all.find(|(_, message)| ours(message))
                });
                let (at, message) = found.await;
                *next = at + 1;
                Some(message)
            }
        }
    }

    /// What the server agreed to tell.
    ///
    /// # Panics
    /// When the first message says something else.
    pub async fn acknowledged(&mut self) -> Value {
        let first = self.next().await.expect("a first message");
        assert_eq!(
            first["method"], "notifications/subscriptions/acknowledged",
            "{first}"
        );
        assert_eq!(
            first["params"]["_meta"][meta::SUBSCRIPTION],
            self.id,
            "{first}"
        );
        first["params"]["notifications"].clone()
    }

    /// Ends it: by closing the stream, or over stdio by cancelling the request.
    pub async fn close(self) {
        if let Heard::Inbox { client, .. } = &self.heard {
            let params = json!({"requestId": self.id});
            client.notify("notifications/cancelled", params).await;
        }
    }
}
