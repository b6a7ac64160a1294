//! What servers run under: takes down with them whatever they started. No command
//! for people, and read before the command line is: a server waits for it.

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

/// Wraps a program if the command line says so, and returns its exit code.
#[cfg(target_os = "linux")]
pub(crate) fn asked_for(mut words: impl Iterator<Item = OsString>) -> Option<u8> {
    if words.nth(1)? != WRAP {
        return None;
    }
    let wrapped = provost_wrapper::Wrapped::read(words)?;
    Some(provost_wrapper::run(&wrapped).unwrap_or_else(|error| {
        let failure = crate::failure::Failure::unavailable(error.to_string()).because_of(&error);
        // It is in the log of the daemon that somebody may look for it.
        crate::failure::report(&failure, false);
        error.exit_code()
    }))
}

/// Nothing is wrapped elsewhere.
#[cfg(not(target_os = "linux"))]
pub(crate) fn asked_for(_words: impl Iterator<Item = OsString>) -> Option<u8> {
    None
}
