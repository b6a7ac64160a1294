//! What cannot be recorded does not happen: the kernel refuses to let the
//! journal grow, and later lets it.

use std::process::Command;
use std::time::Duration;

use crate::harness::*;
use provost_testkit::wait_until;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

const TASK: &str = "PROVOST_TEST_TASK";

/// Runs one of the stories below in a process of its own: the limit on the size
/// of files is the process's, and the shell has to see to it that exceeding it
/// is an error and not the end.
fn in_a_process(story: &str) {
    let program = std::env::current_exe().unwrap();
    let mut shell = Command::new("sh");
    shell
        .arg("-c")
        .arg("trap '' XFSZ; exec \"$0\" \"$@\"")
        .arg(&program);
    shell
        .args(["--exact", "journal::story", "--nocapture"])
        .env(TASK, story);
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("the story is told"),
        "{story}: {said}"
    );
}

#[test]
fn l104_calls_that_cannot_be_recorded_go_nowhere_over_http() {
    in_a_process("refused over http");
}

#[test]
fn l104_calls_that_cannot_be_recorded_go_nowhere_over_stdio() {
    in_a_process("refused over stdio");
}

#[test]
fn a_reply_is_given_even_if_its_outcome_cannot_be_recorded() {
    in_a_process("outcome");
}

async fn the_intent_is_written_before_the_upstream_hears(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    // Read as another process would: from the files.
    let segments = std::fs::read_dir(scene.gate.data().join("journal")).unwrap();
    let texts = segments.map(|segment| std::fs::read(segment.unwrap().path()).unwrap());
    let text = String::from_utf8_lossy(&texts.collect::<Vec<_>>().concat()).into_owned();
    assert!(
        text.contains("\"slow\"") && text.contains(scene.pass.grant.as_str()),
        "{text}"
    );
    assert!(
        !text.contains("60000") && !text.contains(&scene.pass.token),
        "no values, no tokens"
    );
    slow.abort();
}
everywhere!(the_intent_is_written_before_the_upstream_hears, allow_all());

/// Not a promise of its own: the body of every child.
#[tokio::test]
async fn story() {
    match std::env::var(TASK).as_deref() {
        Ok("refused over http") => what_cannot_be_recorded_goes_nowhere(Face::Http).await,
        Ok("refused over stdio") => what_cannot_be_recorded_goes_nowhere(Face::Stdio).await,
        Ok("outcome") => the_reply_is_given_all_the_same().await,
        _ => return,
    }
    println!("the story is told");
}

/// Files of this process cannot grow beyond what the journal is now.
fn fill_the_disk(scene: &Scene) {
    let segments = std::fs::read_dir(scene.gate.data().join("journal")).unwrap();
    let size = segments
        .map(|segment| segment.unwrap().metadata().unwrap().len())
        .max()
        .unwrap();
    limit_files(Some(size));
}

fn limit_files(size: Option<u64>) {
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: size,
            maximum,
        },
    )
    .unwrap();
}

async fn what_cannot_be_recorded_goes_nowhere(face: Face) {
    let limited =
        tools(json!({"echo": {"rate_limit": {"max": 2, "window": 60}}, "add": {"action": "deny"}}));
    let scene = Scene::new(face, Kind::Http, limited).await;
    scene.honest_call_works().await;
    let before = scene.upstream.bytes().len();
    fill_the_disk(&scene);
    for tool in ["echo", "echo", "echo", "add"] {
        let answer = scene.raw(call(7, tool, "{}")).await;
        assert_eq!(answer.status.unwrap_or(503), 503);
        assert_eq!(answer.message["error"]["code"], 1503, "{answer:?}");
        assert_eq!(rule(&answer.message), "(record unavailable)");
    }
    assert_eq!(scene.raw("{").await.message["error"]["code"], 1503);
    let read = scene
        .agent
        .request("resources/read", json!({"uri": "fixture://text"}))
        .await;
    assert_eq!(read["error"]["code"], 1503);
    assert_eq!(scene.upstream.bytes().len(), before);
    assert_eq!(
        scene.agent.request("ping", json!({})).await["result"],
        json!({})
    );
    limit_files(None);
    wait_until("writing works again", || true).await;
    scene.honest_call_works().await;
    let refused = scene.agent.call("echo", json!({})).await;
    assert_eq!(
        rule(&refused),
        "/tools/echo/limits/echo_rate",
        "what was not sent was not counted"
    );
    assert!(scene.gate.store.audit_verify(None).unwrap().intact());
    assert_eq!(scene.gate.records().len(), 3);
}

async fn the_reply_is_given_all_the_same() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let agent = scene.agent.clone();
    let until = scene.gate.data().with_file_name("until");
    let arguments = json!({"until": until.to_str().unwrap()});
    let slow = tokio::spawn(async move { agent.call("slow", arguments).await });
    scene.upstream.wait_for_calls(1).await;
    fill_the_disk(&scene);
    std::fs::File::create(&until).unwrap();
    assert_eq!(text(&slow.await.unwrap()), "slept");
    assert_eq!(
        scene.raw(call(7, "echo", "{}")).await.message["error"]["code"],
        1503
    );
    limit_files(None);
    scene.honest_call_works().await;
    assert_eq!(
        scene.gate.history(),
        [
            "tools/call slow: allow, unknown",
            "tools/call echo: allow, ok"
        ]
    );
    tokio::time::timeout(Duration::from_secs(5), scene.gate.gateway.stop())
        .await
        .unwrap();
}
