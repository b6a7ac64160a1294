//! Changes of policies and grants hold at the very next message, on open
//! sessions and streams too, and agents hear when their list changed.

use std::time::Duration;

use crate::harness::*;
use provost_store::{Attachment, NewGrant, Record, Status};
use provost_testkit::client::Client;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::json;

/// The agent is turned away: 401 over HTTP, the end of the stream over stdio.
pub(crate) async fn is_locked_out(face: Face, agent: &Client) {
    match face {
        Face::Http => {
            let reply = agent
                .as_http()
                .post_raw(call(1, "echo", "{}"))
                .await
                .unwrap();
            assert_eq!(reply.status, 401);
        }
        Face::Stdio => {
            // A line may be written before the end is noticed; it is not answered with a result.
            drop(agent.as_stdio().write(call(1, "echo", "{}")));
            wait_until("the stream ends", || agent.as_stdio().ended()).await;
        }
    }
}

async fn what_is_no_policy_never_replaces_one(scene: Scene) {
    for text in [
        "",
        "{",
        "{}",
        r#"{"version":"1","default":"allow","hidden":["echo"]}"#,
        r#"{"version":"2","default":"deny"}"#,
    ] {
        scene.gate.put_nonsense("fixture", "rules", text);
    }
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "/tools/echo/action"
    );
    assert_eq!(scene.gate.records()[0].version, Some(1));
}
both_faces!(
    what_is_no_policy_never_replaces_one,
    tools(json!({"echo": {"action": "deny"}}))
);

async fn counters_survive_a_new_version(scene: Scene) {
    let max = |max: u32| tools(json!({"echo": {"rate_limit": {"max": max, "window": 60}}}));
    scene.honest_call_works().await;
    scene.policy(max(2));
    scene.honest_call_works().await;
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "/tools/echo/limits/echo_rate"
    );
    scene.policy(max(3));
    scene.honest_call_works().await;
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "/tools/echo/limits/echo_rate"
    );
}
both_faces!(
    counters_survive_a_new_version,
    tools(json!({"echo": {"rate_limit": {"max": 9, "window": 60}}}))
);

async fn agents_hear_of_a_changed_list_and_of_nothing_else(scene: Scene) {
    let heard = || {
        scene
            .agent
            .received("notifications/tools/list_changed")
            .len()
    };
    scene.agent.listen().await;
    assert!(scene.agent.tools().await.contains(&"echo".to_owned()));
    // None of these changes what is listed.
    scene.policy(tools(json!({"echo": {"action": "deny"}})));
    scene.policy(tools(
        json!({"echo": {"rate_limit": {"max": 5, "window": 60}}}),
    ));
    scene.policy(json!({"version": "1", "default": "allow", "hide": ["no_such_tool"]}));
    scene.another_pass("somebody else");
    assert_eq!(
        scene.agent.request("ping", json!({})).await["result"],
        json!({})
    );
    assert_eq!(heard(), 0);
    scene.policy(json!({"version": "1", "default": "allow", "hide": ["echo"]}));
    wait_until("the agent hears of it", || heard() == 1).await;
    assert!(!scene.agent.tools().await.contains(&"echo".to_owned()));
    scene.gate.attach(&scene.pass, Attachment::default());
    wait_until("the agent hears of it again", || heard() == 2).await;
    assert!(scene.agent.tools().await.is_empty());
}
everywhere!(
    agents_hear_of_a_changed_list_and_of_nothing_else,
    allow_all()
);

async fn agents_of_other_grants_do_not_hear_of_it(scene: Scene) {
    let own = scene.gate.mint(NewGrant {
        server: "fixture".into(),
        label: "own".into(),
        ..NewGrant::default()
    });
    let other = scene.another_agent(&own).await;
    other.listen().await;
    other.tools().await;
    scene.agent.listen().await;
    scene.agent.tools().await;
    scene.policy(json!({"version": "1", "default": "allow", "hide": ["echo"]}));
    scene
        .agent
        .wait_for("notifications/tools/list_changed")
        .await;
    assert_eq!(other.request("ping", json!({})).await["result"], json!({}));
    assert!(
        other
            .received("notifications/tools/list_changed")
            .is_empty()
    );
}
both_faces!(agents_of_other_grants_do_not_hear_of_it, allow_all());

async fn a_revoked_grants_call_in_flight_is_cancelled(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    scene.gate.revoke(&scene.pass);
    scene.upstream.wait_for("cancelled").await;
    scene
        .records_become(&["tools/call slow: allow, grant_ended"])
        .await;
    drop(slow.await);
}
everywhere!(a_revoked_grants_call_in_flight_is_cancelled, allow_all());

async fn what_was_minted_below_a_revoked_grant_ends_with_it(scene: Scene) {
    let child = scene.gate.mint(NewGrant {
        server: "fixture".into(),
        label: "child".into(),
        parent: Some(scene.pass.grant.clone()),
        attachment: Attachment {
            policy: Some("rules".into()),
            shadow: None,
        },
        ..NewGrant::default()
    });
    let agent = scene.another_agent(&child).await;
    assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
    scene.gate.revoke(&scene.pass);
    is_locked_out(scene.face, &agent).await;
}
both_faces!(
    what_was_minted_below_a_revoked_grant_ends_with_it,
    allow_all()
);

async fn a_child_may_never_do_more_than_its_parent(scene: Scene) {
    scene.gate.put_policy("fixture", "wide", &allow_all());
    let child = scene.gate.mint(NewGrant {
        server: "fixture".into(),
        label: "child".into(),
        parent: Some(scene.pass.grant.clone()),
        attachment: Attachment {
            policy: Some("wide".into()),
            shadow: None,
        },
        ..NewGrant::default()
    });
    let agent = scene.another_agent(&child).await;
    assert_eq!(agent.tools().await, ["echo"]);
    let answer = agent.call("add", json!({})).await;
    assert_eq!(
        (rule(&answer), &decision(&answer)["policy"]),
        ("(default deny)", &json!("rules"))
    );
    assert_eq!(decision(&answer)["grant"], scene.pass.grant.to_string());
    assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "/tools/echo/limits/echo_rate",
        "one subtree"
    );
}
both_faces!(
    a_child_may_never_do_more_than_its_parent,
    json!({"version": "1", "default": "deny", "tools": {"echo": {"rate_limit": {"max": 1, "window": 60}}}})
);

async fn an_expired_grant_is_locked_out(scene: Scene) {
    scene.honest_call_works().await;
    scene
        .gate
        .expire_in(&scene.pass, Duration::from_millis(300));
    let clock = scene.gate.store.clock();
    let end = clock.now().wall + 300_000;
    wait_until("the grant has ended", || clock.now().wall > end).await;
    is_locked_out(scene.face, &scene.agent).await;
    assert_eq!(scene.upstream.calls(), ["echo"]);
}
both_faces!(an_expired_grant_is_locked_out, allow_all());

#[tokio::test]
async fn an_open_stream_ends_with_the_grant() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let mut stream = scene.agent.as_http().get(None).await.unwrap();
    scene
        .gate
        .expire_in(&scene.pass, Duration::from_millis(200));
    let clock = scene.gate.store.clock();
    let end = clock.now().wall + 200_000;
    wait_until("the grant has ended", || clock.now().wall > end).await;
    scene
        .upstream
        .fixture()
        .notify("notifications/prompts/list_changed", json!({}));
    while let Some(event) = within("the end of the stream", stream.next()).await {
        assert!(event.data.is_empty(), "{event:?}");
    }
}

async fn a_rotated_token_is_dead_and_the_new_one_lives(scene: Scene) {
    let stream = match scene.face {
        Face::Http => Some(scene.agent.as_http().get(None).await.unwrap()),
        Face::Stdio => None,
    };
    let pass = scene.gate.rotate(&scene.pass);
    is_locked_out(scene.face, &scene.agent).await;
    if let Some(mut stream) = stream {
        while within("the end of the stream", stream.next())
            .await
            .is_some()
        {}
    }
    assert!(scene.upstream.calls().is_empty());
    let agent = scene.another_agent(&pass).await;
    assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(scene.gate.records()[0].grant, scene.pass.grant.to_string());
}
everywhere!(a_rotated_token_is_dead_and_the_new_one_lives, allow_all());

#[tokio::test]
async fn other_agents_do_not_notice_a_rotation() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let other = scene.another_pass("other");
    let mut stream = scene.agent.as_http().get(None).await.unwrap();
    scene.gate.rotate(&other);
    scene.honest_call_works().await;
    scene
        .upstream
        .fixture()
        .notify("notifications/prompts/list_changed", json!({}));
    assert_eq!(
        stream.message().await.unwrap()["method"],
        "notifications/prompts/list_changed"
    );
}

async fn a_server_that_moved_is_found_at_its_new_place(scene: Scene) {
    scene.honest_call_works().await;
    let elsewhere = provost_testkit::fixture::Fixture::plain();
    scene.gate.move_server("fixture", &elsewhere.url());
    scene.honest_call_works().await;
    assert_eq!(
        (
            scene.upstream.calls().len(),
            elsewhere.recorder.calls().len()
        ),
        (1, 1)
    );
}
both_faces!(a_server_that_moved_is_found_at_its_new_place, allow_all());

async fn a_removed_server_is_gone(scene: Scene) {
    scene.gate.remove_server("fixture");
    is_locked_out(scene.face, &scene.agent).await;
    if scene.kind == Kind::Stdio {
        wait_until("its process is gone", || scene.gate.children() == 0).await;
    }
}
everywhere!(a_removed_server_is_gone, allow_all());

async fn a_call_sees_one_version_from_beginning_to_end(scene: Scene) {
    let calls = (0..4).map(|_| {
        let agent = scene.agent.clone();
        tokio::spawn(async move {
            for _ in 0..50 {
                agent.call("echo", json!({})).await;
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    for turn in 0.. {
        if calls.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
        let action = if turn % 2 == 0 { "deny" } else { "allow" };
        scene.policy(tools(
            json!({"echo": {"action": action, "reason": turn.to_string()}}),
        ));
        tokio::task::yield_now().await;
    }
    let records = scene.gate.records();
    assert_eq!(records.len(), 200);
    for record in &records {
        let denies = record.version.unwrap() % 2 == 0;
        assert_eq!(
            record.decision.as_str(),
            if denies { "deny" } else { "allow" },
            "{record:?}"
        );
    }
    // One that was allowed, and found another version when its turn came, does not go.
    let ends = |record: &Record| matches!(record.status, Some(Status::Ok | Status::NotSent) | None);
    assert!(records.iter().all(ends), "{records:?}");
    let went = |record: &&Record| record.status == Some(Status::Ok);
    assert_eq!(
        scene.upstream.calls().len(),
        records.iter().filter(went).count()
    );
}
both_faces!(a_call_sees_one_version_from_beginning_to_end, allow_all());

async fn a_deleted_policy_leaves_its_grants_with_none(scene: Scene) {
    scene.honest_call_works().await;
    scene.gate.delete_policy("fixture", "rules");
    assert_eq!(
        rule(&scene.agent.call("echo", json!({})).await),
        "(no policy)"
    );
    assert!(scene.agent.tools().await.is_empty());
}
both_faces!(a_deleted_policy_leaves_its_grants_with_none, allow_all());
