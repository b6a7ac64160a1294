//! The least MCP server that can be measured against: it answers from memory and checks nothing.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// The upstream, in a process of its own so that its memory and its threads are not the load generator's.
pub struct Echo {
    address: SocketAddr,
    child: Child,
}

#[derive(Deserialize)]
struct Message<'m> {
    #[serde(borrow)]
    id: Option<&'m RawValue>,
    #[serde(borrow)]
    method: Cow<'m, str>,
    #[serde(borrow)]
    params: Option<&'m RawValue>,
}

#[derive(Deserialize)]
struct Call<'m> {
    #[serde(borrow)]
    arguments: Option<Arguments<'m>>,
}

#[derive(Deserialize)]
struct Arguments<'m> {
    #[serde(borrow)]
    text: Option<&'m RawValue>,
}

/// What all workers share.
struct Shared {
    tools: Bytes,
    calls: AtomicU64,
}

// === impl Echo ===

impl Echo {
    /// Starts `PROGRAM upstream --tools N --workers N`, which must call [`serve_echo`].
    ///
    /// # Errors
    /// When the program does not start or says nothing.
    pub fn start(program: &std::path::Path, tools: usize, workers: usize) -> anyhow::Result<Echo> {
        let mut command = Command::new(program);
        command.args([
            "upstream",
            "--tools",
            &tools.to_string(),
            "--workers",
            &workers.to_string(),
        ]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let stdout = child
            .stdout
            .take()
            .ok_or_else(|| anyhow::anyhow!("stdout is piped"))?;
        BufReader::new(stdout).read_line(&mut line)?;
        Ok(Echo {
            address: line.trim().parse()?,
            child,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many tools were called so far.
    ///
    /// # Errors
    /// When it is gone.
    pub fn calls(&self) -> anyhow::Result<u64> {
        let request = b"GET /calls HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n";
        let answer =
            crate::tcp::exchange(self.address, request, std::time::Duration::from_secs(5))?;
        let text = String::from_utf8(answer)?;
        let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
        Ok(body.trim().parse()?)
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Serves until stdin ends, on one single-threaded runtime per worker; prints the address first.
///
/// # Errors
/// When no port is free.
pub fn serve_echo(
    tools: usize,
    workers: usize,
    mut print: impl FnMut(SocketAddr),
) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    print(listener.local_addr()?);
    let shared = Arc::new(Shared {
        tools: tool_list(tools),
        calls: AtomicU64::new(0),
    });
    let workers: Vec<_> = (0..workers.max(1))
        .map(|_| worker(Arc::clone(&shared)))
        .collect();
    std::thread::spawn(move || {
        // Connections are dealt out in turn: with few of them, chance would leave a core idle.
        for (number, socket) in listener.incoming().flatten().enumerate() {
            drop(workers[number % workers.len()].send(socket));
        }
    });
    let mut nothing = String::new();
    while std::io::stdin().read_line(&mut nothing)? > 0 {}
    Ok(())
}

fn worker(shared: Arc<Shared>) -> mpsc::UnboundedSender<TcpStream> {
    let (sender, mut sockets) = mpsc::unbounded_channel::<TcpStream>();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            while let Some(socket) = sockets.recv().await {
                drop(socket.set_nodelay(true));
                drop(socket.set_nonblocking(true));
                let Ok(socket) = tokio::net::TcpStream::from_std(socket) else {
                    continue;
                };
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(request, &shared));
                    drop(
                        hyper::server::conn::http1::Builder::new()
                            .serve_connection(TokioIo::new(socket), service)
                            .await,
                    );
                });
            }
        });
    });
    sender
}

async fn answer(
    request: Request<Incoming>,
    shared: &Shared,
) -> Result<Response<Full<Bytes>>, Infallible> {
    match *request.method() {
        Method::POST => {}
        Method::GET if request.uri().path() == "/calls" => {
            return Ok(status(
                StatusCode::OK,
                Bytes::from(shared.calls.load(Ordering::Relaxed).to_string()),
            ));
        }
        Method::DELETE => return Ok(status(StatusCode::OK, Bytes::new())),
        _ => return Ok(status(StatusCode::METHOD_NOT_ALLOWED, Bytes::new())),
    }
    let Ok(body) = request.into_body().collect().await else {
        return Ok(status(StatusCode::BAD_REQUEST, Bytes::new()));
    };
    let body = body.to_bytes();
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else {
        return Ok(status(
            StatusCode::BAD_REQUEST,
            Bytes::from_static(b"not JSON-RPC"),
        ));
    };
    let Some(id) = message.id else {
        return Ok(status(StatusCode::ACCEPTED, Bytes::new()));
    };
    let result = match message.method.as_ref() {
        "tools/call" => {
            shared.calls.fetch_add(1, Ordering::Relaxed);
            let call = message.params.and_then(|params| serde_json::from_str::<Call<'_>>(params.get()).ok());
            let text = call.and_then(|call| call.arguments).and_then(|arguments| arguments.text);
            let text = text.map_or("\"\"", RawValue::get);
            format!("{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}],\"isError\":false}}").into()
        }
        "tools/list" => shared.tools.clone(),
        "initialize" => Bytes::from_static(
            br#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}"#,
        ),
        _ => Bytes::from_static(b"{}"),
    };
    let mut text = Vec::with_capacity(result.len() + 64);
    text.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    text.extend_from_slice(id.get().as_bytes());
    text.extend_from_slice(b",\"result\":");
    text.extend_from_slice(&result);
    text.push(b'}');
    let mut response = status(StatusCode::OK, Bytes::from(text));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if message.method == "initialize" {
        response
            .headers_mut()
            .insert("mcp-session-id", HeaderValue::from_static("bench"));
    }
    Ok(response)
}

fn status(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

/// The tool `echo`, and further ones `tool_001` … that do the same.
fn tool_list(count: usize) -> Bytes {
    let names = std::iter::once("echo".to_owned())
        .chain((1..count).map(|number| format!("tool_{number:03}")));
    let tools: Vec<String> = names
        .map(|name| {
            format!(
                r#"{{"name":"{name}","description":"Says what it is told.","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string"}},"amount":{{"type":"number"}}}}}}}}"#
            )
        })
        .collect();
    Bytes::from(format!("{{\"tools\":[{}]}}", tools.join(",")))
}
