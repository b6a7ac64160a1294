//! The client end: one agent that lists all tools and calls them, answers what it is asked, and signs in when it must.
//!
//! The scenarios differ in what their servers do, hardly in what a client has to do, so there is one way through.

mod answers;
mod scenario;
mod sign_in;

use std::time::Duration;

use anyhow::{Context, Result};
use rmcp::ClientServiceExt;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{AuthClient, AuthorizationManager, StreamableHttpClientTransport};

use super::forward::Forwarder;
use answers::Answers;
use sign_in::{Challenge, SignIn};

pub use scenario::{Configured, Scenario};

/// Servers of some scenarios never answer; the harness would wait thirty seconds and then kill.
const PATIENCE: Duration = Duration::from_secs(20);

/// Plays a scenario against a server.
///
/// # Errors
/// When the server does what a client must not put up with; some scenarios want that.
pub async fn play(scenario: &Scenario, url: &str) -> Result<()> {
    let visits = tokio::time::timeout(PATIENCE, visits(scenario, url, None));
    visits.await.context("the server never came to an end")?
}

/// Plays a scenario through a forwarder.
///
/// # Errors
/// As [`play`].
pub async fn play_behind(scenario: &Scenario, forwarder: &Forwarder) -> Result<()> {
    let visits = visits(scenario, forwarder.url(), Some(forwarder));
    let visits = tokio::time::timeout(PATIENCE, visits);
    visits.await.context("the server never came to an end")?
}

/// A visit for each time the server asks for a sign-in, and one more.
async fn visits(scenario: &Scenario, url: &str, behind: Option<&Forwarder>) -> Result<()> {
    let mut sign_in = SignIn::new(url, &scenario.context);
    loop {
        let error = match visit(scenario, url, behind, sign_in.manager().await?).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let Some(challenge) = Challenge::of(&error) else {
            return Err(error);
        };
        sign_in.answer(&challenge).await?;
    }
}

/// Connects, lists, calls, leaves.
async fn visit(
    scenario: &Scenario,
    url: &str,
    behind: Option<&Forwarder>,
    manager: AuthorizationManager,
) -> Result<()> {
    let transport = StreamableHttpClientTransport::with_client(
        AuthClient::new(reqwest::Client::default(), manager),
        StreamableHttpClientTransportConfig::with_uri(url),
    );
    let client = Answers::to(&scenario.version)
        .serve_with_lifecycle(transport, scenario.lifecycle())
        .await?;
    let tools = client.list_all_tools().await.context("listing tools")?;
    if let Some(forwarder) = behind {
        forwarder.settled().await;
    }
    for call in scenario.calls(&tools) {
        let name = call.name.clone();
        client
            .call_tool(call)
            .await
            .with_context(|| format!("calling `{name}`"))?;
    }
    client.cancel().await?;
    Ok(())
}
