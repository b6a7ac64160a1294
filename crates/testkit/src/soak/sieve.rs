//! A server over stdio whose lines are spoilt on their way out.

use super::dice::Dice;
use super::mutate;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Serves stdin and stdout through a copy of this program, and spoils a line now and then.
///
/// # Panics
/// When the copy does not start.
pub fn sieve(events: Option<&Path>, seed: u64) {
    let own = std::env::current_exe().expect("a program knows its path");
    let mut command = Command::new(own);
    command
        .args(["stdio", "--eras", "both"])
        .stdout(Stdio::piped());
    if let Some(events) = events {
        command.arg("--events").arg(events);
    }
    let mut child = command.spawn().expect("the copy starts");
    let lines = BufReader::new(child.stdout.take().expect("piped")).split(b'\n');
    // Each process rolls its own numbers: where the one before stopped.
    let before = events.and_then(|path| path.metadata().ok());
    let mut dice = Dice::new(seed, before.map_or(0, |events| events.len()));
    let mut out = std::io::stdout().lock();
    for mut line in lines.map_while(Result::ok) {
        if dice.once_in(4) {
            line = mutate::bytes(&mut dice, line, &[]);
        }
        line.push(b'\n');
        if out.write_all(&line).and_then(|()| out.flush()).is_err() {
            break;
        }
        if dice.once_in(500) {
            // A server that is gone in the middle of everything.
            break;
        }
    }
    drop(child.kill());
    drop(child.wait());
}
