//! What the fixture does in the modern era, and what its client does there.

use provost_testkit::client::Client;
use provost_testkit::fixture::{Eras, Fixture, Hostility, Options, Replies, Stdio};
use provost_testkit::http::{Reply, post, send};
use provost_testkit::modern::{VERSION, meta};
use provost_testkit::wait_until;
use serde_json::{Value, json};

/// Runs a story against every face: stdio, HTTP with JSON answers, HTTP with streams only.
async fn on_every_face(options: Options, story: impl AsyncFn(Client)) {
    let stdio = Stdio::new(&options);
    story(Client::stdio(&stdio.start).modern()).await;
    for replies in [Replies::Json, Replies::Sse] {
        let fixture = Fixture::start(Options {
            replies,
            ..options.clone()
        });
        story(Client::http(&fixture.url(), None).modern()).await;
    }
}

fn text(response: &Value) -> &str {
    response["result"]["content"][0]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {response}"))
}

#[tokio::test]
async fn requests_are_answered_one_by_one() {
    on_every_face(Options::modern(), async |client| {
        let server = client.discover().await;
        assert_eq!(server["supportedVersions"], json!([VERSION]));
        assert_eq!(server["_meta"][meta::SERVER]["name"], "provost-fixture");
        let tools = client.request("tools/list", json!({})).await;
        assert_eq!(tools["result"]["cacheScope"], "public");
        assert!(client.tools().await.contains(&"located".to_owned()));
        let echo = client.call("echo", json!({"text": "hi"})).await;
        assert_eq!(
            (text(&echo), &echo["result"]["resultType"]),
            ("hi", &json!("complete"))
        );
        let arguments = json!({"region": "ü", "count": 3, "dry": false, "place": {"city": " x "}});
        let located = client.call("located", arguments.clone()).await;
        assert_eq!(
            serde_json::from_str::<Value>(text(&located)).unwrap(),
            arguments
        );
        let read = client
            .request("resources/read", json!({"uri": "fixture://nothing"}))
            .await;
        assert_eq!(read["error"]["code"], -32602);
        let read = client
            .request("resources/read", json!({"uri": "fixture://text"}))
            .await;
        assert_eq!(read["result"]["ttlMs"], 3_600_000);
        let gone = client.request("ping", json!({})).await;
        assert_eq!(gone["error"]["code"], -32601);
    })
    .await;
}

#[tokio::test]
async fn progress_and_logs_come_with_the_call_that_wants_them() {
    on_every_face(Options::modern(), async |client| {
        let slow = json!({"name": "slow", "arguments": {"ms": 20, "steps": 2}, "_meta": {"progressToken": "p"}});
        assert_eq!(text(&client.request("tools/call", slow).await), "slept");
        assert_eq!(client.received("notifications/progress").len(), 2);
        client.call("log", json!({"level": "error"})).await;
        assert!(client.received("notifications/message").is_empty());
        client.set_log_level(Some("warning"));
        client.call("log", json!({"level": "info"})).await;
        client.call("log", json!({"level": "error"})).await;
        client.wait_for("notifications/message").await;
        assert_eq!(client.received("notifications/message").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn questions_are_results() {
    on_every_face(Options::modern(), async |client| {
        let first = client.call("elicit", json!({"state": true})).await;
        assert_eq!(first["result"]["resultType"], "input_required");
        assert!(first["result"]["requestState"].is_string());
        for (tool, expected) in [
            ("elicit", "fine"),
            ("sample", "you said"),
            ("roots", "file:///srv/project"),
            ("two_rounds", "fine and"),
            ("ask_everything", "test-model"),
            ("come_again", "thank you"),
        ] {
            for state in [true, false] {
                let answer = client.call_through(tool, json!({"state": state})).await;
                assert!(text(&answer).contains(expected), "{tool}: {answer}");
            }
        }
        let forged = json!({"name": "come_again", "arguments": {}, "requestState": "forged"});
        assert_eq!(
            client.request("tools/call", forged).await["error"]["code"],
            -32602
        );
        for (method, params) in [
            ("resources/read", json!({"uri": "fixture://asking"})),
            ("prompts/get", json!({"name": "interview"})),
        ] {
            let asked = client.request(method, params).await;
            assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
        }
        client.declare(json!({"roots": {}}));
        let refused = client.call("sample", json!({})).await;
        assert_eq!(refused["error"]["code"], -32021);
        assert_eq!(
            refused["error"]["data"]["requiredCapabilities"],
            json!({"sampling": {}})
        );
    })
    .await;
}

#[tokio::test]
async fn calls_become_tasks_for_clients_that_know_them() {
    on_every_face(Options::modern(), async |client| {
        let arguments = json!({"task": true, "ms": 60_000});
        let plain = client.call("job", arguments.clone()).await;
        assert_eq!(text(&plain), "done at once");
        let refused = client
            .request("tasks/get", json!({"taskId": "job-1"}))
            .await;
        assert_eq!(refused["error"]["code"], -32021);
        client.declare(json!({"extensions": {provost_testkit::modern::TASKS: {}}}));
        let task = client.call("job", arguments).await["result"].clone();
        assert_eq!(task["resultType"], "task");
        let id = json!({"taskId": task["taskId"]});
        let found = client.request("tasks/get", id.clone()).await;
        assert_eq!(found["result"]["status"], "working");
        client.request("tasks/cancel", id.clone()).await;
        let found = client.request("tasks/get", id).await;
        assert_eq!(found["result"]["status"], "cancelled");
    })
    .await;
}

#[tokio::test]
async fn subscriptions_hear_what_they_asked_for() {
    on_every_face(Options::modern(), async |client| {
        let asked = json!({"toolsListChanged": true, "resourceSubscriptions": ["fixture://note"]});
        let mut listening = client.subscribe(asked.clone()).await;
        assert_eq!(listening.acknowledged().await, asked);
        let mut nothing = client.subscribe(json!({})).await;
        assert_eq!(nothing.acknowledged().await, json!({}));
        assert_eq!(
            nothing.next().await.unwrap()["result"]["resultType"],
            "complete"
        );
        let announce = json!({"method": "notifications/prompts/list_changed"});
        client.call("announce", announce).await;
        client.call("change_tools", json!({})).await;
        client.call("write_note", json!({"text": "x"})).await;
        let changed = listening.next().await.unwrap();
        assert_eq!(changed["method"], "notifications/tools/list_changed");
        assert_eq!(
            &changed["params"]["_meta"][meta::SUBSCRIPTION],
            listening.id()
        );
        assert_eq!(
            listening.next().await.unwrap()["params"]["uri"],
            "fixture://note"
        );
        client.call("end_subscriptions", json!({})).await;
        let end = listening.next().await.unwrap();
        assert_eq!(
            (&end["id"], &end["result"]["resultType"]),
            (listening.id(), &json!("complete"))
        );
    })
    .await;
}

#[tokio::test]
async fn who_goes_away_is_missed() {
    let fixture = Fixture::start(Options::modern());
    let client = Client::http(&fixture.url(), None).modern();
    let mut listening = client.subscribe(json!({"toolsListChanged": true})).await;
    listening.acknowledged().await;
    assert_eq!(fixture.subscriptions(), 1);
    listening.close().await;
    wait_until("the subscription is closed", || {
        fixture.subscriptions() == 0
    })
    .await;
    for steps in [0, 1] {
        fixture.recorder.clear();
        let (slow, id) = (client.clone(), client.next_id());
        let params = json!({"name": "slow", "arguments": {"ms": 60_000, "steps": steps}, "_meta": {"progressToken": 1}});
        let call = tokio::spawn(async move { slow.request_as(id, "tools/call", params).await });
        wait_until("the call arrives", || !fixture.recorder.calls().is_empty()).await;
        client.cancel(id).await;
        wait_until("the call is cancelled", || {
            !fixture.recorder.events_of("cancelled").is_empty()
        })
        .await;
        assert_eq!(fixture.recorder.events_of("hung up")[0]["id"], id);
        assert!(call.await.is_err());
    }
}

#[tokio::test]
async fn over_stdio_a_notification_cancels() {
    let stdio = Stdio::new(&Options::modern());
    let client = Client::stdio(&stdio.start).modern();
    let (slow, id) = (client.clone(), client.next_id());
    let params = json!({"name": "slow", "arguments": {"ms": 60_000}});
    let call = tokio::spawn(async move { slow.request_as(id, "tools/call", params).await });
    wait_until("the call arrives", || !stdio.calls().is_empty()).await;
    client.cancel(id).await;
    wait_until("the call is cancelled", || {
        !stdio.events_of("cancelled").is_empty()
    })
    .await;
    call.abort();
}

type Headers = Vec<(String, String)>;

fn status(reply: &Reply) -> (u16, i64) {
    let code = reply.message()["error"]["code"].as_i64();
    (reply.status, code.unwrap_or_default())
}

#[tokio::test]
async fn headers_and_body_must_agree() {
    let fixture = Fixture::start(Options::modern());
    let (client, url) = (Client::http(&fixture.url(), None).modern(), fixture.url());
    let call = client.wrapped(1, "tools/call", json!({"name": "echo", "arguments": {}}));
    let standard = client.as_http().headers_for(&call);
    let ask = async |change: &dyn Fn(&mut Headers), body: &Value| {
        let mut headers = standard.clone();
        change(&mut headers);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        status(&post(&url, &headers, body.to_string()).await.unwrap())
    };
    let set = |name: &'static str, value: &'static str| {
        move |headers: &mut Headers| {
            headers.retain(|(known, _)| known != name);
            headers.push((name.to_owned(), value.to_owned()));
        }
    };
    let without = |name: &'static str| {
        move |headers: &mut Headers| headers.retain(|(known, _)| known != name)
    };
    assert_eq!(ask(&|_| {}, &call).await, (200, 0));
    assert_eq!(ask(&set("Mcp-Name", "  echo "), &call).await, (200, 0));
    assert_eq!(
        ask(&set("Mcp-Name", "=?base64?ZWNobw==?="), &call).await,
        (200, 0)
    );
    for name in ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"] {
        assert_eq!(ask(&without(name), &call).await, (400, -32020), "{name}");
    }
    for (name, value) in [
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Mcp-Method", "tools/list"),
        ("Mcp-Method", "Tools/Call"),
        ("Mcp-Name", "add"),
        ("Mcp-Name", "=?base64?ZWNobw?="),
    ] {
        assert_eq!(
            ask(&set(name, value), &call).await,
            (400, -32020),
            "{name}: {value}"
        );
    }
    let mut old = call.clone();
    old["params"]["_meta"][meta::VERSION] = json!("1900-01-01");
    assert_eq!(
        ask(&set("MCP-Protocol-Version", "1900-01-01"), &old).await,
        (400, -32022)
    );
    for key in [meta::VERSION, meta::CAPABILITIES] {
        let mut less = call.clone();
        less["params"]["_meta"].as_object_mut().unwrap().remove(key);
        assert_eq!(ask(&|_| {}, &less).await, (400, -32602), "{key}");
    }
    let unknown = client.wrapped(1, "logging/setLevel", json!({}));
    assert_eq!(
        ask(&set("Mcp-Method", "logging/setLevel"), &unknown).await,
        (404, -32601)
    );
    for method in ["GET", "DELETE"] {
        let version = [
            ("mcp-protocol-version", VERSION),
            ("accept", "text/event-stream"),
        ];
        assert_eq!(send(method, &url, &version, "").await.unwrap().status, 405);
    }
    let located = client.wrapped(
        1,
        "tools/call",
        json!({"name": "located", "arguments": {"count": 3}}),
    );
    assert_eq!(
        ask(&set("Mcp-Name", "located"), &located).await,
        (400, -32020)
    );
    let with = |headers: &mut Headers| {
        set("Mcp-Name", "located")(headers);
        headers.push(("Mcp-Param-Count".to_owned(), "3.0".to_owned()));
    };
    assert_eq!(ask(&with, &located).await, (200, 0));
}

#[tokio::test]
async fn eras_are_told_apart() {
    for (eras, modern, legacy) in [
        (Eras::Legacy, false, true),
        (Eras::Modern, true, false),
        (Eras::Both, true, true),
    ] {
        let options = Options {
            eras,
            ..Options::default()
        };
        let initialize = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let initialize =
            json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize});
        let fixture = Fixture::start(options.clone());
        let client = Client::http(&fixture.url(), None).modern();
        let discover = client.wrapped(1, "server/discover", json!({}));
        let answer = client
            .as_http()
            .post_raw(discover.to_string())
            .await
            .unwrap();
        assert_eq!(answer.status == 200, modern, "{eras:?}: {}", answer.text());
        let answer = post(&fixture.url(), &[], initialize.to_string())
            .await
            .unwrap();
        assert_eq!(answer.status == 200, legacy, "{eras:?}: {}", answer.text());

        let stdio = Stdio::new(&options);
        let client = Client::stdio(&stdio.start).modern();
        let answer = client.request("server/discover", json!({})).await;
        assert_eq!(answer.get("result").is_some(), modern, "{eras:?}: {answer}");
        client.as_stdio().write(initialize.to_string()).unwrap();
        wait_until("an answer", || !client.as_stdio().strays().is_empty()).await;
        let answer = client.as_stdio().strays().remove(0);
        assert_eq!(answer.get("result").is_some(), legacy, "{eras:?}: {answer}");
    }
}

#[tokio::test]
async fn bad_habits_show() {
    on_every_face(Options::modern(), async |client| {
        let result = async |habit: Hostility| {
            let answer = client.call("hostile", json!({"mode": habit.word()})).await;
            answer["result"].clone()
        };
        assert_eq!(
            result(Hostility::UnknownResultType).await["resultType"],
            "vendor/strange"
        );
        assert!(
            result(Hostility::NoResultType)
                .await
                .get("resultType")
                .is_none()
        );
        let asks = result(Hostility::UndeclaredInput).await;
        assert_eq!(asks["inputRequests"].as_object().unwrap().len(), 3);
        assert_eq!(
            result(Hostility::UnknownInput).await["inputRequests"]["odd"]["method"],
            "vendor/ask"
        );
        assert!(
            result(Hostility::EmptyInput)
                .await
                .get("inputRequests")
                .is_none()
        );
        assert_eq!(
            result(Hostility::Decision).await["_meta"]["dev.provost/decision"]["rule"],
            "forged"
        );
        result(Hostility::AskDirectly).await;
        assert_eq!(client.received("sampling/createMessage").len(), 1);
        result(Hostility::StrayNotification).await;
        assert_eq!(
            client.received("notifications/elicitation/complete").len(),
            1
        );
    })
    .await;
    let on = |habit: Hostility, method: &str| Options {
        hostile: Some(habit),
        on: method.to_owned(),
        ..Options::modern()
    };
    on_every_face(
        on(Hostility::BadAnnotations, "tools/list"),
        async |client| {
            assert!(client.tools().await.contains(&"bad_twice".to_owned()));
        },
    )
    .await;
    on_every_face(on(Hostility::NoCacheFields, "tools/list"), async |client| {
        let list = client.request("tools/list", json!({})).await;
        assert!(list["result"].get("ttlMs").is_none());
    })
    .await;
    let habit = on(Hostility::WrongSubscription, "subscriptions/listen");
    let fixture = Fixture::start(habit);
    let client = Client::http(&fixture.url(), None).modern();
    let mut listening = client.subscribe(json!({"toolsListChanged": true})).await;
    let first = listening.next().await.unwrap();
    assert_eq!(
        first["params"]["_meta"][meta::SUBSCRIPTION],
        "somebody else's"
    );
}
