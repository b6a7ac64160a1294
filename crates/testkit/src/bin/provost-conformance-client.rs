//! The client end of the conformance suite as a program; the harness says in the environment what to play.
#![allow(
    clippy::disallowed_methods,
    reason = "the harness speaks through the environment"
)]

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use provost_testkit::conformance::client::{Scenario, play};
use rmcp::model::ProtocolVersion;
use serde_json::Value;

/// Servers of some scenarios never answer; the harness would wait thirty seconds and then kill.
const PATIENCE: Duration = Duration::from_secs(20);

/// An MCP client that plays the scenario named in MCP_CONFORMANCE_SCENARIO.
#[derive(Parser)]
struct Arguments {
    /// The server's URL
    url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = Arguments::parse().url;
    let scenario = scenario()?;
    tokio::time::timeout(PATIENCE, play(&scenario, &url))
        .await
        .context("the server never came to an end")?
}

fn scenario() -> Result<Scenario> {
    let version = std::env::var("MCP_CONFORMANCE_PROTOCOL_VERSION");
    let version: Option<ProtocolVersion> = match version {
        Ok(version) => Some(serde_json::from_value(Value::String(version))?),
        Err(_) => None,
    };
    let context = std::env::var("MCP_CONFORMANCE_CONTEXT");
    Ok(Scenario {
        name: std::env::var("MCP_CONFORMANCE_SCENARIO").context("no scenario was named")?,
        version: version.unwrap_or(ProtocolVersion::V_2025_11_25),
        context: match context {
            Ok(context) => serde_json::from_str(&context)?,
            Err(_) => Default::default(),
        },
    })
}
