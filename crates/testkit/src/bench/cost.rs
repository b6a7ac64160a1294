//! What a change, a connection and a start cost, with few grants and with many: the shipped binary, its sockets, and
//! a journal in which a day of calls stands.

mod fill;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::shipped;
pub use fill::fill;

/// How often each change is made and each connection opened; the median counts.
const TIMES: usize = 60;
/// How often it is started after a clean stop.
const STARTS: usize = 5;

/// What everything cost with so many grants.
#[derive(Debug, Clone)]
pub struct Cost {
    /// Live grants.
    pub grants: usize,
    /// Recorded calls of the day, each with its outcome.
    pub calls: u64,
    /// What was measured, and how long it took at the median.
    pub took: Vec<(&'static str, Duration)>,
}

/// Measures with each of these numbers of grants, in up to 100 servers.
///
/// # Errors
/// When a daemon does not start, or refuses something.
pub fn cost(
    program: &Path,
    bench: &Path,
    grants: &[usize],
    calls: u64,
    tell: impl Fn(String),
) -> Result<Vec<Cost>> {
    grants
        .iter()
        .map(|grants| one(program, bench, *grants, calls, &tell))
        .collect()
}

fn one(
    program: &Path,
    bench: &Path,
    grants: usize,
    calls: u64,
    tell: impl Fn(String),
) -> Result<Cost> {
    let scratch = tempfile::tempdir()?;
    let home = scratch.path();
    tell(format!("{grants} grants, writing {calls} calls"));
    // Killed while it writes, before anything is folded or saved that is not yet.
    let mut writing = filling(bench, home, grants, calls)?;
    writing.kill()?;
    writing.wait()?;
    let mut took = Vec::new();

    let (killed, mut daemon) = start(program, home)?;
    tell(format!(
        "{grants} grants, started after kill -9; waiting for the records"
    ));
    let admin = &mut Admin::connect(home)?;
    admin.ask(&json!({"request": "audit_head"}))?;
    shipped::command(program, home, &["log", "--limit", "1"])?;

    let mut minted = Vec::new();
    took.push((
        "mint",
        median(TIMES, |time| {
            let label = format!("bench-{time}");
            let answer = admin.ask(&json!({
                "request": "grant_mint", "server": "server-1", "label": label, "policy": "team",
                "shadow": "enforced", "lifetime": null,
            }))?;
            let text = |name| found(&answer, name).map(str::to_owned).context("an answer");
            minted.push((text("id")?, text("token")?));
            Ok(())
        })?,
    ));
    let grant =
        |time: usize, minted: &[(String, String)]| json!({"name": minted[time].0, "server": null});
    took.push((
        "attach",
        median(TIMES, |time| {
            admin
                .ask(&json!({
                    "request": "policy_attach", "grant": grant(time, &minted), "policy": "other",
                    "shadow": "enforced", "observe": "refused",
                }))
                .map(drop)
        })?,
    ));
    took.push((
        "rotate",
        median(TIMES, |time| {
            let answer =
                admin.ask(&json!({"request": "grant_rotate", "grant": grant(time, &minted)}))?;
            minted[time].1 = found(&answer, "token").context("a token")?.to_owned();
            Ok(())
        })?,
    ));
    took.push((
        "connect",
        median(TIMES, |time| connect(home, &minted[time].1))?,
    ));
    took.push((
        "revoke",
        median(TIMES, |time| {
            admin
                .ask(&json!({"request": "grant_revoke", "grant": grant(time, &minted)}))
                .map(drop)
        })?,
    ));

    let mut clean = Vec::new();
    for _ in 0..STARTS {
        stop(&mut daemon)?;
        let (started, next) = start(program, home)?;
        clean.push(started);
        daemon = next;
    }
    clean.sort_unstable();
    took.push(("start, clean", clean[clean.len() / 2]));
    took.push(("start, killed", killed));
    stop(&mut daemon)?;
    let verified = shipped::command(program, home, &["audit", "verify"])?;
    ensure!(verified["intact"] == json!(true), "after all: {verified}");
    Ok(Cost {
        grants,
        calls,
        took,
    })
}

/// A process that has written all calls, and has closed nothing.
fn filling(bench: &Path, home: &Path, grants: usize, calls: u64) -> Result<Child> {
    let mut child = Command::new(bench)
        .arg("fill")
        .arg(home)
        .args([grants.to_string(), calls.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let stdout = child.stdout.take().context("stdout")?;
    BufReader::new(stdout).read_line(&mut said)?;
    ensure!(said == "written\n", "it said `{said}`");
    Ok(child)
}

/// Starts a daemon, and tells how long it took until agents can call.
fn start(program: &Path, home: &Path) -> Result<(Duration, Child)> {
    let begun = Instant::now();
    let (daemon, _) = shipped::daemon(program, home, "server-1", &[])?;
    Ok((begun.elapsed(), daemon))
}

fn stop(daemon: &mut Child) -> Result<()> {
    let pid = daemon.id().to_string();
    Command::new("kill").args(["-TERM", &pid]).status()?;
    daemon.wait()?;
    Ok(())
}

fn median(times: usize, mut act: impl FnMut(usize) -> Result<()>) -> Result<Duration> {
    let mut took = Vec::new();
    for time in 0..times {
        let begun = Instant::now();
        act(time)?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took[times / 2])
}

/// The whole way of a bridge, up to the answer that lets its agent in.
fn connect(home: &Path, token: &str) -> Result<()> {
    let mut stream = UnixStream::connect(socket(home, "agent.sock"))?;
    let hello = json!({"hello": "connect", "server": "server-1", "token": token});
    writeln!(stream, "{hello}")?;
    let mut said = String::new();
    BufReader::new(&stream).read_line(&mut said)?;
    let welcome: Value = serde_json::from_str(&said)?;
    ensure!(welcome.get("ok").is_some(), "not let in: {said}");
    Ok(())
}

fn socket(home: &Path, name: &str) -> PathBuf {
    home.join("data").join(name)
}

/// The first text of this name, at any depth.
fn found<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    match value {
        Value::Object(members) => {
            let own = members.get(name).and_then(Value::as_str);
            own.or_else(|| members.values().find_map(|value| found(value, name)))
        }
        _ => None,
    }
}

/// A connection to the administration socket that is kept.
struct Admin(BufReader<UnixStream>);

impl Admin {
    fn connect(home: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket(home, "admin.sock"))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn ask(&mut self, request: &Value) -> Result<Value> {
        let body = request.to_string();
        let head = format!(
            "POST /v1/command HTTP/1.1\r\nhost: admin\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.0.get_mut().write_all((head + &body).as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            ensure!(self.0.read_line(&mut line)? > 0, "the daemon is gone");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        let answer: Value = serde_json::from_slice(&body)?;
        ensure!(answer.get("ok").is_some(), "{request}: {answer}");
        Ok(answer)
    }
}

/// The costs as text, a line for each thing and a column for each number of grants.
pub fn cost_table(costs: &[Cost]) -> String {
    let mut text = format!("{:<16}", "ms");
    for cost in costs {
        text.push_str(&format!("{:>16}", format!("{} grants", cost.grants)));
    }
    text.push('\n');
    let names = costs.first().map_or(&[][..], |cost| &cost.took);
    for (place, (name, _)) in names.iter().enumerate() {
        text.push_str(&format!("{name:<16}"));
        for cost in costs {
            let took = cost.took[place].1.as_secs_f64() * 1_000.0;
            text.push_str(&format!("{took:>16.3}"));
        }
        text.push('\n');
    }
    let calls = costs.first().map_or(0, |cost| cost.calls);
    text.push_str(&format!(
        "medians; {calls} recorded calls of the day; aims: a change 2 ms, a connection 0.2 ms, a start 100 ms after a \
         clean stop and 1 s after kill -9\n"
    ));
    text
}

/// The costs as JSON.
pub fn cost_json(costs: &[Cost]) -> Value {
    let one = |cost: &Cost| {
        let took = cost.took.iter().map(|(name, took)| {
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            ((*name).to_owned(), json!(us))
        });
        let took: serde_json::Map<_, _> = took.collect();
        json!({"grants": cost.grants, "calls": cost.calls, "tookUs": took})
    };
    Value::Array(costs.iter().map(one).collect())
}
