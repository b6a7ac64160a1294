//! The wrapper of servers and agents as a program by itself: tests of rooms that do not
//! have the binary `provost` start programs under it.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.next_if(|word| word == "agent").is_some() {
        return words
            .next()
            .map_or(ExitCode::from(126), |file| agent(file.as_ref()));
    }
    let Some(wrapped) = provost_wrapper::Wrapped::read(words) else {
        return ExitCode::from(126);
    };
    ExitCode::from(match provost_wrapper::run(&wrapped, |_| ()) {
        Ok(ended) => ended.exit_code(),
        Err(error) => error.exit_code(),
    })
}

/// As `provost wrap agent` does.
#[cfg(target_os = "linux")]
fn agent(file: &std::path::Path) -> ExitCode {
    use provost_fleet::{Exit, Launch};
    use provost_wrapper::{Ended, Surroundings, Wrapped};
    let Ok(Launch { program, report }) = Launch::take(file) else {
        return ExitCode::from(126);
    };
    let wrapped = Wrapped {
        surroundings: Surroundings::Terminal {
            environment: program.environment,
            directory: program.directory,
            farewell: provost_fleet::farewell(std::process::id()),
        },
        program: program.program,
        args: program.args,
    };
    let leave = |exit: Exit| exit.write(&report).is_ok();
    let run = provost_wrapper::run(&wrapped, |ended| {
        leave(match ended {
            Ended::Code(code) => Exit::Code(code),
            Ended::Signal(signal) => Exit::Signal(signal),
        });
    });
    ExitCode::from(match run {
        Ok(ended) => ended.exit_code(),
        Err(error) => {
            leave(Exit::not_started(&error));
            error.exit_code()
        }
    })
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::from(126)
}
