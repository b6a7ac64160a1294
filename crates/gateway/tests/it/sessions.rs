//! Sessions and their streams: opened once, bound to a grant, resumed with the
//! upstream's event ids, ended for good.

use crate::harness::*;
use provost_testkit::fixture::{Options, Replies};
use provost_testkit::wait::within;
use provost_testkit::wait_until;
use serde_json::{Value, json};

async fn over_http() -> Scene {
    Scene::new(Face::Http, Kind::Http, allow_all()).await
}

async fn with_streams() -> Scene {
    let options = Options {
        replies: Replies::Sse,
        ..Options::default()
    };
    Scene::new(
        Face::Http,
        Kind::Http,
        Setup::from(allow_all()).options(options),
    )
    .await
}

pub(crate) fn initialize(id: u64) -> Value {
    let client = json!({"name": "again", "version": "1"});
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client});
    json!({"jsonrpc": "2.0", "id": id, "method": "initialize", "params": params})
}

#[tokio::test]
async fn a_stream_is_answered_once_the_servers_own_is_there() {
    let scene = over_http().await;
    scene.agent.listen().await;
    // Not a moment later: what the server says to a stream that is not there yet is lost.
    let seen = String::from_utf8(scene.upstream.bytes()).unwrap();
    assert!(seen.contains("GET /mcp"), "{seen}");
}

#[tokio::test]
async fn what_a_policy_refuses_is_told_before_initialize_too() {
    let policy = tools(json!({"echo": {"action": "deny", "reason": "not on Fridays"}}));
    let scene = Scene::before_initialize(Face::Stdio, Kind::Stdio, policy);
    let answer = scene.raw(call(1, "echo", "{}")).await.message;
    assert_eq!(text(&answer), "[POLICY DENIED] not on Fridays");
    assert!(scene.upstream.bytes().is_empty() && scene.gate.children() == 0);
}

async fn notifications_before_initialize_go_nowhere(scene: Scene) {
    let text = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed"}"#;
    match scene.face {
        Face::Http => assert_eq!(scene.raw(text).await.status, Some(400)),
        Face::Stdio => scene.agent.as_stdio().write(text).unwrap(),
    }
    scene.agent.connect().await;
    scene.upstream.wait_for("notification").await;
    scene.honest_call_works().await;
    assert!(!scene.upstream.saw("roots/list_changed"));
}

#[tokio::test]
async fn notifications_before_initialize_go_nowhere_on_both_faces() {
    for face in [Face::Http, Face::Stdio] {
        notifications_before_initialize_go_nowhere(Scene::before_initialize(
            face,
            Kind::Http,
            allow_all(),
        ))
        .await;
    }
}

async fn an_initialize_that_failed_can_be_repeated(scene: Scene) {
    let nonsense = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#;
    assert_eq!(scene.raw(nonsense).await.message["error"]["code"], -32602);
    let fixture = scene.upstream.fixture();
    fixture.set_habit(Some((
        provost_testkit::fixture::Hostility::InternalError,
        "initialize",
    )));
    assert_eq!(
        scene.raw(initialize(2).to_string()).await.message["error"]["code"],
        -32603
    );
    fixture.set_habit(None);
    scene.agent.connect().await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn an_initialize_that_failed_can_be_repeated_on_both_faces() {
    for face in [Face::Http, Face::Stdio] {
        an_initialize_that_failed_can_be_repeated(Scene::before_initialize(
            face,
            Kind::Http,
            allow_all(),
        ))
        .await;
    }
}

async fn a_deleted_session_is_gone(scene: Scene) {
    let session = scene.agent.as_http().session();
    let mut stream = scene.agent.as_http().get(None).await.unwrap();
    scene.agent.close().await;
    assert!(
        within("the end of the stream", stream.next())
            .await
            .is_none()
    );
    assert_eq!(scene.agent.as_http().session(), session);
    assert_eq!(scene.raw(call(1, "echo", "{}")).await.status, Some(404));
    assert_eq!(scene.agent.as_http().get(None).await.unwrap().status, 404);
    let lines = ["(POST): deny by (envelope)", "(GET): deny by (envelope)"];
    scene.records_become(&lines).await;
    let agent = scene.another_agent(&scene.pass).await;
    assert_eq!(
        text(&agent.call("echo", json!({"text": "new"})).await),
        "new"
    );
}

#[tokio::test]
async fn a_deleted_session_is_gone_here_and_upstream() {
    let scene = over_http().await;
    a_deleted_session_is_gone(scene).await;
    let scene = Scene::new(Face::Http, Kind::Stdio, allow_all()).await;
    a_deleted_session_is_gone(scene).await;
    let scene = over_http().await;
    scene.agent.close().await;
    scene.upstream.wait_for("session deleted").await;
}

#[tokio::test]
async fn the_end_of_a_stdio_agent_ends_its_upstream_session() {
    let scene = Scene::new(Face::Stdio, Kind::Http, allow_all()).await;
    scene.agent.close().await;
    scene.upstream.wait_for("session deleted").await;
    wait_until("the output ends", || scene.agent.as_stdio().ended()).await;
}

#[tokio::test]
async fn answers_are_given_after_a_stdio_agent_ended_its_input() {
    let scene = Scene::new(Face::Stdio, Kind::Http, allow_all()).await;
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 300})).await });
    scene.upstream.wait_for_calls(1).await;
    scene.agent.close().await;
    assert_eq!(text(&slow.await.unwrap()), "slept");
}

#[tokio::test]
async fn a_stream_is_taken_over_with_the_last_event_id() {
    let scene = over_http().await;
    let (link, fixture) = (scene.agent.as_http(), scene.upstream.fixture());
    let mut first = link.get(None).await.unwrap();
    fixture.notify("notifications/prompts/list_changed", json!({"n": 1}));
    let event = within("the first event", first.next()).await.unwrap();
    let id = event.id.expect("the upstream's own event id");
    fixture.notify("notifications/prompts/list_changed", json!({"n": 2}));
    let mut second = link.get(Some(&id)).await.unwrap();
    assert_eq!(second.status, 200);
    assert_eq!(second.message().await.unwrap()["params"]["n"], 2);
    while within("the end of the first stream", first.next())
        .await
        .is_some()
    {}
    fixture.notify("notifications/prompts/list_changed", json!({"n": 3}));
    assert_eq!(second.message().await.unwrap()["params"]["n"], 3);
}

#[tokio::test]
async fn a_stream_that_the_agent_closed_can_be_opened_again() {
    let scene = over_http().await;
    let link = scene.agent.as_http();
    drop(link.get(None).await.unwrap());
    provost_testkit::wait_for("the place is free", async || {
        let stream = link.get(None).await.unwrap();
        (stream.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_is_fetched_with_the_last_event_id() {
    let scene = with_streams().await;
    let link = scene.agent.as_http();
    let params = json!({"name": "slow", "arguments": {"ms": 300, "steps": 1}, "_meta": {"progressToken": 1}});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let mut stream = link.post_stream(&message).await.unwrap();
    let first = within("the priming event", stream.next()).await.unwrap();
    drop(stream);
    let mut resumed = link.get(first.id.as_deref()).await.unwrap();
    let answer = loop {
        let message = resumed.message().await.expect("the answer comes");
        if message.get("id") == Some(&json!(50)) {
            break message;
        }
    };
    assert_eq!(text(&answer), "slept");
    scene.records_become(&["tools/call slow: allow, ok"]).await;
}

#[tokio::test]
async fn several_streams_are_open_at_once() {
    let scene = with_streams().await;
    scene.agent.listen().await;
    let calls = (0..8).map(|n| {
        let agent = scene.agent.clone();
        let params = json!({"name": "slow", "arguments": {"ms": 100, "steps": 2}, "_meta": {"progressToken": n}});
        tokio::spawn(async move { agent.request("tools/call", params).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(text(&call.await.unwrap()), "slept");
    }
    assert_eq!(scene.agent.received("notifications/progress").len(), 16);
}

#[tokio::test]
async fn an_agent_that_goes_away_for_good_frees_what_it_held() {
    let one = json!({"version": "1", "default": "allow", "all_tools": {"limits": [{"counter": "one", "concurrent": 1}]}});
    let options = Options {
        replies: Replies::Sse,
        ..Options::default()
    };
    let setup = Setup::from(one).options(options);
    let setup =
        setup.settings(|settings| settings.call_timeout = std::time::Duration::from_secs(1));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": {"name": "slow", "arguments": {"ms": 60_000}}});
    let mut stream = scene.agent.as_http().post_stream(&message).await.unwrap();
    within("the priming event", stream.next()).await.unwrap();
    drop(stream);
    scene
        .records_become(&["tools/call slow: allow, cancelled"])
        .await;
    scene.upstream.wait_for("cancelled").await;
    scene.honest_call_works().await;
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends() {
    let setup = Setup::from(allow_all())
        .settings(|s| s.idle_session = std::time::Duration::from_millis(400));
    let scene = Scene::new(Face::Http, Kind::Http, setup).await;
    let open = || scene.gate.gateway.metrics().contains("provost_sessions 1");
    assert!(open());
    wait_until("it is swept away", || !open()).await;
    assert_eq!(scene.raw(call(1, "echo", "{}")).await.status, Some(404));
}

#[tokio::test]
async fn a_lost_answer_comes_beside_the_general_stream() {
    let scene = with_streams().await;
    let link = scene.agent.as_http();
    let mut general = link.get(None).await.unwrap();
    let params = json!({"name": "slow", "arguments": {"ms": 400}});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let mut stream = link.post_stream(&message).await.unwrap();
    let first = within("the priming event", stream.next()).await.unwrap();
    drop(stream);
    let mut resumed = link.get(first.id.as_deref()).await.unwrap();
    assert_eq!(resumed.status, 200);
    scene
        .upstream
        .fixture()
        .notify("notifications/prompts/list_changed", json!({}));
    let heard = general.message().await.expect("the general stream goes on");
    assert_eq!(heard["method"], "notifications/prompts/list_changed");
    assert_eq!(text(&resumed.message().await.unwrap()), "slept");
    assert!(
        within("the end of the answer", resumed.next())
            .await
            .is_none()
    );
    assert_eq!(
        link.get(None).await.unwrap().status,
        409,
        "the general stream is still there"
    );
}

#[tokio::test]
async fn a_call_whose_agent_is_away_can_be_cancelled() {
    let scene = with_streams().await;
    let link = scene.agent.as_http();
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let message = json!({"jsonrpc": "2.0", "id": 50, "method": "tools/call", "params": params});
    let mut stream = link.post_stream(&message).await.unwrap();
    within("the priming event", stream.next()).await.unwrap();
    drop(stream);
    scene.agent.cancel(50).await;
    scene.upstream.wait_for("cancelled").await;
    scene
        .records_become(&["tools/call slow: allow, cancelled"])
        .await;
}

#[tokio::test]
async fn the_general_stream_goes_on_after_the_upstream_forgot_the_session() {
    for face in [Face::Http, Face::Stdio] {
        let scene = Scene::new(face, Kind::Http, allow_all()).await;
        scene.agent.listen().await;
        let fixture = scene.upstream.fixture();
        let heard = || {
            scene
                .agent
                .received("notifications/prompts/list_changed")
                .len()
        };
        let tell = || fixture.notify("notifications/prompts/list_changed", json!({}));
        if face == Face::Stdio {
            // What it heard before has an event id that the next session does not know.
            tell();
            wait_until("it is heard", || heard() == 1).await;
        }
        let before = heard();
        fixture.expire_sessions();
        wait_until("a new session is open", || {
            scene.upstream.requests("initialize").len() == 2
        })
        .await;
        wait_until("it is heard again", || {
            tell();
            heard() > before
        })
        .await;
        scene.honest_call_works().await;
    }
}

#[tokio::test]
async fn two_openings_at_once_are_one_session() {
    let scene = Scene::before_initialize(Face::Stdio, Kind::Http, allow_all());
    let link = scene.agent.as_stdio();
    link.write(initialize(1).to_string()).unwrap();
    link.write(initialize(2).to_string()).unwrap();
    wait_until("both are answered", || link.strays().len() == 2).await;
    let refused = link
        .strays()
        .iter()
        .filter(|a| a["error"]["code"] == -32600)
        .count();
    assert_eq!(
        (refused, scene.upstream.requests("initialize").len()),
        (1, 1)
    );
}

/// What a call carries says nothing of the session: what comes behind it does not
/// wait for its end.
#[tokio::test]
async fn a_call_that_mentions_the_announcement_holds_up_nobody() {
    let scene = Scene::before_initialize(Face::Stdio, Kind::Http, allow_all());
    let link = scene.agent.as_stdio();
    let said = |id: u64| move |message: &Value| message["id"] == id;
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"n","version":"1"}}}"#;
    link.write(initialize).unwrap();
    wait_until("it is open", || link.strays().iter().any(said(1))).await;
    link.write(call(
        2,
        "slow",
        r#"{"ms":60000,"note":"notifications/initialized"}"#,
    ))
    .unwrap();
    link.write(call(3, "echo", r#"{"text":"x"}"#)).unwrap();
    wait_until("the call behind it is answered", || {
        link.strays().iter().any(said(3))
    })
    .await;
    assert!(!link.strays().iter().any(said(2)));
    scene.agent.cancel(2).await;
    scene.upstream.wait_for("cancelled").await;
}
