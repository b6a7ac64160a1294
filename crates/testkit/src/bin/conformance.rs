//! `make conformance`: the conformance suite, directly and through the gateway, and a table of both.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to whoever started it"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use provost_testkit::conformance::client::Scenario;
use provost_testkit::conformance::compare::{Comparison, Difference, Exceptions};
use provost_testkit::conformance::report::document;
use provost_testkit::conformance::run::{Programs, compare, play_through};
use provost_testkit::conformance::suite::{Harness, SUITES, Suite};
use provost_testkit::process::root;

/// Play the conformance suite directly and through the gateway, and compare.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Only these suites, for example `server 2025-11-25`; all by default
    #[arg(long)]
    suite: Vec<String>,
    /// Write the table to this file
    #[arg(long)]
    write: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Role {
    /// Be the client of one scenario, through a gateway of its own
    Client {
        /// Where the scenario's server is
        url: String,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let here = std::env::current_exe()?;
    match &arguments.role {
        Some(Role::Client { url }) => {
            play_through(
                &here.with_file_name("provost"),
                &Scenario::from_environment()?,
                url,
            )
            .await?;
            Ok(ExitCode::SUCCESS)
        }
        None => all(&arguments, &here).await,
    }
}

async fn all(arguments: &Arguments, here: &Path) -> Result<ExitCode> {
    let harness = Harness::installed()?;
    let beside = |name: &str| here.with_file_name(name).display().to_string();
    let programs = Programs {
        gateway: beside("provost"),
        server: beside("provost-conformance-server"),
        client: beside("provost-conformance-client"),
        client_through: format!("{} client", here.display()),
    };
    let chosen =
        |suite: &Suite| arguments.suite.is_empty() || arguments.suite.contains(&suite.to_string());
    let suites: Vec<Suite> = SUITES.into_iter().filter(chosen).collect();
    let mut comparisons = Vec::new();
    for suite in &suites {
        eprintln!("conformance: {suite}");
        let comparison = compare(&harness, &programs, *suite).await;
        comparisons.push(comparison.with_context(|| format!("suite `{suite}`"))?);
    }
    let mut differences: Vec<Difference> = comparisons
        .iter()
        .flat_map(Comparison::differences)
        .collect();
    let exceptions = root().join("crates/testkit/conformance/exceptions.json");
    let stale = Exceptions::read(&exceptions)?.explain(&mut differences, &suites);
    let document = document(&comparisons, &differences);
    match &arguments.write {
        Some(file) => std::fs::write(file, &document)?,
        None => print!("{document}"),
    }
    Ok(verdict(&comparisons, &differences, &stale))
}

fn verdict(comparisons: &[Comparison], differences: &[Difference], stale: &[String]) -> ExitCode {
    let mut wrong = 0;
    let mut complain = |line: String| {
        eprintln!("conformance: {line}");
        wrong += 1;
    };
    for comparison in comparisons {
        for scenario in comparison.required_failures() {
            complain(format!(
                "{}: `{scenario}` is required and fails directly",
                comparison.suite
            ));
        }
    }
    for difference in differences.iter().filter(|it| it.reason.is_none()) {
        complain(format!(
            "{}: `{}`: `{}`: {:?} directly, {:?} through the gateway {}",
            difference.suite,
            difference.scenario,
            difference.check,
            difference.direct,
            difference.through,
            difference.message
        ));
    }
    for exception in stale {
        complain(format!(
            "the exception `{exception}` is not needed any more"
        ));
    }
    match wrong {
        0 => {
            eprintln!("conformance: no difference that is not listed");
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}
