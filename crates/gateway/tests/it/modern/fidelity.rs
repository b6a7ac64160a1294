//! What is carried comes out as it went in, whichever way it travels.

use std::time::Duration;

use super::*;
use provost_testkit::fixture::{Options, Replies};
use provost_testkit::modern::meta;
use provost_testkit::wait_until;

/// Arguments that only survive byte by byte.
const ODD: &str = r#"{ "z" : 1e2 ,"a":1000000000000000000000000000000,  "n":-0.0,"e":1E40,"text":"caf\u00e9 \ud83d\ude00 \/ é","deep":{"z":[ 1 , 2.50 ],"a":null}, "":[]}"#;

async fn arguments_arrive_byte_for_byte(scene: Scene) {
    let answer = scene.answered(&call("1", "echo", ODD)).await;
    assert_eq!(answer["result"]["resultType"], "complete", "{answer}");
    assert!(scene.upstream.saw(&format!(r#""arguments":{ODD}"#)));
    let record = scene.gate.records().remove(0);
    assert_eq!(record.keys, ["", "a", "deep", "e", "n", "text", "z"]);
    assert_eq!(scene.gate.records().len(), 1);
}
everywhere!(arguments_arrive_byte_for_byte, open());

async fn params_that_are_not_ours_arrive_as_they_are(scene: Scene) {
    let params = r#"{"vendor" : {"x":12345678901234567890123},"name":"echo", "_meta":{ "io.modelcontextprotocol/clientInfo":{"name":"me","version":"1","more":1.10},"io.modelcontextprotocol/protocolVersion":"2026-07-28", "dev.example/trace":"t","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","io.modelcontextprotocol/clientCapabilities":{"vendor":{ },"extensions":{"dev.example/x":{"deep":[1e2]}}}},"arguments":{}}"#;
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
    let answer = scene.answered(&text).await;
    assert!(answer.get("result").is_some(), "{answer}");
    assert!(scene.upstream.saw(params));
}
everywhere!(params_that_are_not_ours_arrive_as_they_are, open());

async fn our_own_mark_never_comes_from_an_agent(scene: Scene) {
    let mark = r#""dev.provost\/decision" : {"decision":"allow"}"#;
    for meta in [
        format!(r#"{mark},{META},"kept":1"#),
        format!(r#"{META},{mark},"kept":1"#),
        format!(r#""kept":1,{META},{mark}"#),
    ] {
        let params = format!(r#"{{"name":"echo","arguments":{{}},"_meta":{{{meta}}}}}"#);
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        let answer = scene.answered(&text).await;
        assert!(answer.get("result").is_some(), "{answer}");
    }
    let requests = scene.upstream.requests("tools/call");
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|params| params["_meta"]["kept"] == 1));
    assert!(!scene.upstream.saw("dev.provost"), "{requests:?}");
}
everywhere!(our_own_mark_never_comes_from_an_agent, open());

async fn results_come_back_byte_for_byte(scene: Scene) {
    let text = call(r#""precise""#, "precise", "{}");
    let precise = r#""zeta":12345678901234567890123,"alpha":1.10,"exponent":1E+2,"minus":-0,"nested":{"z":1,"a":[1e400,0.1e-7]},"isError":false,"_meta":{"dev.example/vendor":{"kept":[true,null]}}"#;
    let came = match scene.face {
        Face::Http => scene.agent.as_http().post_raw(text).await.unwrap().text(),
        Face::Stdio => {
            let link = scene.agent.as_stdio();
            link.write(text).unwrap();
            let find = || link.lines().into_iter().find(|line| line.contains("zeta"));
            wait_until("the result comes", || find().is_some()).await;
            find().unwrap()
        }
    };
    assert!(
        came.contains(precise)
            && came.contains(r#""caf\u00e9 \ud83d\ude00 \/""#)
            && came.contains(r#""resultType":"complete""#)
            && came.contains(r#""id":"precise""#),
        "{came}"
    );
}
everywhere!(results_come_back_byte_for_byte, open());

async fn ids_of_every_kind_come_back(scene: Scene) {
    for id in [
        "0",
        "-7",
        "9007199254740991",
        r#""""#,
        r#""ä\u0031 \/""#,
        r#""1""#,
    ] {
        let answer = scene.answered(&call(id, "echo", r#"{"text":"x"}"#)).await;
        let expected: Value = serde_json::from_str(id).unwrap();
        assert_eq!((text(&answer), &answer["id"]), ("x", &expected));
    }
}
everywhere!(ids_of_every_kind_come_back, open());

async fn large_results_pass(scene: Scene) {
    let answer = scene.agent.call("big", json!({"bytes": 3_000_000})).await;
    assert_eq!(text(&answer).len(), 3_000_000);
    let long = "y".repeat(3_000_000);
    let answer = scene.agent.call("echo", json!({"text": long})).await;
    assert_eq!(text(&answer), long);
}
everywhere!(large_results_pass, open());

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
            .filter(|progress| progress["progressToken"] == token)
            .collect();
        assert_eq!(own.len(), 3, "{heard:?}");
        assert_eq!(
            (&own[2]["progress"], &own[2]["message"]),
            (&json!(3), &json!("step 3"))
        );
    }
}
everywhere!(progress_comes_under_the_agents_own_token, open());

async fn progress_and_logs_come_before_the_answer_on_its_own_stream(scene: Scene) {
    let arguments = json!({"ms": 40, "steps": 2});
    let more = json!({"progressToken": "p", meta::LOG_LEVEL: "debug"});
    let params = json!({"name": "slow", "arguments": arguments, "_meta": more});
    let message = scene.agent.wrapped("s", "tools/call", params);
    let mut stream = scene.agent.as_http().post_stream(&message).await.unwrap();
    assert_eq!(
        stream.header("content-type"),
        Some("text/event-stream"),
        "what comes on the way needs a stream"
    );
    for n in 1..=2 {
        let progress = stream.message().await.unwrap();
        assert_eq!(progress["params"]["progress"], n, "{progress}");
    }
    assert_eq!(stream.message().await.unwrap()["id"], "s");
    assert_eq!(stream.message().await, None, "and then the stream ends");
}

#[tokio::test]
async fn a_stream_has_what_belongs_to_its_request() {
    for kind in Kind::ALL {
        let scene = Scene::new(Face::Http, kind, open()).await;
        progress_and_logs_come_before_the_answer_on_its_own_stream(scene).await;
    }
}

async fn a_flood_of_progress_does_not_swallow_the_answer(scene: Scene) {
    let arguments = json!({"ms": 1, "steps": 3000});
    let params = json!({"name": "slow", "arguments": arguments, "_meta": {"progressToken": 1}});
    let answer = scene.agent.request("tools/call", params).await;
    assert_eq!(text(&answer), "slept");
}
everywhere!(a_flood_of_progress_does_not_swallow_the_answer, open());

async fn log_messages_come_with_the_call_that_asks_for_them(scene: Scene) {
    let loud = json!({"level": "error", "message": "loud", "count": 2});
    scene.agent.call("log", loud.clone()).await;
    assert!(scene.agent.received("notifications/message").is_empty());
    scene.agent.set_log_level(Some("warning"));
    let quiet = json!({"level": "info", "message": "quiet"});
    scene.agent.call("log", quiet).await;
    scene.agent.call("log", loud).await;
    let heard = scene.agent.received("notifications/message");
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert_eq!(
        heard[0],
        json!({"level": "error", "logger": "fixture", "data": "loud 1"})
    );
}
everywhere!(log_messages_come_with_the_call_that_asks_for_them, open());

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
    let told = scene.upstream.events_of("notification");
    match scene.kind {
        Kind::Http => assert!(told.is_empty(), "closing says it all: {told:?}"),
        Kind::Stdio => assert_eq!(told[0]["method"], "notifications/cancelled"),
    }
    assert!(
        !slow.is_finished() || slow.await.is_err(),
        "a cancelled request has no answer"
    );
    scene.honest_call_works().await;
}
everywhere!(a_cancelled_call_is_cancelled_upstream, open());

async fn a_call_is_cancelled_in_the_middle_of_its_stream(scene: Scene) {
    let (agent, id) = (scene.agent.clone(), scene.agent.next_id());
    let arguments = json!({"ms": 60_000, "steps": 1});
    let params = json!({"name": "slow", "arguments": arguments, "_meta": {"progressToken": 1}});
    let slow = tokio::spawn(async move { agent.request_as(id, "tools/call", params).await });
    scene.agent.wait_for("notifications/progress").await;
    scene.agent.cancel(id).await;
    scene.upstream.wait_for("cancelled").await;
    slow.abort();
    scene
        .records_become(&["tools/call slow: allow, cancelled"])
        .await;
    scene.honest_call_works().await;
}
everywhere!(a_call_is_cancelled_in_the_middle_of_its_stream, open());

async fn cancelling_what_is_over_or_unknown_changes_nothing(scene: Scene) {
    scene.honest_call_works().await;
    let before = scene.upstream.bytes().len();
    for id in [json!(1), json!(99), json!("x"), Value::Null, json!({})] {
        let params = json!({"requestId": id, "reason": "why not"});
        scene.agent.notify("notifications/cancelled", params).await;
    }
    scene.honest_call_works().await;
    let since = String::from_utf8_lossy(&scene.upstream.bytes()[before..]).into_owned();
    assert!(!since.contains("notifications/cancelled"), "{since}");
}
everywhere!(cancelling_what_is_over_or_unknown_changes_nothing, open());

async fn notifications_of_the_other_era_go_nowhere(scene: Scene) {
    scene.honest_call_works().await;
    for method in [
        "notifications/initialized",
        "notifications/roots/list_changed",
        "notifications/progress",
        "notifications/subscriptions/acknowledged",
        "notifications/vendor",
    ] {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": {"x": 1}});
        match scene.face {
            Face::Http => {
                let link = scene.agent.as_http();
                let reply = link.post_raw(message.to_string()).await.unwrap();
                assert!([202, 400].contains(&reply.status), "{}", reply.text());
            }
            Face::Stdio => scene.agent.send(&message).await,
        }
    }
    scene.honest_call_works().await;
    let told = scene.upstream.events_of("notification");
    assert!(told.is_empty(), "{told:?}");
}
everywhere!(notifications_of_the_other_era_go_nowhere, open());

async fn resources_prompts_and_completions_pass(scene: Scene) {
    let read = scene
        .agent
        .request(
            "resources/read",
            json!({"uri": "fixture://text", "vendor": [1.0]}),
        )
        .await;
    assert_eq!(read["result"]["contents"][0]["text"], "Hello, world.");
    let arguments = json!({"name": "Ada", "tone": "dry"});
    let prompt = json!({"name": "greeting", "arguments": arguments});
    let prompt = scene.agent.request("prompts/get", prompt).await;
    let said = &prompt["result"]["messages"][0]["content"]["text"];
    assert_eq!(said, "Greet Ada in a dry tone.");
    let complete = json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "name", "value": "A"}});
    let complete = scene.agent.request("completion/complete", complete).await;
    assert_eq!(
        complete["result"]["completion"]["values"],
        json!(["Ada", "Alan"])
    );
    for answer in [&read, &prompt, &complete] {
        assert_eq!(answer["result"]["resultType"], "complete");
        let server = &answer["result"]["_meta"][meta::SERVER]["name"];
        assert_eq!(server, "provost-fixture");
    }
    let missing = json!({"uri": "fixture://nothing"});
    let missing = scene.agent.request("resources/read", missing).await;
    assert_eq!(
        (code(&missing), &missing["error"]["data"]["uri"]),
        (-32602, &json!("fixture://nothing"))
    );
    scene
        .records_become(&[
            "resources/read: allow, ok",
            "prompts/get: allow, ok",
            "completion/complete: allow, ok",
            "resources/read: allow, rpc_error",
        ])
        .await;
}
everywhere!(resources_prompts_and_completions_pass, open());

async fn no_session_is_kept(scene: Scene) {
    let reply = scene
        .agent
        .as_http()
        .post_raw(call("1", "echo", r#"{"text":"x"}"#))
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("mcp-session-id"), None);
    let mine = [("mcp-session-id", "made-up")];
    let text = call("1", "echo", r#"{"text":"y"}"#);
    let own = scene
        .agent
        .as_http()
        .headers_for(&serde_json::from_str(&text).unwrap());
    let mut headers: Vec<(&str, &str)> =
        own.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    headers.extend(mine);
    let reply = provost_testkit::http::post(scene.agent.as_http().url(), &headers, text);
    let reply = reply.await.unwrap();
    assert_eq!((reply.status, reply.header("mcp-session-id")), (200, None));
    assert!(!scene.upstream.saw("initialize"));
    assert!(!scene.upstream.saw("made-up"));
    assert!(
        !String::from_utf8_lossy(&scene.upstream.bytes())
            .to_lowercase()
            .contains("mcp-session-id")
    );
}

#[tokio::test]
async fn no_session_is_kept_for_agents_over_http() {
    for kind in Kind::ALL {
        no_session_is_kept(Scene::new(Face::Http, kind, open()).await).await;
    }
}

async fn streams_are_read_like_single_answers(scene: Scene) {
    scene.honest_call_works().await;
    assert!(scene.agent.tools().await.len() > 17);
    let params =
        json!({"name": "slow", "arguments": {"ms": 30, "steps": 2}, "_meta": {"progressToken": 1}});
    let slow = scene.agent.request("tools/call", params).await;
    assert_eq!(text(&slow), "slept");
    assert_eq!(scene.agent.received("notifications/progress").len(), 2);
    scene
        .records_become(&["tools/call echo: allow, ok", "tools/call slow: allow, ok"])
        .await;
}
both_faces!(
    streams_are_read_like_single_answers,
    open().options(Options {
        replies: Replies::Sse,
        ..Options::modern()
    })
);

#[tokio::test]
async fn what_the_server_streams_is_streamed_and_refusals_keep_their_status() {
    let options = Options {
        replies: Replies::Sse,
        ..Options::modern()
    };
    let scene = Scene::new(Face::Http, Kind::Http, open().options(options)).await;
    let message = scene.agent.wrapped("l", "tools/list", nothing());
    let mut stream = scene.agent.as_http().post_stream(&message).await.unwrap();
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(stream.message().await.unwrap()["id"], "l");
    assert_eq!(stream.message().await, None, "and then the stream ends");
    let answer = scene.ask("vendor/unknown", nothing()).await;
    status_is(&answer, 404);
}

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
everywhere!(many_calls_are_on_their_way_at_once, open());

async fn slow_and_quick_calls_do_not_wait_for_each_other(scene: Scene) {
    let agent = scene.agent.clone();
    let slow = tokio::spawn(async move { agent.call("slow", json!({"ms": 60_000})).await });
    scene.upstream.wait_for_calls(1).await;
    let quick = tokio::time::timeout(Duration::from_secs(5), scene.honest_call_works()).await;
    assert!(quick.is_ok() && !slow.is_finished());
    slow.abort();
}
everywhere!(slow_and_quick_calls_do_not_wait_for_each_other, open());
