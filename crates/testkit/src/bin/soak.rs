//! `make soak`: mutated traffic against `provost`, for ten minutes unless told otherwise.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program that talks to whoever started it"
)]

use anyhow::{Context, Result};
use clap::Parser;
use provost_testkit::soak::{self, Plan};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Send random mutations of recorded traffic to a real daemon, and see whether it minds.
#[derive(Parser)]
struct Arguments {
    /// How long
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Where chance begins; a number of the clock by default
    #[arg(long)]
    seed: Option<u64>,
    /// Agents that send nonsense over HTTP, for each server
    #[arg(long, default_value_t = 4)]
    senders: usize,
    /// The program under test; the one beside this program by default
    #[arg(long)]
    provost: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let own = std::env::current_exe()?;
    let beside = |name: &str| own.with_file_name(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let plan = Plan {
        program: arguments.provost.unwrap_or_else(|| beside("provost")),
        fixture: beside("provost-fixture"),
        duration: Duration::from_secs(arguments.seconds),
        seed: arguments.seed.unwrap_or(clock.as_secs()),
        senders: arguments.senders,
    };
    println!("seed {} for {} s", plan.seed, arguments.seconds);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime
        .block_on(soak::run(&plan))
        .with_context(|| format!("again with `--seed {}`", plan.seed))?;
    println!("{report}");
    Ok(())
}
