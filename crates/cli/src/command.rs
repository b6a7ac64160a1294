//! The commands, one file per family: arguments, what is asked of the store, and how it is shown.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod connect;
pub(crate) mod daemon;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod grant;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod metrics;
pub(crate) mod policy;
pub(crate) mod run;
pub(crate) mod sample_server;
pub(crate) mod server;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod up;
pub(crate) mod wrap;

use crate::admin::{Admin, Response};
use crate::arguments::{Arguments, Command, Global};
use crate::environment::Environment;
use crate::failure::{Failure, Outcome};
use crate::locations::Places;
use crate::terminal::Output;

/// What every command is given: where things are, and where its output goes.
pub(crate) struct Context {
    /// The global options as given.
    pub(crate) global: Global,
    /// The environment as it was at start.
    pub(crate) environment: Environment,
    /// Where the result goes.
    pub(crate) output: Output,
}

// === impl Context ===

impl Context {
    /// The directories this command works on.
    pub(crate) fn places(&self) -> Outcome<Places> {
        Places::decide(
            &self.environment,
            self.global.data.as_deref(),
            self.global.config_dir.as_deref(),
        )
    }

    /// Administration of these directories, through the daemon when one runs.
    pub(crate) fn admin(&self) -> Outcome<Admin> {
        Ok(Admin::new(self.places()?))
    }
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
        Command::Completions(completions) => completions.run(&context),
        Command::Names(names) => names.run(&context),
        Command::Daemon(daemon) => daemon.run(&context),
        Command::SampleServer(server) => server.run(),
    }
}

/// The failure of a command that got the answer to another question.
fn unexpected(_response: &Response) -> Failure {
    // The answer itself is not told: it may carry a token.
    Failure::internal("the answer does not fit the question")
        .hint("command and daemon may be of different versions; restart the daemon")
}

/// How this program is called in commands to paste: by name when that leads here.
pub(crate) fn program_name(context: &Context) -> String {
    let Ok(own) = std::env::current_exe() else {
        return "provost".to_owned();
    };
    let mut path = context
        .environment
        .path
        .iter()
        .flat_map(std::env::split_paths);
    let first = path.find_map(|directory| std::fs::canonicalize(directory.join("provost")).ok());
    if first.is_some_and(|first| Some(first) == std::fs::canonicalize(&own).ok()) {
        return "provost".to_owned();
    }
    own.display().to_string()
}

/// The long help of `up`, which documents the configuration file.
#[cfg(test)]
pub(crate) fn up_help() -> &'static str {
    up::LONG_HELP
}
