//! Tasks of the extension: whoever started one may ask about it, and nobody else.

use super::*;
use provost_testkit::client::Client;
use provost_testkit::fixture::Hostility;
use provost_testkit::modern::TASKS;

fn knows_tasks(agent: &Client) {
    agent.declare(json!({"extensions": {TASKS: {}}}));
}

async fn start(agent: &Client) -> Value {
    let answer = agent.call("job", json!({"task": true, "ms": 60_000})).await;
    assert_eq!(answer["result"]["resultType"], "task", "{answer}");
    json!({"taskId": answer["result"]["taskId"]})
}

async fn a_task_is_followed_and_cancelled_by_its_own_grant(scene: Scene) {
    knows_tasks(&scene.agent);
    let task = start(&scene.agent).await;
    let found = scene.agent.request("tasks/get", task.clone()).await;
    assert_eq!(found["result"]["status"], "working", "{found}");
    let updated = scene.agent.request("tasks/update", task.clone()).await;
    assert_eq!(updated["result"]["resultType"], "complete", "{updated}");
    let cancelled = scene.agent.request("tasks/cancel", task.clone()).await;
    assert_eq!(cancelled["result"]["resultType"], "complete", "{cancelled}");
    let found = scene.agent.request("tasks/get", task).await;
    assert_eq!(found["result"]["status"], "cancelled", "{found}");
}
everywhere!(a_task_is_followed_and_cancelled_by_its_own_grant, open());

async fn s61_a_task_of_another_is_not_found(scene: Scene) {
    knows_tasks(&scene.agent);
    let task = start(&scene.agent).await;
    let thief = scene.another_agent(&scene.another_pass("thief")).await;
    knows_tasks(&thief);
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let before = scene.upstream.requests(method).len();
        let anothers = thief.request(method, task.clone()).await;
        let nobodys = thief.request(method, json!({"taskId": "job-99"})).await;
        assert_eq!(code(&anothers), -32602, "{anothers}");
        assert_eq!(anothers["error"], nobodys["error"], "alike for both");
        assert_eq!(scene.upstream.requests(method).len(), before);
    }
    let found = scene.agent.request("tasks/get", task).await;
    assert_eq!(found["result"]["status"], "working", "{found}");
}
everywhere!(s61_a_task_of_another_is_not_found, open());

#[tokio::test]
async fn a_task_of_another_is_not_found_in_a_shared_process() {
    let scene = Scene::new(Face::Http, Kind::Stdio, open().shared()).await;
    s61_a_task_of_another_is_not_found(scene).await;
}

/// Whoever does not know tasks would wait for ever.
async fn a_task_that_nobody_declared_is_an_error(scene: Scene) {
    let mode = json!({"mode": Hostility::UnaskedTask.word()});
    let answer = scene.agent.call("hostile", mode).await;
    assert_eq!(code(&answer), -32603, "{answer}");
    scene.honest_call_works().await;
}
everywhere!(a_task_that_nobody_declared_is_an_error, open());
