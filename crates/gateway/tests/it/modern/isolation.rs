//! Equal ids, equal tokens, equal subscriptions: agents never meet.

use super::*;
use provost_testkit::client::Client;

/// A thousand calls of each agent, all with the same ids and tokens.
async fn s57_equal_ids_and_tokens_do_not_meet(scene: Scene) {
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let story = async |agent: Client, name: &'static str, steps: u64| {
        for n in 0..1000u64 {
            let mut params = json!({"name": "echo", "arguments": {"text": format!("{name} {n}")}, "_meta": {"progressToken": 1}});
            if n % 100 == 0 {
                params["name"] = json!("slow");
                params["arguments"] = json!({"ms": 5, "steps": steps});
            }
            let answer = agent.request_as(5, "tools/call", params).await;
            let expected = if n % 100 == 0 {
                "slept".to_owned()
            } else {
                format!("{name} {n}")
            };
            assert_eq!(text(&answer), expected);
        }
        let heard = agent.received("notifications/progress");
        assert_eq!(heard.len() as u64, 10 * steps);
        assert!(
            heard.iter().all(|progress| progress["total"] == steps),
            "{heard:?}"
        );
    };
    tokio::join!(
        story(scene.agent.clone(), "first", 2),
        story(other.clone(), "second", 3)
    );
    assert_eq!(
        scene
            .gate
            .store
            .records(&provost_store::Filter {
                limit: 3000,
                ..Default::default()
            })
            .unwrap()
            .len(),
        2000
    );
}
everywhere!(s57_equal_ids_and_tokens_do_not_meet, open());

#[tokio::test]
async fn equal_ids_and_tokens_do_not_meet_in_a_shared_process() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, open().shared()).await;
        s57_equal_ids_and_tokens_do_not_meet(scene).await;
    }
}

/// Over HTTP each request stands alone: one agent may use an id many times at once.
async fn one_agent_may_use_an_id_many_times_at_once(scene: Scene) {
    let calls = (0..30u64).map(|n| {
        let agent = scene.agent.clone();
        tokio::spawn(async move {
            let arguments = json!({"ms": 20 + n % 7, "steps": n + 1});
            let params =
                json!({"name": "slow", "arguments": arguments, "_meta": {"progressToken": 1}});
            let message = agent.wrapped(5, "tools/call", params);
            let mut stream = agent.as_http().post_stream(&message).await.unwrap();
            for step in 1..=n + 1 {
                let progress = stream.message().await.unwrap();
                assert_eq!(progress["params"]["total"], n + 1, "{progress}");
                assert_eq!(progress["params"]["progress"], step);
            }
            assert_eq!(text(&stream.message().await.unwrap()), "slept");
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn requests_over_http_stand_alone() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Http, kind, open()).await;
        one_agent_may_use_an_id_many_times_at_once(scene).await;
    }
}

/// Over stdio an id that is in use is in use.
#[tokio::test]
async fn j30_an_id_in_flight_is_not_used_twice_over_stdio() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Stdio, kind, open()).await;
        let agent = scene.agent.clone();
        let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
        let slow = tokio::spawn(async move { agent.request_as(5, "tools/call", params).await });
        scene.upstream.wait_for_calls(1).await;
        let again = call("5", "echo", "{}");
        scene.agent.as_stdio().write(again).unwrap();
        let refused = slow.await.unwrap();
        assert_eq!(
            code(&refused),
            -32600,
            "the second one is refused under its id"
        );
        assert_eq!(scene.upstream.calls(), ["slow"]);
    }
}

#[tokio::test]
async fn cancelling_reaches_ones_own_call_only() {
    for face in [Face::Http, Face::Stdio] {
        for kind in Kind::ALL {
            let scene = Scene::new(face, kind, open().shared()).await;
            let other = scene.another_agent(&scene.another_pass("other")).await;
            let agent = scene.agent.clone();
            let params = json!({"name": "slow", "arguments": {"ms": 400}});
            let slow = tokio::spawn(async move { agent.request_as(5, "tools/call", params).await });
            scene.upstream.wait_for_calls(1).await;
            other.cancel(5).await;
            other
                .notify("notifications/cancelled", json!({"requestId": 5}))
                .await;
            assert_eq!(text(&slow.await.unwrap()), "slept");
            assert!(scene.upstream.events_of("cancelled").is_empty());
        }
    }
}

/// A server's list of tools is one thing, what a grant sees of it another.
async fn s58_what_one_grant_sees_is_not_shown_to_another(scene: Scene) {
    let add_only = json!({"version": "1", "default": "deny", "tools": {"add": {}}});
    scene.gate.put_policy("fixture", "narrow", &add_only);
    let pass = scene.another_pass("narrow");
    let attachment = provost_store::Attachment {
        policy: Some("narrow".to_owned()),
        shadow: None,
    };
    scene.gate.attach(&pass, attachment);
    let narrow = scene.another_agent(&pass).await;
    for _ in 0..3 {
        assert!(scene.agent.tools().await.len() > 17);
        assert_eq!(narrow.tools().await, ["add"]);
    }
    let refused = narrow.call("echo", json!({})).await;
    assert_eq!(rule(&refused), "(default deny)");
}
everywhere!(s58_what_one_grant_sees_is_not_shown_to_another, open());
