//! Floods in bytes: messages as large as they may be, bodies that never end, streams that nobody reads, letters that
//! fold into many.

use super::agents::Tally;
use super::dice::Dice;
use super::traffic;
use super::world::{Role, World};
use serde_json::{Value, json};
use std::fmt::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Just below what a body may have.
const LARGE: usize = 4_000_000;
/// A letter of three bytes that NFKC makes eighteen of.
const WIDE: &str = "\u{fdfa}";

/// Floods one server's grant, one way after the other.
pub(super) async fn flood(world: &World, server: &str, tally: &Tally, mut dice: Dice) {
    loop {
        tally.while_resting().await;
        let from = Source {
            world,
            server,
            token: world.token(server, Role::Hostile),
        };
        let moment = Duration::from_millis(100 + dice.roll(1500) as u64);
        match dice.roll(8) {
            0 => from.unfinished(&mut dice, moment).await,
            1 => from.sessions(&mut dice).await,
            2 => from.send(&wide_keys(&mut dice), &[], moment).await,
            3 => from.send(&wide_name(&mut dice), &[], moment).await,
            4 => from.subscription(&mut dice, moment).await,
            5 => from.deaf(moment).await,
            6 => from.many_calls(moment).await,
            _ => from.send(&many_members(&mut dice), &[], moment).await,
        }
        tally.floods.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who floods what.
struct Source<'w> {
    world: &'w World,
    server: &'w str,
    token: String,
}

impl Source<'_> {
    fn head(&self, length: usize, more: &[(&str, &str)]) -> String {
        let mut head = format!(
            "POST /mcp/{} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {length}\r\n",
            self.server, self.world.address, self.token
        );
        for (name, value) in more {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }

    async fn open(&self) -> Option<TcpStream> {
        TcpStream::connect(self.world.address).await.ok()
    }

    /// Sends one message, and reads nothing until the moment is over.
    async fn send(&self, message: &str, headers: &[(&str, &str)], moment: Duration) {
        let _open = self.begin(message, headers).await;
        tokio::time::sleep(moment).await;
    }

    async fn begin(&self, message: &str, headers: &[(&str, &str)]) -> Option<TcpStream> {
        let mut socket = self.open().await?;
        let head = self.head(message.len(), headers);
        let write = async {
            socket.write_all(head.as_bytes()).await?;
            socket.write_all(message.as_bytes()).await
        };
        // Who is not read from is not waited for either.
        drop(tokio::time::timeout(Duration::from_secs(5), write).await);
        Some(socket)
    }

    /// Bodies that stop before their end.
    async fn unfinished(&self, dice: &mut Dice, moment: Duration) {
        let mut open = Vec::new();
        for _ in 0..5 + dice.roll(30) {
            let Some(mut socket) = self.open().await else {
                break;
            };
            let head = self.head(LARGE, &[]);
            let half = vec![b' '; LARGE - 1 - dice.roll(LARGE)];
            let write = async {
                socket.write_all(head.as_bytes()).await?;
                socket.write_all(&half).await
            };
            drop(tokio::time::timeout(Duration::from_secs(1), write).await);
            open.push(socket);
        }
        tokio::time::sleep(moment).await;
    }

    /// Sessions that are opened with as much as may be sent, and arrange for more.
    async fn sessions(&self, dice: &mut Dice) {
        for _ in 0..3 + dice.roll(10) {
            let mut initialize = traffic::initialize();
            initialize["params"]["clientInfo"]["title"] = json!("x".repeat(LARGE - 1000));
            let Some(mut socket) = self.begin(&initialize.to_string(), &[]).await else {
                return;
            };
            let mut answer = vec![0; 8 * 1024];
            let read = tokio::time::timeout(Duration::from_secs(2), socket.read(&mut answer)).await;
            let length = read.ok().and_then(Result::ok).unwrap_or_default();
            let answer = String::from_utf8_lossy(&answer[..length]).to_ascii_lowercase();
            let id = answer
                .lines()
                .find_map(|line| line.strip_prefix("mcp-session-id: "));
            let Some(id) = id else { continue };
            let session = [("mcp-session-id", id.trim())];
            let level = json!({"jsonrpc": "2.0", "id": 2, "method": "logging/setLevel",
                "params": {"level": "debug", "pad": "x".repeat(LARGE - 1000)}});
            self.send(&level.to_string(), &session, Duration::ZERO)
                .await;
            for number in 0..3 {
                let uri = format!("fixture://{number}/{}", "x".repeat(1_000_000));
                let subscribe = json!({"jsonrpc": "2.0", "id": 3 + number, "method": "resources/subscribe",
                    "params": {"uri": uri}});
                self.send(&subscribe.to_string(), &session, Duration::ZERO)
                    .await;
            }
        }
    }

    /// A subscription of the later era, to as much as fits.
    async fn subscription(&self, dice: &mut Dice, moment: Duration) {
        let uris: Vec<Value> = (0..1 + dice.roll(2000))
            .map(|number| {
                json!(format!(
                    "fixture://{number}/{}",
                    "x".repeat(dice.roll(1500))
                ))
            })
            .collect();
        let listen = traffic::listen(1, json!({"resourceSubscriptions": uris}));
        let headers = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "subscriptions/listen"),
        ];
        self.send(&listen.to_string(), &headers, moment).await;
    }

    /// Asks for large answers and reads none of them.
    async fn deaf(&self, moment: Duration) {
        let mut open = Vec::new();
        for number in 0..10 {
            let call = traffic::modern_call(number, "big", json!({"bytes": 900_000}));
            open.push(self.begin(&call.to_string(), &modern_call("big")).await);
        }
        tokio::time::sleep(moment).await;
    }

    /// More calls at a time than anybody needs.
    async fn many_calls(&self, moment: Duration) {
        let mut open = Vec::new();
        for number in 0..100 {
            let call = traffic::modern_call(number, "slow", json!({"ms": 3000}));
            open.push(self.begin(&call.to_string(), &modern_call("slow")).await);
        }
        tokio::time::sleep(moment).await;
    }
}

fn modern_call(tool: &str) -> [(&str, &str); 3] {
    [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", tool),
    ]
}

/// A `ping` whose keys fold into as much as possible.
fn wide_keys(dice: &mut Dice) -> String {
    let (width, mut params) = (1 + dice.roll(200), String::new());
    let bytes = dice.roll(LARGE);
    let mut number = 0;
    while params.len() < bytes {
        let _ = write!(params, ",\"{}{number}\":1", WIDE.repeat(width));
        number += 1;
    }
    let params = params.trim_start_matches(',');
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{{params}}}}}"#)
}

/// A tool whose name folds into as much as possible.
fn wide_name(dice: &mut Dice) -> String {
    let name = WIDE.repeat(1 + dice.roll(LARGE / 3 - 1000));
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {}}})
        .to_string()
}

/// Arguments with as many members as fit.
fn many_members(dice: &mut Dice) -> String {
    let members: Vec<String> = (0..dice.roll(190_000))
        .map(|number| format!("\"\u{e9}{number}\":0"))
        .collect();
    let members = members.join(",");
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{{members}}}}}}}"#
    )
}
