//! The binary `provost`: main, arguments, environment, exit codes; wires the rooms together.
//!
//! Nothing here decides about a call. Commands turn into requests of `provost-admin`, which the
//! daemon executes when one runs, and answers are shown.

mod admin;
mod arguments;
mod bridge;
mod command;
mod context;
mod daemon;
mod diagnostics;
mod environment;
mod exit;
mod failure;
mod locations;
mod programs;
mod runtime;
mod secret_argument;
mod separator;
mod terminal;
mod text_file;
mod watched;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use provost_admin::FailureKind;

use crate::environment::Environment;
use crate::failure::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = command::wrap::asked_for(std::env::args_os()) {
        return ExitCode::from(code);
    }
    let arguments = match arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    arguments.global.color.install();
    let json = arguments.global.json;
    match arguments::run(arguments, Environment::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, json),
    }
}

fn report(failure: &Failure, json: bool) -> ExitCode {
    failure::report(failure, json);
    ExitCode::from(exit::code(failure.kind))
}

/// Help and version go to stdout; a wrong command line goes to stderr, as JSON when asked for.
fn usage(error: &clap::Error) -> ExitCode {
    let informative = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if informative {
        drop(error.print());
        return ExitCode::SUCCESS;
    }
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let about = |kind| match error.get(kind) {
        Some(ContextValue::String(unknown)) => unknown.as_str(),
        Some(_) | None => "",
    };
    let advice = match error.kind() {
        ErrorKind::UnknownArgument => separator::advice(&words, about(ContextKind::InvalidArg)),
        ErrorKind::InvalidSubcommand => {
            separator::other_word(&words, about(ContextKind::InvalidSubcommand))
        }
        _ => None,
    };
    let before = words.iter().take_while(|word| *word != "--");
    if before.into_iter().any(|word| word == "--json") {
        let text = error.render().to_string();
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let message = lines.next().unwrap_or_default();
        let message = message.strip_prefix("error: ").unwrap_or(message);
        let rest = lines
            .map(str::trim)
            .filter(|line| !line.starts_with("For more information"));
        let failure = rest.fold(Failure::usage(message), Failure::because);
        let failure = match advice {
            Some(advice) => failure.hint(advice),
            None => failure,
        };
        return report(&failure, true);
    }
    drop(error.print());
    if let Some(advice) = advice {
        // Nobody is left to tell when stderr is closed.
        drop(separator::print(&mut anstream::stderr().lock(), &advice));
    }
    ExitCode::from(exit::code(FailureKind::Usage))
}
