//! The Inspector's command line: one method for each start.

use super::{Names, Speaks, Target, blot, modules, node_program, require};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Name and version, as a table says it.
pub const TITLE: &str = "Inspector CLI 2.12.0";

/// Asks one question, and returns what was printed: the exit code, then the result or the error.
///
/// # Errors
/// When it does not come to an end.
pub async fn ask(
    speaks: Speaks,
    target: &Target,
    question: &[&str],
    names: &Names,
) -> Result<(i32, Value)> {
    require();
    // On a command line the words of a wrapped server would be taken for words of its own.
    let home = tempfile::tempdir()?;
    let config = home.path().join("servers.json");
    std::fs::write(&config, configuration(target).to_string())?;
    let mut command = Command::new(node_program());
    let script = "@modelcontextprotocol/inspector/clients/launcher/build/index.js";
    command
        .env("HOME", home.path())
        .arg(modules("npm-servers").join(script))
        .args(["--cli", "--server", "real", "--config"])
        .arg(&config);
    command.args(["--protocol-era", speaks.word(), "--format", "json", "-q"]);
    command
        .args(question)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let child = command.spawn().context("the Inspector does not start")?;
    let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
    let Ok(output) = output.await else {
        bail!("the Inspector did not finish {question:?} in a minute");
    };
    let output = output?;
    let code = output.status.code().context("it was killed")?;
    // A result goes to standard output, an error to standard error.
    let text = if output.stdout.is_empty() {
        output.stderr
    } else {
        output.stdout
    };
    let text = blot(&String::from_utf8(text)?, names);
    let value = serde_json::from_str(text.trim())
        .with_context(|| format!("{question:?} printed no JSON: {text}"))?;
    Ok((code, value))
}

fn configuration(target: &Target) -> Value {
    let mut server = target.to_json();
    match target {
        Target::Stdio(start) => {
            let mut words = start.command_line();
            server["command"] = json!(words.remove(0));
            server["args"] = json!(words);
        }
        Target::Http { .. } => server["type"] = json!("streamable-http"),
    }
    json!({"mcpServers": {"real": server}})
}
