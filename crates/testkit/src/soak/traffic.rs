//! Real traffic, recorded as it goes over the wire: what an honest agent says in one session.

use super::tee::Tee;
use super::world::{Role, World};
use crate::client::Client;
use crate::http;
use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpStream;

/// How long answers are waited for.
const BRIEFLY: Duration = Duration::from_secs(6);

/// What was recorded.
#[derive(Debug, Default, Clone)]
pub(super) struct Traffic {
    /// Requests over HTTP/1.1, head and body.
    pub(super) requests: Vec<Vec<u8>>,
    /// Whole connections over HTTP/2.
    pub(super) connections: Vec<Vec<u8>>,
    /// Messages alone, as they go over stdio.
    pub(super) lines: Vec<Vec<u8>>,
}

/// Lets an honest agent go through a session with a server, and records it.
///
/// # Errors
/// When the daemon does not answer.
pub(super) async fn record(world: &World, server: &str) -> Result<Traffic> {
    let token = world.token(server, Role::Hostile);
    let tee = Tee::start(world.address).await?;
    let url = format!("http://{}/mcp/{server}", tee.address);
    let client = Client::http(&url, Some(&token));
    // All at once: where answers are spoilt, some are waited for in vain.
    let mut all = tokio::task::JoinSet::new();
    if greet(&client).await {
        for message in session() {
            let client = client.clone();
            all.spawn(briefly(async move {
                client.as_http().post_raw(message.to_string()).await
            }));
        }
        for last_event in [None, Some("1-1")] {
            let client = client.clone();
            all.spawn(briefly(
                async move { client.as_http().get(last_event).await },
            ));
        }
    }
    for message in modern() {
        let (url, authorization) = (url.clone(), format!("Bearer {token}"));
        all.spawn(briefly(async move {
            modern_post(&url, &authorization, &message).await
        }));
    }
    // The session stays, so that what is made of its messages is more than a stranger's.
    let short = Client::http(&url, Some(&token));
    if greet(&short).await {
        short.close().await;
    }
    while all.join_next().await.is_some() {}
    let requests = tee.recorded();
    let messages = session().into_iter().chain(modern());
    let lines = std::iter::once(initialize()).chain(messages);
    Ok(Traffic {
        requests,
        connections: vec![over_http2(world, server, &token).await?],
        lines: lines.map(|line| line.to_string().into_bytes()).collect(),
    })
}

/// Posts a message of the later era with the headers that belong to it.
pub(super) async fn modern_post(
    url: &str,
    authorization: &str,
    message: &Value,
) -> Result<http::Reply> {
    let method = message["method"].as_str().unwrap_or_default();
    let mut headers = vec![
        ("authorization", authorization),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ];
    let params = &message["params"];
    let name = ["name", "uri", "taskId"]
        .iter()
        .find_map(|member| params[*member].as_str());
    headers.extend(name.map(|name| ("mcp-name", name)));
    http::post(url, &headers, message.to_string()).await
}

/// What is sent has been recorded; its answer is only waited for so that it can be given.
async fn briefly<T>(exchange: impl Future<Output = T>) {
    drop(tokio::time::timeout(BRIEFLY, exchange).await);
}

/// Opens a session. Where answers are spoilt it may take a few attempts.
async fn greet(client: &Client) -> bool {
    for _ in 0..3 {
        let post = client.as_http().post_raw(initialize().to_string());
        let reply = tokio::time::timeout(BRIEFLY, post).await;
        if let Ok(Ok(reply)) = reply
            && let Some(id) = reply.header("mcp-session-id")
        {
            client.as_http().set_session(Some(id));
            return true;
        }
    }
    false
}

/// The first message of a session.
pub(super) fn initialize() -> Value {
    let client = json!({"name": "soak", "version": "1"});
    let capabilities = json!({"sampling": {}, "elicitation": {}, "roots": {"listChanged": true}});
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": client}})
}

fn session() -> Vec<Value> {
    let request = |id: u32, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let call = |id: u32, tool: &str, arguments: Value| {
        request(
            id,
            "tools/call",
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}}),
        )
    };
    vec![
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        request(1, "ping", json!({})),
        request(2, "tools/list", json!({})),
        request(3, "resources/list", json!({})),
        request(4, "resources/read", json!({"uri": "fixture://text"})),
        request(5, "prompts/list", json!({})),
        request(
            6,
            "prompts/get",
            json!({"name": "greeting", "arguments": {"who": "you"}}),
        ),
        request(
            7,
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "who", "value": "a"}}),
        ),
        request(8, "logging/setLevel", json!({"level": "debug"})),
        request(9, "resources/subscribe", json!({"uri": "fixture://text"})),
        call(10, "echo", json!({"text": "caf\u{e9} \u{1f600}"})),
        call(11, "add", json!({"a": 1, "b": 2})),
        call(12, "slow", json!({"ms": 5, "steps": 3})),
        call(13, "big", json!({"bytes": 5000})),
        call(
            14,
            "echo",
            json!({"text": "x", "deep": {"a": [1, 2.5e3, null, {"b": "c"}]}}),
        ),
        call(15, "elicit", json!({"message": "who?"})),
        call(16, "sample", json!({"message": "what?"})),
        request(
            17,
            "tools/call",
            json!({"name": "job", "arguments": {"ms": 20}, "task": {"ttl": 60_000}}),
        ),
        request(18, "tasks/list", json!({})),
        request(19, "tasks/result", json!({"taskId": "job-1"})),
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 12, "reason": "enough"}}),
        json!({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"}),
        json!({"jsonrpc": "2.0", "id": "answer", "result": {"roots": []}}),
    ]
}

/// The same in the words of the later era.
fn modern() -> Vec<Value> {
    vec![
        modern_request(21, "server/discover", json!({})),
        modern_request(22, "tools/list", json!({})),
        modern_call(23, "echo", json!({"text": "modern"})),
        modern_call(24, "add", json!({"a": 1, "b": 2})),
        modern_request(25, "resources/read", json!({"uri": "fixture://text"})),
        modern_call(26, "ask_everything", json!({})),
        modern_request(
            27,
            "tools/call",
            json!({"name": "elicit", "arguments": {}, "inputResponses": {"person": {"action": "accept", "content": {"answer": "me"}}},
                "requestState": "none of ours"}),
        ),
        modern_call(28, "job", json!({"task": true, "ms": 20})),
        modern_request(29, "tasks/get", json!({"taskId": "job-1"})),
        modern_request(
            30,
            "tasks/update",
            json!({"taskId": "job-1", "inputResponses": {"person": {"action": "decline"}}}),
        ),
        modern_request(31, "tasks/cancel", json!({"taskId": "job-1"})),
        listen(
            32,
            json!({"toolsListChanged": true, "resourceSubscriptions": ["fixture://text"]}),
        ),
    ]
}

/// A subscription of the later era.
pub(super) fn listen(id: u64, notifications: Value) -> Value {
    modern_request(
        id,
        "subscriptions/listen",
        json!({"notifications": notifications}),
    )
}

/// A call of a tool in the later era.
pub(super) fn modern_call(id: u64, tool: &str, arguments: Value) -> Value {
    modern_request(
        id,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
}

fn modern_request(id: u64, method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "soak", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"sampling": {}, "elicitation": {}, "roots": {},
            "extensions": {"io.modelcontextprotocol/tasks": {}}},
    });
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A connection with a few requests over HTTP/2.
async fn over_http2(world: &World, server: &str, token: &str) -> Result<Vec<u8>> {
    let tee = Tee::start(world.address).await?;
    let socket = TcpStream::connect(tee.address).await?;
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(socket)).await?;
    let connection = tokio::spawn(connection);
    for message in [initialize(), session()[1].clone(), session()[10].clone()] {
        let request = Request::post(format!("http://{}/mcp/{server}", tee.address))
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(Full::new(Bytes::from(message.to_string())))?;
        drop(sender.send_request(request).await);
    }
    drop(sender);
    connection.abort();
    tee.recorded().pop().context("nothing was recorded")
}
