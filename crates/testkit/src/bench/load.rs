//! The load: agents that call the tool `echo`, one call after the other.

use super::connection::Connection;
use super::resident_bytes;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whom to call.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name in the table.
    pub name: String,
    /// The endpoint; plain HTTP only.
    pub url: String,
    /// Headers of every request, `Authorization` for example.
    pub headers: Vec<(String, String)>,
    /// The processes whose memory is measured.
    pub pids: Vec<u32>,
    /// The tool to call; it must answer with its argument `text`.
    pub tool: String,
}

/// How to call.
#[derive(Debug, Clone)]
pub struct Load {
    /// That many agents, each with a connection and a session of its own.
    pub connections: usize,
    /// That long before anything is counted.
    pub warm_up: Duration,
    /// That long is counted.
    pub length: Duration,
    /// The length of the argument `text`.
    pub payload: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Calls that were completed while it counted.
    pub calls: u64,
    /// All calls that were sent, before and after it counted as well.
    pub sent: u64,
    /// Calls per second.
    pub per_second: f64,
    /// The latency that half of the calls did not exceed.
    pub p50: Duration,
    /// The same for 95 of 100.
    pub p95: Duration,
    /// The same for 99 of 100.
    pub p99: Duration,
    /// The resident memory of the target's processes, right after the load.
    pub resident: Option<u64>,
}

impl Target {
    /// A target without headers and processes.
    pub fn new(name: &str, url: &str) -> Target {
        Target {
            name: name.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            pids: Vec::new(),
            tool: "echo".to_owned(),
        }
    }

    /// Its address, the value of `Host`, and the path.
    fn parts(&self) -> Result<(SocketAddr, String, String)> {
        let rest = self
            .url
            .strip_prefix("http://")
            .with_context(|| format!("`{}` is not plain HTTP", self.url))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let with_port = if authority.contains(':') {
            authority.to_owned()
        } else {
            format!("{authority}:80")
        };
        let address = with_port
            .to_socket_addrs()?
            .next()
            .context("the host has no address")?;
        Ok((address, authority.to_owned(), format!("/{path}")))
    }

    fn request(&self, message: &Value, session: Option<&str>) -> Result<Vec<u8>> {
        let (_, host, path) = self.parts()?;
        let body = message.to_string();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n",
            body.len()
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if message["method"] != "initialize" {
            head.push_str("MCP-Protocol-Version: 2025-11-25\r\n");
        }
        if let Some(session) = session {
            head.push_str(&format!("Mcp-Session-Id: {session}\r\n"));
        }
        Ok([head.as_bytes(), b"\r\n", body.as_bytes()].concat())
    }
}

/// Puts a load on a target, with as many threads as there are cores or connections.
///
/// # Errors
/// When a call fails or is answered wrongly: a target that refuses quickly is not fast.
pub fn measure(target: &Target, load: &Load) -> Result<Measured> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(load.connections).max(1);
    let sent = Arc::new(AtomicU64::new(0));
    let start = Instant::now() + load.warm_up;
    let mut workers = Vec::new();
    for number in 0..threads {
        let share = load.connections / threads + usize::from(number < load.connections % threads);
        let (target, load, sent) = (target.clone(), load.clone(), Arc::clone(&sent));
        workers.push(std::thread::spawn(move || {
            worker(&target, &load, share, start, &sent)
        }));
    }
    let mut latencies = Vec::new();
    for worker in workers {
        latencies.extend(
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a thread of the load generator died"))??,
        );
    }
    ensure!(!latencies.is_empty(), "`{}` completed no call", target.name);
    latencies.sort_unstable();
    let at =
        |percent: usize| Duration::from_nanos(latencies[(latencies.len() - 1) * percent / 100]);
    Ok(Measured {
        calls: latencies.len() as u64,
        sent: sent.load(Ordering::Relaxed),
        per_second: latencies.len() as f64 / load.length.as_secs_f64(),
        p50: at(50),
        p95: at(95),
        p99: at(99),
        resident: if target.pids.is_empty() {
            None
        } else {
            resident_bytes(&target.pids)
        },
    })
}

/// Drives a share of the connections; returns the latencies that count, in nanoseconds.
fn worker(
    target: &Target,
    load: &Load,
    share: usize,
    start: Instant,
    sent: &Arc<AtomicU64>,
) -> Result<Vec<u64>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut agents = tokio::task::JoinSet::new();
        for _ in 0..share {
            let (target, load, sent) = (target.clone(), load.clone(), Arc::clone(sent));
            agents.spawn(async move { agent(&target, &load, start, &sent).await });
        }
        let mut latencies = Vec::new();
        while let Some(done) = agents.join_next().await {
            latencies.extend(done??);
        }
        Ok(latencies)
    })
}

async fn agent(target: &Target, load: &Load, start: Instant, sent: &AtomicU64) -> Result<Vec<u64>> {
    let (address, ..) = target.parts()?;
    let mut connection = Connection::open(address).await?;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"},
    }});
    let welcome = connection.exchange(&target.request(&hello, None)?).await?;
    ensure!(
        welcome.status == 200,
        "`{}` refused: {} {}",
        target.name,
        welcome.status,
        text(&welcome.body)
    );
    let session = welcome.session.as_deref();
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    connection
        .exchange(&target.request(&ready, session)?)
        .await?;

    let said = "x".repeat(load.payload);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": target.tool, "arguments": {"text": said, "amount": 5},
    }});
    let call = target.request(&call, session)?;
    let expected = said.as_bytes();
    let end = start + load.length;
    let mut latencies = Vec::with_capacity(1 << 16);
    loop {
        let before = Instant::now();
        if before >= end {
            return Ok(latencies);
        }
        sent.fetch_add(1, Ordering::Relaxed);
        let answer = connection.exchange(&call).await?;
        let after = Instant::now();
        let right = answer.status == 200
            && answer
                .body
                .windows(expected.len().max(1))
                .any(|window| window == expected);
        ensure!(
            right,
            "`{}` answered wrongly: {} {}",
            target.name,
            answer.status,
            text(&answer.body)
        );
        if before >= start && after <= end {
            latencies.push(u64::try_from((after - before).as_nanos()).unwrap_or(u64::MAX));
        }
    }
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(300).collect()
}
