//! The longest time that one message can hold a worker: of an agent, of at most
//! `body_limit`; and the answer of a server, of at most `result_limit`.
//!
//! The daemon has one worker thread. What its busiest thread spent on the processor
//! for a message is the longest it can have held it; reading and writing are in it.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::connection::Connection;
use super::scripted::Scripted;
use super::worst_corpus::Recipe;
use crate::shipped::{Shipped, Upstream};
use crate::soak::dice::Dice;

/// As the daemon has them by default.
const BODY_LIMIT: usize = 4 << 20;
const RESULT_LIMIT: usize = 32 << 20;

/// One message and how long it held a worker.
#[derive(Debug, Clone)]
pub struct Longest {
    /// Whose message: `agent` or `server`.
    pub from: &'static str,
    /// What it is made of.
    pub what: String,
    /// Its length.
    pub bytes: usize,
    /// How long its worker was busy with it.
    pub busy: Duration,
    /// The status it was answered with.
    pub status: u16,
}

struct Bench {
    gateway: Shipped,
    upstream: Scripted,
    agent: Option<(Connection, String)>,
}

/// Plays the corpus and then searches for worse for so long, on both sides; the
/// worst come first.
///
/// # Errors
/// When the daemon does not start, or dies.
pub fn worst(program: &Path, search: Duration) -> Result<Vec<Longest>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut bench = Bench::start(program).await?;
        let mut found = Vec::new();
        for from in ["agent", "server"] {
            for recipe in Recipe::known() {
                found.push((bench.play(from, &recipe).await?, recipe));
            }
            bench.search(from, search, &mut found).await?;
        }
        let mut found: Vec<Longest> = found.into_iter().map(|(longest, _)| longest).collect();
        found.sort_by_key(|longest| std::cmp::Reverse(longest.busy));
        Ok(found)
    })
}

impl Bench {
    async fn start(program: &Path) -> Result<Bench> {
        let upstream = Scripted::start().await?;
        let one = [("PROVOST_WORKERS", "1"), ("PROVOST_CALL_TIMEOUT", "5m")];
        let gateway = Shipped::start_with(
            program,
            "scripted",
            Upstream::Url(&upstream.url()),
            &policy(),
            &one,
        )?;
        Ok(Bench {
            gateway,
            upstream,
            agent: None,
        })
    }

    fn head(&self, session: &str, length: usize) -> String {
        let url = self.gateway.url();
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let token = self.gateway.token();
        format!(
            "POST /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\naccept: application/json, text/event-stream\r\ncontent-type: application/json\r\n{session}content-length: {length}\r\n\r\n"
        )
    }

    async fn open(&mut self) -> Result<()> {
        let url = self.gateway.url();
        let address = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split('/').next())
            .context("an address")?;
        let mut connection = Connection::open(address.parse()?).await?;
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "worst", "version": "1"}});
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})
            .to_string();
        let answer = connection
            .exchange((self.head("", body.len()) + &body).as_bytes())
            .await?;
        let session = answer.session.context("a session")?;
        let session = format!("mcp-session-id: {session}\r\n");
        self.agent = Some((connection, session));
        Ok(())
    }

    async fn play(&mut self, from: &'static str, recipe: &Recipe) -> Result<Longest> {
        let message = match from {
            "agent" => {
                self.upstream
                    .answers(r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#);
                recipe.request(BODY_LIMIT)
            }
            _ => {
                let answer = recipe.answer(RESULT_LIMIT);
                let bytes = answer.len();
                self.upstream.answers(answer);
                let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"amount":1}}}"#;
                let list = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list"}"#;
                let asked = if recipe.lists_tools() { list } else { call };
                let (busy, status) = self.exchange(asked).await?;
                return Ok(Longest {
                    from,
                    what: recipe.name(),
                    bytes,
                    busy,
                    status,
                });
            }
        };
        let (busy, status) = self.exchange(&message).await?;
        Ok(Longest {
            from,
            what: recipe.name(),
            bytes: message.len(),
            busy,
            status,
        })
    }

    /// Sends a message: how long the busiest thread was busy with it, and the status.
    async fn exchange(&mut self, body: &str) -> Result<(Duration, u16)> {
        if self.agent.is_none() {
            self.open().await?;
        }
        let (mut connection, session) = self.agent.take().context("an agent")?;
        let request = self.head(&session, body.len()) + body;
        let pid = self.gateway.pid();
        let before = threads(pid)?;
        let answer = connection.exchange(request.as_bytes()).await;
        let after = threads(pid)?;
        let busy = after.iter().map(|(thread, now)| {
            let then = before.iter().find(|(other, _)| other == thread);
            now.saturating_sub(then.map_or(0, |(_, then)| *then))
        });
        let busy = Duration::from_nanos(busy.max().unwrap_or(0));
        // Refused early, a connection may end before all of it was sent.
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        if answer.is_ok_and(|answer| answer.status < 500) && status != 413 {
            self.agent = Some((connection, session));
        }
        Ok((busy, status))
    }

    /// Changes what was worst so far, and tries something new now and then.
    async fn search(
        &mut self,
        from: &'static str,
        length: Duration,
        found: &mut Vec<(Longest, Recipe)>,
    ) -> Result<()> {
        let mut dice = Dice::new(82, from.len() as u64);
        let begun = Instant::now();
        while begun.elapsed() < length {
            let worst = found.iter().filter(|(longest, _)| longest.from == from);
            let worst = worst.max_by_key(|(longest, _)| longest.busy);
            let next = match worst {
                Some((_, recipe)) if !dice.once_in(3) => recipe.changed(&mut dice),
                _ => Recipe::random(&mut dice),
            };
            if found
                .iter()
                .any(|(longest, known)| longest.from == from && *known == next)
            {
                continue;
            }
            found.push((self.play(from, &next).await?, next));
        }
        Ok(())
    }
}

/// Many globs, patterns, numbers: a policy that has something to do.
fn policy() -> Value {
    let mut tools = serde_json::Map::new();
    for n in 0..100 {
        tools.insert(format!("*{}*", "_".repeat(n + 1)), json!({}));
    }
    tools.insert(
        "echo".to_owned(),
        json!({
            "deny_if": [
                { "conditions": [{ "path": "args.text", "op": "regex", "value": "(secret|token)[a-z0-9_]{0,40}=" }] },
                { "conditions": [{ "path": "args.text[*]", "op": "contains", "value": "rm -rf /" }] },
            ],
            "require": [{ "conditions": [{ "path": "args.amount", "op": "lte", "value": 100 }] }],
        }),
    );
    json!({ "version": "1", "default": "allow", "tools": tools })
}

/// What each thread of a process spent on the processor, in nanoseconds.
fn threads(pid: u32) -> Result<Vec<(String, u64)>> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).context("Linux only")? {
        let entry = entry?;
        // A thread that ended in between had nothing to do with it.
        let Ok(text) = std::fs::read_to_string(entry.path().join("schedstat")) else {
            continue;
        };
        let spent = text.split_whitespace().next().and_then(|n| n.parse().ok());
        threads.push((
            entry.file_name().to_string_lossy().into_owned(),
            spent.unwrap_or(0),
        ));
    }
    Ok(threads)
}

/// The worst as text.
pub fn longest_table(found: &[Longest]) -> String {
    let mut text = format!(
        "{:<7} {:>10} {:>10} {:>6}  {}\n",
        "from", "bytes", "busy ms", "status", "message"
    );
    for from in ["agent", "server"] {
        for longest in found.iter().filter(|longest| longest.from == from).take(10) {
            text.push_str(&format!(
                "{:<7} {:>10} {:>10.1} {:>6}  {}\n",
                longest.from,
                longest.bytes,
                longest.busy.as_secs_f64() * 1000.0,
                longest.status,
                longest.what,
            ));
        }
    }
    text.push_str("aims: 20 ms for a message of an agent, 100 ms for an answer of a server\n");
    text
}

/// All of them as JSON.
pub fn longest_json(found: &[Longest]) -> Value {
    let one = |longest: &Longest| {
        json!({
            "from": longest.from, "message": longest.what, "bytes": longest.bytes,
            "busyUs": u64::try_from(longest.busy.as_micros()).unwrap_or(u64::MAX), "status": longest.status,
        })
    };
    Value::Array(found.iter().map(one).collect())
}
