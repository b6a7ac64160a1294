//! Provost itself, as shipped: a policy for 200 tools with predicates on
//! arguments and two limits, recording on.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::Target;
use crate::shipped::{Shipped, Upstream};

/// A daemon on a scratch directory, in front of one upstream.
#[derive(Debug)]
pub struct Gateway {
    shipped: Shipped,
    /// Entries of the journal before any call.
    before: u64,
}

/// What the journal says after the calls.
#[derive(Debug, Clone, Copy)]
pub struct Audit {
    /// Entries that calls wrote: two each.
    pub entries: u64,
    /// Segments of the journal; each begins with an entry of its own.
    pub segments: u64,
}

impl Gateway {
    /// Starts the binary `program` in front of `upstream`.
    ///
    /// # Errors
    /// When it does not start or refuses a command.
    pub fn start(program: &Path, upstream: &str) -> Result<Self> {
        let shipped = Shipped::start(program, "echo", Upstream::Url(upstream), &policy_of(200))?;
        let before = shipped.command(&["audit", "verify"])?["entries"]
            .as_u64()
            .context("entries")?;
        Ok(Self { shipped, before })
    }

    /// How the load generator reaches it.
    pub fn target(&self) -> Target {
        let token = self.shipped.token();
        Target {
            headers: vec![("authorization".into(), format!("Bearer {token}"))],
            pids: vec![self.shipped.pid()],
            ..Target::new("provost", self.shipped.url())
        }
    }

    /// Verifies the chain and counts what was recorded.
    ///
    /// # Errors
    /// When the chain is not intact.
    pub fn audit(&self) -> Result<Audit> {
        let verified = self.shipped.command(&["audit", "verify"])?;
        ensure!(verified["intact"] == json!(true), "the chain: {verified}");
        let number = |key: &str| verified[key].as_u64().context("a number");
        Ok(Audit {
            entries: number("entries")? - self.before,
            segments: number("segments")?,
        })
    }
}

/// A policy for so many tools, `echo` among them, each with a pattern its
/// arguments must match and one they must not; two limits count every call.
fn policy_of(tools: usize) -> Value {
    let rules = json!({
        "require": [{ "conditions": [{ "path": "args.text", "op": "regex", "value": "^[ -~]*$" }] }],
        "deny_if": [{ "conditions": [{ "path": "args.text", "op": "contains", "value": "rm -rf /" }] }],
        "limits": [{ "counter": "calls", "window": "day", "max": 1_000_000_000, "scope": "grant" }],
    });
    let mut named = serde_json::Map::new();
    for n in 1..tools {
        named.insert(format!("tool_{n:03}"), rules.clone());
    }
    named.insert("echo".to_owned(), rules);
    json!({
        "version": "1",
        "default": "deny",
        "all_tools": { "limits": [
            { "counter": "all", "window": "hour", "max": 1_000_000_000, "scope": "grant" } ] },
        "tools": named,
    })
}
