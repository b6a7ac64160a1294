//! The client end of the conformance suite as a program; the harness says in the environment what to play.
use anyhow::Result;
use clap::Parser;
use provost_testkit::conformance::client::{Scenario, play};

/// An MCP client that plays the scenario named in MCP_CONFORMANCE_SCENARIO.
#[derive(Parser)]
struct Arguments {
    /// The server's URL
    url: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let url = Arguments::parse().url;
    play(&Scenario::from_environment()?, &url).await
}
