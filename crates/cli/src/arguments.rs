//! The command line: global options and the list of commands. Each family has its own file.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::{Command as Clap, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::context::{Context, Global};
use crate::environment::Environment;
use crate::failure::Outcome;
use crate::terminal::Output;
use crate::{command, environment, exit};

/// Stands between AI agents and the MCP servers they call: every call is judged by a policy,
/// counted and recorded before it goes anywhere.
#[derive(Debug, Parser)]
#[command(
    name = "provost",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    subcommand_required = true,
    after_long_help = after_help(),
    after_help = "Try `provost demo` first, then `provost run --help`. More: `provost --help`."
)]
pub(crate) struct Arguments {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway as a service, in the foreground
    #[command(aliases = ["serve", "start"])]
    Up(command::up::Up),
    /// Put a policy in front of one MCP server, in place of its command
    Run(command::run::Run),
    /// Connect an MCP client that speaks stdio to a registered server
    Connect(command::connect::Connect),
    /// Decide about an agent's own tools: the program for its hook
    Hook(command::hook::Hook),
    /// Show the state of the running daemon, its servers and calls
    #[command(alias = "ps")]
    Status(command::status::Status),
    /// Stop the running daemon; calls in flight finish first
    #[command(alias = "down")]
    Stop(command::stop::Stop),
    /// Register, change, test and remove MCP servers
    #[command(subcommand, alias = "servers")]
    Server(command::server::Server),
    /// Write, check, explain and attach policies
    #[command(subcommand)]
    Policy(command::policy::Policy),
    /// Mint, list and revoke grants: the tokens of agents
    #[command(subcommand, aliases = ["grants", "token"])]
    Grant(command::grant::Grant),
    /// Show recorded calls: what was decided, and how they ended
    #[command(alias = "logs")]
    Log(command::log::Log),
    /// Verify that the history is complete and unchanged, or export it
    #[command(subcommand)]
    Audit(command::audit::Audit),
    /// Back up everything into one archive
    Backup(command::backup::Backup),
    /// Restore a backup
    Restore(command::backup::Restore),
    /// Replace the key that encrypts secrets
    #[command(subcommand)]
    Key(command::key::Key),
    /// Print the metrics of the running daemon, as Prometheus reads them
    Metrics(command::metrics::Metrics),
    /// Check the installation: what is wrong or missing
    Doctor(command::doctor::Doctor),
    /// Show Provost at work, in a scratch directory
    Demo(command::demo::Demo),
    /// Print completions for a shell
    Completions(command::completions::Completions),
    /// The daemon that `run` and `connect` start when there is none
    #[command(hide = true)]
    Daemon(command::daemon::Daemon),
    /// Names of servers and grants, for completion
    #[command(hide = true)]
    Names(command::completions::Names),
    /// A small MCP server over stdio, for demonstrations
    #[command(hide = true)]
    SampleServer(command::sample_server::SampleServer),
}

/// Runs the command.
pub(crate) fn run(arguments: Arguments, environment: Environment) -> Outcome {
    let output = Output::new(arguments.global.json);
    let context = Context {
        global: arguments.global,
        environment,
        output,
    };
    match arguments.command {
        Command::Up(up) => up.run(&context),
        Command::Run(run) => run.run(&context),
        Command::Connect(connect) => connect.run(&context),
        Command::Hook(hook) => hook.run(&context),
        Command::Status(status) => status.run(&context),
        Command::Stop(stop) => stop.run(&context),
        Command::Server(server) => server.run(&context),
        Command::Policy(policy) => policy.run(&context),
        Command::Grant(grant) => grant.run(&context),
        Command::Log(log) => log.run(&context),
        Command::Audit(audit) => audit.run(&context),
        Command::Backup(backup) => backup.run(&context),
        Command::Restore(restore) => restore.run(&context),
        Command::Key(key) => key.run(&context),
        Command::Metrics(metrics) => metrics.run(&context),
        Command::Doctor(doctor) => doctor.run(&context),
        Command::Demo(demo) => demo.run(&context),
        Command::Completions(completions) => completions.run(&context, Arguments::command()),
        Command::Names(names) => names.run(&context, Arguments::command()),
        Command::Daemon(daemon) => daemon.run(&context),
        Command::SampleServer(server) => server.run(),
    }
}

/// What is asked for.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut root = Arguments::command();
    root.build();
    let mut root = each_below(root, with_short_help);
    let matches = root.try_get_matches_from_mut(words)?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut root))
}

fn each_below(mut command: Clap, change: fn(Clap) -> Clap) -> Clap {
    let below = command.get_subcommands();
    let names: Vec<String> = below.map(|below| below.get_name().to_owned()).collect();
    for name in names.into_iter().filter(|name| name != "help") {
        command = command.mut_subcommand(name, change);
    }
    command
}

/// Options of every command stand in full on the first page; on all others they are a line.
fn with_short_help(command: Clap) -> Clap {
    let command = each_below(command, with_short_help).mut_args(|arg| match arg.is_global_set() {
        true => arg.hide(true),
        false => arg,
    });
    let ended = |text: Option<&StyledStr>| match text {
        Some(text) => format!("{text}\n\n{GLOBAL}"),
        None => GLOBAL.to_owned(),
    };
    let short = ended(command.get_after_help());
    let long = ended(command.get_after_long_help().or(command.get_after_help()));
    command.after_help(short).after_long_help(long)
}

const GLOBAL: &str =
    "Global options: --data, --config-dir, --json, --color, -v; see `provost help`";

fn after_help() -> String {
    format!(
        "\
Examples:
  provost demo
  provost run --policy policy.json -- uvx mcp-server-git
  provost up
  provost server add git -- uvx mcp-server-git
  provost policy put git readonly policy.json
  provost grant mint git --label laptop --policy readonly

{}

{}",
        environment::HELP,
        exit::HELP
    )
}

#[cfg(test)]
mod tests;
