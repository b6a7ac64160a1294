//! Agents outlive the daemon.

use provost_testkit::client::Client;
use provost_testkit::wait_until;
use rustix::process::Signal;
use serde_json::json;

use super::scene::Scene;
use crate::place::{lives, send};

#[tokio::test]
async fn after_kill_9_the_same_agents_are_there_and_go_on() {
    let mut scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "executive", json!({})).await;
    person
        .spawn(&scene, "manager", json!({"parentId": "exec_1"}))
        .await;
    let worker = person
        .spawn(
            &scene,
            "specialist",
            json!({"parentId": "mgr_1_2", "instruction": "work"}),
        )
        .await;
    person.spawn(&scene, "executive", json!({})).await;
    person.printed("spec_1_2_3", "got work").await;
    let mut up = scene.up.take().unwrap();
    up.signal(Signal::KILL);
    up.ended().await;
    drop(up);
    let config = scene.config.clone();
    scene.up = Some(scene.place.up(&["--config", &config]).await);
    let person = scene.person().await;
    assert_eq!(
        person.states().await,
        [
            "exec_1 ready",
            "mgr_1_2 ready",
            "spec_1_2_3 ready",
            "exec_4 ready"
        ]
    );
    person
        .ok("send", json!({"instanceId": "exec_1", "text": "again"}))
        .await;
    person.printed("exec_1", "got again").await;
    let answer = scene
        .call_by(&person, &worker, "report_result", json!({"result": 1}))
        .await;
    assert_eq!(
        answer["result"]["structuredContent"]["status"], "done",
        "{answer}"
    );
    let next = person
        .spawn(&scene, "manager", json!({"parentId": "exec_4"}))
        .await;
    assert_eq!(next["instanceId"], "mgr_4_5");
}

#[tokio::test]
async fn agents_whose_terminal_is_gone_are_dead_and_can_be_started_again() {
    let mut scene = Scene::new().await;
    let person = scene.person().await;
    person.spawn(&scene, "manager", json!({})).await;
    person.printed("mgr_1", "ready").await;
    let mut up = scene.up.take().unwrap();
    up.signal(Signal::KILL);
    up.ended().await;
    drop(up);
    let pid = scene.tmux(&["display-message", "-p", "#{pid}"]);
    let pid = pid.trim().parse().unwrap();
    send(pid, Signal::KILL);
    wait_until("the terminal is gone", || !lives(pid)).await;
    let config = scene.config.clone();
    scene.up = Some(scene.place.up(&["--config", &config]).await);
    let person = scene.person().await;
    let read = person.ok("read", json!({"instanceId": "mgr_1"})).await;
    assert!(read["output"].as_str().unwrap().contains("ready"), "{read}");
    assert_ne!(read["status"], "ready");
    person.ok("restart", json!({"instanceId": "mgr_1"})).await;
    person
        .ok("send", json!({"instanceId": "mgr_1", "text": "again"}))
        .await;
    person.printed("mgr_1", "got again").await;
}

#[tokio::test]
async fn what_an_agent_runs_waits_for_the_daemon_and_starts_none() {
    let mut scene = Scene::new().await;
    let mut up = scene.up.take().unwrap();
    up.signal(Signal::KILL);
    up.ended().await;
    drop(up);
    let start = scene.place.start(&["connect", "fleet"]);
    let start = start.env("PROVOST_GRANT", &scene.token);
    let client = Client::stdio(&start.env("PROVOST_INSTANCE", "mgr_1"));
    let connecting = tokio::spawn(async move { client.connect().await });
    let config = scene.config.clone();
    scene.up = Some(scene.place.up(&["--config", &config]).await);
    let told = connecting.await.unwrap();
    assert_eq!(told["serverInfo"]["name"], "provost");
    let pid = scene.up.as_ref().unwrap().child.id();
    assert_eq!(scene.place.daemon_pid(), Some(pid));
}
