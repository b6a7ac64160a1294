//! Servers that write more than anybody reads.

use crate::harness::*;
use provost_testkit::fixture::{Options, Stdio};
use provost_testkit::process::Start;
use provost_testkit::wait_until;

/// Something that writes a lot first, and is the fixture afterwards.
async fn noisy(scene: &Scene, name: &str, noise: &str) {
    let stdio = Stdio::new(&Options::default());
    let script = format!("{noise}; exec \"$@\"");
    let mut words = vec!["-c".to_owned(), script, "sh".to_owned()];
    words.extend(stdio.start.command_line());
    let start = Start::program("/bin/sh").args(words);
    scene.gate.stdio_server(name, &start, Processes::Session);
    scene.gate.put_policy(name, "open", &allow_all());
    let agent = scene.gate.http_agent(&scene.gate.mint_on(name, "open"));
    let opening = async {
        agent.connect().await;
        let answer = agent.call("echo", serde_json::json!({"text": "x"})).await;
        assert_eq!(text(&answer), "x");
    };
    // Others are served in the meantime.
    let others = async {
        for _ in 0..20 {
            scene.honest_call_works().await;
        }
    };
    tokio::join!(opening, others);
}

fn about(name: &str) -> Vec<String> {
    let (log, name) = (log::start().text(), format!("`{name}`"));
    let about = log.lines().filter(|line| line.contains(&name));
    about.map(str::to_owned).collect()
}

#[tokio::test]
async fn d88_standard_error_is_logged_as_far_as_there_is_room() {
    log::start();
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    noisy(&scene, "loud", "yes | head -c 209715200 >&2").await;
    wait_until("it is told what was dropped", || {
        about("loud")
            .iter()
            .any(|line| line.contains("lines dropped"))
    })
    .await;
    let lines = about("loud");
    // A hundred in ten seconds, and what the gateway itself says of it.
    assert!(lines.len() < 1000, "{} lines", lines.len());
    assert!(lines.iter().any(|line| line.contains("says: y")));
}

#[tokio::test]
async fn d88_a_line_without_end_is_cut() {
    log::start();
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    noisy(&scene, "endless", "head -c 5000000 /dev/zero >&2; echo >&2").await;
    let says = || -> Vec<String> {
        let says = about("endless").into_iter();
        says.filter(|line| line.contains("says:")).collect()
    };
    wait_until("it is logged", || !says().is_empty()).await;
    assert!(says().iter().all(|line| line.len() < 3000));
}

#[tokio::test]
async fn d88_nonsense_on_standard_output_is_logged_as_far_as_there_is_room() {
    log::start();
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    noisy(&scene, "babbling", "yes | head -n 100000").await;
    let lines = about("babbling");
    assert!(lines.len() < 1000, "{} lines", lines.len());
    assert!(
        lines
            .iter()
            .any(|line| line.contains("wrote a line that is not an MCP message"))
    );
}
