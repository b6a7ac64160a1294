//! Playing a suite: directly, and through the gateway.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::client::{Scenario, play_behind};
use super::compare::{Comparison, signs_in};
use super::forward::Forwarder;
use super::server::{Era, serve};
use super::suite::{Harness, Outcome, Side, Suite};
use crate::shipped::{Shipped, Upstream};

/// The programs that a run needs, all beside each other.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The product.
    pub gateway: String,
    /// The server, for gateways that start it.
    pub server: String,
    /// The client, directly.
    pub client: String,
    /// The client, through the gateway; it gets the URL as its last argument.
    pub client_through: String,
}

/// Plays a suite twice.
///
/// # Errors
/// When something does not start or the harness does not come to an end.
pub async fn compare(harness: &Harness, programs: &Programs, suite: Suite) -> Result<Comparison> {
    let (direct, through) = match suite.side {
        Side::Client => (
            harness.play(suite, &programs.client).await?,
            harness
                .play_each(suite, &programs.client_through, |name| !signs_in(name))
                .await?,
        ),
        Side::Server | Side::Process => servers(harness, programs, suite).await?,
    };
    Ok(Comparison {
        suite,
        direct,
        through,
    })
}

async fn servers(
    harness: &Harness,
    programs: &Programs,
    suite: Suite,
) -> Result<(Outcome, Outcome)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let server = tokio::spawn(serve(listener, Era::Both));
    let direct = harness.play(suite, &url).await?;
    let program = [programs.server.as_str(), "--stdio"];
    let upstream = match suite.side {
        Side::Process => Upstream::Program(&program),
        Side::Server | Side::Client => Upstream::Url(&url),
    };
    let gateway = gateway(Path::new(&programs.gateway), upstream)?;
    let forwarder = Forwarder::start(gateway.url(), gateway.token()).await?;
    let through = harness.play(suite, forwarder.url()).await?;
    server.abort();
    recorded(&gateway, through.len())?;
    Ok((direct, through))
}

/// What passed was recorded, and the chain is intact. Most scenarios make a call or two, of two entries each.
fn recorded(gateway: &Shipped, scenarios: usize) -> Result<()> {
    let verified = gateway.command(&["audit", "verify"])?;
    let entries = verified["entries"].as_u64().unwrap_or(0);
    let enough = entries > scenarios as u64;
    anyhow::ensure!(
        enough && verified["intact"] == json!(true),
        "the gateway did not record what passed: {verified}"
    );
    Ok(())
}

/// Plays a client's scenario through a gateway that is set up for it.
///
/// # Errors
/// When the scenario is not one for the gateway, or the client's visit fails.
pub async fn play_through(program: &Path, scenario: &Scenario, url: &str) -> Result<()> {
    anyhow::ensure!(
        !signs_in(&scenario.name),
        "the gateway does not sign in to servers yet"
    );
    let gateway = gateway(program, Upstream::Url(url))?;
    let forwarder = Forwarder::start(gateway.url(), gateway.token()).await?;
    play_behind(scenario, &forwarder).await
}

fn gateway(program: &Path, upstream: Upstream<'_>) -> Result<Shipped> {
    Shipped::start(program, "conformance", upstream, &policy())
        .context("the gateway does not start")
}

/// Allows everything the protocol knows, and is judged: a condition that never applies, a count of every call.
fn policy() -> Value {
    json!({
        "version": "1",
        "default": "allow",
        "all_tools": {
            "deny_if": [{ "conditions": [{ "path": "args.text", "op": "contains", "value": "rm -rf /" }] }],
            "limits": [{ "counter": "calls", "window": "hour", "max": 1_000_000, "scope": "grant" }],
        },
    })
}
