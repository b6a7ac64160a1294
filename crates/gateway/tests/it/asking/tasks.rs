//! D17: requests about tasks need an agent that knows tasks.

use super::*;

async fn d17_tasks_need_an_agent_that_knows_them(scene: Scene) {
    scene.agent.declare(everything());
    let task = scene.job(json!({})).await;
    scene
        .agent
        .declare(json!({"elicitation": {}, "extensions": {"dev.example/other": {}}}));
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        for id in [&task, &json!("somebody else's")] {
            let (bytes, records) = (scene.upstream.bytes().len(), scene.gate.records().len());
            let mut params = json!({ "taskId": id });
            if method == "tasks/update" {
                params["inputResponses"] = json!({});
            }
            let message = scene.agent.wrapped(method, method, params);
            let answer = scene.raw(message.to_string()).await;
            assert_eq!(answer.status.unwrap_or(400), 400, "{answer:?}");
            let error = &answer.message["error"];
            assert_eq!(error["code"], -32021, "{method}: {error}");
            let needed = &error["data"]["requiredCapabilities"]["extensions"][TASKS];
            assert_eq!(*needed, json!({}), "{error}");
            assert_eq!(scene.upstream.bytes().len(), bytes);
            let recorded = || scene.gate.records().len() == records + 1;
            wait_until("it is recorded", recorded).await;
        }
    }
    scene.agent.declare(everything());
    let found = scene
        .agent
        .request("tasks/get", json!({ "taskId": task }))
        .await;
    assert_eq!(found["result"]["taskId"], task, "{found}");
}
everywhere!(
    d17_tasks_need_an_agent_that_knows_them,
    Setup::modern(allow_all())
);
