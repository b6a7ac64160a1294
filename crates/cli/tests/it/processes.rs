//! What servers run under, and who shares them.

use provost_testkit::client::Client;
use provost_testkit::process::fixture_program;
use provost_testkit::wait_until;
use rustix::process::Signal;

use crate::place::{POLICY, Place, lives, send};

/// The whole line: the daemon, the wrapper, a shell that is the server, and what
/// that one let go.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn d93_nothing_of_a_server_outlives_a_daemon_that_was_killed() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let (left, own) = (place.path().join("left"), place.path().join("own"));
    let script = format!(
        "echo $$ > {}; (setsid -f sh -c 'echo $$ > {}; exec sleep 600' </dev/null >/dev/null 2>&1 &); exec {} stdio",
        own.display(),
        left.display(),
        fixture_program().display()
    );
    let run = ["run", "--policy", "policy.json", "--", "sh", "-c", &script];
    let client = Client::stdio(&place.start(&run));
    client.connect().await;
    let number = |path: &std::path::Path| -> Option<u32> {
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    wait_until("both are there", || {
        number(&left).is_some() && number(&own).is_some()
    })
    .await;
    let (left, own) = (number(&left).unwrap(), number(&own).unwrap());
    assert!(lives(left) && lives(own));
    send(place.daemon_pid().unwrap(), Signal::KILL);
    wait_until("the server is gone", || !lives(own)).await;
    wait_until("what it let go is gone", || !lives(left)).await;
}

/// What an agent's window runs: the program as the file says, a report of its end, and a
/// farewell that the terminal answers by going.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_agent_is_run_as_its_file_says_and_its_end_is_reported() {
    use provost_fleet::{Launch, Program, farewell};
    let place = Place::new();
    let (file, report) = (place.path().join("launch"), place.path().join("exit"));
    let program = Program {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), "printf \"$KEY $(pwd)\"; exit 5".into()],
        environment: vec![("KEY".into(), "a b".into())],
        directory: place.path().to_owned(),
    };
    let launch = Launch {
        program,
        report: report.clone(),
    };
    launch.write(&file).unwrap();
    let mut command = place
        .start(&["wrap", "agent", file.to_str().unwrap()])
        .command();
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let said = read_until(child.stdout.take().unwrap(), &farewell(child.id()));
    assert!(
        said.starts_with(&format!("a b {}", place.path().display())),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(report).unwrap(), "code 5\n");
    send(child.id(), Signal::HUP);
    assert_eq!(child.wait().unwrap().code(), Some(5));
    // The file is gone: a second one is told so.
    let output = place
        .start(&["wrap", "agent", file.to_str().unwrap()])
        .command()
        .output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(126));
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(words.starts_with("error: the launch file `"), "{words}");
}

/// What comes before and with these bytes.
#[cfg(target_os = "linux")]
fn read_until(mut stream: impl std::io::Read, end: &[u8]) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        read.extend(byte);
    }
    String::from_utf8(read).unwrap()
}

#[test]
fn d41_who_shares_a_process_can_be_said() {
    let place = Place::new();
    let kind = |name: &str| {
        let view = place.json(&["server", "show", name]);
        view["transport"]["processes"].as_str().unwrap().to_owned()
    };
    place.ok(&["server", "add", "own", "--", "true"]);
    assert_eq!(kind("own"), "session");
    place.ok(&[
        "server",
        "add",
        "all",
        "--processes",
        "shared",
        "--",
        "true",
    ]);
    assert_eq!(kind("all"), "shared");
    // What is not named stays.
    place.ok(&["server", "set", "own", "--processes", "grant"]);
    place.ok(&["server", "set", "own", "--", "false"]);
    let view = place.json(&["server", "show", "own"]);
    assert_eq!(view["transport"]["command"], serde_json::json!(["false"]));
    assert_eq!(kind("own"), "grant");
    assert!(place.ok(&["server", "list"]).contains("one per grant"));
    place.ok(&["server", "add", "far", "--url", "https://mcp.example/mcp"]);
    let refused = place.run(&["server", "set", "far", "--processes", "grant"]);
    assert_eq!(refused.code, 2, "{}", refused.stderr);
}
