//! Those in front of the daemon: some send nonsense, some must always be answered.

use super::dice::Dice;
use super::mutate;
use super::traffic::{self, Traffic};
use super::world::{Role, World};
use crate::client::Client;
use crate::process::Start;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an honest call may take while everybody else sends nonsense.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);

/// What was sent and what came back.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Mutated requests over HTTP/1.1.
    pub(super) requests: AtomicU64,
    /// Mutated connections over HTTP/2.
    pub(super) connections: AtomicU64,
    /// Mutated lines over stdio.
    pub(super) lines: AtomicU64,
    /// Floods.
    pub(super) floods: AtomicU64,
    /// Grants and policies that ended in the middle of calls.
    pub(super) meddled: AtomicU64,
    /// Honest calls that were answered.
    pub(super) honest: AtomicU64,
    /// The slowest of them, in microseconds.
    pub(super) slowest_us: AtomicU64,
    /// Statuses of HTTP/1.1 answers.
    pub(super) statuses: Mutex<BTreeMap<u16, u64>>,
    /// While it is set, nobody sends nonsense.
    pub(super) rest: AtomicBool,
}

impl Tally {
    fn answered(&self, begun: Instant) {
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.slowest_us.fetch_max(took, Ordering::Relaxed);
        self.honest.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until nonsense may be sent.
    pub(super) async fn while_resting(&self) {
        while self.rest.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Sends mutated requests over HTTP, a connection each.
pub(super) async fn hostile_over_http(
    address: SocketAddr,
    traffic: &Mutex<Traffic>,
    tally: &Tally,
    mut dice: Dice,
) {
    loop {
        tally.while_resting().await;
        let (bytes, http2) = {
            let traffic = traffic.lock().unwrap();
            if dice.once_in(10) {
                let mut bytes = dice.pick(&traffic.connections).clone();
                for _ in 0..=dice.roll(3) {
                    bytes = mutate::bytes(&mut dice, bytes, &traffic.requests);
                }
                (bytes, true)
            } else {
                let recorded = dice.pick(&traffic.requests).clone();
                (
                    mutate::request(&mut dice, &recorded, &traffic.requests),
                    false,
                )
            }
        };
        let answer = exchange(address, &bytes, &mut dice).await;
        if http2 {
            tally.connections.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        tally.requests.fetch_add(1, Ordering::Relaxed);
        for status in crate::tcp::statuses(&answer) {
            *tally.statuses.lock().unwrap().entry(status).or_default() += 1;
        }
    }
}

/// Writes in pieces, and reads what comes in a moment.
async fn exchange(address: SocketAddr, bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut answer = Vec::new();
    let Ok(mut socket) = TcpStream::connect(address).await else {
        return answer;
    };
    drop(socket.set_nodelay(true));
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = if dice.once_in(3) {
            1 + dice.roll(rest.len())
        } else {
            rest.len()
        };
        let (piece, after) = rest.split_at(length);
        rest = after;
        if socket.write_all(piece).await.is_err() {
            break;
        }
    }
    let patience = Duration::from_millis(*dice.pick(&[0, 5, 50, 200]));
    match dice.roll(4) {
        0 => drop(socket.shutdown().await),
        // Closing with data unread sends a reset.
        1 if patience.is_zero() => drop(socket.set_zero_linger()),
        _ => {}
    }
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(Ok(length @ 1..)) = tokio::time::timeout(patience, socket.read(&mut chunk)).await {
        answer.extend_from_slice(&chunk[..length]);
    }
    answer
}

/// Sends mutated lines over stdio, one bridge after the other.
///
/// # Errors
/// When a bridge cannot be started.
pub(super) async fn hostile_over_stdio(
    world: &World,
    server: &str,
    traffic: &Mutex<Traffic>,
    tally: &Tally,
    mut dice: Dice,
) -> Result<()> {
    loop {
        tally.while_resting().await;
        let mut bridge = tokio::process::Command::from(world.connect(server, Role::Hostile));
        bridge
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true);
        let mut bridge = bridge.spawn().context("no bridge")?;
        let mut input = bridge.stdin.take().context("piped")?;
        let mut output = bridge.stdout.take().context("piped")?;
        let reader = tokio::spawn(async move {
            let mut chunk = vec![0; 16 * 1024];
            while let Ok(1..) = output.read(&mut chunk).await {}
        });
        let mut opening = format!("{}\n", traffic::initialize()).into_bytes();
        if dice.once_in(4) {
            opening = mutate::bytes(&mut dice, opening, &[]);
        }
        drop(input.write_all(&opening).await);
        for _ in 0..100 + dice.roll(200) {
            let mut line = {
                let traffic = traffic.lock().unwrap();
                let recorded = dice.pick(&traffic.lines).clone();
                mutate::line(&mut dice, &recorded, &traffic.lines)
            };
            line.push(b'\n');
            tally.lines.fetch_add(1, Ordering::Relaxed);
            if input.write_all(&line).await.is_err() || tally.rest.load(Ordering::Relaxed) {
                break;
            }
            // As fast as the other end reads, and a breath for everybody else.
            tokio::task::yield_now().await;
        }
        drop(input);
        if dice.once_in(3) {
            drop(bridge.start_kill());
        }
        let ended = tokio::time::timeout(Duration::from_secs(40), bridge.wait()).await;
        reader.abort();
        ensure!(ended.is_ok(), "a bridge whose input ended does not end");
    }
}

/// The same in the later era, where every request stands alone.
///
/// # Errors
/// When one is not answered rightly and in time.
pub(super) async fn honest_and_modern(world: &World, server: &str, tally: &Tally) -> Result<()> {
    let url = format!("http://{}/mcp/{server}", world.address);
    let authorization = format!("Bearer {}", world.token(server, Role::Honest));
    for number in 0_u64.. {
        let text = format!("modern {number}");
        let begun = Instant::now();
        let message = traffic::modern_call(number, "echo", json!({"text": text}));
        let post = traffic::modern_post(&url, &authorization, &message);
        let reply = tokio::time::timeout(PATIENCE, post).await;
        let reply = reply.with_context(|| format!("an honest call to `{server}` hangs"))??;
        let answer = reply.message();
        let told = &answer["result"]["content"][0]["text"];
        ensure!(
            told == &json!(text),
            "an honest call to `{server}` was answered {answer}"
        );
        tally.answered(begun);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Calls, and calls again; each call must be answered rightly and in time.
///
/// # Errors
/// When one is not.
pub(super) async fn honest(
    world: &World,
    server: &str,
    over_http: bool,
    tally: &Tally,
) -> Result<()> {
    let client = if over_http {
        let url = format!("http://{}/mcp/{server}", world.address);
        Client::http(&url, Some(&world.token(server, Role::Honest)))
    } else {
        let command = world.connect(server, Role::Honest);
        let mut start = Start::program(command.get_program());
        start.args = command
            .get_args()
            .map(|a| a.to_string_lossy().into_owned())
            .collect();
        for (name, value) in command.get_envs() {
            let value = value.unwrap_or_default().to_string_lossy().into_owned();
            start = start.env(&name.to_string_lossy(), value);
        }
        Client::stdio(&start)
    };
    client.connect().await;
    for number in 0_u64.. {
        let text = format!("honest {number}");
        let begun = Instant::now();
        let call = client.call("echo", json!({"text": text}));
        let answer = tokio::time::timeout(PATIENCE, call).await;
        let answer = answer.with_context(|| format!("an honest call to `{server}` hangs"))?;
        let told: &Value = &answer["result"]["content"][0]["text"];
        ensure!(
            told == &json!(text),
            "an honest call to `{server}` was answered {answer}"
        );
        if number % 20 == 0 {
            let denied = client.call("add", json!({"a": 1, "b": 2})).await;
            ensure!(
                denied["result"]["isError"] == true,
                "a denied call was answered {denied}"
            );
        }
        tally.answered(begun);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}
