//! What is carried comes out as it went in, whichever way it travels.

use std::time::Duration;

use crate::harness::*;
use provost_testkit::fixture::{Options, Replies};
use provost_testkit::tcp::{self, Scripted, Then};
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// Arguments that only survive byte by byte.
const ODD: &str = r#"{ "z" : 1e2 ,"a":1000000000000000000000000000000,  "n":-0.0,"e":1E40,"text":"caf\u00e9 \ud83d\ude00 \/ é","deep":{"z":[ 1 , 2.50 ],"a":null}, "":[]}"#;

async fn arguments_arrive_byte_for_byte(scene: Scene) {
    let answer = scene.raw(call(1, "echo", ODD)).await;
    assert!(answer.message.get("result").is_some(), "{answer:?}");
    assert!(scene.upstream.saw(&format!(r#""arguments":{ODD}"#)));
    let record = scene.gate.records().remove(0);
    assert_eq!(record.keys, ["", "a", "deep", "e", "n", "text", "z"]);
}
everywhere!(arguments_arrive_byte_for_byte, allow_all());

async fn vendor_members_of_params_arrive(scene: Scene) {
    let params = r#"{"vendor" : {"x":12345678901234567890123},"name":"echo","_meta":{"dev.example/trace":"t","progressToken":"p\u0031"},"arguments":{}}"#;
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    assert!(scene.raw(text).await.message.get("result").is_some());
    assert!(
        scene
            .upstream
            .saw(r#""vendor" : {"x":12345678901234567890123},"name":"echo""#)
    );
    assert!(scene.upstream.saw(r#""dev.example/trace":"t""#));
}
everywhere!(vendor_members_of_params_arrive, allow_all());

async fn our_own_mark_never_comes_from_an_agent(scene: Scene) {
    for meta in [
        r#"{"dev.provost/decision":{"decision":"allow"},"kept":1}"#,
        r#"{"kept":1,"dev.provost/decision":{"decision":"allow"}}"#,
        r#"{"kept":1, "dev.provost\/decision" : {} ,"progressToken":5}"#,
    ] {
        let params = format!(r#"{{"name":"echo","arguments":{{}},"_meta":{meta}}}"#);
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        assert!(scene.raw(text).await.message.get("result").is_some());
    }
    let requests = scene.upstream.requests("tools/call");
    assert!(
        requests.iter().all(|params| params["_meta"]["kept"] == 1),
        "{requests:?}"
    );
    assert!(
        !scene.upstream.saw("provost") || !scene.upstream.saw(r"dev.provost"),
        "{requests:?}"
    );
}
everywhere!(our_own_mark_never_comes_from_an_agent, allow_all());

async fn results_come_back_byte_for_byte(scene: Scene) {
    let text = call(5, "precise", "{}");
    let precise = r#""zeta":12345678901234567890123,"alpha":1.10,"exponent":1E+2,"minus":-0,"nested":{"z":1,"a":[1e400,0.1e-7]},"isError":false,"_meta":{"dev.example/vendor":{"kept":[true,null]}}"#;
    let came = match scene.face {
        Face::Http => scene.agent.as_http().post_raw(text).await.unwrap().text(),
        Face::Stdio => {
            scene.agent.as_stdio().write(text).unwrap();
            let find = || {
                scene
                    .agent
                    .as_stdio()
                    .lines()
                    .into_iter()
                    .find(|line| line.contains("zeta"))
            };
            wait_until("the result comes", || find().is_some()).await;
            find().unwrap()
        }
    };
    assert!(
        came.contains(precise) && came.contains(r#""caf\u00e9 \ud83d\ude00 \/""#),
        "{came}"
    );
}
everywhere!(results_come_back_byte_for_byte, allow_all());

async fn large_results_pass(scene: Scene) {
    let answer = scene.agent.call("big", json!({"bytes": 3_000_000})).await;
    assert_eq!(text(&answer).len(), 3_000_000);
    let long = "y".repeat(3_000_000);
    assert_eq!(
        text(&scene.agent.call("echo", json!({"text": long})).await),
        long
    );
}
everywhere!(large_results_pass, allow_all());

async fn progress_comes_under_the_agents_own_token(scene: Scene) {
    for token in [json!("mine"), json!(7)] {
        let arguments = json!({"ms": 60, "steps": 3});
        let params =
            json!({"name": "slow", "arguments": arguments, "_meta": {"progressToken": token}});
        let answer = scene.agent.request("tools/call", params).await;
        assert_eq!(text(&answer), "slept");
        let heard = scene.agent.received("notifications/progress");
        let own: Vec<&Value> = heard
            .iter()
            .filter(|p| p["progressToken"] == token)
            .collect();
        assert_eq!(own.len(), 3, "{heard:?}");
        assert_eq!(
            (&own[2]["progress"], &own[2]["message"]),
            (&json!(3), &json!("step 3"))
        );
    }
}
everywhere!(progress_comes_under_the_agents_own_token, allow_all());

async fn a_flood_of_progress_does_not_swallow_the_answer(scene: Scene) {
    let arguments = json!({"ms": 1, "steps": 3000});
    let params = json!({"name": "slow", "arguments": arguments, "_meta": {"progressToken": 1}});
    let answer = scene.agent.request("tools/call", params).await;
    assert_eq!(text(&answer), "slept");
}
everywhere!(a_flood_of_progress_does_not_swallow_the_answer, allow_all());

async fn log_messages_pass(scene: Scene) {
    scene
        .agent
        .request("logging/setLevel", json!({"level": "warning"}))
        .await;
    scene
        .agent
        .call("log", json!({"level": "info", "message": "quiet"}))
        .await;
    scene
        .agent
        .call(
            "log",
            json!({"level": "error", "message": "loud", "count": 2}),
        )
        .await;
    wait_until("both lines came", || {
        scene.agent.received("notifications/message").len() == 2
    })
    .await;
    let heard = scene.agent.received("notifications/message");
    assert_eq!(
        heard[0],
        json!({"level": "error", "logger": "fixture", "data": "loud 1"})
    );
}
everywhere!(log_messages_pass, allow_all());

async fn a_cancelled_call_is_cancelled_upstream(scene: Scene) {
    let (agent, id) = (scene.agent.clone(), scene.agent.next_id());
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let slow = tokio::spawn(async move { agent.request_as(id, "tools/call", params).await });
    scene.upstream.wait_for_calls(1).await;
    scene.agent.cancel(id).await;
    scene.upstream.wait_for("cancelled").await;
    scene
        .records_become(&["tools/call slow: allow, cancelled"])
        .await;
    assert!(
        !slow.is_finished() || slow.await.is_err(),
        "a cancelled request has no answer"
    );
    scene.honest_call_works().await;
}
everywhere!(a_cancelled_call_is_cancelled_upstream, allow_all());

async fn cancelling_what_is_over_or_unknown_changes_nothing(scene: Scene) {
    scene.honest_call_works().await;
    let before = scene.upstream.bytes().len();
    for id in [json!(1), json!(99), json!("x"), Value::Null, json!({})] {
        let params = json!({"requestId": id, "reason": "why not"});
        scene.agent.notify("notifications/cancelled", params).await;
    }
    assert_eq!(
        scene.agent.request("ping", json!({})).await["result"],
        json!({})
    );
    assert!(!String::from_utf8_lossy(&scene.upstream.bytes()[before..]).contains("cancelled"));
}
everywhere!(
    cancelling_what_is_over_or_unknown_changes_nothing,
    allow_all()
);

async fn resources_are_read_and_watched(scene: Scene) {
    scene.agent.listen().await;
    let uri = json!({"uri": "fixture://note"});
    assert_eq!(
        scene
            .agent
            .request("resources/subscribe", uri.clone())
            .await["result"],
        json!({})
    );
    scene
        .agent
        .call("write_note", json!({"text": "second"}))
        .await;
    assert_eq!(
        scene
            .agent
            .wait_for("notifications/resources/updated")
            .await,
        uri
    );
    let read = scene.agent.request("resources/read", uri.clone()).await;
    assert_eq!(read["result"]["contents"][0]["text"], "second");
    scene.agent.request("resources/unsubscribe", uri).await;
    scene
        .agent
        .call("write_note", json!({"text": "third"}))
        .await;
    scene.honest_call_works().await;
    assert_eq!(
        scene
            .agent
            .received("notifications/resources/updated")
            .len(),
        1
    );
}
everywhere!(resources_are_read_and_watched, allow_all());

async fn a_change_of_the_upstreams_own_list_is_told(scene: Scene) {
    scene.agent.listen().await;
    let before = scene.agent.tools().await;
    scene.agent.call("change_tools", json!({})).await;
    scene
        .agent
        .wait_for("notifications/tools/list_changed")
        .await;
    assert_eq!(scene.agent.tools().await.len(), before.len() + 1);
    assert_eq!(text(&scene.agent.call("added", json!({})).await), "here");
}
everywhere!(a_change_of_the_upstreams_own_list_is_told, allow_all());

async fn streams_with_event_ids_pass(scene: Scene) {
    scene.honest_call_works().await;
    assert_eq!(scene.agent.tools().await.len(), 17);
    let params =
        json!({"name": "slow", "arguments": {"ms": 30, "steps": 2}, "_meta": {"progressToken": 1}});
    assert_eq!(
        text(&scene.agent.request("tools/call", params).await),
        "slept"
    );
    assert_eq!(scene.agent.received("notifications/progress").len(), 2);
    let read = scene
        .agent
        .request("resources/read", json!({"uri": "fixture://text"}))
        .await;
    assert_eq!(read["result"]["contents"][0]["text"], "Hello, world.");
    scene
        .records_become(&[
            "tools/call echo: allow, ok",
            "tools/call slow: allow, ok",
            "resources/read: allow, ok",
        ])
        .await;
}
both_faces!(
    streams_with_event_ids_pass,
    Setup::from(allow_all()).options(Options {
        replies: Replies::Sse,
        ..Options::default()
    })
);

async fn a_server_that_hangs_up_and_goes_on_later_is_followed(scene: Scene) {
    let answer = scene.agent.call("polling", json!({"ms": 200})).await;
    assert_eq!(text(&answer), "polled");
    scene
        .records_become(&["tools/call polling: allow, ok"])
        .await;
    scene.honest_call_works().await;
}
both_faces!(
    a_server_that_hangs_up_and_goes_on_later_is_followed,
    allow_all()
);

async fn a_server_without_sessions_is_served(scene: Scene) {
    scene.honest_call_works().await;
    assert_eq!(scene.agent.tools().await.len(), 17);
}
both_faces!(
    a_server_without_sessions_is_served,
    Setup::from(allow_all()).options(Options {
        sessions: provost_testkit::fixture::Sessions::Absent,
        ..Options::default()
    })
);

async fn many_calls_are_on_their_way_at_once(scene: Scene) {
    let calls = (0..50).map(|n| {
        let agent = scene.agent.clone();
        tokio::spawn(async move {
            let arguments = json!({"text": format!("call {n}")});
            (n, agent.call("echo", arguments).await)
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let (n, answer) = call.await.unwrap();
        assert_eq!(text(&answer), format!("call {n}"));
    }
    assert_eq!(scene.gate.history(), vec!["tools/call echo: allow, ok"; 50]);
}
everywhere!(many_calls_are_on_their_way_at_once, allow_all());

async fn slow_and_quick_calls_do_not_wait_for_each_other(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    let quick = tokio::time::timeout(Duration::from_secs(5), scene.honest_call_works()).await;
    assert!(quick.is_ok() && !slow.is_finished());
    slow.abort();
}
everywhere!(slow_and_quick_calls_do_not_wait_for_each_other, allow_all());

#[tokio::test]
async fn content_that_nobody_knows_passes() {
    let result = r#"{"content":[{"type":"hologram","beam":{"deep":[1.0e1]}},{"type":"text","text":"t","annotations":{"x":1}}],"structuredContent":[1,"two"],"resultType":"vendor","extra":null}"#;
    let body = format!(r#"{{"jsonrpc":"2.0","result":{result},"id":7}}"#);
    let script = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let scripted = Scripted::start(vec![script.into_bytes()], Then::Close);
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.gate.move_server("fixture", &scripted.url());
    let reply = scene
        .agent
        .as_http()
        .post_raw(call(7, "echo", "{}"))
        .await
        .unwrap();
    assert_eq!(reply.text(), body);
}

#[tokio::test]
async fn an_upstream_that_closes_each_connection_is_reached_again() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"ok"}]}}"#;
    let script = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let scripted = Scripted::start(vec![script.into_bytes()], Then::Close);
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.gate.move_server("fixture", &scripted.url());
    for _ in 0..20 {
        let answer = scene.raw(call(7, "echo", "{}")).await;
        assert_eq!(text(&answer.message), "ok", "{answer:?}");
    }
}

#[tokio::test]
async fn one_connection_carries_many_messages() {
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    let headers = scene.agent.as_http().headers();
    let headers: String = headers
        .iter()
        .map(|(n, v)| format!("{n}: {v}\r\n"))
        .collect();
    let one = |id: u32, more: &str| {
        let body = call(id, "echo", r#"{"text":"hi"}"#);
        let length = body.len();
        format!(
            "POST /mcp/fixture HTTP/1.1\r\nhost: localhost\r\n{headers}content-type: application/json\r\n{more}content-length: {length}\r\n\r\n{body}"
        )
    };
    let bytes = one(1, "") + &one(2, "") + &one(3, "connection: close\r\n");
    let address = scene.gate.address;
    let answer = tokio::task::spawn_blocking(move || {
        tcp::exchange(address, bytes.as_bytes(), Duration::from_secs(5)).unwrap()
    });
    let answer = answer.await.unwrap();
    assert_eq!(tcp::statuses(&answer), [200, 200, 200]);
    assert_eq!(scene.upstream.calls().len(), 3);
}

#[tokio::test]
async fn a_stream_that_ends_after_an_event_for_nobody_can_be_taken_up_again() {
    let events = "id: 1-1\ndata: neither this\n\nid: 1-2\ndata: {\"nor\":\"that\"}\n\n";
    let script = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    );
    let scripted = Scripted::start(vec![script.into_bytes()], Then::Close);
    let scene = Scene::new(Face::Http, Kind::Http, allow_all()).await;
    scene.gate.move_server("fixture", &scripted.url());
    let reply = scene
        .agent
        .as_http()
        .post_raw(call(7, "echo", "{}"))
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    let ids: Vec<_> = reply
        .events()
        .into_iter()
        .filter_map(|event| event.id)
        .collect();
    assert_eq!(ids, ["1-1", "1-2"]);
}
