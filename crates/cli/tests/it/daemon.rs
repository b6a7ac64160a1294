//! The life of a daemon: real processes, real signals.

use provost_testkit::client::Client;
use provost_testkit::wait_until;
use rustix::process::Signal;

use crate::place::{POLICY, Place, lives, send};
use provost_testkit::process::fixture_program;

#[tokio::test]
async fn up_serves_agents_and_ends_in_order_on_sigterm() {
    let place = Place::new();
    let token = place.furnish();
    let mut up = place.up(&[]).await;
    let client = Client::http(&format!("{}/mcp/files", up.url), Some(&token));
    client.connect().await;
    let tools = client.request("tools/list", serde_json::json!({})).await;
    assert!(tools.to_string().contains("echo"), "{tools}");
    up.signal(Signal::TERM);
    assert_eq!(up.ended().await, Some(0), "{}", up.log());
    assert!(!place.data().join("admin.sock").exists() && !place.data().join("agent.sock").exists());
    place.ok(&["audit", "verify"]);
}

#[tokio::test]
async fn a_second_daemon_is_refused_and_says_who_is_there() {
    let place = Place::new();
    let up = place.up(&[]).await;
    let words = ["up", "--listen", "127.0.0.1:0"];
    let second = place.run(&words);
    assert_eq!(second.code, 4);
    assert!(
        second
            .stderr
            .contains(&format!("process {}", up.child.id())),
        "{}",
        second.stderr
    );
    insta::assert_snapshot!(place.tell(&words, &second));
}

#[tokio::test]
async fn sockets_are_private_and_those_left_by_a_killed_daemon_do_no_harm() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let mut up = place.up(&[]).await;
    for socket in ["admin.sock", "agent.sock"] {
        let mode = std::fs::metadata(place.data().join(socket))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{socket}");
    }
    up.signal(Signal::KILL);
    up.ended().await;
    assert!(place.data().join("admin.sock").exists());
    place.ok(&["server", "list"]);
    let up = place.up(&["-v"]).await;
    place.ok(&["server", "list"]);
    drop(up);
}

#[tokio::test]
async fn health_readiness_and_metrics_are_on_the_admin_side_only() {
    let place = Place::new();
    let up = place.up(&[]).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let inside = admin_get(&place, path).await;
        assert!(inside.starts_with("HTTP/1.1 200"), "{path}: {inside}");
        let (host, port) = up
            .url
            .trim_start_matches("http://")
            .split_once(':')
            .unwrap();
        let outside = http_get(host, port, path).await;
        assert!(!outside.starts_with("HTTP/1.1 2"), "{path}: {outside}");
    }
    assert!(admin_get(&place, "/metrics").await.contains("# TYPE"));
}

async fn admin_get(place: &Place, path: &str) -> String {
    exchange(
        tokio::net::UnixStream::connect(place.data().join("admin.sock"))
            .await
            .unwrap(),
        path,
    )
    .await
}

async fn http_get(host: &str, port: &str, path: &str) -> String {
    exchange(
        tokio::net::TcpStream::connect((host, port.parse().unwrap()))
            .await
            .unwrap(),
        path,
    )
    .await
}

async fn exchange(
    mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    path: &str,
) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    stream
        .write_all(
            format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_address_others_can_reach_is_refused_without_tls() {
    let place = Place::new();
    insta::assert_snapshot!(place.story(&["up", "--listen", "0.0.0.0:0"]));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = place.run(&["up", "--listen", &address]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
}

#[tokio::test]
async fn a_daemon_started_by_run_leaves_with_its_last_client() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let run = [
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let client = Client::stdio(&place.start(&run));
    client.connect().await;
    let pid = place.daemon_pid().expect("a daemon runs");
    assert!(lives(pid));
    client.as_stdio().end_input();
    wait_until("the daemon has left", || !lives(pid)).await;
    place.ok(&["server", "list"]);
}

#[tokio::test]
async fn up_takes_over_a_daemon_that_started_itself() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let run = [
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let client = Client::stdio(&place.start(&run));
    client.connect().await;
    let pid = place.daemon_pid().expect("a daemon runs");
    let mut up = place.up(&[]).await;
    assert_ne!(up.child.id(), pid);
    assert!(up.log().contains(&format!("process {pid}")), "{}", up.log());
    client.as_stdio().end_input();
    // It stays now, although its last client has left; only its listener tells.
    let stays = provost_testkit::wait::within("the listener answers", async {
        http_get("127.0.0.1", up.url.rsplit(':').next().unwrap(), "/").await
    });
    assert!(stays.await.starts_with("HTTP/1.1"));
    assert!(lives(pid));
    up.signal(Signal::INT);
    assert_eq!(up.ended().await, Some(0), "{}", up.log());
    wait_until("the daemon has ended", || !lives(pid)).await;
}

#[tokio::test]
async fn limits_that_a_running_daemon_cannot_take_over_are_refused() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let limits = place.file("provost.toml", "call_timeout = \"1m\"\nworkers = 1\n");
    let fixture = fixture_program();
    let client = Client::stdio(&place.start(&[
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ]));
    client.connect().await;
    let ran = place.run(&["up", "--listen", "127.0.0.1:0", "--config", &limits]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("cannot change `call_timeout`, `workers`"),
        "{}",
        ran.stderr
    );
}

#[tokio::test]
async fn a_command_waits_for_a_daemon_that_finishes_its_calls() {
    let place = Place::new();
    let policy = r#"{ "version": "1", "default": "deny", "tools": { "slow": {} } }"#;
    place.file("policy.json", policy);
    let fixture = fixture_program();
    let client = Client::stdio(&place.start(&[
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ]));
    client.connect().await;
    let pid = place.daemon_pid().expect("a daemon runs");
    let call = tokio::spawn(async move {
        let slow = serde_json::json!({ "name": "slow", "arguments": { "ms": 7_000 } });
        client.request("tools/call", slow).await
    });
    wait_until("the call is under way", || {
        place.ok(&["log", "--json"]).contains("slow")
    })
    .await;
    send(pid, Signal::TERM);
    wait_until("the daemon is stopping", || {
        !place.data().join("admin.sock").exists()
    })
    .await;
    place.ok(&["server", "list"]);
    let answer = call.await.unwrap();
    assert!(answer.to_string().contains("content"), "{answer}");
}

#[tokio::test]
async fn several_runs_at_once_share_one_daemon() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let run = [
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let clients: Vec<_> = (0..6).map(|_| Client::stdio(&place.start(&run))).collect();
    for client in &clients {
        client.connect().await;
    }
    let daemons = std::process::Command::new("pgrep")
        .args([
            "-f",
            &format!("{} --config-dir .* daemon", place.data().display()),
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&daemons.stdout).lines().count(), 1);
    assert_eq!(place.json(&["server", "list"]).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_restore_on_a_running_daemon_brings_everything_back_and_it_serves_again() {
    let place = Place::new();
    let token = place.furnish();
    let up = place.up(&[]).await;
    place.ok(&["backup", "all.backup", "--with-key"]);
    place.ok(&["server", "remove", "files"]);
    assert_eq!(place.run(&["restore", "all.backup"]).code, 4);
    place.ok(&["restore", "all.backup", "--replace"]);
    wait_until("the daemon answers again", || {
        place.daemon_pid() == Some(up.child.id())
    })
    .await;
    assert_eq!(place.json(&["grant", "reveal", "laptop"])["token"], token);
}

#[tokio::test]
async fn data_directories_with_long_paths_work() {
    let place = Place::new();
    let data = place.path().join("d".repeat(120));
    let command = |words: &[&str]| {
        let mut command = place.command(words);
        command.env("PROVOST_DATA", &data);
        command
    };
    let log = place.path().join("log");
    let mut daemon = command(&["up", "--listen", "127.0.0.1:0"])
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    wait_until("the daemon is ready", || {
        std::fs::read_to_string(&log).unwrap().contains("ready")
    })
    .await;
    let out = command(&["doctor", "--json"]).output().unwrap();
    assert!(String::from_utf8_lossy(&out.stdout).contains(&format!("process {}", daemon.id())));
    send(daemon.id(), Signal::TERM);
    daemon.wait().unwrap();
}

#[tokio::test]
async fn flags_beat_variables_beat_the_file() {
    let place = Place::new();
    place.file("provost.toml", "listen = \"127.0.0.1:1\"\nworkers = 1\n");
    let refused = |words: &[&str], variable: Option<&str>| {
        let mut command = place.command(&[&["up", "--config", "provost.toml"], words].concat());
        variable.map(|value| command.env("PROVOST_LISTEN", value));
        String::from_utf8(command.output().unwrap().stderr).unwrap()
    };
    // Addresses that nobody may use show which one was taken.
    assert!(refused(&["--listen", "192.0.2.3:1"], Some("192.0.2.2:1")).contains("192.0.2.3"));
    assert!(refused(&[], Some("192.0.2.2:1")).contains("192.0.2.2"));
    place.file("provost.toml", "listen = \"192.0.2.1:1\"\n");
    assert!(refused(&[], None).contains("192.0.2.1"));
    place.file("provost.toml", "servers = []\n");
    insta::assert_snapshot!(place.normal(&refused(&[], None)));
}

#[tokio::test]
async fn up_and_runs_at_the_same_moment_end_with_one_daemon_that_stays() {
    let place = Place::new();
    place.file("policy.json", POLICY);
    let fixture = fixture_program();
    let run = [
        "run",
        "--policy",
        "policy.json",
        "--",
        fixture.to_str().unwrap(),
        "stdio",
    ];
    let clients: Vec<_> = (0..3).map(|_| Client::stdio(&place.start(&run))).collect();
    let mut up = place.up(&[]).await;
    for client in &clients {
        client.connect().await;
    }
    assert!(place.daemon_pid().is_some());
    up.signal(Signal::TERM);
    assert_eq!(up.ended().await, Some(0), "{}", up.log());
}

#[tokio::test]
async fn a_large_policy_goes_through_the_daemon() {
    let place = Place::new();
    place.ok(&["server", "add", "far", "--url", "http://127.0.0.1:9/"]);
    let _up = place.up(&[]).await;
    let tools: Vec<_> = (0..60_000)
        .map(|n| format!("\"a_tool_with_a_rather_long_name_{n}\": {{}}"))
        .collect();
    let policy = place.file(
        "large.json",
        &format!(
            "{{ \"version\": \"1\", \"default\": \"deny\", \"tools\": {{ {} }} }}",
            tools.join(",\n")
        ),
    );
    let ran = place.run(&["policy", "put", "far", "large", &policy]);
    assert!(
        ran.code == 0 || ran.stderr.contains("large.json"),
        "{}",
        ran.stderr
    );
}
