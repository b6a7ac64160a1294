//! The command line: global options and the list of commands. Each family has its own file.

use clap::{CommandFactory, Parser, Subcommand};

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
    Up(command::up::Up),
    /// Put a policy in front of one MCP server: a drop-in for an `.mcp.json` entry
    Run(command::run::Run),
    /// Bridge stdio to a registered server
    Connect(command::connect::Connect),
    /// Show how the running daemon is, and what it looks after
    Status(command::status::Status),
    /// End the running daemon: calls in flight finish first
    Stop(command::stop::Stop),
    /// Register and look after upstream servers
    #[command(subcommand)]
    Server(command::server::Server),
    /// Write, check, explain and attach policies
    #[command(subcommand)]
    Policy(command::policy::Policy),
    /// Mint and look after grants
    #[command(subcommand)]
    Grant(command::grant::Grant),
    /// Show what was decided
    Log(command::log::Log),
    /// Prove that the history is complete and unchanged
    #[command(subcommand)]
    Audit(command::audit::Audit),
    /// Write everything into one archive
    Backup(command::backup::Backup),
    /// Bring an archive back
    Restore(command::backup::Restore),
    /// Look after the key that seals secrets
    #[command(subcommand)]
    Key(command::key::Key),
    /// Print the metrics of the running daemon, as Prometheus reads them
    Metrics(command::metrics::Metrics),
    /// Look for what is wrong or missing
    Doctor(command::doctor::Doctor),
    /// Show the main job, for real, in a scratch directory
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

fn after_help() -> String {
    format!(
        "\
Examples:
  provost demo
  provost run --policy policy.json -- npx -y @modelcontextprotocol/server-filesystem /srv
  provost up
  provost server add files -- npx -y @modelcontextprotocol/server-filesystem /srv
  provost policy put files readonly policy.json
  provost grant mint files --label laptop --policy readonly

{}

{}",
        environment::HELP,
        exit::HELP
    )
}
