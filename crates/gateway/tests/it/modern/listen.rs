//! Subscriptions: what was asked for arrives under the agent's own id, for as
//! long as its grant holds.

use super::*;
use provost_testkit::client::Subscription;
use provost_testkit::fixture::{Hostility, Options};
use provost_testkit::modern::meta;
use provost_testkit::wait_until;

fn everything() -> Value {
    json!({
        "toolsListChanged": true, "promptsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": ["fixture://note"],
    })
}

/// The next message, which must be this notification of this subscription.
async fn hears(subscription: &mut Subscription, method: &str) -> Value {
    let message = subscription.next().await.expect("a message");
    assert_eq!(message["method"], method, "{message}");
    let id = &message["params"]["_meta"][meta::SUBSCRIPTION];
    assert_eq!(id, subscription.id(), "{message}");
    message["params"].clone()
}

async fn announce(scene: &Scene, method: &str) {
    let answer = scene
        .agent
        .call("announce", json!({"method": method}))
        .await;
    assert_eq!(text(&answer), "announced");
}

async fn changes_arrive_under_the_agents_own_id(scene: Scene) {
    for id in [json!("listen:0"), json!(77), json!("ä \"")] {
        let mut listening = scene.agent.subscribe_as(id, everything()).await;
        assert_eq!(listening.acknowledged().await, everything());
        scene.agent.call("change_tools", json!({})).await;
        hears(&mut listening, "notifications/tools/list_changed").await;
        announce(&scene, "notifications/prompts/list_changed").await;
        hears(&mut listening, "notifications/prompts/list_changed").await;
        announce(&scene, "notifications/resources/list_changed").await;
        hears(&mut listening, "notifications/resources/list_changed").await;
        scene.agent.call("write_note", json!({"text": "x"})).await;
        let updated = hears(&mut listening, "notifications/resources/updated").await;
        assert_eq!(updated["uri"], "fixture://note");
        listening.close().await;
        scene.upstream.wait_for("unlistening").await;
    }
}
everywhere!(changes_arrive_under_the_agents_own_id, open());

async fn nothing_comes_that_was_not_asked_for(scene: Scene) {
    let asked = json!({"promptsListChanged": true});
    let mut listening = scene.agent.subscribe(asked.clone()).await;
    assert_eq!(listening.acknowledged().await, asked);
    scene.agent.call("change_tools", json!({})).await;
    announce(&scene, "notifications/vendor").await;
    announce(&scene, "notifications/message").await;
    announce(&scene, "notifications/prompts/list_changed").await;
    hears(&mut listening, "notifications/prompts/list_changed").await;
}
everywhere!(nothing_comes_that_was_not_asked_for, open());

/// Not even when the server sends it all the same.
async fn nothing_passes_that_was_not_asked_for(scene: Scene) {
    let asked = json!({"promptsListChanged": true, "resourceSubscriptions": ["fixture://note"]});
    let mut listening = scene.agent.subscribe(asked).await;
    listening.acknowledged().await;
    let force = async |method: &str, params: Value| {
        let forced = json!({"method": method, "params": params, "force": true});
        scene.agent.call("announce", forced).await;
    };
    force("notifications/tools/list_changed", json!({})).await;
    force("notifications/resources/list_changed", json!({})).await;
    for uri in ["fixture://text", "fixture://notebook", "fixture://"] {
        force("notifications/resources/updated", json!({"uri": uri})).await;
    }
    force("notifications/resources/updated", json!({})).await;
    force(
        "notifications/tasks",
        json!({"taskId": "job-1", "status": "working"}),
    )
    .await;
    force(
        "notifications/message",
        json!({"level": "error", "data": "psst"}),
    )
    .await;
    force(
        "notifications/progress",
        json!({"progressToken": 1, "progress": 1}),
    )
    .await;
    force(
        "notifications/resources/updated",
        json!({"uri": "fixture://note/1"}),
    )
    .await;
    let told = hears(&mut listening, "notifications/resources/updated").await;
    assert_eq!(told["uri"], "fixture://note/1");
    force("notifications/prompts/list_changed", json!({})).await;
    hears(&mut listening, "notifications/prompts/list_changed").await;
}
everywhere!(nothing_passes_that_was_not_asked_for, open());

async fn whoever_goes_away_is_gone_upstream(scene: Scene) {
    let mut listening = scene.agent.subscribe(everything()).await;
    listening.acknowledged().await;
    scene.upstream.wait_for("listening").await;
    listening.close().await;
    scene.upstream.wait_for("unlistening").await;
    scene.honest_call_works().await;
}
everywhere!(whoever_goes_away_is_gone_upstream, open());

async fn two_subscriptions_do_not_meet(scene: Scene) {
    let tools = json!({"toolsListChanged": true});
    let prompts = json!({"promptsListChanged": true});
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let mut first = scene.agent.subscribe_as(json!(5), tools.clone()).await;
    assert_eq!(first.acknowledged().await, tools);
    let mut second = other.subscribe_as(json!(5), prompts.clone()).await;
    assert_eq!(second.acknowledged().await, prompts);
    for agent in [&scene.agent, &other] {
        for method in [
            "notifications/tools/list_changed",
            "notifications/prompts/list_changed",
        ] {
            agent.call("announce", json!({"method": method})).await;
        }
    }
    hears(&mut first, "notifications/tools/list_changed").await;
    hears(&mut second, "notifications/prompts/list_changed").await;
    second.close().await;
    scene.upstream.wait_for("unlistening").await;
    scene
        .agent
        .call(
            "announce",
            json!({"method": "notifications/tools/list_changed"}),
        )
        .await;
    hears(&mut first, "notifications/tools/list_changed").await;
}
everywhere!(two_subscriptions_do_not_meet, open());

#[tokio::test]
async fn two_subscriptions_do_not_meet_in_a_shared_process() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, open().shared()).await;
        two_subscriptions_do_not_meet(scene).await;
    }
}

async fn a_subscription_ends_when_the_server_says_so(scene: Scene) {
    let mut listening = scene.agent.subscribe(everything()).await;
    listening.acknowledged().await;
    scene.agent.call("end_subscriptions", json!({})).await;
    let end = listening.next().await.expect("an answer");
    assert_eq!(&end["id"], listening.id(), "{end}");
    assert_eq!(end["result"]["resultType"], "complete");
    assert_eq!(&end["result"]["_meta"][meta::SUBSCRIPTION], listening.id());
    if scene.face == Face::Http {
        assert_eq!(listening.next().await, None);
    }
    scene.honest_call_works().await;
}
everywhere!(a_subscription_ends_when_the_server_says_so, open());

/// The stream ends over HTTP; over stdio, where nothing ends, a message says so.
async fn hears_the_end(face: Face, listening: &mut Subscription) {
    match (face, listening.next().await) {
        (Face::Http, None) => {}
        (_, Some(end)) => {
            let cancelled = end["params"]["requestId"] == *listening.id();
            assert!(cancelled || end["id"] == *listening.id(), "{end}");
        }
        (Face::Stdio, None) => panic!("over stdio an end is a message"),
    }
}

/// Without a word over HTTP, with one over stdio.
async fn a_subscription_may_break_off(scene: Scene) {
    let mut listening = scene.agent.subscribe(everything()).await;
    listening.acknowledged().await;
    let how = match scene.kind {
        Kind::Http => "abruptly",
        Kind::Stdio => "cancelled",
    };
    let end = json!({"how": how});
    scene.agent.call("end_subscriptions", end).await;
    hears_the_end(scene.face, &mut listening).await;
    let mut again = scene.agent.subscribe(everything()).await;
    assert_eq!(again.acknowledged().await, everything());
}
everywhere!(a_subscription_may_break_off, open());

async fn a_subscription_to_nothing_ends_at_once(scene: Scene) {
    let mut listening = scene.agent.subscribe(json!({})).await;
    assert_eq!(listening.acknowledged().await, json!({}));
    let end = listening.next().await.expect("an answer");
    assert_eq!(&end["id"], listening.id());
}
everywhere!(a_subscription_to_nothing_ends_at_once, open());

async fn a_subscription_that_cannot_be_understood_is_an_error(scene: Scene) {
    for notifications in [Value::Null, json!([]), json!({"toolsListChanged": "yes"})] {
        let params = json!({"notifications": notifications});
        let answer = scene.ask("subscriptions/listen", params).await;
        assert_eq!(code(&answer.message), -32602, "{answer:?}");
    }
}
everywhere!(a_subscription_that_cannot_be_understood_is_an_error, open());

/// To watch a resource is to read a little of it.
async fn watching_resources_needs_a_rule(scene: Scene) {
    let asked = json!({"notifications": {"toolsListChanged": true, "resourceSubscriptions": ["fixture://note"]}});
    let answer = scene.ask("subscriptions/listen", asked).await;
    status_is(&answer, 200);
    assert_eq!(
        (code(&answer.message), rule(&answer.message)),
        (1403, "(method)")
    );
    assert!(scene.upstream.requests("subscriptions/listen").is_empty());
    let history = scene.gate.history();
    assert_eq!(history.len(), 1, "{history:?}");
    assert!(history[0].ends_with("deny by (method)"), "{history:?}");
    let lists = json!({"toolsListChanged": true, "resourceSubscriptions": []});
    let mut listening = scene.agent.subscribe(lists).await;
    assert_eq!(
        listening.acknowledged().await,
        json!({"toolsListChanged": true})
    );
    assert_eq!(scene.gate.records().len(), 1, "lists are housekeeping");
}
everywhere!(
    watching_resources_needs_a_rule,
    Setup::modern(json!({"version": "1", "default": "deny", "tools": {"echo": {}}}))
);

async fn watching_resources_passes_with_a_rule(scene: Scene) {
    let asked = json!({"resourceSubscriptions": ["fixture://note"]});
    let mut listening = scene.agent.subscribe(asked.clone()).await;
    assert_eq!(listening.acknowledged().await, asked);
    scene.agent.call("write_note", json!({"text": "x"})).await;
    hears(&mut listening, "notifications/resources/updated").await;
    let history = scene.gate.history();
    assert!(
        history[0].contains(": allow"),
        "the subscription is recorded: {history:?}"
    );
}
everywhere!(
    watching_resources_passes_with_a_rule,
    Setup::modern(json!({
        "version": "1", "default": "deny", "tools": {"write_note": {}},
        "methods": {"allow": ["resources/subscribe"]},
    }))
);

async fn a_new_version_of_the_policy_is_told_to_those_who_want_to_know(scene: Scene) {
    let mut listening = scene
        .agent
        .subscribe(json!({"toolsListChanged": true}))
        .await;
    listening.acknowledged().await;
    let mut deaf = scene
        .agent
        .subscribe(json!({"promptsListChanged": true}))
        .await;
    deaf.acknowledged().await;
    assert!(scene.agent.tools().await.contains(&"echo".to_owned()));
    scene.policy(json!({"version": "1", "default": "allow", "hide": ["echo"]}));
    hears(&mut listening, "notifications/tools/list_changed").await;
    assert!(!scene.agent.tools().await.contains(&"echo".to_owned()));
    announce(&scene, "notifications/prompts/list_changed").await;
    hears(&mut deaf, "notifications/prompts/list_changed").await;
}
everywhere!(
    a_new_version_of_the_policy_is_told_to_those_who_want_to_know,
    open()
);

async fn a_revoked_grant_ends_its_subscriptions(scene: Scene) {
    let mut listening = scene.agent.subscribe(everything()).await;
    listening.acknowledged().await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let mut others = other.subscribe(everything()).await;
    others.acknowledged().await;
    scene.gate.revoke(&scene.pass);
    scene.upstream.wait_for("unlistening").await;
    while let Some(message) = listening.next().await {
        assert!(
            !message["method"]
                .as_str()
                .unwrap_or_default()
                .contains("changed"),
            "{message}"
        );
    }
    other.call("change_tools", json!({})).await;
    hears(&mut others, "notifications/tools/list_changed").await;
}

#[tokio::test]
async fn a_revoked_grant_ends_its_subscriptions_over_http() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Http, kind, open()).await;
        a_revoked_grant_ends_its_subscriptions(scene).await;
    }
}

#[tokio::test]
async fn a_revoked_grant_ends_its_connection_over_stdio() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Stdio, kind, open()).await;
        let mut listening = scene.agent.subscribe(everything()).await;
        listening.acknowledged().await;
        scene.gate.revoke(&scene.pass);
        let link = scene.agent.as_stdio();
        wait_until("the connection ends", || link.ended()).await;
    }
}

/// Messages under the id of another subscription are nobody's.
async fn messages_of_other_subscriptions_are_dropped(scene: Scene) {
    let agent = scene.agent.clone();
    // Over HTTP not even the head of an answer comes before the first message.
    let listening = tokio::spawn(async move {
        let mut listening = agent.subscribe(json!({"toolsListChanged": true})).await;
        listening.next().await
    });
    scene.upstream.wait_for("listening").await;
    scene.agent.call("change_tools", json!({})).await;
    scene.agent.call("end_subscriptions", json!({})).await;
    let end = listening.await.unwrap().expect("the end is told");
    assert!(end.get("method").is_none(), "{end}");
    scene.honest_call_works().await;
}
everywhere!(
    messages_of_other_subscriptions_are_dropped,
    open().options(Options {
        hostile: Some(Hostility::WrongSubscription),
        on: "subscriptions/listen".to_owned(),
        ..Options::modern()
    })
);

/// A subscription is no call: it may last, and its process is not idle.
#[tokio::test]
async fn a_subscription_outlasts_the_patience_with_calls() {
    for face in [Face::Http, Face::Stdio] {
        let short = open().settings(|settings| {
            settings.call_timeout = std::time::Duration::from_millis(300);
            settings.idle_child = std::time::Duration::from_millis(100);
            settings.idle_session = std::time::Duration::from_millis(100);
        });
        let scene = Scene::new(face, Kind::Stdio, short).await;
        let mut listening = scene.agent.subscribe(everything()).await;
        listening.acknowledged().await;
        // Somebody else's process is idle soon, and his call too slow.
        let other = scene.gate.http_agent(&scene.another_pass("other")).modern();
        let slow = other.call("slow", json!({"ms": 60_000})).await;
        assert_eq!(code(&slow), -32603, "{slow}");
        wait_until("the idle process is gone", || scene.gate.children() == 1).await;
        announce(&scene, "notifications/tools/list_changed").await;
        hears(&mut listening, "notifications/tools/list_changed").await;
    }
}

/// A process that ends takes its subscriptions along, and their agents know.
#[tokio::test]
async fn a_subscription_ends_with_its_process() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Stdio, open()).await;
        let mut listening = scene.agent.subscribe(everything()).await;
        listening.acknowledged().await;
        scene.kill_process().await;
        hears_the_end(face, &mut listening).await;
        let mut again = scene.agent.subscribe(everything()).await;
        assert_eq!(again.acknowledged().await, everything());
    }
}

async fn an_expired_grant_hears_nothing_more(scene: Scene) {
    let mut listening = scene.agent.subscribe(everything()).await;
    listening.acknowledged().await;
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let length = std::time::Duration::from_millis(200);
    scene.gate.expire_in(&scene.pass, length);
    let clock = scene.gate.store.clock();
    let end = clock.now().wall + 200_000;
    wait_until("the grant has ended", || clock.now().wall > end).await;
    let change = json!({"method": "notifications/tools/list_changed"});
    other.call("announce", change).await;
    while let Some(message) = listening.next().await {
        let told = message["method"].as_str().unwrap_or_default();
        assert!(!told.contains("changed"), "{message}");
    }
}

#[tokio::test]
async fn an_expired_grant_hears_nothing_more_over_http() {
    let scene = Scene::new(Face::Http, Kind::Http, open()).await;
    an_expired_grant_hears_nothing_more(scene).await;
    let scene = Scene::new(Face::Http, Kind::Stdio, open().shared()).await;
    an_expired_grant_hears_nothing_more(scene).await;
}
