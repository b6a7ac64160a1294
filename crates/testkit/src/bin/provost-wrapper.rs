//! The wrapper of servers as a program by itself: tests of rooms that do not have
//! the binary `provost` start servers under it.

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    let words = std::env::args_os().skip(1);
    let Some(wrapped) = provost_wrapper::Wrapped::read(words) else {
        return ExitCode::from(126);
    };
    match provost_wrapper::run(&wrapped) {
        Ok(code) => ExitCode::from(code),
        Err(error) => ExitCode::from(error.exit_code()),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    ExitCode::from(126)
}
