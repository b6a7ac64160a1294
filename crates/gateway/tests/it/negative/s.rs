//! S: sessions belong to the grant that opened them, and to nobody else.

use super::*;
use crate::sessions::initialize;
use provost_testkit::client::Client;
use provost_testkit::fixture::{Options, Replies};
use provost_testkit::http;
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::{Value, json};

const HTTP_METHODS: [&str; 3] = ["POST", "GET", "DELETE"];

/// A ping, or no body, within a session of choice.
async fn within_session(scene: &Scene, pass: &Pass, method: &str, session: &str) -> http::Reply {
    let token = format!("Bearer {}", pass.token);
    let headers = [
        ("authorization", token.as_str()),
        ("mcp-session-id", session),
        ("content-type", "application/json"),
        ("last-event-id", "1-0"),
    ];
    http::send(
        method,
        &scene.gate.url("fixture"),
        &headers,
        crate::doors::PING,
    )
    .await
    .unwrap()
}

/// The upstream has so many streams of agents open; a process has none.
async fn listened_to(scene: &Scene, streams: usize) {
    let open = || {
        let requests = scene.upstream.events_of("http");
        requests
            .iter()
            .filter(|http| http["method"] == "GET")
            .count()
    };
    let expected = if scene.kind == Kind::Http { streams } else { 0 };
    wait_until("the upstream's stream is open", || open() == expected).await;
}

async fn s52_an_unknown_session_is_not_found(scene: Scene) {
    let other = scene.another_agent(&scene.pass).await;
    let over = other.as_http().session().unwrap();
    // Both have said that they are ready, which nobody waits for.
    let ready = || scene.upstream.events_of("notification").len() >= 2;
    wait_until("both agents are ready", ready).await;
    other.close().await;
    if scene.kind == Kind::Http {
        scene.upstream.wait_for("session deleted").await;
    }
    let mut ids = vec!["0123".to_owned(), "*".to_owned(), over];
    if scene.kind == Kind::Http {
        // The upstream's own id is no key, and is never shown.
        let own = scene.upstream.fixture().sessions();
        assert!(!own.contains(&scene.agent.as_http().session().unwrap()));
        ids.extend(own);
    }
    for id in ids {
        for method in HTTP_METHODS {
            let watch = Watch::on(&scene, format!("{method} {id}"));
            let reply = within_session(&scene, &scene.pass, method, &id).await;
            assert_eq!(reply.status, 404, "{method} {id}");
            assert_eq!(reply.message()["error"]["code"], -32600);
            watch.refused(ENVELOPE, &format!("({method})")).await;
        }
    }
}
from_http!(s52_an_unknown_session_is_not_found, allow_all());

async fn s52_a_request_that_needs_a_session_and_names_none_is_refused(scene: Scene) {
    let token = format!("Bearer {}", scene.pass.token);
    for method in ["GET", "DELETE"] {
        let watch = Watch::on(&scene, method);
        let headers = [("authorization", token.as_str())];
        let reply = http::send(method, &scene.gate.url("fixture"), &headers, "")
            .await
            .unwrap();
        assert_eq!(reply.status, 400, "{method}");
        watch.refused(ENVELOPE, &format!("({method})")).await;
    }
}
over_http!(
    s52_a_request_that_needs_a_session_and_names_none_is_refused,
    allow_all()
);

async fn s53_anothers_session_opens_nothing(scene: Scene) {
    let thief = scene.another_pass("thief");
    let session = scene.agent.as_http().session().unwrap();
    scene.agent.tools().await;
    let mut stream = scene.agent.as_http().get(None).await.unwrap();
    listened_to(&scene, 1).await;
    for method in HTTP_METHODS {
        let watch = Watch::on(&scene, method).by(&thief);
        let reply = within_session(&scene, &thief, method, &session).await;
        assert_eq!(reply.status, 404, "{method}");
        watch.refused(ENVELOPE, &format!("({method})")).await;
    }
    scene.policy(json!({"version": "1", "default": "allow", "hide": ["add"]}));
    let heard = within("the owner's stream goes on", stream.message())
        .await
        .unwrap();
    assert_eq!(heard["method"], "notifications/tools/list_changed");
}
from_http!(s53_anothers_session_opens_nothing, allow_all());

async fn s54_a_second_stream_is_refused_and_the_first_stays(scene: Scene) {
    let link = scene.agent.as_http();
    let mut first = link.get(None).await.unwrap();
    assert_eq!(
        (first.status, first.header("content-type")),
        (200, Some("text/event-stream"))
    );
    listened_to(&scene, 1).await;
    let watch = Watch::on(&scene, "a second stream");
    assert_eq!(link.get(None).await.unwrap().status, 409);
    watch.refused(ENVELOPE, "(GET)").await;
    scene
        .upstream
        .fixture()
        .notify("notifications/prompts/list_changed", json!({}));
    let heard = first.message().await.unwrap();
    assert_eq!(heard["method"], "notifications/prompts/list_changed");
}
over_http!(
    s54_a_second_stream_is_refused_and_the_first_stays,
    allow_all()
);

fn with_event_ids() -> Setup {
    let options = Options {
        replies: Replies::Sse,
        ..Options::default()
    };
    Setup::from(allow_all()).options(options)
}

/// Neither with another grant's session nor with one of the same grant.
async fn s55_anothers_event_id_replays_nothing(scene: Scene) {
    let mut posted = scene
        .agent
        .as_http()
        .post_stream(&serde_json::from_str(&call(9, "echo", r#"{"text":"canary"}"#)).unwrap())
        .await
        .unwrap();
    let mut ids = vec!["1-0".to_owned(), "0-0".to_owned()];
    while let Some(event) = within("the end of the answer", posted.next()).await {
        ids.extend(event.id);
    }
    for pass in [scene.another_pass("other"), scene.pass.clone()] {
        for id in &ids {
            let other = scene.another_agent(&pass).await;
            let mut stream = other.as_http().get(Some(id)).await.unwrap();
            assert_eq!(stream.status, 200);
            scene
                .upstream
                .fixture()
                .notify("notifications/prompts/list_changed", json!({}));
            other.close().await;
            while let Some(event) = within("the end of the stream", stream.next()).await {
                assert!(!event.data.contains("canary"), "{event:?}");
            }
        }
    }
    assert_eq!(scene.gate.history(), ["tools/call echo: allow, ok"]);
    scene.honest_call_works().await;
}
over_http!(s55_anothers_event_id_replays_nothing, with_event_ids());

/// The bound is one grant's: who is idle longest makes room, who is listening
/// stays, and other grants notice nothing.
async fn s56_ten_thousand_sessions_are_bounded(scene: Scene) {
    let listening = scene.another_agent(&scene.pass).await;
    listening.tools().await;
    let mut stream = listening.as_http().get(None).await.unwrap();
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let url = scene.gate.url("fixture");
    let token = format!("Bearer {}", scene.pass.token);
    let openers = (0..8).map(|_| {
        let (url, token) = (url.clone(), token.clone());
        tokio::spawn(async move {
            for id in 0..1250 {
                let headers = [("authorization", token.as_str())];
                let reply = http::post(&url, &headers, initialize(id).to_string()).await;
                assert_eq!(reply.unwrap().status, 200);
            }
        })
    });
    for opener in openers.collect::<Vec<_>>() {
        opener.await.unwrap();
    }
    assert!(
        scene
            .gate
            .gateway
            .metrics()
            .contains("provost_sessions 1025"),
        "1024 of one grant, one of another"
    );
    let evicted = scene.raw(call(1, "echo", "{}")).await;
    assert_eq!(evicted.status, Some(404), "the idlest made room");
    assert_eq!(text(&other.call("echo", json!({"text": "x"})).await), "x");
    assert_eq!(
        text(&listening.call("echo", json!({"text": "x"})).await),
        "x"
    );
    scene.policy(json!({"version": "1", "default": "allow", "hide": ["add"]}));
    let heard = within("the stream goes on", stream.message())
        .await
        .unwrap();
    assert_eq!(heard["method"], "notifications/tools/list_changed");
    scene.agent.as_http().set_session(None);
    scene.agent.connect().await;
    scene.honest_call_works().await;
}
over_http!(s56_ten_thousand_sessions_are_bounded, allow_all());

/// A thousand pairs of calls with equal ids and equal tokens, each pair at the
/// same time; some take their time and tell how far they are.
async fn s57_equal_ids_and_tokens_do_not_meet(scene: Scene) {
    let other = scene.another_agent(&scene.another_pass("other")).await;
    let say = async |agent: &Client, n: u64, who: &str| {
        let said = format!("{who} {n}");
        let params =
            json!({"name": "echo", "arguments": {"text": said}, "_meta": {"progressToken": n}});
        assert_eq!(
            text(&agent.request_as(1000 + n, "tools/call", params).await),
            said
        );
    };
    let step = async |agent: &Client, n: u64, steps: u64| {
        let params = json!({"name": "slow", "arguments": {"ms": 0, "steps": steps}, "_meta": {"progressToken": "t"}});
        assert_eq!(
            text(&agent.request_as(5000 + n, "tools/call", params).await),
            "slept"
        );
    };
    for n in 0..1000 {
        tokio::join!(say(&scene.agent, n, "first"), say(&other, n, "second"));
        if n % 20 == 0 {
            tokio::join!(step(&scene.agent, n, 1), step(&other, n, 2));
        }
    }
    let told = |agent: &Client| -> Vec<Value> {
        let told = agent.received("notifications/progress");
        told.iter().map(|params| params["total"].clone()).collect()
    };
    assert_eq!(told(&scene.agent), vec![json!(1); 50]);
    assert_eq!(told(&other), vec![json!(2); 100]);
    let records = scene.gate.records();
    let own = records
        .iter()
        .filter(|record| record.grant == scene.pass.grant.as_str())
        .count();
    assert_eq!((own, records.len()), (1050, 2100));
    scene.honest_call_works().await;
}
everywhere!(s57_equal_ids_and_tokens_do_not_meet, allow_all());

mod s57_equal_ids_and_tokens_do_not_meet_in_a_shared_process {
    use super::*;

    #[tokio::test]
    async fn http_to_stdio() {
        let setup = Setup::from(allow_all()).shared();
        s57_equal_ids_and_tokens_do_not_meet(Scene::new(Face::Http, Kind::Stdio, setup).await)
            .await;
    }

    #[tokio::test]
    async fn stdio_to_stdio() {
        let setup = Setup::from(allow_all()).shared();
        s57_equal_ids_and_tokens_do_not_meet(Scene::new(Face::Stdio, Kind::Stdio, setup).await)
            .await;
    }
}

/// On the open session, at the very next message.
async fn s59_a_new_version_holds_at_the_next_call(scene: Scene) {
    scene.honest_call_works().await;
    scene.policy(json!({"version": "1", "default": "allow", "tools": {"add": {"action": "deny"}}}));
    let watch = Watch::on(&scene, "what was allowed a moment ago");
    assert_eq!(
        rule(&scene.agent.call("add", json!({})).await),
        "/tools/add/action"
    );
    watch.call_refused("/tools/add/action", "add").await;
    let versions: Vec<_> = scene
        .gate
        .records()
        .iter()
        .map(|record| record.version)
        .collect();
    assert_eq!(versions, [Some(1), Some(2), Some(2)]);
}
everywhere!(s59_a_new_version_holds_at_the_next_call, allow_all());

async fn s59_a_revoked_grant_is_locked_out_at_once(scene: Scene) {
    scene.honest_call_works().await;
    let stream = match scene.face {
        Face::Http => Some(scene.agent.as_http().get(None).await.unwrap()),
        Face::Stdio => None,
    };
    let other = scene.another_pass("other");
    scene.gate.revoke(&scene.pass);
    let (calls, records) = (scene.upstream.calls().len(), scene.gate.records().len());
    crate::changes::is_locked_out(scene.face, &scene.agent).await;
    if let Some(mut stream) = stream {
        while within("the end of the stream", stream.next())
            .await
            .is_some()
        {}
        assert!(
            scene
                .gate
                .gateway
                .metrics()
                .contains("provost_unidentified_total{reason=\"grant\"} 1")
        );
    }
    assert_eq!(scene.upstream.calls().len(), calls);
    assert_eq!(
        scene.gate.records().len(),
        records,
        "who has no grant leaves no record"
    );
    let agent = scene.another_agent(&other).await;
    assert_eq!(text(&agent.call("echo", json!({"text": "x"})).await), "x");
}
everywhere!(s59_a_revoked_grant_is_locked_out_at_once, allow_all());
