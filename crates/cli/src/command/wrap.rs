//! What servers and agents run under: takes down with them whatever they started. No
//! command for people, and read before the command line is: a program waits for it.

use std::ffi::OsString;

use provost_gateway::Wrapper;

/// The word that makes this program the wrapper of another one.
const WRAP: &str = "wrap";

/// This program, as the wrapper of servers. None where there is no such thing.
pub(crate) fn of_this_program() -> Option<Wrapper> {
    // Not its path: the file may be replaced while this process runs.
    let own = std::path::PathBuf::from("/proc/self/exe");
    let there = cfg!(target_os = "linux") && own.exists();
    there.then(|| Wrapper {
        program: own,
        args: vec![OsString::from(WRAP)],
    })
}

/// This program, `own`, as the wrapper of agents: tmux starts it.
pub(crate) fn of_agents(own: std::path::PathBuf) -> Vec<OsString> {
    vec![own.into_os_string(), WRAP.into(), AGENT.into()]
}

/// The word before the path of a launch file, instead of a parent and a program.
const AGENT: &str = "agent";

/// Wraps a program if the command line says so, and returns its exit code.
#[cfg(target_os = "linux")]
pub(crate) fn asked_for(words: impl Iterator<Item = OsString>) -> Option<u8> {
    let mut words = words.peekable();
    if words.nth(1)? != WRAP {
        return None;
    }
    if words.next_if(|word| word == AGENT).is_some() {
        return Some(agent(std::path::Path::new(&words.next()?)));
    }
    let wrapped = provost_wrapper::Wrapped::read(words)?;
    Some(match provost_wrapper::run(&wrapped, |_| ()) {
        Ok(ended) => ended.exit_code(),
        // It is in the log of the daemon that somebody may look for it.
        Err(error) => failed(&error),
    })
}

/// Runs what a launch file says, and leaves a report of how it ended.
#[cfg(target_os = "linux")]
fn agent(file: &std::path::Path) -> u8 {
    use provost_fleet::{Exit, Launch};
    use provost_wrapper::{Ended, Surroundings, Wrapped};
    let Launch { program, report } = match Launch::take(file) {
        Ok(launch) => launch,
        Err(error) => {
            say(&error);
            return 126;
        }
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
    let leave = |exit: Exit| {
        // The window shows it; whoever finds no report knows no more than that it ended.
        let _ = exit.write(&report).inspect_err(|error| say(error));
    };
    let run = provost_wrapper::run(&wrapped, |ended| {
        leave(match ended {
            Ended::Code(code) => Exit::Code(code),
            Ended::Signal(signal) => Exit::Signal(signal),
        });
    });
    match run {
        Ok(ended) => ended.exit_code(),
        Err(error) => {
            leave(Exit::not_started(&error));
            failed(&error)
        }
    }
}

#[cfg(target_os = "linux")]
fn failed(error: &provost_wrapper::WrapError) -> u8 {
    say(error);
    error.exit_code()
}

#[cfg(target_os = "linux")]
fn say(error: &(dyn std::error::Error + 'static)) {
    let failure = crate::failure::Failure::unavailable(error.to_string()).because_of(error);
    crate::failure::report(&failure, false);
}

/// Nothing is wrapped elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn asked_for(_words: impl Iterator<Item = OsString>) -> Option<u8> {
    None
}
