//! What the fixture does when it is kind, on both faces.

use provost_testkit::client::Client;
use provost_testkit::fixture::{Fixture, Options, Replies, Sessions, Stdio, VERSIONS};
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// Runs a story against every face: stdio, HTTP with JSON answers, HTTP with streams only.
async fn on_every_face(options: Options, story: impl AsyncFn(Client)) {
    let stdio = Stdio::new(&options);
    let client = Client::stdio(&stdio.start);
    client.connect().await;
    story(client).await;
    for replies in [Replies::Json, Replies::Sse] {
        let fixture = Fixture::start(Options {
            replies,
            ..options.clone()
        });
        let client = Client::http(&fixture.url(), None);
        client.connect().await;
        client.listen().await;
        story(client).await;
    }
}

fn text(response: &Value) -> &str {
    response["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {response}"))
}

#[tokio::test]
async fn plain_tools_answer() {
    on_every_face(Options::default(), async |client| {
        assert_eq!(
            text(&client.call("echo", json!({"text": "hi"})).await),
            "hi"
        );
        assert_eq!(
            client.call("add", json!({"a": 2, "b": 3})).await["result"]["structuredContent"]["sum"],
            5.0
        );
        assert_eq!(
            client.call("fail", json!({})).await["result"]["isError"],
            true
        );
        assert_eq!(
            client.call("rpc_error", json!({"code": -7})).await["error"]["code"],
            -7
        );
        assert_eq!(
            text(&client.call("big", json!({"bytes": 200_000})).await).len(),
            200_000
        );
        assert_eq!(
            client.call("nothing", json!({})).await["error"]["code"],
            -32602
        );
        assert_eq!(
            client.request("vendor/echo", json!({"a": 1})).await["result"]["vendor"]["a"],
            1
        );
        assert_eq!(
            client.request("ping", Value::Null).await["result"],
            json!({})
        );
        assert!(client.tools().await.contains(&"echo".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn the_client_is_asked_on_the_call_and_beside_it() {
    on_every_face(Options::default(), async |client| {
        assert!(
            text(&client.call("sample", json!({"message": "moin"})).await)
                .contains("you said \\\"moin")
        );
        assert!(text(&client.call("elicit", json!({})).await).contains("fine"));
        assert!(
            text(&client.call("roots", json!({"via": "general"})).await)
                .contains("file:///srv/project")
        );
        assert_eq!(client.received("elicitation/create").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn progress_logging_and_cancelling() {
    on_every_face(Options::default(), async |client| {
        let params = json!({"name": "slow", "arguments": {"ms": 30, "steps": 3}, "_meta": {"progressToken": "p1"}});
        client.request("tools/call", params).await;
        let progress = client.received("notifications/progress");
        assert_eq!(progress.len(), 3);
        assert_eq!((&progress[2]["progress"], &progress[2]["progressToken"]), (&json!(3), &json!("p1")));

        client.call("log", json!({"level": "debug", "count": 2})).await;
        client.request("logging/setLevel", json!({"level": "error"})).await;
        client.call("log", json!({"level": "debug", "count": 2})).await;
        assert_eq!(client.received("notifications/message").len(), 2);

        let id = client.next_id();
        let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
        let call = client.clone();
        let waiting = tokio::spawn(async move { call.request_as(id, "tools/call", params).await });
        tokio::task::yield_now().await;
        client.call("echo", json!({})).await;
        client.cancel(id).await;
        waiting.abort();
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_call_is_noticed() {
    let fixture = Fixture::plain();
    let client = Client::http(&fixture.url(), None);
    client.connect().await;
    let (id, call) = (client.next_id(), client.clone());
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let waiting = tokio::spawn(async move { call.request_as(id, "tools/call", params).await });
    wait_until("the call has arrived", || {
        fixture.recorder.calls() == ["slow"]
    })
    .await;
    client.cancel(id).await;
    wait_until("it was cancelled", || {
        fixture.recorder.events_of("cancelled") == [json!(id)]
    })
    .await;
    waiting.abort();
}

#[tokio::test]
async fn resources_prompts_and_completions() {
    on_every_face(Options::default(), async |client| {
        assert_eq!(client.request("resources/list", json!({})).await["result"]["resources"].as_array().unwrap().len(), 3);
        let read = async |uri: &str| client.request("resources/read", json!({"uri": uri})).await;
        assert_eq!(read("fixture://blob").await["result"]["contents"][0]["blob"], "AAECAwT/");
        assert_eq!(read("fixture://item/7").await["result"]["contents"][0]["text"], "item 7");
        assert_eq!(read("fixture://none").await["error"]["code"], -32002);

        client.request("resources/subscribe", json!({"uri": "fixture://note"})).await;
        client.call("write_note", json!({"text": "second"})).await;
        assert_eq!(client.wait_for("notifications/resources/updated").await["uri"], "fixture://note");
        assert_eq!(read("fixture://note").await["result"]["contents"][0]["text"], "second");

        let prompt = client.request("prompts/get", json!({"name": "greeting", "arguments": {"name": "Ada"}})).await;
        assert_eq!(prompt["result"]["messages"][0]["content"]["text"], "Greet Ada in a friendly tone.");
        let reference = json!({"ref": {"type": "ref/prompt", "name": "greeting"}, "argument": {"name": "name", "value": "A"}});
        let completed = client.request("completion/complete", reference).await;
        assert_eq!(completed["result"]["completion"]["values"], json!(["Ada", "Alan"]));
    })
    .await;
}

#[tokio::test]
async fn tools_change_and_lists_come_in_pages() {
    let options = Options {
        page: Some(7),
        generated_tools: 30,
        ..Options::default()
    };
    on_every_face(options, async |client| {
        let before = client.tools().await;
        client.call("change_tools", json!({})).await;
        client.wait_for("notifications/tools/list_changed").await;
        let after = client.tools().await;
        assert_eq!(after.len(), before.len() + 1);
        assert!(
            after.contains(&"added".to_owned()) && after.contains(&"generated_0030".to_owned())
        );
    })
    .await;
}

#[tokio::test]
async fn tasks_run_and_are_cancelled() {
    on_every_face(Options::default(), async |client| {
        let start = async |ms: u64| {
            let params = json!({"name": "job", "arguments": {"ms": ms}, "task": {"ttl": 60_000}});
            let answer = client.request("tools/call", params).await;
            answer["result"]["task"]["taskId"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        let id = start(20).await;
        let result = client.request("tasks/result", json!({"taskId": id})).await;
        assert_eq!(text(&result), "done");
        assert_eq!(
            client.request("tasks/get", json!({"taskId": id})).await["result"]["status"],
            "completed"
        );
        let id = start(60_000).await;
        assert_eq!(
            client.request("tasks/cancel", json!({"taskId": id})).await["result"]["status"],
            "cancelled"
        );
        assert_eq!(
            client.request("tasks/list", json!({})).await["result"]["tasks"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        client.wait_for("notifications/tasks/status").await;
    })
    .await;
}

#[tokio::test]
async fn a_precise_result_keeps_every_byte() {
    let fixture = Fixture::plain();
    let client = Client::http(&fixture.url(), None);
    client.connect().await;
    let body = r#"{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{"name":"precise","arguments":{"n":1.10}}}"#;
    let reply = client.as_http().post_raw(body).await.unwrap();
    assert!(
        reply
            .text()
            .contains(r#""zeta":12345678901234567890123,"alpha":1.10,"exponent":1E+2,"minus":-0"#)
    );
    assert!(
        fixture.recorder.saw(body),
        "the recording has the request as it was written"
    );
}

#[tokio::test]
async fn every_legacy_revision_is_spoken() {
    let fixture = Fixture::plain();
    for version in VERSIONS {
        let client = Client::http(&fixture.url(), None);
        assert_eq!(client.connect_as(version).await["protocolVersion"], version);
        assert_eq!(
            text(&client.call("echo", json!({"text": version})).await),
            version
        );
        client.close().await;
    }
    assert!(fixture.sessions().is_empty());
}

#[tokio::test]
async fn sessions_expire_and_streams_resume() {
    let fixture = Fixture::start(Options {
        replies: Replies::Sse,
        ..Options::default()
    });
    let client = Client::http(&fixture.url(), None);
    client.connect().await;
    assert_eq!(
        text(&client.call("polling", json!({"ms": 60})).await),
        "polled",
        "resumed with Last-Event-ID"
    );

    let first = client.as_http().get(None).await.unwrap();
    assert_eq!(
        (
            first.status,
            client.as_http().get(None).await.unwrap().status
        ),
        (200, 409)
    );
    fixture.notify("notifications/prompts/list_changed", json!({}));
    let mut again = client.as_http().get(Some("0-0")).await.unwrap();
    assert_eq!(
        again.message().await.unwrap()["method"],
        "notifications/prompts/list_changed",
        "taken over"
    );

    fixture.expire_sessions();
    assert_eq!(
        client
            .as_http()
            .post_raw(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
            .await
            .unwrap()
            .status,
        404
    );
}

#[tokio::test]
async fn a_server_without_sessions_needs_none() {
    let fixture = Fixture::start(Options {
        sessions: Sessions::Absent,
        ..Options::default()
    });
    let client = Client::http(&fixture.url(), None);
    client.connect().await;
    assert_eq!(client.as_http().session(), None);
    assert_eq!(
        text(&client.call("echo", json!({"text": "hi"})).await),
        "hi"
    );
}

#[tokio::test]
async fn credentials_are_asked_for_and_told_back() {
    let fixture = Fixture::start(Options {
        authorization: Some("Bearer right".to_owned()),
        ..Options::default()
    });
    let stranger = Client::http(&fixture.url(), Some("wrong"));
    assert_eq!(stranger.as_http().post_raw("{}").await.unwrap().status, 401);
    let client = Client::http(&fixture.url(), Some("right"));
    client.connect().await;
    let identity = client.call("identity", json!({})).await;
    assert!(text(&identity).contains("Bearer right"));
}

#[tokio::test]
async fn a_stopped_fixture_frees_its_port() {
    let mut fixture = Fixture::plain();
    let port = Some(fixture.address().port());
    fixture.stop();
    let client = Client::http(&fixture.url(), None);
    assert!(client.as_http().post_raw("{}").await.is_err());
    let again = Fixture::start(Options {
        port,
        ..Options::default()
    });
    Client::http(&again.url(), None).connect().await;
}

#[tokio::test]
async fn stdio_remembers_and_ends_with_its_input() {
    let stdio = Stdio::new(&Options::default());
    let start = stdio.start.clone().env("FIXTURE_SECRET", "s3cret");
    let client = Client::stdio(&start);
    client.connect().await;
    assert!(text(&client.call("identity", json!({})).await).contains("s3cret"));
    client.as_stdio().write("not json").unwrap();
    wait_until("the line was refused", || {
        !client.as_stdio().strays().is_empty()
    })
    .await;
    assert!(stdio.saw("not json") && stdio.calls() == ["identity"]);
    client.close().await;
    wait_until("the process has ended", || {
        client.as_stdio().exit_code() == Some(0)
    })
    .await;
}
