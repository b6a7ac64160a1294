//! One agent never meets another: not their messages, sessions or tasks, and
//! not their broken servers.

use crate::harness::*;
use provost_testkit::client::Client;
use provost_testkit::fixture::{Fixture, Hostility};
use provost_testkit::wait_until;
use serde_json::{Value, json};

async fn progress_goes_to_whoever_asked(scene: Scene) {
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let params = |steps: u64| json!({"name": "slow", "arguments": {"ms": 100, "steps": steps}, "_meta": {"progressToken": "t"}});
    let (first, second) = tokio::join!(
        scene.agent.request_as(50, "tools/call", params(2)),
        other.request_as(50, "tools/call", params(5)),
    );
    assert_eq!((text(&first), text(&second)), ("slept", "slept"));
    let totals = |agent: &Client| -> Vec<Value> {
        agent
            .received("notifications/progress")
            .iter()
            .map(|p| p["total"].clone())
            .collect()
    };
    assert_eq!(totals(&scene.agent), vec![json!(2); 2]);
    assert_eq!(totals(&other), vec![json!(5); 5]);
}
everywhere!(progress_goes_to_whoever_asked, allow_all());

#[tokio::test]
async fn progress_goes_to_whoever_asked_in_a_shared_process() {
    let scene = Scene::new(Face::Http, Kind::Stdio, Setup::from(allow_all()).shared()).await;
    progress_goes_to_whoever_asked(scene).await;
}

#[tokio::test]
async fn cancelling_reaches_ones_own_call_only() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Http, kind, Setup::from(allow_all()).shared()).await;
        let other = scene.another_agent(&scene.another_pass("other")).await;
        let agent = scene.agent.clone();
        let params = json!({"name": "slow", "arguments": {"ms": 400}});
        let slow = tokio::spawn(async move { agent.request_as(50, "tools/call", params).await });
        scene.upstream.wait_for_calls(1).await;
        other.cancel(50).await;
        assert_eq!(text(&slow.await.unwrap()), "slept");
        assert!(scene.upstream.events_of("cancelled").is_empty());
    }
}

#[tokio::test]
async fn processes_are_not_shared_unless_the_operator_says_so() {
    let scene = Scene::new(Face::Http, Kind::Stdio, allow_all()).await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(scene.upstream.events_of("started").len(), 2);
    let scene = Scene::new(Face::Http, Kind::Stdio, Setup::from(allow_all()).shared()).await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(scene.upstream.events_of("started").len(), 1);
}

#[tokio::test]
async fn questions_of_a_shared_process_reach_whoever_called() {
    let scene = Scene::new(Face::Http, Kind::Stdio, Setup::from(allow_all()).shared()).await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    other.on_request(|_, _| json!({"result": {"roots": [{"uri": "file:///other"}]}}));
    assert!(text(&other.call("roots", json!({})).await).contains("file:///other"));
    assert!(text(&scene.agent.call("roots", json!({})).await).contains("file:///srv/project"));
    assert_eq!((scene.agent.inbox().len(), other.inbox().len()), (1, 1));
}

async fn start_task(agent: &Client, ms: u64) -> String {
    let params = json!({"name": "job", "arguments": {"ms": ms}, "task": {"ttl": 60_000}});
    let answer = agent.request("tools/call", params).await;
    let id = answer["result"]["task"]["taskId"].as_str();
    id.unwrap_or_else(|| panic!("no task: {answer}")).to_owned()
}

async fn s61_tasks_are_ones_own(scene: Scene) {
    let task = start_task(&scene.agent, 30).await;
    let ask =
        async |agent: &Client, method: &str| agent.request(method, json!({"taskId": task})).await;
    assert_eq!(text(&ask(&scene.agent, "tasks/result").await), "done");
    assert_eq!(
        ask(&scene.agent, "tasks/get").await["result"]["status"],
        "completed"
    );
    let other = scene.another_agent(&scene.another_pass("other")).await;
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        assert_eq!(
            ask(&other, method).await["error"]["code"],
            -32602,
            "{method}"
        );
    }
    let count = async |agent: &Client| {
        agent.request("tasks/list", json!({})).await["result"]["tasks"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((count(&scene.agent).await, count(&other).await), (1, 0));
    let history = scene.gate.history();
    assert_eq!(history[0], "tools/call job: allow, ok");
    assert_eq!(
        history
            .iter()
            .filter(|line| line.ends_with("deny by (method)"))
            .count(),
        3
    );
}
everywhere!(s61_tasks_are_ones_own, allow_all());

#[tokio::test]
async fn tasks_are_ones_own_in_a_shared_process() {
    let scene = Scene::new(Face::Http, Kind::Stdio, Setup::from(allow_all()).shared()).await;
    let other = scene.another_agent(&scene.another_pass("listener")).await;
    scene.agent.listen().await;
    other.listen().await;
    start_task(&scene.agent, 20).await;
    scene.agent.wait_for("notifications/tasks/status").await;
    assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
    assert!(other.received("notifications/tasks/status").is_empty());
    tasks_are_ones_own_afterwards(scene).await;
}

async fn tasks_are_ones_own_afterwards(scene: Scene) {
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let listed = other.request("tasks/list", json!({})).await;
    assert_eq!(listed["result"]["tasks"], json!([]));
}

async fn a_task_can_be_cancelled_by_its_owner(scene: Scene) {
    let task = start_task(&scene.agent, 60_000).await;
    let cancelled = scene
        .agent
        .request("tasks/cancel", json!({"taskId": task}))
        .await;
    assert_eq!(cancelled["result"]["status"], "cancelled");
}
everywhere!(a_task_can_be_cancelled_by_its_owner, allow_all());

/// A second server with a habit, and an agent on it.
async fn beside(scene: &Scene, name: &str, url: &str) -> Client {
    scene.gate.http_server(name, url);
    scene.gate.put_policy(name, "open", &allow_all());
    scene.gate.http_agent(&scene.gate.mint_on(name, "open"))
}

#[tokio::test]
async fn a_dead_or_silent_server_disturbs_nobody_else() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let silent = Fixture::plain();
    let stuck = beside(&scene, "silent", &silent.url()).await;
    stuck.connect().await;
    silent.set_habit(Some((Hostility::Silent, "tools/call")));
    let waiting: Vec<_> = (0..100)
        .map(|_| {
            let stuck = stuck.clone();
            tokio::spawn(async move { stuck.call("echo", json!({})).await })
        })
        .collect();
    let arrived = || {
        silent
            .recorder
            .events_of("request")
            .iter()
            .filter(|r| r["method"] == "tools/call")
            .count()
    };
    wait_until("all hundred wait", || arrived() == 100).await;
    let mut dead = Fixture::plain();
    let orphan = beside(&scene, "dead", &dead.url()).await;
    orphan.connect().await;
    dead.stop();
    let refused = orphan
        .as_http()
        .post_raw(call(9, "echo", "{}"))
        .await
        .unwrap();
    assert_eq!(refused.status, 502);
    for _ in 0..20 {
        scene.honest_call_works().await;
    }
    assert!(waiting.iter().all(|call| !call.is_finished()));
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_lost_upstream_session_is_opened_again_unnoticed() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Http, allow_all()).await;
        scene
            .agent
            .request("logging/setLevel", json!({"level": "error"}))
            .await;
        scene
            .agent
            .request("resources/subscribe", json!({"uri": "fixture://note"}))
            .await;
        scene.upstream.fixture().expire_sessions();
        scene.honest_call_works().await;
        let opened = scene.upstream.requests("initialize");
        assert_eq!(opened.len(), 2);
        assert_eq!(opened[0], opened[1]);
        assert_eq!(scene.upstream.requests("logging/setLevel").len(), 2);
        assert_eq!(scene.upstream.requests("resources/subscribe").len(), 2);
        assert_eq!(scene.upstream.calls(), ["echo"]);
        assert_eq!(
            scene.gate.history(),
            [
                "resources/subscribe: allow, ok",
                "tools/call echo: allow, ok",
                "resources/subscribe: allow, ok"
            ]
        );
    }
}

#[tokio::test]
async fn a_lost_upstream_session_is_opened_once_for_all_who_notice() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.upstream.fixture().expire_sessions();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let agent = scene.agent.clone();
            tokio::spawn(async move { agent.call("echo", json!({"text": "x"})).await })
        })
        .collect();
    for call in calls {
        assert_eq!(text(&call.await.unwrap()), "x");
    }
    assert_eq!(scene.upstream.requests("initialize").len(), 2);
}

#[tokio::test]
async fn a_server_that_forgets_again_and_again_is_followed() {
    let options = provost_testkit::fixture::Options {
        expire_after: Some(2),
        ..Default::default()
    };
    let scene = Scene::new(
        Face::Http,
        Kind::Http,
        Setup::from(allow_all()).options(options),
    )
    .await;
    for _ in 0..6 {
        scene.honest_call_works().await;
    }
    assert_eq!(scene.upstream.calls().len(), 6);
}

#[tokio::test]
async fn a_process_that_was_killed_is_started_again_unnoticed() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, allow_all()).await;
        scene
            .agent
            .request("logging/setLevel", json!({"level": "error"}))
            .await;
        scene
            .agent
            .request("resources/subscribe", json!({"uri": "fixture://note"}))
            .await;
        scene.kill_process().await;
        scene.honest_call_works().await;
        let opened = scene.upstream.requests("initialize");
        assert_eq!((opened.len(), &opened[0]), (2, &opened[1]));
        assert_eq!(scene.upstream.requests("logging/setLevel").len(), 2);
        assert_eq!(scene.upstream.requests("resources/subscribe").len(), 2);
    }
}

#[tokio::test]
async fn a_question_of_a_shared_process_that_may_be_anothers_reaches_nobody() {
    let scene = Scene::new(Face::Http, Kind::Stdio, Setup::from(allow_all()).shared()).await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let agent = scene.agent.clone();
    let busy = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    let answer = other.call("sample", json!({"message": "canary"})).await;
    assert!(text(&answer).contains("cannot be asked"), "{answer}");
    assert!(scene.agent.inbox().is_empty() && other.inbox().is_empty());
    busy.abort();
}
