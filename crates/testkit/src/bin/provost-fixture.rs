//! The fixture as a program: `provost-fixture stdio` and `provost-fixture http`.
#![allow(
    clippy::print_stdout,
    reason = "a program that talks to whoever started it"
)]

use clap::{Args, Parser, Subcommand};
use provost_testkit::fixture::{Eras, Fixture, Hostility, Options, Replies, Sessions, serve_stdio};
use provost_testkit::soak::sieve;
use std::path::PathBuf;

/// An MCP server that does what it is told.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    face: Face,
}

#[derive(Subcommand)]
enum Face {
    /// Serve stdin and stdout
    Stdio(Flags),
    /// Serve stdin and stdout, and spoil some of what goes out
    Sieve {
        #[command(flatten)]
        flags: Flags,
        /// Where chance begins
        #[arg(long)]
        seed: u64,
    },
    /// Serve streamable HTTP at /mcp of 127.0.0.1 and print the URL
    Http {
        #[command(flatten)]
        flags: Flags,
        /// The port; any free one by default
        #[arg(long)]
        port: Option<u16>,
        /// Answer with event streams only
        #[arg(long)]
        streams: bool,
        /// Mint no sessions
        #[arg(long)]
        no_sessions: bool,
    },
}

#[derive(Args)]
struct Flags {
    /// The eras to speak: legacy, modern or both
    #[arg(long, default_value = "legacy")]
    eras: Eras,
    /// Revisions that server/discover names besides those that are spoken
    #[arg(long, value_delimiter = ',')]
    further_versions: Vec<String>,
    /// A bad habit
    #[arg(long)]
    hostile: Option<Hostility>,
    /// The method that brings out the bad habit, `*` for every one
    #[arg(long, default_value = "tools/call")]
    on: String,
    /// Let requests of the method `on` wait until this file exists
    #[arg(long)]
    until: Option<PathBuf>,
    /// List so many further tools
    #[arg(long, default_value_t = 0)]
    generated_tools: usize,
    /// List these tools too, which answer with their arguments
    #[arg(long, value_delimiter = ',')]
    extra_tools: Vec<String>,
    /// Let lists come in pages of that length
    #[arg(long)]
    page: Option<usize>,
    /// Append every byte that arrives to this file
    #[arg(long)]
    record: Option<PathBuf>,
    /// Append every event to this file
    #[arg(long)]
    events: Option<PathBuf>,
}

fn options(flags: Flags) -> Options {
    Options {
        eras: flags.eras,
        further_versions: flags.further_versions,
        hostile: flags.hostile,
        on: flags.on,
        until: flags.until,
        generated_tools: flags.generated_tools,
        extra_tools: flags.extra_tools,
        page: flags.page,
        record: flags.record,
        events: flags.events,
        ..Options::default()
    }
}

fn main() {
    match Arguments::parse().face {
        Face::Stdio(flags) => serve_stdio(options(flags)),
        Face::Sieve { flags, seed } => sieve(flags.events.as_deref(), seed),
        Face::Http {
            flags,
            port,
            streams,
            no_sessions,
        } => {
            let fixture = Fixture::start(Options {
                port,
                replies: if streams { Replies::Sse } else { Replies::Json },
                sessions: if no_sessions {
                    Sessions::Absent
                } else {
                    Sessions::Issued
                },
                ..options(flags)
            });
            println!("{}", fixture.url());
            loop {
                std::thread::park();
            }
        }
    }
}
