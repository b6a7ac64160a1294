//! Programs under the wrapper: what reaches them, what comes back, and that
//! nothing is left of them.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use provost_testkit::process::wrapper_program;
use provost_testkit::wait_until;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

/// Leaves a process behind that has no parent, no session and no stream of ours:
/// its number is written to `$PLACE/left`.
const DETACH: &str = "(setsid -f sh -c 'echo $$ > \"$PLACE/left.new\"; mv \"$PLACE/left.new\" \"$PLACE/left\"; exec sleep 600' </dev/null >/dev/null 2>&1 &)";

/// `sh -c SCRIPT` under the wrapper, for this process.
fn shell(script: &str, place: &Path) -> Command {
    let mut command = Command::new(wrapper_program());
    command
        .arg(std::process::id().to_string())
        .args(["sh", "-c", script])
        .env("PLACE", place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

fn lives(number: i32) -> bool {
    let zombie = || {
        let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        stat.rsplit(')')
            .next()
            .is_none_or(|rest| rest.trim_start().starts_with('Z'))
    };
    test_kill_process(Pid::from_raw(number).unwrap()).is_ok() && !zombie()
}

/// The number of the process that was left behind, once it is there.
async fn left_behind(place: &Path) -> i32 {
    let read = || std::fs::read_to_string(place.join("left")).unwrap_or_default();
    wait_until("a process is left behind", || !read().is_empty()).await;
    let number = read().trim().parse().unwrap();
    assert!(lives(number));
    number
}

#[tokio::test]
async fn the_exit_code_of_the_program_is_passed_on() {
    let place = tempfile::tempdir().unwrap();
    for (script, code) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ("kill -15 $$", 143),
    ] {
        let mut child = shell(script, place.path()).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{script}");
    }
    let mut absent = Command::new(wrapper_program());
    absent
        .arg(std::process::id().to_string())
        .arg("/no/such/program");
    assert_eq!(absent.status().unwrap().code(), Some(127));
}

#[tokio::test]
async fn the_standard_streams_are_the_programs_own() {
    let place = tempfile::tempdir().unwrap();
    let mut child = shell("cat; echo done >&2", place.path()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"to and fro").unwrap();
    drop(stdin);
    let (mut out, mut err) = (String::new(), String::new());
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("to and fro", "done\n"));
    assert!(child.wait().unwrap().success());
}

/// The end of a stream that the program closed is not held up by the wrapper.
#[tokio::test]
async fn a_stream_that_the_program_closed_is_closed() {
    let place = tempfile::tempdir().unwrap();
    let mut child = shell("exec >&-; read line", place.path()).spawn().unwrap();
    let mut out = String::new();
    child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    assert_eq!(child.try_wait().unwrap(), None, "the program lives on");
    drop(child.stdin.take());
    child.wait().unwrap();
}

#[tokio::test]
async fn signals_go_on_to_the_program() {
    let place = tempfile::tempdir().unwrap();
    for (number, name) in [
        (Signal::USR1, "USR1"),
        (Signal::INT, "INT"),
        (Signal::TERM, "TERM"),
    ] {
        let script =
            format!("trap 'exit 42' {name}; touch $PLACE/{name}; while :; do read x; done <&0");
        let mut child = shell(&script, place.path()).spawn().unwrap();
        wait_until("it listens", || place.path().join(name).exists()).await;
        signal(&child, number);
        assert_eq!(child.wait().unwrap().code(), Some(42), "{name}");
    }
}

#[tokio::test]
async fn d93_a_detached_grandchild_goes_when_the_program_ends() {
    let place = tempfile::tempdir().unwrap();
    let script = format!("{DETACH}; read line; exit 3");
    let mut child = shell(&script, place.path()).spawn().unwrap();
    let left = left_behind(place.path()).await;
    drop(child.stdin.take());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert!(!lives(left), "nothing is left when the wrapper is gone");
}

#[tokio::test]
async fn d93_a_program_that_stays_is_taken_down_with_everything() {
    let place = tempfile::tempdir().unwrap();
    let script = format!("trap '' TERM; {DETACH}; while :; do sleep 600; done");
    let mut child = shell(&script, place.path()).spawn().unwrap();
    let left = left_behind(place.path()).await;
    signal(&child, Signal::TERM);
    assert_eq!(child.wait().unwrap().code(), Some(137));
    assert!(!lives(left));
}

#[tokio::test]
async fn d93_nothing_outlives_a_parent_that_was_killed() {
    let place = tempfile::tempdir().unwrap();
    let script = format!(
        "trap '' TERM HUP; echo $$ > \"$PLACE/own\"; {DETACH}; while :; do sleep 600; done"
    );
    let mut parent = Command::new("sh");
    parent
        .args(["-c", "\"$WRAPPER\" $$ sh -c \"$SCRIPT\" & wait"])
        .env("WRAPPER", wrapper_program())
        .env("SCRIPT", script)
        .env("PLACE", place.path())
        .process_group(0);
    let mut parent = parent.spawn().unwrap();
    let left = left_behind(place.path()).await;
    let own = std::fs::read_to_string(place.path().join("own")).unwrap();
    let own = own.trim().parse().unwrap();
    parent.kill().unwrap();
    assert_eq!(parent.wait().unwrap().signal(), Some(9));
    wait_until("the program is gone", || !lives(own)).await;
    wait_until("what it left is gone", || !lives(left)).await;
}

#[tokio::test]
async fn d93_a_parent_that_is_gone_already_starts_nothing() {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(wrapper_program());
    command
        .args(["1", "sh", "-c", "touch $PLACE/started"])
        .env("PLACE", place.path());
    assert!(command.status().unwrap().success());
    assert!(!place.path().join("started").exists());
}
