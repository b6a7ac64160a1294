//! An agent calls back under a grant of its own; tasks and their results.

use serde_json::json;

use super::scene::{Scene, rule, words};

#[tokio::test]
async fn a_manager_spawns_a_specialist_which_reports_while_the_manager_waits() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let manager = person.spawn(&scene, "manager", json!({})).await;
    let schema = json!({"type": "object", "required": ["files"]});
    let asked = json!({
        "role": "specialist", "workDir": scene.work(), "context": "c", "instruction": "count files",
        "taskName": "count", "resultSchema": schema, "_callerRole": "executive",
    });
    let answer = scene.call_by(&person, &manager, "spawn", asked).await;
    let worker = answer["result"]["structuredContent"].clone();
    assert_eq!(
        (&worker["instanceId"], &worker["taskId"]),
        (&json!("spec_1_2"), &json!("task_1")),
        "{answer}"
    );
    assert_eq!(scene.written(&worker, "got").await, "count files\n");
    let waiting = {
        let person = person.clone();
        tokio::spawn(async move { person.ok("wait", json!({"taskId": "task_1"})).await })
    };
    let answer = scene
        .call_by(
            &person,
            &worker,
            "report_result",
            json!({"result": {"n": 1}}),
        )
        .await;
    let said = words(&answer);
    assert!(
        said.starts_with("the result does not fit the schema of `task_1`"),
        "{said}"
    );
    let result = json!({"files": ["a", "b"]});
    let answer = scene
        .call_by(&person, &worker, "report_result", json!({"result": result}))
        .await;
    assert_eq!(
        answer["result"]["structuredContent"],
        json!({"success": true, "taskId": "task_1", "status": "done"}),
        "{answer}"
    );
    let waited = waiting.await.unwrap();
    assert_eq!(
        (&waited["finished"], &waited["task"]["result"]),
        (&json!(true), &result),
        "{waited}"
    );
    let progress = person
        .ok("getProgress", json!({"instanceId": "mgr_1"}))
        .await;
    assert_eq!(progress["message"], "1 of 1 tasks are done");
    assert_eq!(scene.log("spawn"), ["alice allow null", "mgr_1 allow null"]);
    assert_eq!(scene.log("report_result"), ["spec_1_2 allow null"; 2]);
}

#[tokio::test]
async fn nobody_does_more_than_its_role_and_says_so_in_the_records() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let manager = person.spawn(&scene, "manager", json!({})).await;
    let other = person.spawn(&scene, "manager", json!({})).await;
    let worker = person
        .spawn(
            &scene,
            "specialist",
            json!({"parentId": "mgr_1", "instruction": "work"}),
        )
        .await;
    // Scenario 3: also when it says that it is somebody else.
    let lie = json!({"_callerRole": "executive", "role": "specialist", "workDir": scene.work(), "context": "c"});
    let answer = scene.call_by(&person, &worker, "spawn", lie).await;
    assert_eq!(rule(&answer), "(role)", "{answer}");
    assert!(
        words(&answer).contains("a specialist may not call `spawn`"),
        "{answer}"
    );
    let executive = json!({"role": "executive", "workDir": scene.work(), "context": "c"});
    let answer = scene.call_by(&person, &manager, "spawn", executive).await;
    assert_eq!(rule(&answer), "(role)");
    for (tool, id) in [
        ("send", "mgr_1"),
        ("terminate", "mgr_1"),
        ("read", "spec_1_3"),
        ("wait", "spec_1_3"),
    ] {
        let answer = scene
            .call_by(
                &person,
                &other,
                tool,
                json!({"instanceId": id, "text": "x"}),
            )
            .await;
        assert_eq!(rule(&answer), "(role)", "{answer}");
    }
    let foreign = json!({"taskId": "task_1"});
    let answer = scene.call_by(&person, &other, "cancel", foreign).await;
    assert_eq!(rule(&answer), "(role)", "{answer}");
    let denied = "spec_1_3 deny (role)";
    assert_eq!(
        scene
            .log("spawn")
            .into_iter()
            .filter(|row| row == denied)
            .count(),
        1
    );
    // A task that is called off is over.
    let cancelled = person
        .ok("cancel", json!({"taskId": "task_1", "reason": "no need"}))
        .await;
    assert_eq!(cancelled, json!({"success": true, "taskId": "task_1"}));
    let answer = scene
        .call_by(&person, &worker, "report_result", json!({"result": 1}))
        .await;
    assert!(words(&answer).contains("you work on no task"), "{answer}");
}

#[tokio::test]
async fn a_task_ends_with_its_agent() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    let made = person
        .spawn(&scene, "specialist", json!({"instruction": "exit 4"}))
        .await;
    let waited = person.ok("wait", json!({"taskId": made["taskId"]})).await;
    assert_eq!(waited["task"]["status"], "failed", "{waited}");
    assert_eq!(
        waited["task"]["reason"],
        "`spec_1` ended: its program ended with code 4"
    );
}

#[tokio::test]
async fn a_wait_that_takes_too_long_says_how_to_go_on() {
    let scene = Scene::new().await;
    let person = scene.person().await;
    person
        .spawn(&scene, "specialist", json!({"instruction": "work"}))
        .await;
    let waited = person
        .ok("wait", json!({"taskId": "task_1", "seconds": 1}))
        .await;
    assert_eq!(
        (&waited["finished"], &waited["token"]),
        (&json!(false), &json!("task:task_1"))
    );
    person.ok("cancel", json!({"taskId": "task_1"})).await;
    let waited = person.ok("wait", json!({"token": waited["token"]})).await;
    assert_eq!(waited["task"]["status"], "cancelled");
}
