//! `make bench`: calls per second and latency, direct, through nginx, and through any gateway.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program that talks to whoever started it"
)]

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use provost_testkit::bench::{
    Echo, Gateway, Load, Measured, Nginx, Row, Target, cost, cost_json, cost_table, fill,
    flooded_json, flooded_table, floods, json, longest_json, longest_table, measure, serve_echo,
    table, worst,
};
use std::path::PathBuf;
use std::time::Duration;

/// Measure what a hop costs.
///
/// A minimal MCP server is called directly, through nginx when it is there, and through every gateway given with
/// `--target`. Each agent has a connection and a session of its own and calls the tool `echo` again and again.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Role>,
    #[command(flatten)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Role {
    /// Be the minimal MCP server: print the address, serve until stdin ends
    Upstream {
        /// How many tools to list
        #[arg(long, default_value_t = 200)]
        tools: usize,
        /// How many single-threaded runtimes
        #[arg(long, default_value_t = 1)]
        workers: usize,
    },
    /// Write grants and a day of calls into a directory, say so, and wait to be killed
    #[command(hide = true)]
    Fill {
        /// Where data and configuration go
        home: PathBuf,
        /// How many grants
        grants: usize,
        /// How many calls
        calls: u64,
    },
}

#[derive(Args)]
struct Bench {
    /// Numbers of connections
    #[arg(long, value_delimiter = ',', default_value = "1,8,32")]
    connections: Vec<usize>,
    /// Seconds that count, for each target and number of connections
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds before anything counts
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Rounds over all targets; the median is reported
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes in the argument of each call
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// A gateway in front of any server with a tool `echo` that answers with its argument `text`
    #[arg(long, value_name = "NAME=URL")]
    target: Vec<String>,
    /// A header for the gateways given with --target
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The tool to call on the gateways given with --target
    #[arg(long, default_value = "echo")]
    tool: String,
    /// Go without Provost: only direct, nginx and what is given
    #[arg(long)]
    no_provost: bool,
    /// Go without nginx
    #[arg(long)]
    no_nginx: bool,
    /// One part alone: calls per second, the longest time one message holds a worker, memory during floods, or what
    /// changes, connections and starts cost
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Another binary of Provost: measured beside the one next to this program in the part `speed`, and instead of
    /// it in the others
    #[arg(long, value_name = "FILE")]
    provost: Option<PathBuf>,
    /// Seconds of searching for a worse message, on each side
    #[arg(long, default_value_t = 30.0)]
    search: f64,
    /// Numbers of grants with which changes, connections and starts are measured
    #[arg(long, value_delimiter = ',', default_value = "10,10000")]
    grants: Vec<usize>,
    /// Recorded calls of the day with which they are measured
    #[arg(long, default_value_t = 1_000_000)]
    calls: u64,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Speed,
    Worst,
    Floods,
    Cost,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Role::Upstream { tools, workers }) => {
            serve_echo(tools, workers, |address| println!("{address}"))
        }
        Some(Role::Fill {
            home,
            grants,
            calls,
        }) => fill(&home, grants, calls, || println!("written")),
        None => parts(&arguments.bench),
    }
}

fn parts(options: &Bench) -> Result<()> {
    let wanted = |part| options.only.is_none_or(|only| only == part);
    let beside = std::env::current_exe()?.with_file_name("provost");
    let program = options.provost.clone().unwrap_or(beside);
    if wanted(Part::Speed) {
        bench(options)?;
    }
    // What follows needs Provost, and what the system counts.
    if options.no_provost || !cfg!(target_os = "linux") {
        return Ok(());
    }
    if wanted(Part::Worst) {
        eprintln!("bench: worst message");
        let found = worst(&program, Duration::from_secs_f64(options.search))?;
        match options.json {
            true => println!("{}", longest_json(&found)),
            false => print!("{}", longest_table(&found)),
        }
    }
    if wanted(Part::Floods) {
        eprintln!("bench: floods");
        let flooded = floods(&program, &[Some("128MiB"), None])?;
        match options.json {
            true => println!("{}", flooded_json(&flooded)),
            false => print!("{}", flooded_table(&flooded)),
        }
    }
    if wanted(Part::Cost) {
        let bench = std::env::current_exe()?;
        let costs = cost(&program, &bench, &options.grants, options.calls, |line| {
            eprintln!("bench: {line}")
        })?;
        match options.json {
            true => println!("{}", cost_json(&costs)),
            false => print!("{}", cost_table(&costs)),
        }
    }
    Ok(())
}

fn bench(options: &Bench) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let echo = Echo::start(&std::env::current_exe()?, 200, cores)
        .context("the upstream does not start")?;
    let mut targets = vec![Target {
        pids: vec![echo.pid()],
        ..Target::new("direct", &echo.url())
    }];
    let nginx = if options.no_nginx { None } else { nginx(&echo) };
    if let Some(nginx) = &nginx {
        targets.push(Target {
            pids: nginx.pids(),
            ..Target::new("nginx", &nginx.url())
        });
    }
    let provost = if options.no_provost {
        None
    } else {
        let program = std::env::current_exe()?.with_file_name("provost");
        Some(Gateway::start(&program, &echo.url()).context("Provost does not start")?)
    };
    targets.extend(provost.iter().map(Gateway::target));
    let other = match &options.provost {
        Some(program) => Some(Gateway::start(program, &echo.url()).context("it does not start")?),
        None => None,
    };
    targets.extend(other.iter().map(|gateway| Target {
        name: "other".to_owned(),
        ..gateway.target()
    }));
    for given in &options.target {
        targets.push(gateway(given, options)?);
    }
    let rows = run(&targets, options)?;
    if let Some(provost) = &provost {
        audit(provost, &rows)?;
    }
    if options.json {
        println!("{}", json(&rows));
    } else {
        print!(
            "{}",
            table(&rows, if nginx.is_some() { "nginx" } else { "direct" })
        );
    }
    Ok(())
}

/// After the calls: the chain is intact, and every call has its two entries.
fn audit(provost: &Gateway, rows: &[Row]) -> Result<()> {
    let audit = provost.audit()?;
    let calls: u64 = rows
        .iter()
        .filter(|row| row.target == "provost")
        .map(|row| row.sent)
        .sum();
    // Starting, and each new segment, writes an entry that belongs to no call.
    let others = audit.entries.checked_sub(2 * calls);
    let few = 2 * audit.segments + 4;
    anyhow::ensure!(
        others.is_some_and(|others| others <= few),
        "{} entries for {calls} calls",
        audit.entries
    );
    eprintln!(
        "bench: the chain is intact, {} entries for {calls} calls",
        audit.entries
    );
    Ok(())
}

fn nginx(echo: &Echo) -> Option<Nginx> {
    match Nginx::start(echo.address()) {
        Ok(nginx) => Some(nginx),
        Err(e) => {
            eprintln!("bench: without nginx: {e:#}");
            None
        }
    }
}

fn gateway(given: &str, options: &Bench) -> Result<Target> {
    let (name, url) = given
        .split_once('=')
        .with_context(|| format!("`{given}` is not NAME=URL"))?;
    let header = |header: &String| {
        let (name, value) = header
            .split_once(':')
            .with_context(|| format!("`{header}` is not NAME: VALUE"))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    };
    let headers = options.header.iter().map(header).collect::<Result<_>>()?;
    Ok(Target {
        headers,
        tool: options.tool.clone(),
        ..Target::new(name, url)
    })
}

/// Measures all targets in turn, round after round, so that a busy minute of the machine meets them all.
fn run(targets: &[Target], options: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for connections in &options.connections {
        let load = Load {
            connections: *connections,
            warm_up: Duration::from_secs_f64(options.warm_up),
            length: Duration::from_secs_f64(options.seconds),
            payload: options.payload,
        };
        let mut rounds: Vec<Vec<Measured>> = vec![Vec::new(); targets.len()];
        for round in 1..=options.rounds.max(1) {
            for (target, measured) in targets.iter().zip(&mut rounds) {
                eprintln!(
                    "bench: {connections} connections, round {round}, {}",
                    target.name
                );
                measured.push(measure(target, &load)?);
            }
        }
        rows.extend(
            targets
                .iter()
                .zip(rounds)
                .map(|(target, rounds)| Row::median(&target.name, *connections, rounds)),
        );
    }
    Ok(rows)
}
