//! Provost itself, as shipped: a policy for 200 tools with predicates on
//! arguments and two limits, recording on.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Target;

/// A daemon on a scratch directory, in front of one upstream.
#[derive(Debug)]
pub struct Gateway {
    program: PathBuf,
    scratch: TempDir,
    child: Child,
    url: String,
    token: String,
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
        let scratch = tempfile::tempdir()?;
        let run = |args: &[&str]| command(program, scratch.path(), args);
        run(&["server", "add", "echo", "--url", upstream])?;
        let policy = scratch.path().join("policy.json");
        std::fs::write(&policy, policy_of(200).to_string())?;
        let file = policy.to_str().context("a path in UTF-8")?;
        run(&["policy", "put", "echo", "bench", file])?;
        let minted = run(&[
            "grant", "mint", "echo", "--label", "bench", "--policy", "bench",
        ])?;
        let token = minted["token"].as_str().context("a token")?.to_owned();
        let before = run(&["audit", "verify"])?["entries"]
            .as_u64()
            .context("entries")?;
        let mut daemon = base(program, scratch.path());
        daemon.args(["up", "--listen", "127.0.0.1:0"]);
        daemon.env("PROVOST_LOG", "warn").stderr(Stdio::piped());
        let mut child = daemon.spawn()?;
        let mut lines = BufReader::new(child.stderr.take().context("stderr")?).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                let at = line.find("http://")?;
                Some(line.get(at..)?.replace("<server>", "echo"))
            })
            .context("the gateway did not say where it listens")?;
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(Self {
            program: program.to_owned(),
            scratch,
            child,
            url,
            token,
            before,
        })
    }

    /// How the load generator reaches it.
    pub fn target(&self) -> Target {
        Target {
            headers: vec![("authorization".into(), format!("Bearer {}", self.token))],
            pids: vec![self.child.id()],
            ..Target::new("provost", &self.url)
        }
    }

    /// Verifies the chain and counts what was recorded.
    ///
    /// # Errors
    /// When the chain is not intact.
    pub fn audit(&self) -> Result<Audit> {
        let verified = command(&self.program, self.scratch.path(), &["audit", "verify"])?;
        ensure!(verified["intact"] == json!(true), "the chain: {verified}");
        let number = |key: &str| verified[key].as_u64().context("a number");
        Ok(Audit {
            entries: number("entries")? - self.before,
            segments: number("segments")?,
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Gone already is as good.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn base(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env("HOME", home)
        .env("PROVOST_DATA", home.join("data"))
        .env("PROVOST_CONFIG", home.join("config"));
    command
}

fn command(program: &Path, home: &Path, args: &[&str]) -> Result<Value> {
    let output = base(program, home).arg("--json").args(args).output()?;
    if !output.status.success() {
        bail!("{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
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
