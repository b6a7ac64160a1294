//! Client libraries, each driven by a script that runs a scenario and prints what it was told.

use super::{Names, Speaks, Target, blot, modules, node_program, require, steps, tools};
use crate::process::root;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// A client library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// `@modelcontextprotocol/sdk`.
    TypeScript1,
    /// `@modelcontextprotocol/client`.
    TypeScript2,
    /// `mcp` before version 2.
    Python1,
    /// `mcp` from version 2 on.
    Python2,
}

/// A client library, and the era it was told to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The library.
    pub library: Library,
    /// What it speaks.
    pub speaks: Speaks,
}

// === impl Library ===

impl Library {
    /// Name and version, as a table says it.
    pub fn title(self) -> &'static str {
        match self {
            Library::TypeScript1 => "TypeScript SDK 1.32.2",
            Library::TypeScript2 => "TypeScript SDK 2.4.0",
            Library::Python1 => "Python SDK 1.30.0",
            Library::Python2 => "Python SDK 2.3.0",
        }
    }

    fn command(self) -> Command {
        let scripts = root().join("crates/testkit/clients");
        let node = |script: &str, folder: &str| {
            let mut command = Command::new(node_program());
            command.arg(scripts.join(script)).arg(modules(folder));
            command
        };
        let python = |script: &str, folder: &str| {
            let mut command = Command::new(tools().join(folder).join("bin/python"));
            command.arg(scripts.join(script));
            command
        };
        match self {
            Library::TypeScript1 => node("client1.mjs", "npm"),
            Library::TypeScript2 => node("client2.mjs", "npm-servers"),
            Library::Python1 => python("client1.py", "python-mcp1"),
            Library::Python2 => python("client2.py", "python"),
        }
    }
}

// === impl Client ===

impl Client {
    /// A library that speaks an era.
    pub const fn new(library: Library, speaks: Speaks) -> Client {
        Client { library, speaks }
    }

    /// Runs a scenario, and returns its report with the names and times blotted out.
    ///
    /// # Errors
    /// When the client fails as a program; refused calls are part of the report.
    pub async fn run(self, scenario: &str, names: &Names, target: &Target) -> Result<String> {
        require();
        let mut command = self.library.command();
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("{self:?} does not start"))?;
        let asked = json!({
            "target": target.to_json(),
            "era": self.speaks.word(),
            "steps": steps(scenario, names),
        });
        let mut stdin = child.stdin.take().context("stdin is piped")?;
        stdin.write_all(asked.to_string().as_bytes()).await?;
        drop(stdin);
        let output = tokio::time::timeout(Duration::from_secs(120), child.wait_with_output());
        let Ok(output) = output.await else {
            bail!("{self:?} did not finish `{scenario}` in two minutes");
        };
        let output = output?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{self:?} failed in `{scenario}`: {errors}"
        );
        Ok(blot(&String::from_utf8(output.stdout)?, names))
    }
}
