//! Memory during floods: one grant sends, or has sent to it, far more than it may
//! keep, while an agent of another grant goes on calling.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::resident_bytes;
use super::scripted::Scripted;
use crate::shipped::{Shipped, Upstream};

/// How large the messages of agents are: as large as they may be.
const LARGE: usize = (4 << 20) - 1024;
/// How large the notifications of the server are.
const LOUD: usize = 30 << 20;
/// How long a flood lasts at least, and how long memory may take to come back.
const LENGTH: Duration = Duration::from_secs(10);
const REST: Duration = Duration::from_secs(10);

/// What a flood did.
#[derive(Debug, Clone)]
pub struct Flooded {
    /// Which flood.
    pub flood: &'static str,
    /// The daemon's `memory_limit`, as it was given; none: its default.
    pub limit: Option<String>,
    /// Resident memory before, at most, and at rest, in bytes.
    pub before: u64,
    /// The most while it lasted.
    pub most: u64,
    /// Ten seconds after everybody is gone.
    pub rest: u64,
    /// What of it was taken, and what was refused.
    pub taken: u64,
    /// Refused with 429 or 503.
    pub refused: u64,
    /// Calls of the other grant that were answered, and that were not.
    pub honest: u64,
    /// Calls of the other grant without an answer.
    pub failed: u64,
    /// The slowest of them.
    pub slowest: Duration,
}

struct Target {
    address: String,
    path: String,
}

#[derive(Default)]
struct Tally {
    taken: AtomicU64,
    refused: AtomicU64,
    honest: AtomicU64,
    failed: AtomicU64,
    slowest_us: AtomicU64,
    over: AtomicBool,
}

/// Each flood against a daemon of its own.
///
/// # Errors
/// When a daemon does not start, or dies.
pub fn floods(program: &Path, limits: &[Option<&str>]) -> Result<Vec<Flooded>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut all = Vec::new();
    for limit in limits {
        for flood in ["openings", "levels", "subscriptions", "bodies", "events"] {
            all.push(runtime.block_on(one(program, flood, *limit))?);
        }
    }
    Ok(all)
}

async fn one(program: &Path, flood: &'static str, limit: Option<&str>) -> Result<Flooded> {
    let upstream = Scripted::start().await?;
    upstream.answers(r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#);
    if flood == "events" {
        let data = "x".repeat(LOUD);
        upstream.says(&format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{data}"}}}}"#
        ));
    }
    let settings: Vec<_> = limit
        .map(|limit| ("PROVOST_MEMORY_LIMIT", limit))
        .into_iter()
        .collect();
    let policy = json!({"version": "1", "default": "allow", "methods": {"allow": ["*"]}});
    let gateway = Shipped::start_with(
        program,
        "scripted",
        Upstream::Url(&upstream.url()),
        &policy,
        &settings,
    )?;
    let minted = gateway.command(&[
        "grant", "mint", "scripted", "--label", "flood", "--policy", "given",
    ])?;
    let token = minted["token"].as_str().context("a token")?.to_owned();
    let target = Arc::new(Target::of(gateway.url())?);
    let tally = Arc::new(Tally::default());
    let pid = gateway.pid();
    let before = resident_bytes(&[pid]).context("the daemon is gone")?;
    let honest = tokio::spawn(honest(
        Arc::clone(&target),
        gateway.token().to_owned(),
        Arc::clone(&tally),
    ));
    let most = tokio::spawn(watch(pid, Arc::clone(&tally)));
    let open = rush(flood, &target, &token, &tally).await?;
    tokio::time::sleep(LENGTH).await;
    tally.over.store(true, Ordering::Relaxed);
    let most = most.await?;
    honest.await??;
    drop(open);
    // Whoever floods is sent away; what it left is to go with it.
    let id = minted["id"].as_str().or(minted["grant"]["id"].as_str());
    gateway.command(&["grant", "revoke", id.unwrap_or("flood")])?;
    tokio::time::sleep(REST).await;
    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    Ok(Flooded {
        flood,
        limit: limit.map(str::to_owned),
        before,
        most,
        rest: resident_bytes(&[pid]).context("the daemon died")?,
        taken: load(&tally.taken),
        refused: load(&tally.refused),
        honest: load(&tally.honest),
        failed: load(&tally.failed),
        slowest: Duration::from_micros(load(&tally.slowest_us)),
    })
}

/// What stays open while the flood lasts.
struct Open {
    _connections: Vec<Connection>,
    _sockets: Vec<TcpStream>,
}

async fn rush(flood: &str, target: &Target, token: &str, tally: &Tally) -> Result<Open> {
    let (mut connections, mut sockets) = (Vec::new(), Vec::new());
    let pad = "x".repeat(LARGE);
    match flood {
        "openings" | "levels" => {
            for _ in 0..100 {
                let opens = if flood == "openings" {
                    pad.as_str()
                } else {
                    ""
                };
                let mut connection = Connection::open(target.address.parse()?).await?;
                let session = target.open(&mut connection, token, opens, tally).await;
                if let (Some(session), "levels") = (session, flood) {
                    let body = format!(
                        r#"{{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{{"level":"info","pad":"{pad}"}}}}"#
                    );
                    target
                        .send(&mut connection, token, &session, &body, tally)
                        .await;
                }
                connections.push(connection);
            }
        }
        "subscriptions" => {
            let mut connection = Connection::open(target.address.parse()?).await?;
            let session = target.open(&mut connection, token, "", tally).await;
            let session = session.context("a session")?;
            for number in 0..100 {
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":7,"method":"resources/subscribe","params":{{"uri":"fixture://{number}","pad":"{pad}"}}}}"#
                );
                if !target
                    .send(&mut connection, token, &session, &body, tally)
                    .await
                {
                    connection = Connection::open(target.address.parse()?).await?;
                }
            }
            connections.push(connection);
        }
        "bodies" => {
            for _ in 0..150 {
                let mut socket = TcpStream::connect(&target.address).await?;
                let head = target.head("POST", token, "", pad.len() + 1);
                // Whoever is refused is not read to the end.
                let sent = async {
                    socket.write_all(head.as_bytes()).await?;
                    socket.write_all(pad.as_bytes()).await
                };
                let sent = tokio::time::timeout(Duration::from_secs(10), sent).await;
                let count = match sent {
                    Ok(Ok(())) => &tally.taken,
                    Ok(Err(_)) | Err(_) => &tally.refused,
                };
                count.fetch_add(1, Ordering::Relaxed);
                sockets.push(socket);
            }
        }
        _ => {
            for _ in 0..4 {
                let mut connection = Connection::open(target.address.parse()?).await?;
                let session = target.open(&mut connection, token, "", tally).await;
                let session = session.context("a session")?;
                let mut deaf = TcpStream::connect(&target.address).await?;
                let head = target.head("GET", token, &session, 0);
                deaf.write_all(head.as_bytes()).await?;
                connections.push(connection);
                sockets.push(deaf);
            }
        }
    }
    Ok(Open {
        _connections: connections,
        _sockets: sockets,
    })
}

impl Target {
    fn of(url: &str) -> Result<Target> {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (address, path) = rest.split_once('/').context("a path")?;
        Ok(Target {
            address: address.to_owned(),
            path: format!("/{path}"),
        })
    }

    fn head(&self, method: &str, token: &str, session: &str, length: usize) -> String {
        let session = match session {
            "" => String::new(),
            id => format!("mcp-session-id: {id}\r\n"),
        };
        let Target { address, path } = self;
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{session}content-length: {length}\r\n\r\n"
        )
    }

    /// Opens a session, with `pad` in what is kept of it.
    async fn open(
        &self,
        connection: &mut Connection,
        token: &str,
        pad: &str,
        tally: &Tally,
    ) -> Option<String> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"initialize","params":{{"protocolVersion":"2025-11-25","capabilities":{{}},"clientInfo":{{"name":"flood","version":"1"}},"pad":"{pad}"}}}}"#
        );
        let request = self.head("POST", token, "", body.len()) + &body;
        let answer = connection.exchange(request.as_bytes()).await;
        count(tally, answer.as_ref().map_or(429, |answer| answer.status));
        answer.ok()?.session
    }

    async fn send(
        &self,
        connection: &mut Connection,
        token: &str,
        session: &str,
        body: &str,
        tally: &Tally,
    ) -> bool {
        let request = self.head("POST", token, session, body.len()) + body;
        let answer = connection.exchange(request.as_bytes()).await;
        let status = answer.map_or(429, |answer| answer.status);
        count(tally, status);
        status == 200
    }
}

fn count(tally: &Tally, status: u16) {
    let count = match status {
        200 => &tally.taken,
        _ => &tally.refused,
    };
    count.fetch_add(1, Ordering::Relaxed);
}

/// Calls again and again, on a grant of its own, and counts.
async fn honest(target: Arc<Target>, token: String, tally: Arc<Tally>) -> Result<()> {
    let mut connection = Connection::open(target.address.parse()?).await?;
    let unseen = Tally::default();
    let session = target.open(&mut connection, &token, "", &unseen).await;
    let session = session.context("an honest session")?;
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"honest"}}}"#;
    while !tally.over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let sent = target.send(&mut connection, &token, &session, body, &unseen);
        let answered = tokio::time::timeout(Duration::from_secs(10), sent).await;
        let count = match answered {
            Ok(true) => &tally.honest,
            Ok(false) | Err(_) => &tally.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        tally.slowest_us.fetch_max(took, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

async fn watch(pid: u32, tally: Arc<Tally>) -> u64 {
    let mut most = 0;
    while !tally.over.load(Ordering::Relaxed) {
        most = most.max(resident_bytes(&[pid]).unwrap_or(0));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

/// The floods as text.
pub fn flooded_table(floods: &[Flooded]) -> String {
    let mut text = format!(
        "{:<14} {:<9} {:>8} {:>8} {:>8} {:>6} {:>8} {:>8} {:>7} {:>11}\n",
        "flood",
        "limit",
        "before",
        "most",
        "rest",
        "taken",
        "refused",
        "honest",
        "failed",
        "slowest ms"
    );
    for f in floods {
        text.push_str(&format!(
            "{:<14} {:<9} {:>8.1} {:>8.1} {:>8.1} {:>6} {:>8} {:>8} {:>7} {:>11.1}\n",
            f.flood,
            f.limit.as_deref().unwrap_or("default"),
            mib(f.before),
            mib(f.most),
            mib(f.rest),
            f.taken,
            f.refused,
            f.honest,
            f.failed,
            f.slowest.as_secs_f64() * 1000.0,
        ));
    }
    text.push_str("resident memory in MiB; aims: never above the limit and 64 MiB, at rest within 10 s, no honest call without an answer\n");
    text
}

/// The floods as JSON.
pub fn flooded_json(floods: &[Flooded]) -> Value {
    let one = |f: &Flooded| {
        json!({
            "flood": f.flood, "memoryLimit": f.limit, "residentBefore": f.before, "residentMost": f.most,
            "residentAtRest": f.rest, "taken": f.taken, "refused": f.refused, "honestCalls": f.honest,
            "honestFailed": f.failed, "slowestUs": u64::try_from(f.slowest.as_micros()).unwrap_or(u64::MAX),
        })
    };
    Value::Array(floods.iter().map(one).collect())
}
