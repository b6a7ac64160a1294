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
