//! Records say which client called, as it calls itself: nothing is decided from that.

use crate::harness::*;
use provost_testkit::modern::meta;
use serde_json::{Value, json};

const TESTKIT: &str = "provost-testkit 1.0.0";

fn only_echo() -> Value {
    tools(json!({"echo": {}}))
}

fn modern(face: Face) -> Scene {
    Scene::before_initialize(face, Kind::Http, Setup::modern(only_echo()))
}

/// Who is named in the record of each call of this tool.
fn callers(scene: &Scene, tool: &str) -> Vec<Option<String>> {
    let records = scene.gate.records().into_iter();
    let records = records.filter(|record| record.tool.as_deref() == Some(tool));
    records.map(|record| record.client).collect()
}

/// What is let through, what is refused, and what a server asks.
async fn d48_every_record_names_the_client(scene: Scene) {
    scene.honest_call_works().await;
    scene.agent.call("fail", json!({})).await;
    scene.agent.request("tools/call", json!({"name": 1})).await;
    let records = scene.gate.records();
    assert!(records.len() >= 3, "{records:?}");
    for record in records {
        assert_eq!(record.client.as_deref(), Some(TESTKIT), "{record:?}");
    }
}
everywhere!(d48_every_record_names_the_client, only_echo());

mod d48_every_record_names_the_client_in_the_modern_era {
    use super::*;

    #[tokio::test]
    async fn http() {
        let scene = Scene::new(Face::Http, Kind::Http, Setup::modern(only_echo())).await;
        d48_every_record_names_the_client(scene).await;
    }

    #[tokio::test]
    async fn stdio() {
        let scene = Scene::new(Face::Stdio, Kind::Stdio, Setup::modern(only_echo())).await;
        d48_every_record_names_the_client(scene).await;
    }
}

#[tokio::test]
async fn d48_a_request_refused_before_it_is_judged_names_its_client() {
    for face in [Face::Http, Face::Stdio] {
        let scene = modern(face);
        let mut message = scene
            .agent
            .wrapped("x", "tools/call", json!({"name": "echo"}));
        message["params"]["_meta"][meta::CAPABILITIES] = json!(1);
        scene.raw(message.to_string()).await;
        let records = scene.gate.records();
        let [record] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert_eq!(record.client.as_deref(), Some(TESTKIT));
    }
}

/// Names that a client may give itself, and what is made of them.
fn names() -> [(Value, Option<String>); 4] {
    let hostile = "\u{1b}[31m\u{202e}red\n".repeat(10_000);
    let cut = "[31mred ".repeat(10).chars().take(63).collect::<String>() + "…";
    [
        (json!({"name": hostile, "version": hostile}), Some(cut)),
        (json!({"name": {"a": 1}, "version": 2}), None),
        (json!({"name": "\u{200b}", "version": "\n"}), None),
        (
            json!({"name": "Two Words", "version": "3"}),
            Some("Two Words 3".to_owned()),
        ),
    ]
}

#[tokio::test]
async fn d48_a_hostile_name_of_a_client_is_short_and_clean_in_its_records() {
    for face in [Face::Http, Face::Stdio] {
        for (client, shown) in names() {
            let scene = Scene::before_initialize(face, Kind::Http, allow_all());
            let params =
                json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
            scene.agent.request("initialize", params).await;
            scene
                .agent
                .notify("notifications/initialized", json!({}))
                .await;
            scene.honest_call_works().await;
            assert_eq!(callers(&scene, "echo"), [shown]);
        }
    }
}

#[tokio::test]
async fn d48_a_hostile_name_in_a_modern_request_is_short_and_clean_in_its_record() {
    for face in [Face::Http, Face::Stdio] {
        for (client, shown) in names() {
            let scene = modern(face);
            let params = json!({"name": "echo", "arguments": {"text": "x"}});
            let mut message = scene.agent.wrapped("x", "tools/call", params);
            message["params"]["_meta"][meta::CLIENT] = client;
            let answer = scene.raw(message.to_string()).await.message;
            assert_eq!(text(&answer), "x", "{answer}");
            assert_eq!(callers(&scene, "echo"), [shown]);
        }
    }
}
