//! What cannot be recorded does not happen: the kernel refuses to let the
//! journal grow, and later lets it.

use std::process::Command;
use std::time::Duration;

use crate::harness::*;
use provost_testkit::fixture::Options;
use provost_testkit::modern::TASKS;
use provost_testkit::wait_until;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

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
fn questions_that_are_recorded_in_part_do_not_pass() {
    in_a_process("questions");
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
        Ok("questions") => what_is_recorded_in_part_is_not_asked().await,
        Ok("outcome") => the_reply_is_given_all_the_same().await,
        _ => return,
    }
    println!("the story is told");
}

/// Files of this process cannot grow beyond what the journal is now.
fn fill_the_disk(scene: &Scene) {
    limit_files(Some(journal(scene).len() as u64));
}

/// The text of the only segment.
fn journal(scene: &Scene) -> String {
    let mut segments = std::fs::read_dir(scene.gate.data().join("journal")).unwrap();
    let segments = segments.find(|segment| {
        let name = segment.as_ref().unwrap().file_name();
        name.to_str().unwrap().ends_with(".log")
    });
    std::fs::read_to_string(segments.unwrap().unwrap().path()).unwrap()
}

/// Two questions, and room in the journal for one.
async fn what_is_recorded_in_part_is_not_asked() {
    let place = tempfile::tempdir().unwrap();
    let open = place.path().join("open");
    let options = Options {
        on: "tasks/get".to_owned(),
        until: Some(open.clone()),
        ..Options::modern()
    };
    let setup = Setup::modern(allow_all()).options(options);
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let declared = json!({"elicitation": {}, "extensions": {TASKS: {}}});
    scene.agent.declare(declared);
    let person = json!({"method": "elicitation/create", "params": {"mode": "form", "message": "?",
        "requestedSchema": {"type": "object", "properties": {"ok": {"type": "boolean"}}}}});
    let job = async |questions: Value| {
        let arguments = json!({"task": true, "ms": 0, "questions": questions});
        let answer = scene.agent.call("job", arguments).await;
        json!({"taskId": answer["result"]["taskId"]})
    };
    let get = |task: &Value| {
        let (agent, task) = (scene.agent.clone(), task.clone());
        tokio::spawn(async move { agent.request("tasks/get", task).await })
    };
    std::fs::write(&open, "").unwrap();
    let first = get(&job(json!({"q": person})).await).await.unwrap();
    assert_eq!(first["result"]["status"], "input_required", "{first}");
    let text = journal(&scene);
    let length = text
        .lines()
        .find(|line| line.contains("elicitation/create"));
    let length = length.unwrap().len();
    std::fs::remove_file(&open).unwrap();
    let mut task = job(json!({"a": person, "b": person})).await;
    let asked = get(&task);
    wait_until("the task is asked about", || {
        scene.upstream.requests("tasks/get").len() == 2
    })
    .await;
    let size = journal(&scene).len() + length * 2 - length / 10;
    limit_files(Some(size as u64));
    std::fs::write(&open, "").unwrap();
    let refused = asked.await.unwrap();
    assert_eq!(refused["error"]["code"], 1503, "{refused}");
    limit_files(None);
    // Neither was asked, so neither can be answered.
    task["inputResponses"] = json!({"a": {"action": "accept", "content": {"ok": true}}});
    scene.agent.request("tasks/update", task.clone()).await;
    let arrived = scene.upstream.requests("tasks/update");
    assert_eq!(arrived[0]["inputResponses"], json!({}), "{arrived:?}");
    let both = get(&json!({"taskId": task["taskId"]})).await.unwrap();
    let both = both["result"]["inputRequests"]
        .as_object()
        .map(serde_json::Map::len);
    assert_eq!(both, Some(2));
    let history = scene.gate.history();
    let of_questions = history.iter().filter(|line| line.contains("elicitation"));
    let (ok, not_sent) = (
        "elicitation/create: allow, ok",
        "elicitation/create: allow, not_sent",
    );
    assert_eq!(of_questions.collect::<Vec<_>>(), [ok, not_sent, ok, ok]);
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
