//! Real MCP servers and real clients, as `scripts/setup` installs them into `.tools/`.
//!
//! A test asks a server the same questions twice, directly and through the gateway, and compares the answers: with a
//! client of ours that keeps every answer as it came ([`wire`]), with client libraries ([`library`]), and with the
//! Inspector ([`inspector`]). What came out stands in a table ([`table`]).

pub mod compare;
pub mod inspector;
pub mod library;
mod page;
mod server;
pub mod table;
pub mod wire;

use crate::process::{Start, root};
use regex::Regex;
use serde_json::{Value, json};
use std::path::PathBuf;

pub use library::{Client, Library};
pub use server::{HTTP_SERVERS, HttpServer, MODERN_SERVERS, RealServer, SERVERS, server, version};

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// The era of `initialize`.
    Legacy,
    /// The era of 2026-07-28.
    Modern,
    /// Whichever of the two the server answers to, the modern one first.
    Auto,
}

/// Whom a client talks to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A program, over stdio.
    Stdio(Start),
    /// A URL, with headers.
    Http {
        /// The endpoint.
        url: String,
        /// Headers of every request.
        headers: Vec<(String, String)>,
    },
}

/// What stands in a scenario, such as `{{scratch}}`, and what it is this time.
pub type Names = [(&'static str, String)];

pub(crate) fn tools() -> PathBuf {
    root().join(".tools")
}

pub(crate) fn modules(folder: &str) -> PathBuf {
    tools().join(folder).join("node_modules")
}

/// Whether a server speaks the modern era.
pub fn is_modern(name: &str) -> bool {
    MODERN_SERVERS.contains(&name)
}

/// Whether `scripts/setup` has run here.
pub fn available() -> bool {
    [
        "npm/node_modules/@modelcontextprotocol",
        "npm-servers/node_modules/@modelcontextprotocol",
        "python/bin/mcp-server-fetch",
        "python-mcp1/bin/python",
    ]
    .iter()
    .all(|part| tools().join(part).exists())
}

/// Stops a test that cannot run.
///
/// # Panics
/// When the real servers are not installed.
pub fn require() {
    assert!(
        available(),
        "the real servers and clients are not installed; run `scripts/setup` (`make test` does it)"
    );
}

/// The Node to use: the one that `scripts/setup` fetched, else the system's.
pub fn node_program() -> PathBuf {
    let own = tools().join("node/node_modules/node/bin/node");
    if own.exists() {
        own
    } else {
        PathBuf::from("node")
    }
}

/// The steps of a scenario, with the names filled in.
///
/// # Panics
/// When there is no such scenario.
pub fn steps(scenario: &str, names: &Names) -> Vec<Value> {
    let file = root()
        .join("crates/testkit/clients/scenarios")
        .join(scenario)
        .with_extension("json");
    let text =
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("scenario `{scenario}`: {e}"));
    let text = names
        .iter()
        .fold(text, |text, (name, value)| text.replace(name, value));
    serde_json::from_str(&text).expect("a scenario is a list of steps")
}

/// Replaces what differs from run to run: the names of a scenario, dates and times of day.
fn blot(report: &str, names: &Names) -> String {
    let report = names.iter().fold(report.to_owned(), |text, (name, value)| {
        text.replace(value, name)
    });
    let moment = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?";
    let moment = Regex::new(moment).expect("the pattern is fine");
    moment.replace_all(&report, "<time>").into_owned()
}

// === impl Speaks ===

impl Speaks {
    /// As it stands in scripts and tables.
    pub fn word(self) -> &'static str {
        match self {
            Speaks::Legacy => "legacy",
            Speaks::Modern => "modern",
            Speaks::Auto => "auto",
        }
    }
}

// === impl Target ===

impl Target {
    /// A URL with a grant.
    pub fn http(url: &str, token: Option<&str>) -> Target {
        let headers = token.map(|token| ("Authorization".to_owned(), format!("Bearer {token}")));
        Target::Http {
            url: url.to_owned(),
            headers: headers.into_iter().collect(),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Target::Stdio(start) => {
                let env: serde_json::Map<String, Value> = start
                    .env
                    .iter()
                    .map(|(name, value)| (name.clone(), json!(value)))
                    .collect();
                let mut target = json!({"command": start.command_line(), "env": env});
                if let Some(cwd) = &start.cwd {
                    target["cwd"] = json!(cwd);
                }
                target
            }
            Target::Http { url, headers } => {
                let headers: serde_json::Map<String, Value> = headers
                    .iter()
                    .map(|(name, value)| (name.clone(), json!(value)))
                    .collect();
                json!({"url": url, "headers": headers})
            }
        }
    }
}
