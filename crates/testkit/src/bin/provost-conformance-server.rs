//! The server end of the conformance suite as a program: over HTTP (it prints its URL) or over stdio.
#![allow(
    clippy::print_stdout,
    reason = "a program that talks to whoever started it"
)]

use anyhow::Result;
use clap::Parser;
use provost_testkit::conformance::server::{Era, serve, serve_stdio};
use tokio::net::TcpListener;

/// An MCP server with everything that the conformance scenarios call, at /mcp of 127.0.0.1
#[derive(Parser)]
struct Arguments {
    /// Which eras of the protocol it speaks
    #[arg(long, value_enum, default_value_t = Era::Both)]
    era: Era,
    /// The port; any free one by default
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Serve stdin and stdout instead
    #[arg(long, conflicts_with = "port")]
    stdio: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if arguments.stdio {
        return serve_stdio(arguments.era).await;
    }
    let listener = TcpListener::bind(("127.0.0.1", arguments.port)).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    serve(listener, arguments.era).await
}
